"""Each table of a channel is judged by its own columns, and a rate keeps all its digits."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets import read_frame
from hedgegrid_assets.batch import Block
from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.sources import csv, tardis, websocket
from hedgegrid_assets.sources.tardis import datasets
from hedgegrid_assets.store import Places
from hedgegrid_assets_tests.one_day import Outcome, outcomes

MS: Final = 1_704_067_200_000
NAMES: Final = ("mark_price_update", "index_price_update", "funding_rate_update")
HEAD: Final = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,"
    "open_interest,last_price,index_price,mark_price"
)
FINE: Final = "0.00001351666666666667"
FINER: Final = "0.0000000000000000000000000000001"
"""Of 31 decimals: no column holds it."""


def channel(source: Source, name: str) -> Channel:
    return next(each for each in source.channels if each.name == name)


def ticker(at: int, **cells: str) -> str:
    given = {"rate": "0.0001", "predicted": "0.0002", "index": "42499.5", "mark": f"42500.{at}"} | cells
    times = f"{MS + at}000,{MS + at}500,{given.get('next', f'{MS + 28_800_000}000')}"
    return f"kraken,BTCUSDT,{times},{given['rate']},{given['predicted']},,,{given['index']},{given['mark']}\n"


def tickers(folder: Path, *lines: str, block: int | None = None, kept: bool = False) -> dict[str, Outcome]:
    made_of = channel(tardis.SOURCE, "derivative_ticker")
    dialect = datasets.dialect_of(HEAD.encode(), made_of, "BTCUSDT")
    data = (f"{HEAD}\n" + "".join(lines)).encode()
    return outcomes(folder, tardis.SOURCE, made_of, data, dialect=dialect, block=block, kept=kept)


def marks(folder: Path, *changes: dict[str, Any], **options: Any) -> dict[str, Outcome]:
    usual = {"e": "markPriceUpdate", "s": "BTCUSDT", "p": "42500.1", "i": "42499.5", "r": "0.0001"}
    lines = []
    for at, change in enumerate(changes):
        message = usual | {"E": MS + at, "T": MS + 28_800_000} | change
        lines.append(json.dumps({key: value for key, value in message.items() if value is not None}))
    data = "".join(f"{(MS + at) * 1_000_000} {line}\n" for at, line in enumerate(lines)).encode()
    return outcomes(folder, websocket.SOURCE, channel(websocket.SOURCE, "markPrice"), data, **options)


def counts(found: dict[str, Outcome]) -> list[tuple[int, int, int]]:
    """(rows, rejected, not applicable) of mark, index and funding."""
    rows = [found[name].rows for name in NAMES]
    return [(each["out"], each["rejected"], each["not_applicable"]) for each in rows]


WAYS: Final[tuple[dict[str, Any], ...]] = ({}, {"block": 48}, {"kept": True}, {"block": 48, "kept": True})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"rate": "x"}, [(3, 0, 0), (3, 0, 0), (2, 1, 0)]),
        ({"rate": FINER}, [(3, 0, 0), (3, 0, 0), (2, 1, 0)]),
        ({"predicted": "x"}, [(3, 0, 0), (3, 0, 0), (2, 1, 0)]),
        ({"predicted": FINER}, [(3, 0, 0), (3, 0, 0), (3, 0, 0)]),
        ({"predicted": "1" * 30}, [(3, 0, 0), (3, 0, 0), (3, 0, 0)]),
        ({"index": "1e-17"}, [(3, 0, 0), (2, 1, 0), (3, 0, 0)]),
        ({"mark": "x"}, [(2, 1, 0), (3, 0, 0), (3, 0, 0)]),
        ({"mark": "x", "index": "y", "rate": "z"}, [(2, 1, 0), (2, 1, 0), (2, 1, 0)]),
        ({"next": "x"}, [(3, 0, 0), (3, 0, 0), (2, 1, 0)]),
        ({"rate": "", "predicted": "x"}, [(3, 0, 0), (3, 0, 0), (2, 0, 1)]),
        ({"rate": "", "predicted": FINER}, [(3, 0, 0), (3, 0, 0), (2, 0, 1)]),
    ],
)
def test_a_bad_cell_of_a_ticker_costs_only_the_tables_that_need_it(
    cells: dict[str, str], expected: list[tuple[int, int, int]], way: dict[str, Any], tmp_path: Path
) -> None:
    found = tickers(tmp_path, ticker(1), ticker(2, **cells), ticker(3), **way)
    assert counts(found) == expected
    for outcome in found.values():
        assert outcome.rule("rows_conserved")["passed"]
        if outcome.rows["rejected"]:
            reject = outcome.rejects.row(0, named=True)
            assert reject["raw"] == ticker(2, **cells).strip()
            assert reject["line"] == 3
            assert reject["value"] in cells.values()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"r": "x"}, [(3, 0, 0), (3, 0, 0), (2, 1, 0)]),
        ({"i": "1e-17"}, [(3, 0, 0), (2, 1, 0), (3, 0, 0)]),
        ({"p": "x"}, [(2, 1, 0), (3, 0, 0), (3, 0, 0)]),
        ({"p": None}, [(2, 1, 0), (3, 0, 0), (3, 0, 0)]),
        ({"T": "x"}, [(3, 0, 0), (3, 0, 0), (2, 1, 0)]),
        ({"T": 2**70}, [(3, 0, 0), (3, 0, 0), (3, 0, 0)]),
        ({"E": None}, [(2, 1, 0)] * 3),
    ],
)
def test_a_bad_value_of_a_message_costs_only_the_tables_that_need_it(
    change: dict[str, Any], expected: list[tuple[int, int, int]], way: dict[str, Any], tmp_path: Path
) -> None:
    assert counts(marks(tmp_path, {}, change, {}, **way)) == expected


def test_a_value_that_an_optional_column_cannot_hold_is_empty_and_counted(tmp_path: Path) -> None:
    found = tickers(tmp_path, ticker(1), ticker(2, predicted=FINER), ticker(3, predicted="1" * 30), ticker(4))
    funding = found["funding_rate_update"]
    assert funding.frame["predicted_funding_rate"].is_null().to_list() == [False, True, True, False]
    cleaned = funding.rule("nothing_cleaned")
    assert (cleaned["passed"], cleaned["numbers"]["left_empty"]) == (False, {"predicted_funding_rate": 2})
    assert "left_empty" not in found["mark_price_update"].rule("nothing_cleaned")["numbers"]


def test_members_of_an_aggregate_that_are_too_large_are_empty_and_counted(tmp_path: Path) -> None:
    rows = f"{MS},1,1,9,{2**70},7\n{MS + 1},1,1,10,7,8\n"
    text = f"timestamp,price,size,agg_trade_id,first_trade_id,last_trade_id\n{rows}".encode()
    assert csv.SOURCE.begin is not None
    said = csv.SOURCE.begin(Block(text, 0), {"path": "BTCUSDT.csv", "symbols": ["BTCUSDT"]}).dialect
    found = outcomes(tmp_path, csv.SOURCE, channel(csv.SOURCE, "aggTrade"), text, dialect=said)["trade_tick"]
    assert found.frame["first_trade_id"].to_list() == [None, 7]
    assert found.rule("nothing_cleaned")["numbers"]["left_empty"] == {"first_trade_id": 1}


@pytest.mark.parametrize("text", [FINE, "1.351666666666667e-10", "-0.0000000000000000000000000001", "1234567890.5"])
def test_a_rate_keeps_all_its_digits_in_every_source(text: str, tmp_path: Path) -> None:
    by_tardis = tickers(tmp_path / "tardis", ticker(1, rate=text, predicted=text))["funding_rate_update"].frame
    by_message = marks(tmp_path / "message", {"r": text})["funding_rate_update"].frame
    assert by_tardis["funding_rate"].to_list() == by_message["funding_rate"].to_list() == [Decimal(text)]
    assert by_tardis["predicted_funding_rate"].to_list() == [Decimal(text)]


def converted(folder: Path, text: str, *more: str) -> Places:
    (folder / "ETHUSDT.csv").write_text(text)
    where = ["--output", str(folder / "catalog"), "--data", str(folder / "data"), "--symbol", "ETHUSDT"]
    wanted = ["--data-types", "funding", "--input", str(folder / "ETHUSDT.csv")]
    assert run(["replay-to-parquet", "--source", "csv", *where, *wanted, *more]) == 0
    return Places(folder / "data", folder / "catalog")


def test_nautilus_reads_the_rate_that_was_published(tmp_path: Path) -> None:
    rates = [FINE, "0.0000000000000000000123", "-1.351666666666667e-10", "0.0001"]
    rows = "".join(f"{MS + at * 1_000},{rate},{rate}\n" for at, rate in enumerate(rates))
    places = converted(tmp_path, f"timestamp,funding_rate,predicted_funding_rate\n{rows}")
    found = ParquetDataCatalog(str(places.catalog)).query(FundingRateUpdate, identifiers=["ETHUSDT-PERP.BINANCE"])
    assert [Decimal(str(update.rate)) for update in found] == [Decimal(rate) for rate in rates]
    assert validate_catalog(places.catalog, deep=True).ok


def test_a_frame_of_before_is_read_beside_one_of_now(tmp_path: Path) -> None:
    places = converted(tmp_path, f"timestamp,funding_rate\n{MS},0.0001\n{MS + 86_400_000},{FINE}\n")
    name = "ETHUSDT-PERP.BINANCE"
    old = places.frame(name, "funding_rate", date(2024, 1, 1))
    table = pq.read_table(old)
    narrow = pl.from_arrow(table)
    assert isinstance(narrow, pl.DataFrame)
    narrow = narrow.with_columns(pl.col("funding_rate", "predicted_funding_rate").cast(pl.Decimal(38, 16)))
    narrow.write_parquet(old.local())
    both = read_frame(name, "funding", catalog=places.catalog, decimals="exact")
    assert both["funding_rate"].to_list() == [Decimal("0.0001"), Decimal(FINE)]
    report = validate_catalog(places.catalog)
    assert [day.catalog_matches_frame for day in report.days] == [True, True]
