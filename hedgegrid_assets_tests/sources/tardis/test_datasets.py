"""CSV data sets: the digits of the text, the rules of Nautilus' own loader, and files that were read to their end."""

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
import tardis_dev
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from polars.testing import assert_frame_equal

from hedgegrid_assets.errors import DataError, KeyRequired, NoDataFetched, RateLimited, RemoteFault, UsageError
from hedgegrid_assets.model import Field, InstrumentDay
from hedgegrid_assets.pipeline.days import normalize_tables, recipe_of
from hedgegrid_assets.pipeline.definitions import instrument_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.tardis import SOURCE, datasets
from hedgegrid_assets.sources.tardis.definitions import definition_of
from hedgegrid_assets.sources.tardis.files import DatasetDay
from hedgegrid_assets.sources.tardis.names import file_symbol
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages.normalize import Normalized
from hedgegrid_assets.stages.raw import RawKey
from hedgegrid_assets.store import Block, local_file
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.venues.exchanges import listing_of, venues_of
from hedgegrid_assets_tests import one_day
from hedgegrid_assets_tests.standins.tardis import Fault, Standin
from hedgegrid_assets_tests.tardis_cases import (
    FREE,
    IMPATIENT,
    PAID,
    QUICK,
    cache_of,
    feed_context,
    fresh_standin,
    leftovers,
)

TRADES = RawKey("trades", "BTCUSDT", PAID)
TICKER = RawKey("derivative_ticker", "BTCUSDT", FREE)
ID = "BTCUSDT-PERP.BINANCE"
HEADER = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
REAL_TRADES = Path(__file__).parents[4] / "shared/data/tardis/bitmex_trades_XBTUSD.csv"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    monkeypatch.delenv("TARDIS_API_KEY", raising=False)
    return fresh_standin()


def normalized(feed: FeedContext, key: RawKey, *tables: str) -> list[Normalized]:
    raw = feed.raw(key)
    assert raw is not None
    return normalize_tables(
        feed, InstrumentDay(feed.feed.instrument_id(key.symbol), key.day), raw, [TABLES[name] for name in tables]
    )


def frame_of(done: Normalized) -> pl.DataFrame:
    assert done.frame is not None
    return pl.read_parquet(done.frame.local())


# ---------------------------------------------------------------- against Nautilus' loader


def published(feed: FeedContext, done: Normalized) -> None:
    recipe = recipe_of(feed, feed.channel(done.table), instrument_of(feed, "BTCUSDT"))
    catalog.write_day(feed.places, done.day, done.table, recipe.precisions, "zstd")


@pytest.mark.parametrize("change", ["as it is", "without ids"])
def test_trades_are_those_of_nautilus_own_loader_object_by_object(change: str, server: Standin, tmp_path: Path) -> None:
    if change == "without ids":
        server.inject(Fault("rows", path="/trades/", change=lambda data: _without_ids(data)))
    feed = feed_context(tmp_path, server)
    (done,) = normalized(feed, TRADES, "trade_tick")
    published(feed, done)
    raw = feed.held(TRADES)
    assert raw is not None
    loader = TardisCSVDataLoader(price_precision=1, size_precision=3, instrument_id=InstrumentId.from_str(ID))
    theirs = loader.load_trades(raw.path)
    ours = ParquetDataCatalog(str(tmp_path / "data/catalog")).trade_ticks(instrument_ids=[ID])
    assert len(ours) == len(theirs) == 2_000
    assert list(map(TradeTick.to_dict, ours)) == list(map(TradeTick.to_dict, theirs))


def _without_ids(data: bytes) -> bytes:
    head, *rows = data.decode().splitlines()
    cells = [row.split(",") for row in rows]
    return "\n".join([head, *(",".join([*row[:4], "", *row[5:]]) for row in cells), ""]).encode()


def test_the_funding_frame_has_the_rows_of_nautilus_own_loader(server: Standin, tmp_path: Path) -> None:
    feed = feed_context(tmp_path, server)
    (done,) = normalized(feed, TICKER, "funding_rate_update")
    raw = feed.held(TICKER)
    assert raw is not None
    loader = TardisCSVDataLoader(instrument_id=InstrumentId.from_str(ID))
    theirs = [(rate.ts_event, rate.ts_init, Decimal(str(rate.rate))) for rate in loader.load_funding_rates(raw.path)]
    frame = frame_of(done).select(pl.col("ts_event", "ts_init").dt.epoch("ns"), "funding_rate")
    assert len(theirs) > 86_400
    assert [(event, init, rate.normalize()) for event, init, rate in frame.iter_rows()] == [
        (event, init, rate.normalize()) for event, init, rate in theirs
    ]


def test_mark_and_index_come_from_the_same_file_which_is_fetched_once(server: Standin, tmp_path: Path) -> None:
    feed = feed_context(tmp_path, server)
    mark, index, funding = normalized(feed, TICKER, "mark_price_update", "index_price_update", "funding_rate_update")
    assert [done.status.value for done in (mark, index, funding)] == ["complete"] * 3
    cells = pl.read_csv(gzip.decompress(api_file(tmp_path)), infer_schema=False)
    told = cells.select("timestamp", "mark_price").unique(maintain_order=True)
    frame = frame_of(mark)
    assert frame["mark_price"].to_list() == [Decimal(text) for text in told["mark_price"]]
    assert len(frame) == mark.verdict.rows.rows_in - mark.verdict.rows.exact_duplicates
    assert frame_of(index)["index_price"].null_count() == 0
    assert frame_of(funding)["next_funding_time"].null_count() == 0
    assert len(server.requests("/derivative_ticker/")) == 1


def api_file(folder: Path) -> bytes:
    (path,) = folder.glob("data/raw/cli_tardis/derivative_ticker/BTCUSDT/*.csv.gz")
    return path.read_bytes()


def test_venues_are_those_of_nautilus() -> None:
    theirs = {name: nautilus_pyo3.tardis_exchange_to_venue_str(name) for name in nautilus_pyo3.tardis_exchanges()}
    assert {name: venues_of(name)[0] for name in theirs} == theirs


@pytest.mark.parametrize(
    ("exchange", "symbol", "kind", "inverse"),
    [
        ("binance-futures", "BTCUSDT", "perpetual", False),
        ("binance-futures", "1000SHIBUSDT", "perpetual", False),
        ("binance-futures", "BTCUSDT_240329", "future", False),
        ("binance-delivery", "BTCUSD_PERP", "perpetual", True),
        ("binance", "BTCUSDT", "spot", None),
        ("bybit", "BTCUSDT", "perpetual", False),
        ("bybit", "BTCUSD", "perpetual", True),
        ("bybit-spot", "BTCUSDT", "spot", None),
        ("okex-swap", "BTC-USDT-SWAP", "perpetual", False),
        ("deribit", "BTC-PERPETUAL", "perpetual", True),
        ("bitmex", "XBTUSD", "perpetual", True),
        ("gate-io-futures", "BTC_USDT", "perpetual", False),
    ],
)
def test_symbols_are_normalised_as_nautilus_does(exchange: str, symbol: str, kind: str, inverse: bool | None) -> None:
    listing = listing_of(exchange, symbol)
    assert listing.symbol == nautilus_pyo3.tardis_normalize_symbol_str(symbol, exchange, kind, inverse)
    assert listing.market == ("spot" if kind == "spot" else "coinm" if inverse else "usdm")


# ---------------------------------------------------------------- cells


def decoded(
    text: str | bytes, kind: str = "trades", symbol: str = "BTCUSDT"
) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """Rows, and (line, reason) of the rejects."""
    data = text.encode() if isinstance(text, str) else text
    channel = next(channel for channel in SOURCE.channels if channel.name == kind)
    dialect = datasets.dialect_of(data.split(b"\n")[0], channel, symbol)
    block = Block(data, 0, cut=not data.endswith(b"\n"))
    found = one_day.decoded(SOURCE, block, channel, dialect)
    scanned = one_day.placed(SOURCE, block, dialect)
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    assert sum(scanned.by_stream.values()) + scanned.blank == lines
    assert len(found.rows) + len(found.rejects) == scanned.by_stream["trades"]
    return found.rows.to_dicts(), list(found.rejects.select("raw_row", "reason").iter_rows())


def row(**cells: str) -> str:
    given = {
        "exchange": "binance-futures",
        "symbol": "BTCUSDT",
        "timestamp": "1704153600000000",
        "local_timestamp": "1704153600005000",
        "id": "1",
        "side": "buy",
        "price": "42000.5",
        "amount": "0.001",
    }
    return ",".join((given | cells).values()) + "\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42000.5", "42000.5"),
        ("1e-7", "0.0000001"),
        ("3.6672468639337374e+06", "3667246.8639337374"),
        ("1.912E-05", "0.00001912"),
        ("90071992.54740993", "90071992.54740993"),
        ("1.2345678901234567", "1.2345678901234567"),
        ("42000.50000000000000000000", "42000.5"),
        ("+5", "5"),
    ],
)
def test_a_decimal_keeps_the_digits_of_its_text(text: str, value: str) -> None:
    rows, rejects = decoded(f"{HEADER}\n{row(price=text)}")
    assert rejects == []
    assert rows[0]["price"] == Decimal(value)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"price": ""}, "missing_field"),
        ({"amount": "abc"}, "bad_decimal"),
        ({"amount": "nan"}, "bad_decimal"),
        ({"price": "1e-17"}, "bad_decimal"),
        ({"timestamp": ""}, "unknown_time"),
        ({"timestamp": "0"}, "unknown_time"),
        ({"local_timestamp": "-5"}, "wrong_type"),
        ({"local_timestamp": "17041536000050.00"}, "wrong_type"),
        ({"price": "42000,5"}, "wrong_type"),
    ],
)
def test_a_cell_that_cannot_be_read_rejects_its_row_alone(cells: dict[str, str], reason: str) -> None:
    rows, rejects = decoded(f"{HEADER}\n{row()}{row(**cells)}{row(id='3')}")
    assert [found["id"] for found in rows] == ["1", "3"]
    assert rejects == [(2, reason)]


def test_times_may_be_micro_or_nanoseconds() -> None:
    rows, _ = decoded(f"{HEADER}\n{row()}{row(timestamp='1704153600000000123', local_timestamp='1704153600005000456')}")
    assert [(found["ts_event"], found["ts_init"]) for found in rows] == [
        (1704153600000000000, 1704153600005000000),
        (1704153600000000123, 1704153600005000456),
    ]


def test_columns_are_found_by_name_whatever_their_order() -> None:
    names = HEADER.split(",")
    cells = dict(zip(names, row().strip().split(","), strict=True))
    turned = ",".join(["more", *names[::-1]]) + "\n" + ",".join(["x", *(cells[name] for name in names[::-1])]) + "\n"
    assert decoded(turned) == decoded(f"{HEADER}\n{row()}")


def test_missing_columns_are_named() -> None:
    with pytest.raises(DataError, match=r"Missing required columns .*expected amount, side, found exchange"):
        decoded(HEADER.replace("side,", "").replace(",amount", "") + "\n")


@pytest.mark.parametrize(
    ("data", "good", "rejected"),
    [
        (f"{HEADER}\n{row()}{row()[:40]}".encode(), 1, [(2, "truncated_tail")]),
        (f"{HEADER}\n{row()}\n{row()}".encode(), 2, []),
        (f"{HEADER}\r\n{row().strip()}\r\n".encode(), 1, []),
        (b"\xef\xbb\xbf" + f"{HEADER}\n{row()}".encode(), 1, []),
        (f"{HEADER}\n{row()}".encode() + b"\xff\xfe,x\n" + row().encode(), 2, [(2, "not_utf8")]),
        (f"{HEADER}\n{row(price='4200' + chr(0))}{row()}".encode(), 1, [(1, "bad_decimal")]),
        (f"{HEADER}\n{row().strip()},more\n{row()}".encode(), 1, [(1, "wrong_type")]),
        (f"{HEADER}\n{row().strip()},,more\n{row()}".encode(), 1, [(1, "wrong_type")]),
        (f"{HEADER}\n{row().strip()},,,{row()}{row()}".encode(), 1, [(1, "wrong_type")]),
        (f"{HEADER}\n{row()}{row().strip()},,\xff".encode("latin-1"), 1, [(2, "not_utf8")]),
        (f"{HEADER}\n{row().strip()},,\n{row()}".encode(), 2, []),
        (f"{HEADER}\n{row().strip()},,x\n,,,,,\n{row()}".encode(), 1, [(1, "wrong_type")]),
    ],
)
def test_a_broken_line_costs_no_other(data: bytes, good: int, rejected: list[tuple[int, str]]) -> None:
    rows, rejects = decoded(data)
    assert (len(rows), rejects) == (good, rejected)


def test_a_block_may_begin_with_a_line_of_far_too_many_cells() -> None:
    channel = SOURCE.channels[0]
    dialect = datasets.dialect_of(HEADER.encode(), channel, "BTCUSDT")
    block = Block(f"{row().strip()},1,2,3\n{row()}".encode(), 17)
    found = one_day.decoded(SOURCE, block, channel, dialect)
    assert found.rows["raw_row"].to_list() == [18]
    assert found.rejects.select("raw_row", "reason").rows() == [(17, "wrong_type")]
    assert one_day.placed(SOURCE, block, dialect).by_stream == {"trades": 2}


CELLS = {
    "timestamp": ["1704067200001000", "", "0", "-5", "+704067200001000", "1704067200001", "x", " 704067200001000"],
    "local_timestamp": ["1704067200002000", "", "0", "1704067200002000999", "0704067200002000", "1e15"],
    "id": ["1", "", "007", "a" * 40],
    "side": ["buy", "sell", "", "unknown"],
    "price": ["42500.1", "", "1e-7", "+5", ".5", "5.", "1.12345678901234567", "-1", "nan", "1,5", "0"],
    "amount": ["0.003", "", "1E3", "0.0000000000000001", "99999999999999999999999"],
}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_cells_that_are_usual_are_read_as_the_slow_reader_reads_them(data: st.DataObject) -> None:
    lines = []
    for _ in range(data.draw(st.integers(1, 8))):
        cells = {name: values[0] for name, values in CELLS.items()}
        if data.draw(st.booleans()):
            name = data.draw(st.sampled_from(list(CELLS)))
            cells[name] = data.draw(st.sampled_from(CELLS[name]))
            cells["amount"] += data.draw(st.sampled_from(["", "", ",", ",,", ",x", ",,x", ",,,x"]))
        lines.append(row(**cells) if data.draw(st.integers(0, 9)) else "\n")
    block = Block("".join(lines).encode(), 5)
    channel = SOURCE.channels[0]
    dialect = datasets.dialect_of(HEADER.encode(), channel, "BTCUSDT")
    fast = one_day.decoded(SOURCE, block, channel, dialect)
    usual = datasets._usual

    def never(field: Field, cells: pl.DataFrame, *known: Any) -> tuple[pl.Expr, pl.Expr]:
        return usual(field, cells, *known)[0], pl.lit(value=False)

    with patch.object(datasets, "_usual", never):
        slow = one_day.decoded(SOURCE, block, channel, dialect)
    assert_frame_equal(fast.rows.cast(slow.rows.schema), slow.rows)
    assert_frame_equal(fast.rejects, slow.rejects)


def test_sides_and_trades_without_ids() -> None:
    text = HEADER + "\n" + row(side="buy") + row(side="sell") + row(side="unknown") + row(id="") + row(id="")
    rows, _ = decoded(text)
    channel = next(channel for channel in SOURCE.channels if channel.name == "trades")
    sides = pl.DataFrame(rows).select(channel.tables["trade_tick"].columns["aggressor_side"])
    assert sides.to_series().to_list()[:3] == ["BUYER", "SELLER", "NO_AGGRESSOR"]
    assert [found["id"] for found in rows] == ["1", "1", "1", None, None]
    assert rows[0]["made_id"] is None
    assert rows[3]["made_id"] == rows[4]["made_id"]


@pytest.mark.skipif(not REAL_TRADES.exists(), reason="the real files are not here")
def test_the_head_of_a_real_file_is_read_as_nautilus_reads_it() -> None:
    rows, rejects = decoded(REAL_TRADES.read_bytes(), symbol="XBTUSD")
    theirs = TardisCSVDataLoader(price_precision=1, size_precision=0).load_trades(REAL_TRADES)
    assert rejects == []
    assert [(found["ts_event"], found["ts_init"], found["id"], found["price"], found["size"]) for found in rows] == [
        (tick.ts_event, tick.ts_init, str(tick.trade_id), tick.price.as_decimal(), tick.size.as_decimal())
        for tick in theirs
    ]


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("kind", ["truncated", "garbage", "html", "zero", "reset", "stall", "slow", "status"])
def test_a_file_that_fails_once_is_fetched_again(
    kind: str, server: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind in {"stall", "slow"}:
        monkeypatch.setattr(limits, "in_force", IMPATIENT)
    server.inject(Fault(kind, path="/trades/", seconds=0.9))
    raw = feed_context(tmp_path, server).raw(TRADES)
    assert raw is not None
    assert (raw.manifest.lines, raw.path.name) == (2_001, "2024-01-02.csv.gz")
    assert len(server.requests("/trades/")) == 2
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kind", ["truncated", "html", "zero"])
def test_a_file_that_always_fails_is_neither_published_nor_cached(kind: str, server: Standin, tmp_path: Path) -> None:
    server.inject(Fault(kind, path="/trades/", times=None))
    feed = feed_context(tmp_path, server)
    with pytest.raises(RemoteFault, match="binance-futures trades BTCUSDT 2024-01-02"):
        feed.raw(TRADES)
    assert len(server.requests("/trades/")) == QUICK.attempts
    assert [path for path in tmp_path.rglob("*.csv.gz")] == []  # noqa: C416 - shown when it fails
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "poison",
    [b"", b"<html></html>", gzip.compress(b"cut off, " * 99, mtime=0)[:-9]],
    ids=["nothing", "a page", "half a stream"],
)
def test_a_poisoned_file_in_the_cache_is_discarded(poison: bytes, server: Standin, tmp_path: Path) -> None:
    path = cache_of(tmp_path, server) / "datasets/binance-futures_trades_2024-01-02_BTCUSDT.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(poison)
    raw = feed_context(tmp_path, server).raw(TRADES)
    assert raw is not None
    assert path.read_bytes() == raw.path.read_bytes() != poison


def test_a_file_of_another_symbol_is_foreign(server: Standin, tmp_path: Path) -> None:
    server.inject(
        Fault("rows", path="/trades/", times=None, change=lambda data: data.replace(b",BTCUSDT,", b",ETHUSDT,"))
    )
    with pytest.raises(
        RemoteFault, match="belongs elsewhere: expected binance-futures BTCUSDT, found binance-futures ETHUSDT"
    ):
        feed_context(tmp_path, server).raw(TRADES)


@pytest.mark.parametrize(
    ("fault", "error", "words", "requests"),
    [
        (Fault("status", path="/trades/", status=429, retry_after="3600", times=None), RateLimited, "3,600 s", 1),
        (Fault("status", path="/trades/", status=401, times=None), RemoteFault, "401", 1),
        (
            Fault("status", path="/trades/", status=403, body="<html>Cloudflare</html>", times=None),
            RemoteFault,
            "403: Cloudflare",
            1,
        ),
        (Fault("status", path="/trades/", status=500, times=None), RemoteFault, "500", 3),
    ],
)
def test_final_answers_are_told_at_once(
    fault: Fault, error: type[Exception], words: str, requests: int, server: Standin, tmp_path: Path
) -> None:
    fault.seen = 0
    server.inject(fault)
    with pytest.raises(error, match=words):
        feed_context(tmp_path, server).raw(TRADES)
    assert len(server.requests("/trades/")) == requests


def test_a_file_has_the_name_that_tardis_dev_gives_it(tmp_path: Path) -> None:
    for symbol in ("BTCUSDT", "tBTCUSD:F0", "XBT/USD"):
        wanted = DatasetDay("binance-futures", "trades", symbol, PAID, tmp_path, tmp_path / "slots")
        moment = datetime(PAID.year, PAID.month, PAID.day, tzinfo=UTC)
        name = tardis_dev.default_file_name(wanted.exchange, wanted.kind, moment, file_symbol(symbol), "csv")
        assert wanted.path() == tmp_path / "datasets" / name


def test_a_raw_file_and_its_cached_file_are_one_on_disk(server: Standin, tmp_path: Path) -> None:
    raw = feed_context(tmp_path, server).raw(TRADES)
    (cached,) = (tmp_path / "data/cache").rglob("*.csv.gz")
    assert raw is not None
    assert cached.stat().st_ino == local_file(raw.path).stat().st_ino


def test_a_raw_day_that_was_damaged_is_had_again_from_the_cache(server: Standin, tmp_path: Path) -> None:
    feed = feed_context(tmp_path, server)
    raw = feed.raw(TRADES)
    assert raw is not None
    raw.path.unlink()
    again = feed.raw(TRADES)
    assert again is not None
    assert again.sha256 == raw.sha256
    assert len(server.requests("/trades/")) == 1


# ---------------------------------------------------------------- what there is


def test_an_empty_day_that_tardis_has_is_an_empty_day(server: Standin, tmp_path: Path) -> None:
    server.library.empty.add(("SOLUSDT", PAID))
    feed = feed_context(tmp_path, server, symbols=("SOLUSDT",))
    raw = feed.raw(RawKey("trades", "SOLUSDT", PAID))
    assert raw is not None
    assert raw.manifest.lines == 0
    feed.raw(RawKey("trades", "SOLUSDT", FREE))
    (done,) = normalized(feed, RawKey("trades", "SOLUSDT", PAID), "trade_tick")
    assert done.status.value == "empty"


@pytest.mark.parametrize(
    ("symbol", "kind", "day", "words"),
    [
        ("BTCUSDT", "trades", date(2018, 1, 1), "available since 2019-11-17"),
        ("BTCUSDTT", "trades", PAID, r"no symbol BTCUSDTT on binance-futures \(such as BTCUSDT"),
        ("XYZ", "derivative_ticker", PAID, "no symbol XYZ"),
    ],
)
def test_what_cannot_be_had_is_told_with_what_can(
    symbol: str, kind: str, day: date, words: str, server: Standin, tmp_path: Path
) -> None:
    feed = feed_context(tmp_path, server, symbols=(symbol,))
    with pytest.raises(NoDataFetched, match=words):
        feed.raw(RawKey(kind, symbol, day))
    assert list(tmp_path.rglob("*.csv.gz")) == []


def test_an_unknown_exchange_is_told(server: Standin, tmp_path: Path) -> None:
    with pytest.raises(RemoteFault, match="no exchange 'nowhere'"):
        feed_context(tmp_path, server, exchange="nowhere").raw(TRADES)


def test_a_paid_day_needs_a_key_and_a_free_one_does_not(server: Standin, tmp_path: Path) -> None:
    feed = feed_context(tmp_path, server, api_key="")
    with pytest.raises(KeyRequired):
        feed.raw(TRADES)
    assert server.log == []
    assert feed.raw(RawKey("trades", "BTCUSDT", FREE)) is not None
    assert "Authorization" not in server.log[0].headers


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api": "datasets", "trade_kind": "aggTrade"}, "aggTrade is in no data set"),
        ({"api": "replay", "exchange": "bybit"}, "messages of bybit cannot be read"),
        ({"exchange": "BINANCE"}, "no exchange of Tardis"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, str], words: str) -> None:
    assert SOURCE.remote is not None
    with pytest.raises(UsageError, match=words):
        SOURCE.remote.venues(settings)


def test_series_are_named_after_exchange_and_stream() -> None:
    assert SOURCE.remote is not None
    channels = SOURCE.remote.channels

    def series(**settings: str) -> list[str]:
        return [channel.series for channel in channels(settings)]

    streams = {"trade", "derivative_ticker", "quotes"}
    assert {f"binance-futures/{name}" for name in streams} <= set(series())
    assert {f"bybit/{name}" for name in streams} <= set(series(exchange="bybit"))
    assert {"binance/trade", "binance/quotes"} <= set(series(exchange="binance"))
    assert "binance/derivative_ticker" not in series(exchange="binance")
    replayed = {f"binance-futures/{name}" for name in ("trade", "aggTrade", "markPrice", "bookTicker")}
    assert replayed <= set(series(api="replay"))


# ---------------------------------------------------------------- definitions


def test_a_definition_comes_from_tardis_where_the_key_reaches_it(server: Standin, tmp_path: Path) -> None:
    server.instruments_open = True
    feed = feed_context(tmp_path, server)
    feed.raw(TRADES)
    made = instrument_of(feed, "BTCUSDT")
    assert (made.origin, made.price_increment, made.size_increment, made.maker_fee) == (
        "imported",
        "0.1",
        "0.001",
        "0.0002",
    )
    asked = len(server.log)
    assert instrument_of(feed, "BTCUSDT") == made
    assert len(server.log) == asked


def test_a_definition_keeps_the_finest_increments_of_its_history() -> None:
    found = definition_of(
        {
            "id": "X",
            "priceIncrement": 0.1,
            "amountIncrement": "0.001",
            "changes": [{"until": "2021", "priceIncrement": 1e-05}],
        }
    )
    assert found == {"price_increment": "0.00001", "price_precision": 5, "size_increment": "0.001", "size_precision": 3}
