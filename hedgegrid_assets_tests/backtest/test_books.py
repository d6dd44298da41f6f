"""Runs on order books: matched after whole events, on all levels, and with all of the book from the first moment on."""

import gzip
import json
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from hedgegrid_assets.backtest.run import run_backtest
from hedgegrid_assets.cli import run
from hedgegrid_assets.errors import BacktestFileError
from hedgegrid_assets_tests.backtest.market import ID, MIDNIGHT, SCRIPTED, SECOND, scripted, settings_of, setup_of

HEAD: Final = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"

type Level = tuple[int, str, str, str, str]
"""(second, is_snapshot, side, price, amount)."""

SNAPSHOT: Final[list[Level]] = [
    *((0, "true", "bid", price, "1") for price in ("100", "99", "98")),
    *((0, "true", "ask", price, "1") for price in ("101", "102", "103", "105")),
]


def built(folder: Path, levels: list[Level]) -> Path:
    """A catalog with the book, and with marks."""
    us = MIDNIGHT // 1_000
    rows = [
        f"binance-futures,BTCUSDT,{us + second * 10**6},{us + second * 10**6},{','.join(cells)}"
        for second, *cells in levels
    ]
    times = [us + second * 10**6 for second in range(0, 120)]
    marks = [f"binance-futures,BTCUSDT,{at},{at},,,,,,,100.5" for at in times]
    texts = {
        "incremental_book_L2": [HEAD, *rows],
        "derivative_ticker": [
            "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
            "last_price,index_price,mark_price",
            *marks,
        ],
    }
    cache = folder / "cache/datasets"
    cache.mkdir(parents=True, exist_ok=True)
    for kind, lines in texts.items():
        path = cache / f"binance-futures_{kind}_2024-01-01_BTCUSDT.csv.gz"
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    defined = {"BTCUSDT": {"price_precision": 1, "size_precision": 3, "mark_precision": 8}}
    config = folder / "t.json"
    config.write_text(json.dumps({"cache_dir": str(folder / "cache"), "instruments": defined}))
    days = ["--start", "2024-01-01", "--end", "2024-01-02", "--config", str(config), "--data-types", "deltas,mark"]
    places = ["--output", str(folder / "catalog"), "--data", str(folder / "data")]
    assert run(["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", *days, *places, "-q"]) == 0
    return folder / "catalog"


def fills(folder: Path, levels: list[Level], strategy: dict[str, Any], **changed: Any) -> list[tuple[str, str]]:
    """(price, quantity) of each fill, of a run that has been given all of the day's book."""
    tables = ("OrderBookDelta", "MarkPriceUpdate")
    values = settings_of(built(folder, levels), strategy, tables=tables, **changed)
    ran = run_backtest(setup_of(folder, values), folder / "artifacts")
    assert ran.ok, ran.result["problems"]
    frame = pl.read_parquet(ran.folder / "fills.parquet")
    return [(str(row["price"]), str(row["quantity"])) for row in frame.iter_rows(named=True)]


def resting(price: str) -> dict[str, Any]:
    config = {"instrument_id": ID, "at": MIDNIGHT + 5 * SECOND, "side": "SELL", "price": price, "quantity": "1"}
    return {"strategy_path": f"{SCRIPTED}:Resting", "config_path": f"{SCRIPTED}:RestingConfig", "config": config}


@pytest.mark.slow
def test_a_market_order_walks_through_the_levels(tmp_path: Path) -> None:
    plan = scripted([(MIDNIGHT + 5 * SECOND, "BUY", "2.5", None)])
    found = fills(tmp_path, SNAPSHOT, plan)
    assert [(float(price), float(size)) for price, size in found] == [(101.0, 1.0), (102.0, 1.0), (103.0, 0.5)]


@pytest.mark.slow
def test_a_level_that_comes_and_goes_inside_an_event_fills_nothing(tmp_path: Path) -> None:
    inside: list[Level] = [
        (9, "false", "bid", "103", "1"),
        (9, "false", "bid", "103", "0"),
        (9, "false", "bid", "97", "1"),
    ]
    gone: list[Level] = [(7, "false", "ask", price, "0") for price in ("101", "102", "103")]
    assert fills(tmp_path, [*SNAPSHOT, *gone, *inside], resting("102.5")) == []


@pytest.mark.slow
def test_a_level_that_stays_after_its_event_fills_what_it_crosses(tmp_path: Path) -> None:
    stays: list[Level] = [
        (9, "false", "ask", "101", "0"),
        (9, "false", "ask", "102", "0"),
        (9, "false", "bid", "103", "2"),
    ]
    assert [float(price) for price, _ in fills(tmp_path, [*SNAPSHOT, *stays], resting("102.5"))] == [102.5]


@pytest.mark.slow
def test_a_run_that_starts_later_has_the_book_of_before(tmp_path: Path) -> None:
    plan = scripted([(MIDNIGHT + 65 * SECOND, "BUY", "2", None)])
    later: list[Level] = [(30, "false", "ask", "101", "0"), (62, "false", "bid", "99.5", "1")]
    found = fills(tmp_path, [*SNAPSHOT, *later], plan, start="2024-01-01T00:01:00Z")
    assert [float(price) for price, _ in found] == [102.0, 103.0]


@pytest.mark.parametrize(
    ("book_type", "tables", "told"),
    [
        ("L2_MBP", ("TradeTick",), "would have no market"),
        ("L1_MBP", ("OrderBookDelta",), "which would pass over them"),
        ("L1_MBP", ("OrderBookDepth10",), "which would pass over them"),
    ],
)
def test_books_and_the_type_of_the_venue_must_agree(
    book_type: str, tables: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    values = settings_of(tmp_path / "catalog", scripted([]), tables=tables, venue={"book_type": book_type})
    with pytest.raises(BacktestFileError, match=told):
        setup_of(tmp_path, values)
