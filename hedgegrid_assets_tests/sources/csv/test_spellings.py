"""Symbols and venues beside each other in one file: the one asked for, the others by name, never two as one."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from hedgegrid_assets.errors import NoDataFetched
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.pipeline.summary import RunSummary
from hedgegrid_assets.sources.csv.spellings import Asked, are_venues, spellings_of, venue_in
from hedgegrid_assets_tests.csv_cases import convert, frame, trades_of, write
from hedgegrid_assets_tests.dagster_feeds import feed_context_of, run, run_import
from hedgegrid_assets_tests.yard import with_blocks_of

FIVE = ("BTC-USDT", "BTC/USDT", "BTC/USDT:USDT-240329", "BTC/USDT:USDT", "BTCUSDT")


def file_of(tmp_path: Path, spelled: list[str], column: str = "symbol", start: int = 0) -> Path:
    """One trade a second, each with the next spelling; its price is its place among them."""
    rows = "".join(
        f"{1704067200 + start + n},{text},{1 + n % len(spelled)},1,buy\n" for n, text in enumerate(spelled * 3)
    )
    return write(tmp_path, "t.csv", f"time,{column},price,size,side\n{rows}")


def prices(tmp_path: Path, instrument: str = "BTCUSDT-PERP.BINANCE") -> set[str]:
    return {row[1] for row in trades_of(frame(tmp_path, instrument=instrument))}


def others(done: RunSummary) -> str:
    return next(note for note in done.notes if "passed over" in note)


# ---------------------------------------------------------------- symbols


@pytest.mark.parametrize("block", [48, 8 << 20])
@pytest.mark.parametrize(
    ("spelled", "market", "counts"),
    [
        (FIVE, None, "BTCUSDT"),
        (FIVE[:4], None, "BTC/USDT:USDT"),
        (FIVE[:4], "usdm", "BTC/USDT:USDT"),
        (FIVE[:4], "spot", "BTC/USDT"),
        (("BTC/USDT", "BTC/USDT:USDT"), None, "BTC/USDT:USDT"),
        (("BTC/USDT", "BTC-USDT"), None, "BTC-USDT"),
        (("BTC_USDT", "BTC-USDT"), None, "BTC_USDT"),
        (("BTC/USDT:USDT-240329", "BTC/USDT"), "usdm", "BTC/USDT"),
        (("BTC/USDT:USDT-240329-50000-C", "BTC/USDT:USDT"), None, "BTC/USDT:USDT"),
        (("BTC-USDT", "BTC-USDT-PERP"), None, "BTC-USDT-PERP"),
        (("BTC-USDT", "BTC-USDT-PERP"), "spot", "BTC-USDT"),
        (("BTC-USDT", "BTCUSDT.P"), "usdm", "BTCUSDT.P"),
    ],
)
def test_one_spelling_is_one_instrument(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spelled: tuple[str, ...],
    market: str | None,
    counts: str,
    block: int,
) -> None:
    with_blocks_of(block, monkeypatch)
    path = file_of(tmp_path, list(spelled))
    done = convert(tmp_path, path, market=market)
    made = "BTCUSDT.BINANCE" if market == "spot" else "BTCUSDT-PERP.BINANCE"
    assert prices(tmp_path, made) == {str(1 + spelled.index(counts))}
    assert all(f"{text} 3" in others(done) for text in spelled if text != counts)


@pytest.mark.parametrize(("spelled", "symbol"), [(FIVE[:4], "BTCUSDT_240329"), (FIVE, "BTC/USDT:USDT")])
def test_any_of_them_can_be_asked_for(spelled: tuple[str, ...], symbol: str) -> None:
    wanted = "btc/usdt:usdt-240329" if symbol.endswith("240329") else "btc/usdt:usdt"
    assert spellings_of(spelled, Asked((symbol,))) == {symbol: wanted}


def test_two_cases_of_one_text_are_one_spelling(tmp_path: Path) -> None:
    convert(tmp_path, file_of(tmp_path, ["btcusdt", "BTCUSDT"]))
    assert prices(tmp_path) == {"1", "2"}


def test_pairs_without_a_settlement_are_spot_where_nobody_says_more(tmp_path: Path) -> None:
    convert(tmp_path, file_of(tmp_path, ["BTC/USDT"]))
    assert list(read_definitions(tmp_path / "catalog")) == ["BTCUSDT.BINANCE"]
    other = tmp_path / "other"
    other.mkdir()
    convert(other, file_of(other, ["BTC/USDT"]), market="usdm")
    assert list(read_definitions(other / "catalog")) == ["BTCUSDT-PERP.BINANCE"]


def test_what_is_of_another_market_alone_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(NoDataFetched, match="BTC/USDT:USDT"):
        convert(tmp_path, file_of(tmp_path, ["BTC/USDT:USDT", "BTC/USDT:USDT-240329"]), market="spot")


def test_inverse_contracts_are_no_linear_ones() -> None:
    assert spellings_of(["BTC/USD:BTC"], Asked(("BTCUSD_PERP",), market="coinm")) == {"BTCUSD_PERP": "btc/usd:btc"}
    assert spellings_of(["BTC/USD:BTC"], Asked(("BTCUSD",), market="usdm")) == {}
    assert spellings_of(["BTC/USD"], Asked(("BTCUSD_PERP",), market="coinm")) == {"BTCUSD_PERP": "btc/usd"}


def test_many_symbols_are_told_apart_in_one_file(tmp_path: Path) -> None:
    spelled = ["BTC/USDT:USDT", "ETH/USDT:USDT", "ETH/USDT", "1000PEPE/USDT:USDT"]
    convert(tmp_path, file_of(tmp_path, spelled), symbol="BTCUSDT,ETHUSDT,1000PEPEUSDT")
    for number, symbol in ((1, "BTCUSDT"), (2, "ETHUSDT"), (4, "1000PEPEUSDT")):
        assert prices(tmp_path, f"{symbol}-PERP.BINANCE") == {str(number)}


# ---------------------------------------------------------------- venues


def file_of_venues(tmp_path: Path, venues: list[str], column: str = "exchange", symbol: str = "BTC-USDT") -> Path:
    rows = "".join(
        f"{venue},{symbol},{1704067200 + n},{1 + n % len(venues)},1,buy\n" for n, venue in enumerate(venues * 3)
    )
    return write(tmp_path, "t.csv", f"{column},symbol,time,price,size,side\n{rows}")


@pytest.mark.parametrize("block", [48, 8 << 20])
@pytest.mark.parametrize(
    ("venues", "more", "counts"),
    [
        (["BYBIT", "BINANCE_FUTURES"], {}, "BINANCE_FUTURES"),
        (["binance-futures", "bybit"], {"exchange": "BYBIT"}, "bybit"),
        (["binance", "binance-futures", "binanceusdm"], {}, "binance-futures"),
        (["binance-futures", "binance"], {"market": "spot"}, "binance"),
        (["BINANCE_SPOT", "BINANCE_FUTURES", "BINANCE_US"], {"market": "spot"}, "BINANCE_SPOT"),
        (["OKX", "Binance"], {}, "Binance"),
        (["", "BINANCE"], {}, "BINANCE"),
        (["binance.com", "binance.us"], {}, "binance.com"),
    ],
)
def test_only_rows_of_the_venue_asked_for_are_taken(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    venues: list[str],
    more: dict[str, Any],
    counts: str,
    block: int,
) -> None:
    with_blocks_of(block, monkeypatch)
    done = convert(tmp_path, file_of_venues(tmp_path, venues), **more)
    made = {"BYBIT": "BTCUSDT-LINEAR.BYBIT", None: "BTCUSDT-PERP.BINANCE"}[more.get("exchange")]
    made = "BTCUSDT.BINANCE" if more.get("market") == "spot" else made
    assert prices(tmp_path, made) == {str(1 + venues.index(counts))}
    assert all(f"{venue or '?'}:BTC-USDT 3" in others(done) for venue in venues if venue != counts)


@pytest.mark.parametrize("column", ["exchange", "venue", "Exchange", "exchange_name", "feed", "source"])
def test_the_column_of_the_venue_has_many_names(tmp_path: Path, column: str) -> None:
    convert(tmp_path, file_of_venues(tmp_path, ["BYBIT", "BINANCE"], column))
    assert prices(tmp_path) == {"2"}


def test_a_column_that_may_be_anything_is_one_of_venues_only_by_its_values(tmp_path: Path) -> None:
    convert(tmp_path, file_of_venues(tmp_path, ["websocket", "rest"], "source"))
    assert prices(tmp_path) == {"1", "2"}
    assert are_venues(["binance", "OKEX", "Kraken-Futures"])
    assert not are_venues(["binance", "rest"])
    assert not are_venues([])


def test_a_file_of_another_venue_is_refused_by_its_name_and_the_hint_works(tmp_path: Path) -> None:
    path = file_of_venues(tmp_path, ["BYBIT"])
    told: list[str] = []
    with pytest.raises(NoDataFetched, match="other symbols: BYBIT:BTC-USDT"):
        _run(tmp_path, path, told)
    assert any("exchange holds BYBIT, and none of them is BINANCE: say --exchange BYBIT" in note for note in told)
    convert(tmp_path, path, exchange="BYBIT")
    assert prices(tmp_path, "BTCUSDT-LINEAR.BYBIT") == {"1"}


def _run(tmp_path: Path, path: Path, told: list[str]) -> None:
    from hedgegrid_assets.pipeline.request import request
    from hedgegrid_assets.pipeline.run import run

    asked = request(
        "csv",
        "BTCUSDT",
        None,
        None,
        output_path=tmp_path / "catalog",
        data=tmp_path / "data",
        source_config={"inputs": [str(path)]},
    )
    run(asked, say=told.append)


def test_an_empty_column_of_venues_says_nothing(tmp_path: Path) -> None:
    convert(tmp_path, file_of_venues(tmp_path, [""]))
    assert prices(tmp_path) == {"1"}
    with pytest.raises(NoDataFetched):
        convert(tmp_path, write(tmp_path, "u.csv", "exchange,time,price,size\nBYBIT,1704067200,1,1\n"))


def test_spellings_are_compared_within_the_venue_asked_for(tmp_path: Path) -> None:
    text = (
        "exchange,symbol,time,price,size\n"
        "BYBIT,BTCUSDT,1704067200,1,1\nBINANCE,BTC-USDT,1704067201,2,1\nBINANCE,BTC/USDT:USDT,1704067202,3,1\n"
    )
    convert(tmp_path, write(tmp_path, "t.csv", text))
    assert prices(tmp_path) == {"3"}


def test_settlements_of_two_venues_are_two_series(tmp_path: Path) -> None:
    rows = "".join(
        f"{venue},BTC-USDT,{1704067200 + 28_800 * n},0.000{n + 1}\n" for n in range(3) for venue in ("BYBIT", "BINANCE")
    )
    path = write(tmp_path, "t.csv", f"exchange,symbol,time,funding_rate\n{rows}")
    convert(tmp_path, path, tokens="funding")
    assert frame(tmp_path, "funding_rate_update")["is_settlement"].to_list() == [True] * 3


FEED = """
  ticks:
    source: csv
    venue: BYBIT
    market: usdm
    symbols: [BTCUSDT]
    tables: [trade_tick]
    start: 2024-01-01
    landing: ["csv/**/*.csv"]
    instruments:
      BTCUSDT: {price_precision: 1, size_precision: 0, mark_precision: 8}
"""


def test_feeds_take_their_venue_and_spelling_in_dagster_too(tmp_path: Path) -> None:
    feed_context = feed_context_of(tmp_path, FEED)
    text = (
        "exchange,symbol,time,price,size,side\nBINANCE_FUTURES,BTC-USDT,1704067200,1,1,buy\n"
        "bybit,BTC-USDT,1704067201,2,1,buy\nbybit,BTC/USDT,1704067202,3,1,sell\nbybit,BTC/USDT:USDT,1704067203,4,1,sell\n"
    )
    (feed_context.places.landing / "csv").mkdir(parents=True)
    write(feed_context.places.landing / "csv", "t.csv", text)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run_import(feed_context, instance).success
        assert run(feed_context, instance, "2024-01-01|BTCUSDT-LINEAR.BYBIT").success
    rows = pl.read_parquet(feed_context.places.frame("BTCUSDT-LINEAR.BYBIT", "trade_tick", date(2024, 1, 1)).local())
    assert [int(price) for price in rows["price"]] == [4]


def test_a_venue_fits_by_name_and_market() -> None:
    assert venue_in(["huobi-dm-linear-swap", "huobi-dm-swap"], Asked((), "HTX", "usdm")) == "huobi-dm-linear-swap"
    assert venue_in(["huobi-dm-linear-swap", "huobi-dm-swap"], Asked((), "HUOBI", "coinm")) == "huobi-dm-swap"
    assert venue_in(["okex-swap", "okex"], Asked((), "OKX", "spot")) == "okex"
    assert venue_in(["okex-swap", "okex"], Asked((), "OKX")) == "okex-swap"
    assert venue_in(["binance-delivery"], Asked((), "BINANCE", "usdm")) is None
    assert venue_in(["binance-us", "binance"], Asked((), "BINANCE_US")) == "binance-us"
    assert venue_in(["gate-io-futures"], Asked((), "GATE_IO")) == "gate-io-futures"
    assert venue_in(["coinbase-pro"], Asked((), "COINBASE")) == "coinbase-pro"
