"""Ids of trades that came without one: those of Nautilus' loader for Tardis, numbered the same however blocks are cut."""

import struct
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedgegrid_assets.sources.formats import synthetic_ids as made_ids
from hedgegrid_assets.sources.formats.synthetic_ids import MADE, REMEMBERED_NS, Flags, Ordinals
from hedgegrid_assets.sources.tardis import SOURCE, datasets
from hedgegrid_assets.sources.tardis.made_ids import nautilus_ids
from hedgegrid_assets_tests.one_day import outcomes

HEAD = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
MIDNIGHT_US = 1_704_067_200_000_000
TRADES = next(channel for channel in SOURCE.channels if channel.name == "trades")


def fnv(symbol: str, ts_event: int, price: Decimal, size: Decimal, side: str) -> str:
    """As Nautilus' loader hashes a row, byte by byte."""
    doubles = (struct.pack("<d", float(price)), struct.pack("<d", float(size)))
    number = 0xCBF29CE484222325
    for byte in b"\x1f".join((symbol.upper().encode(), struct.pack("<Q", ts_event), *doubles, side.encode())):
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{number:016x}"


DECIMALS = st.decimals(Decimal("0.0000000000000001"), 10**15, allow_nan=False, places=16)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BTCUSDT", "btcusdt", "币安人生USDT"]),
            st.integers(1, 2**62),
            DECIMALS,
            DECIMALS,
            st.sampled_from(["buy", "sell", "unknown", ""]),
        ),
        min_size=1,
        max_size=30,
    )
)
@settings(deadline=None)
def test_the_id_of_a_tardis_trade_is_the_hash_that_nautilus_makes(rows: list[tuple[Any, ...]]) -> None:
    kind = pl.Decimal(38, 16)
    schema = {"symbol": pl.String, "ts_event": pl.Int64, "price": kind, "size": kind, "side": pl.String}
    made = nautilus_ids(pl.DataFrame(rows, schema=schema, orient="row"))
    assert made.to_list() == [fnv(*row) for row in rows]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=40), st.data())
@settings(deadline=None)
def test_numbers_are_those_of_the_whole_however_it_is_cut(
    rows: list[tuple[str, int, bool]], data: st.DataObject
) -> None:
    frame = pl.DataFrame(
        {
            "raw_row": pl.Series(range(len(rows)), dtype=pl.UInt32),
            "ts_event": pl.Series([at for _, at, _ in rows], dtype=pl.Int64),
            "id": pl.Series([f"{text}{at}" for text, at, _ in rows], dtype=pl.String),
            MADE: pl.Series([made for *_, made in rows], dtype=pl.Boolean),
        }
    )
    seen: Counter[str] = Counter()
    expected = []
    for text, at, made in rows:
        seen[f"{text}{at}"] += made
        count = seen[f"{text}{at}"]
        expected.append(f"{text}{at}-{count}" if made and count > 1 else f"{text}{at}")
    edges = [0, *sorted(data.draw(st.sets(st.integers(0, len(rows))))), len(rows)]
    ordinals, flags = Ordinals("id"), Flags()
    found = []
    for start, end in pairwise(edges):
        part = frame.slice(start, end - start)
        flags.add(part["raw_row"], part[MADE])
        found.append(ordinals.numbered(part))
    numbered = pl.concat(found) if found else frame
    assert numbered["id"].to_list() == expected
    assert Ordinals("id").numbered(numbered)["id"].to_list() == expected  # numbered once more
    assert flags.of(frame["raw_row"]).to_list() == frame[MADE].to_list()


def test_a_row_that_is_older_than_what_is_remembered_is_not_numbered_as_it_comes() -> None:
    ordinals = Ordinals("id")

    def row(at: int) -> pl.DataFrame:
        return made_ids.filled(
            pl.DataFrame(
                {"raw_row": [0], "ts_event": [at], "id": [None]},
                schema={"raw_row": pl.UInt32, "ts_event": pl.Int64, "id": pl.String},
            ),
            "id",
        )

    ordinals.numbered(row(REMEMBERED_NS))
    assert ordinals.at_once(row(0))
    ordinals.numbered(row(REMEMBERED_NS + 1))
    assert not ordinals.at_once(row(0))


def trade(at: int, local: int, number: str = "", price: str = "42500.1") -> str:
    return f"binance-futures,BTCUSDT,{MIDNIGHT_US + at},{MIDNIGHT_US + local},{number},buy,{price},0.003"


def made(folder: Path, *lines: str, block: int | None = None) -> pl.DataFrame:
    dialect = datasets.dialect_of(HEAD.encode(), TRADES, "BTCUSDT")
    data = "".join(f"{line}\n" for line in (HEAD, *lines)).encode()
    done = outcomes(folder / uuid4().hex, SOURCE, TRADES, data, dialect=dialect, block=block)["trade_tick"]
    assert done.rows == {
        "in": len(lines),
        "out": len(lines),
        **dict.fromkeys(("rejected", "exact_duplicates", "other_symbols", "not_applicable"), 0),
    }
    return done.frame


@pytest.mark.slow
@pytest.mark.parametrize("block", [48, 200, None])
def test_no_trade_without_an_id_is_lost_at_the_edge_of_a_block(block: int | None, tmp_path: Path) -> None:
    frame = made(tmp_path, *[trade(number // 40, 5_000 + number // 60) for number in range(600)], block=block)
    ids = frame["trade_id"]
    assert ids.n_unique() == 600
    base = ids[0]
    assert ids.to_list()[:40] == [base, *(f"{base}-{number}" for number in range(2, 41))]


@pytest.mark.parametrize("block", [48, None])
def test_a_late_trade_that_is_like_one_of_minutes_ago_has_the_next_number(block: int | None, tmp_path: Path) -> None:
    minutes = 60_000_000
    lines = [trade(1, 2), trade(5 * minutes, 5 * minutes + 1), trade(1, 5 * minutes + 2), trade(1, 5 * minutes + 3)]
    ids = made(tmp_path, *lines, block=block)["trade_id"].to_list()
    assert ids[2:] == [f"{ids[0]}-2", f"{ids[0]}-3"]


@pytest.mark.parametrize("block", [48, None])
def test_an_id_of_the_venue_that_looks_like_a_hash_stays_as_it_is(block: int | None, tmp_path: Path) -> None:
    theirs = ["0123456789abcdef", "1234567890123456", "~0123456789abcdef01234567", "0123456789abcdef-2"]
    lines = [trade(number, 10 + number, given) for number, given in enumerate([*theirs, "", ""])]
    lines[-1] = lines[-2]
    ids = made(tmp_path, *lines, block=block)["trade_id"].to_list()
    assert ids[:4] == theirs
    assert ids[5] == f"{ids[4]}-2"


EVENTS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["42500.1", "42500.2"])), min_size=1, max_size=30)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, sort=st.booleans())
def test_ids_are_unique_and_do_not_depend_on_blocks(events: list[tuple[int, str]], sort: bool, tmp_path: Path) -> None:
    events = sorted(events) if sort else events
    lines = [trade(at, 10 + number // 3, price=price) for number, (at, price) in enumerate(events)]
    whole = made(tmp_path, *lines)
    assert whole["trade_id"].n_unique() == len(lines)
    assert made(tmp_path, *lines, block=48).rows() == whole.rows()
