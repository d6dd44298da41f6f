"""Catalog files: what Nautilus' own reader and writer say of them, and what never gets in."""

import contextlib
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nautilus_trader.model import data as nautilus_data
from nautilus_trader.model.data import FundingRateUpdate, IndexPriceUpdate, MarkPriceUpdate, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.errors import CatalogDiffers, DayBlocked, EnvironmentFault, SeriesMixed, VerdictRefused
from hedgegrid_assets.model import Table
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.frames import FrameWriter, Precisions
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import (
    BAD_MS,
    BTC,
    BTC_IDS,
    CLEAN,
    DAY,
    DAY_MS,
    ETH,
    MIDNIGHT_MS,
    NEXT_DAY,
    QUOTED,
    VARIANTS,
    agg_trade,
    clean_lines,
    line,
    mark_price,
    received,
)
from hedgegrid_assets_tests.yard import PRECISIONS, Yard, instrument_day, of_before

ID: Final = "BTCUSDT-PERP.BINANCE"
MADE_FROM: Final = {
    "trade_tick": "aggTrade",
    "quote_tick": "bookTicker",
    "mark_price_update": "markPrice",
    "index_price_update": "markPrice",
    "funding_rate_update": "markPrice",
}
"""The tables of the clean capture, each from its stream; the others have readers of their own to be held against."""
FLOAT_LOSES: Final = ("mark_price_update", "index_price_update")
"""Nautilus writes these through a float, and so loses what is beyond its digits; it reads them exactly."""


def raw(value: Decimal) -> int:
    """Nautilus' raw value, exactly: Decimal itself rounds to 28 digits."""
    exact = Fraction(value) * 10**16
    assert exact.denominator == 1
    return exact.numerator


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def ready(yard: Yard, data: bytes = CLEAN, precisions: Precisions = PRECISIONS) -> Yard:
    """Normalized, not yet published."""
    yard.drop("capture.jsonl", data)
    yard.bring_in()
    for channel in ("aggTrade", "markPrice", "bookTicker"):
        if (yard.places.raw_folder("captures", channel, BTC) / f"{DAY}.json").exists():
            yard.normalize(channel, precisions=precisions)
    return yard


def file_of(yard: Yard, table: str, day: date = DAY) -> Path:
    return catalog.file_of(yard.places, instrument_day(day=day), TABLES[table]).local()


def query(yard: Yard, table: str, **options: Any) -> list[Any]:
    """What Nautilus' own reader gives."""
    reader = ParquetDataCatalog(str(yard.places.catalog))
    return reader.query(getattr(nautilus_data, TABLES[table].form().cls), identifiers=[ID], **options)


def trades_in(yard: Yard) -> list[tuple[int, int, str, str, int, int]]:
    return [
        (t.price.raw, t.size.raw, t.aggressor_side.name, str(t.trade_id), t.ts_event, t.ts_init)
        for t in query(yard, "trade_tick")
    ]


# ---------------------------------------------------------------- Nautilus reads it


def test_nautilus_reads_every_trade_of_the_day_in_order_to_the_last_digit(yard: Yard) -> None:
    ready(yard).publish()
    ticks = query(yard, "trade_tick")
    assert [str(tick.trade_id) for tick in ticks] == [str(number) for number in BTC_IDS]
    assert {(tick.price.precision, tick.size.precision, str(tick.instrument_id)) for tick in ticks} == {(2, 3, ID)}
    sent = [json.loads(text.partition(b" ")[2])["data"] for text in clean_lines() if b'"s":"BTCUSDT","a":' in text]
    for tick, message in zip(ticks, sent, strict=True):
        assert (tick.price.raw, tick.size.raw) == (raw(Decimal(message["p"])), raw(Decimal(message["q"])))
        assert tick.aggressor_side.name == ("SELLER" if message["m"] else "BUYER")
        assert (tick.ts_event, tick.ts_init) == (message["T"] * 1_000_000, received(message["T"]))


def test_nautilus_reads_mark_prices_with_their_own_precision(yard: Yard) -> None:
    ready(yard).publish("mark_price_update")
    marks = query(yard, "mark_price_update")
    assert [str(mark.value) for mark in marks] == [f"42001.{step:08}" for step in range(120)]
    assert all(mark.ts_init - mark.ts_event == 20_000_000 for mark in marks)


def test_nautilus_reads_funding_the_first_of_the_day_and_each_change(yard: Yard) -> None:
    ready(yard).publish("funding_rate_update")
    rates = query(yard, "funding_rate_update")
    assert [Decimal(str(rate.rate)) for rate in rates] == [Decimal("0.0001"), Decimal("-0.00000001")]
    assert {rate.next_funding_ns for rate in rates} == {(MIDNIGHT_MS + DAY_MS) * 1_000_000}
    assert len(yard.frame("funding_rate_update")) == 120


def test_a_change_of_the_funding_time_alone_is_a_change_too(yard: Yard) -> None:
    due = [8, 8, 16, 16, 24]
    data = b"".join(line(mark_price(BAD_MS + n, T=MIDNIGHT_MS + hour * 3_600_000)) for n, hour in enumerate(due))
    ready(yard, data).publish("funding_rate_update")
    assert [
        (rate.next_funding_ns - MIDNIGHT_MS * 1_000_000) // (3_600 * 10**9)
        for rate in query(yard, "funding_rate_update")
    ] == [8, 16, 24]


def test_index_prices_are_in_nautilus_format_though_it_cannot_read_them(yard: Yard) -> None:
    ready(yard).publish("index_price_update")
    stored = pq.read_table(file_of(yard, "index_price_update"))
    values = [int.from_bytes(raw.as_py(), "little", signed=True) for raw in stored.column("value")]
    assert values == [raw(Decimal("42000.5"))] * 120
    with pytest.raises(NotImplementedError):
        query(yard, "index_price_update")


def test_a_range_of_days_gives_each_row_once_and_no_row_of_another_day(yard: Yard) -> None:
    yard.drop("capture.jsonl", VARIANTS["over midnight"].data)
    yard.bring_in()
    for day in (DAY, NEXT_DAY):
        yard.normalize(day=day)
        yard.publish(day=day)
    reader = ParquetDataCatalog(str(yard.places.catalog))
    assert len(reader.trade_ticks(instrument_ids=[ID])) == 41
    assert len(reader.trade_ticks(instrument_ids=[ID], start="2024-01-01", end="2024-01-01T23:59:59.999999999")) == 40
    assert len(reader.trade_ticks(instrument_ids=[ID], start="2024-01-02", end="2024-01-02T23:59:59.999999999")) == 1
    assert reader.get_intervals(TradeTick, ID) == [
        (MIDNIGHT_MS * 10**6, (MIDNIGHT_MS + DAY_MS) * 10**6 - 1),
        ((MIDNIGHT_MS + DAY_MS) * 10**6, (MIDNIGHT_MS + 2 * DAY_MS) * 10**6 - 1),
    ]


def test_a_day_without_rows_is_a_file_that_covers_it(yard: Yard) -> None:
    data = b"".join(line(mark_price(BAD_MS + n, i=None, r="", T=0)) for n in range(3))
    ready(yard, data)
    for table in ("index_price_update", "funding_rate_update"):
        assert yard.verdict(table)["status"] == "empty"
        assert yard.publish(table).rows == 0
    assert query(yard, "funding_rate_update") == []
    assert pq.read_table(file_of(yard, "index_price_update")).num_rows == 0
    reader = ParquetDataCatalog(str(yard.places.catalog))
    assert len(reader.get_intervals(FundingRateUpdate, ID)) == 1


def test_the_guides_own_asserts_hold_for_spoiled_input(yard: Yard) -> None:
    zero = line(agg_trade(2000, BAD_MS, p="0"), received(BAD_MS))
    lines = [*VARIANTS["exact duplicates"].data.splitlines(keepends=True), zero]
    ready(yard, b"".join(lines[::-1])).publish()
    ticks = query(yard, "trade_tick")
    ids = [str(tick.trade_id) for tick in ticks]
    assert len(ids) == len(set(ids)) == 40
    assert [tick.ts_init for tick in ticks] == sorted(tick.ts_init for tick in ticks)
    assert all(tick.price.as_double() > 0 for tick in ticks)


# ---------------------------------------------------------------- Nautilus writes the same


def written_by_nautilus(folder: Path, objects: list[Any]) -> pa.Table:
    ParquetDataCatalog(str(folder)).write_data(objects)
    (path,) = folder.glob("data/*/*/*.parquet")
    return pq.read_table(path)


def objects_of(table: str, frame: pl.DataFrame, precisions: Precisions) -> list[Any]:
    """Nautilus objects of a frame, made one by one by hand."""
    instrument = InstrumentId.from_str(ID)
    made: list[Any] = []
    before = None
    for row in frame.iter_rows(named=True):
        times = row["ts_event"], row["ts_init"]
        if table == "trade_tick":
            price = Price.from_raw(raw(row["price"]), precisions.price)
            size = Quantity.from_raw(raw(row["size"]), precisions.size)
            side, number = AggressorSide[row["aggressor_side"]], TradeId(row["trade_id"])
            made.append(TradeTick(instrument, price, size, side, number, *times))
        elif table == "quote_tick":
            prices = [Price.from_raw(raw(row[name]), precisions.price) for name in ("bid_price", "ask_price")]
            sizes = [Quantity.from_raw(raw(row[name]), precisions.size) for name in ("bid_size", "ask_size")]
            made.append(QuoteTick(instrument, *prices, *sizes, *times))
        elif table == "mark_price_update":
            made.append(MarkPriceUpdate(instrument, Price.from_raw(raw(row["mark_price"]), precisions.mark), *times))
        elif table == "index_price_update":
            made.append(IndexPriceUpdate(instrument, Price.from_raw(raw(row["index_price"]), precisions.mark), *times))
        else:
            rate, due = row["funding_rate"], row["next_funding_time"]
            if (rate, due) != before:
                shortest = Decimal(f"{rate:f}".rstrip("0").rstrip("."))
                made.append(FundingRateUpdate(instrument, shortest, *times, row["interval_minutes"], due))
            before = rate, due
    return made


@pytest.mark.parametrize("table", MADE_FROM)
def test_a_day_is_the_very_table_that_nautilus_itself_writes(yard: Yard, tmp_path: Path, table: str) -> None:
    ready(yard, CLEAN + QUOTED).publish(table)
    ours = pq.read_table(file_of(yard, table))
    theirs = written_by_nautilus(tmp_path / "theirs", objects_of(table, yard.frame(table), PRECISIONS))
    assert ours.schema.equals(theirs.schema, check_metadata=True)
    assert ours.equals(theirs)


MOST_PRICE: Final = 17_014_118_346_046
MOST_SIZE: Final = 34_028_236_692_093
RATES: Final = (
    "1E-8",
    "-0.00000001",
    "0.00010000",
    "0",
    "0.0075",
    "-12.5",
    "1.234567890123e3",
    "100",
    "0.0000000000000001",
)
RATES_OF_MANY_DIGITS: Final = ("1234567890.1234567890123456789", "-999999999.9999999999999999999")


def decimals(precision: int, most: int) -> st.SearchStrategy[str]:
    """Texts of numbers above zero of some decimals, the smallest, the largest and usual ones more often."""
    units = 10**precision
    found = (
        st.integers(1, most * units)
        | st.integers(1, 10**6)
        | st.sampled_from([1, units, most * units, most * units - 1])
    )
    return found.map(lambda number: f"{number // units}.{number % units:0{precision}}" if precision else f"{number}")


@st.composite
def days(draw: st.DrawFn) -> tuple[Precisions, bytes]:
    """Trades and mark prices of a day at some precision, as large, small and fine as Nautilus can hold."""
    precisions = Precisions(*(draw(st.integers(0, 16)) for _ in range(3)))
    lines: list[bytes] = []
    for number in range(draw(st.integers(1, 8))):
        price, size = draw(decimals(precisions.price, MOST_PRICE)), draw(decimals(precisions.size, MOST_SIZE))
        mark, index = draw(decimals(precisions.mark, MOST_PRICE)), draw(decimals(precisions.mark, MOST_PRICE))
        late = draw(st.integers(0, 10**12))
        trade = agg_trade(draw(st.integers(0, 2**63 - 1)), BAD_MS + number, p=price, q=size, m=draw(st.booleans()))
        rate = draw(st.sampled_from(RATES + RATES_OF_MANY_DIGITS))
        due = draw(st.sampled_from([MIDNIGHT_MS + DAY_MS, MIDNIGHT_MS + 57_600_000]))
        lines.append(line(trade, received(BAD_MS) + late))
        lines.append(line(mark_price(BAD_MS + number, p=mark, i=index, r=rate, T=due)))
    return precisions, b"".join(lines)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(days())
def test_any_day_is_read_and_written_by_nautilus_as_by_us(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Precisions, bytes]
) -> None:
    precisions, data = made
    yard = ready(Yard(tmp_path_factory.mktemp("day")), data, precisions)
    for table in (name for name, promised in TABLES.items() if promised.default):
        if yard.verdict(table)["status"] == "blocked":  # one id for two trades
            assert table == "trade_tick"
            continue
        yard.publish(table, precisions=precisions)
        frame = yard.frame(table)
        ours = pq.read_table(file_of(yard, table))
        values = frame.get_columns()[2].to_list()
        if table not in FLOAT_LOSES or all(len(f"{value}") <= 15 for value in values):
            assert ours.equals(
                written_by_nautilus(tmp_path_factory.mktemp(table), objects_of(table, frame, precisions)),
                check_metadata=True,
            )
        if table == "trade_tick":
            read = [(price, size, number) for price, size, _, number, _, _ in trades_in(yard)]
            wanted = frame.select("price", "size", "trade_id").rows()
            assert read == [(raw(price), raw(size), number) for price, size, number in wanted]
        elif table == "mark_price_update":
            assert [mark.value.raw for mark in query(yard, table)] == [raw(value) for value in values]
        elif table == "funding_rate_update":
            rates = [(Decimal(str(rate.rate)), rate.next_funding_ns) for rate in query(yard, table)]
            pairs = zip(values, frame["next_funding_time"], strict=True)
            assert rates == [pair for pair, _ in itertools.groupby(pairs)]


# ---------------------------------------------------------------- what never gets in


def test_a_day_without_a_verdict_is_refused(yard: Yard) -> None:
    ready(yard)
    yard.places.verdict(ID, "trade_tick", DAY).unlink()
    with pytest.raises(VerdictRefused, match="there is none"):
        yard.publish()


def test_a_blocked_day_is_refused_and_the_last_good_one_stays(yard: Yard) -> None:
    ready(yard).publish()
    before = file_of(yard, "trade_tick").read_bytes()
    ready(yard, VARIANTS["same id, other content"].data)
    with pytest.raises(DayBlocked, match="trade_ids_unique"):
        yard.publish()
    assert file_of(yard, "trade_tick").read_bytes() == before
    assert not catalog.is_current(yard.places, instrument_day(), TABLES["trade_tick"])


def stored_frame(yard: Yard, table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Write the frame again, changed, as someone might who knows the format."""
    path = yard.frame_path(table)
    changed = change(yard.frame(table))
    writer = FrameWriter(path, ID, TABLES[table], pq.read_schema(path))
    if len(changed):
        writer.write(changed)
    writer.close()


TAMPERED: Final[dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame]]]] = {
    "a cent more": (
        "trade_tick",
        lambda frame: frame.with_columns((pl.col("price") + Decimal("0.01")).cast(pl.Decimal(38, 2))),
    ),
    "a row less": ("trade_tick", lambda frame: frame.head(39)),
    "no row left": ("trade_tick", lambda frame: frame.head(0)),
    "members gone": ("trade_tick", lambda frame: frame.with_columns(first_trade_id=pl.lit(None, pl.Int64))),
    "a nanosecond later": ("mark_price_update", lambda frame: frame.with_columns(pl.col("ts_event") + 1)),
    "settled otherwise": (
        "funding_rate_update",
        lambda frame: frame.with_columns(is_settlement=~pl.col("is_settlement")),
    ),
    "the last row twice": ("index_price_update", lambda frame: pl.concat([frame, frame.tail(1)])),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_frame_that_was_changed_after_its_verdict_is_refused(yard: Yard, name: str) -> None:
    table, change = TAMPERED[name]
    ready(yard).publish(table)
    before = yard.files("catalog", "data")
    stored_frame(yard, table, change)
    with pytest.raises(VerdictRefused, match="not the one that was judged"):
        yard.publish(table)
    assert yard.files("catalog", "data") == before


@pytest.mark.parametrize("name", TAMPERED)
def test_a_file_that_was_written_along_with_a_frame_is_not_published_once_the_frame_is_another(
    yard: Yard, name: str
) -> None:
    table, change = TAMPERED[name]
    ready(yard)
    day = instrument_day()
    with contextlib.closing(catalog.Draft(yard.places, day, TABLES[table], PRECISIONS)) as draft:
        yard.normalize(MADE_FROM[table], sinks={table: draft})
        stored_frame(yard, table, change)
        with pytest.raises(VerdictRefused, match="not the one that was judged"):
            catalog.write_day(yard.places, day, TABLES[table], PRECISIONS, draft=draft)
    assert not file_of(yard, table).exists()


@pytest.mark.parametrize("damage", [b"", b"junk"])
def test_a_frame_that_cannot_be_read_is_refused(yard: Yard, damage: bytes) -> None:
    ready(yard).publish()
    before = yard.files("catalog", "data")
    content = bytearray(yard.frame_path().read_bytes())
    content[100:400] = b"\0" * 300
    yard.frame_path().write_bytes(damage or content)
    with pytest.raises(VerdictRefused):
        yard.publish()
    assert yard.files("catalog", "data") == before


def forged(yard: Yard, **changes: Any) -> None:
    path = yard.places.verdict(ID, "trade_tick", DAY).local()
    path.write_text(json.dumps(of_before(json.loads(path.read_text())) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"content_digest": "0" * 64},
        {"content_digest": None},
        {"instrument_id": "ETHUSDT-PERP.BINANCE"},
        {"date": "2024-01-02"},
        {"table": "mark_price_update"},
        {"rows": {"out": 39}},
        {"precision": {"price": 1, "size": 3, "mark": 8}},
        {"status": "wonderful"},
    ],
)
def test_a_forged_verdict_is_refused(yard: Yard, changes: dict[str, Any]) -> None:
    ready(yard)
    forged(yard, **changes)
    with pytest.raises((VerdictRefused, DayBlocked)):
        yard.publish()
    assert yard.files("catalog", "data") == {}


def test_a_status_that_its_own_rules_contradict_is_not_believed(yard: Yard) -> None:
    ready(yard, VARIANTS["same id, other content"].data)
    forged(yard, status="complete")
    with pytest.raises(DayBlocked, match="trade_ids_unique"):
        yard.publish()


def test_a_verdict_of_another_shape_is_refused(yard: Yard) -> None:
    ready(yard)
    yard.places.verdict(ID, "trade_tick", DAY).local().write_text("{}")
    with pytest.raises(VerdictRefused):
        yard.publish()


def test_a_frame_of_other_decimals_than_the_definition_is_refused(yard: Yard) -> None:
    ready(yard)
    with pytest.raises(VerdictRefused, match="decimals"):
        yard.publish(precisions=Precisions(1, 3, 8))


def test_what_does_not_read_back_equal_is_not_published(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(yard)
    make = nautilus.to_nautilus

    def wrong(table: Table, frame: pl.DataFrame, target: pa.Schema, instrument_id: str, generation: int) -> pa.Table:
        return make(table, frame.with_columns(pl.col("ts_event") + 1), target, instrument_id, generation)

    monkeypatch.setattr(nautilus, "to_nautilus", wrong)
    with pytest.raises(CatalogDiffers, match="ts_event"):
        yard.publish()
    assert yard.files("catalog", "data") == {}


def test_two_kinds_of_trades_never_share_a_folder(yard: Yard) -> None:
    table = TABLES["trade_tick"]
    catalog.claim_series(yard.places, ID, table, "binance/trade")  # nothing is there yet: it binds nobody
    catalog.claim_series(yard.places, ID, table, "binance/aggTrade")
    ready(yard).publish()
    catalog.claim_series(yard.places, ID, table, "binance/aggTrade")
    with pytest.raises(SeriesMixed, match=r"binance/aggTrade.*binance/trade"):
        catalog.claim_series(yard.places, ID, table, "binance/trade")
    catalog.claim_series(yard.places, "ETHUSDT-PERP.BINANCE", table, "binance/trade")


def test_the_series_of_a_catalog_is_known_without_the_file_that_notes_it(yard: Yard) -> None:
    catalog.claim_series(yard.places, ID, TABLES["trade_tick"], "binance/aggTrade")
    ready(yard).publish()
    yard.places.series.unlink()
    with pytest.raises(SeriesMixed, match=r"binance/aggTrade.*binance/trade"):
        catalog.claim_series(yard.places, ID, TABLES["trade_tick"], "binance/trade")


def test_a_day_of_a_series_that_lost_its_claim_meanwhile_is_not_published(yard: Yard) -> None:
    ready(yard)
    catalog.claim_series(yard.places, ID, TABLES["trade_tick"], "binance/trade")  # by another run
    with pytest.raises(SeriesMixed, match=r"binance/trade.*binance/aggTrade"):
        yard.publish()


@pytest.mark.parametrize("stage", ["import", "normalize", "publish"])
def test_a_full_disk_is_named_and_leaves_all_as_it_was(yard: Yard, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(yard).publish()
    yard.drop("capture.jsonl", CLEAN + line(agg_trade(1040, BAD_MS), received(MIDNIGHT_MS + DAY_MS - 1_000)))
    steps = {"import": yard.bring_in, "normalize": yard.normalize, "publish": yard.publish}
    for name in list(steps)[: list(steps).index(stage)]:
        steps[name]()
    before = yard.files()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault, match="No space left"):
        steps[stage]()
    assert yard.files() == before


# ---------------------------------------------------------------- files


def test_publishing_again_gives_the_same_bytes(yard: Yard) -> None:
    ready(yard, CLEAN + QUOTED)
    for table in MADE_FROM:
        yard.publish(table)
    before = yard.files("catalog", "data")
    assert len(before) == len(MADE_FROM)
    ready(yard, CLEAN + QUOTED)
    for table in MADE_FROM:
        yard.publish(table)
    assert yard.files("catalog", "data") == before


@pytest.mark.parametrize("table", MADE_FROM)
def test_every_codec_holds_the_same_rows(yard: Yard, table: str) -> None:
    ready(yard, CLEAN + QUOTED)
    found = []
    for compression, stored in (("zstd", "ZSTD"), ("snappy", "SNAPPY"), ("none", "UNCOMPRESSED")):
        yard.publish(table, compression=compression)
        path = file_of(yard, table)
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == stored
        found.append(pq.read_table(path))
    assert found[0].equals(found[1], check_metadata=True)
    assert found[0].equals(found[2], check_metadata=True)
    assert not TABLES[table].form().readable or len(query(yard, table)) == found[0].num_rows


def test_a_file_is_current_until_its_frame_is_newer(yard: Yard) -> None:
    day, table = instrument_day(), TABLES["trade_tick"]
    ready(yard)
    assert not catalog.is_current(yard.places, day, table)
    yard.publish()
    assert catalog.is_current(yard.places, day, table)
    ready(yard, CLEAN + line(agg_trade(1040, BAD_MS), received(MIDNIGHT_MS + DAY_MS - 1_000)))
    assert not catalog.is_current(yard.places, day, table)


def test_files_of_other_days_and_instruments_are_left_alone(yard: Yard) -> None:
    yard.drop("capture.jsonl", VARIANTS["over midnight"].data)
    yard.bring_in()
    yard.normalize(day=NEXT_DAY)
    yard.publish(day=NEXT_DAY)
    yard.normalize(symbol=ETH)
    yard.publish(symbol=ETH)
    before = yard.files("catalog", "data")
    yard.normalize()
    yard.publish()
    assert before.items() <= yard.files("catalog", "data").items()


def test_a_reader_that_is_open_while_the_day_is_replaced_reads_on(yard: Yard) -> None:
    ready(yard).publish()
    with pq.ParquetFile(file_of(yard, "trade_tick")) as reader:
        ready(yard, CLEAN + line(agg_trade(1040, BAD_MS), received(MIDNIGHT_MS + DAY_MS - 1_000))).publish()
        assert reader.read().num_rows == 40
    assert len(query(yard, "trade_tick")) == 41


class Killed(BaseException):
    """Stands for kill -9: nothing catches it on its way."""


@pytest.mark.parametrize("publication", range(1, 6))
def test_a_kill_at_any_moment_leaves_a_readable_catalog_and_the_next_run_is_good(
    yard: Yard, publication: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(yard).publish()
    data = CLEAN + line(agg_trade(1040, BAD_MS), received(MIDNIGHT_MS + DAY_MS - 1_000))
    yard.drop("capture.jsonl", data)
    yard.bring_in()
    seen = 0
    replace = Path.replace

    def dying(self: Path, target: Path) -> Path:
        nonlocal seen
        seen += 1
        if seen == publication:
            raise Killed
        return replace(self, target)

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(Path, "replace", dying)
        yard.normalize()
        yard.publish()
    assert len(query(yard, "trade_tick")) in {40, 41}
    with contextlib.suppress(VerdictRefused):
        yard.publish()
    assert len(query(yard, "trade_tick")) in {40, 41}
    ready(yard, data).publish()
    assert len(query(yard, "trade_tick")) == 41


_PUBLISHING: Final = """
import sys
from pathlib import Path
from hedgegrid_assets_tests.yard import Yard
import hedgegrid_assets.stages.catalog as catalog
agrees_with = catalog.Noted.agrees_with
def slowly(*given):
    print("written, not yet published", flush=True)
    sys.stdin.readline()
    return agrees_with(*given)
catalog.Noted.agrees_with = slowly
Yard(Path(sys.argv[1])).publish()
"""


@pytest.mark.slow
def test_a_real_kill_in_the_middle_of_a_write_leaves_a_readable_catalog(yard: Yard) -> None:
    ready(yard).publish()
    before = file_of(yard, "trade_tick").read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", _PUBLISHING, str(yard.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(yard.places.catalog_temp.rglob("*.part"))
    assert file_of(yard, "trade_tick").read_bytes() == before
    assert len(query(yard, "trade_tick")) == 40
    os.utime(yard.frame_path())
    yard.publish()
    assert len(query(yard, "trade_tick")) == 40
