"""Books, quotes and bars of one catalog, played by both generations of NautilusTrader."""

import gzip
import json
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from hedgegrid_assets.backtest.run import Ran, run_backtest
from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.backtest.market import ID, MIDNIGHT, SCRIPTED, SECOND, scripted, settings_of, setup_of
from hedgegrid_assets_tests.both_forms import HEADS
from hedgegrid_assets_tests.nautilus2 import WITH_NAUTILUS_2

pytestmark = [pytest.mark.slow, WITH_NAUTILUS_2]

MINUTES: Final = f"{ID}-1-MINUTE-LAST-EXTERNAL"
TOKENS: Final = "trades,quotes,deltas,depth,bars"
PLAN: Final = [
    (MIDNIGHT + 6 * SECOND, "BUY", "2.5", None),  # through three levels
    (MIDNIGHT + 21 * SECOND, "SELL", "1.5", None),
    (MIDNIGHT + 65 * SECOND, "SELL", "1", None),
]
ROWS: Final[dict[str, list[tuple[int, str]]]] = {
    "trades": [
        (second, f"{second},{('buy', 'sell')[second % 2]},{100 + second % 3}.5,1.5") for second in range(1, 120, 7)
    ],
    "quotes": [(second, f"{second}.5,101.{second % 10},100.{second % 7},2.25") for second in range(0, 120, 5)],
    "incremental_book_L2": [
        *((0, f"true,bid,{price},1") for price in ("100", "99", "98")),
        *((0, f"true,ask,{price},1") for price in ("101", "102", "103", "105")),
        (10, "false,bid,100,0"),
        (10, "false,bid,99.5,0.75"),
        (20, "false,ask,101.5,2"),
        *((30, f"true,bid,{price},3") for price in ("97", "96")),
        *((30, f"true,ask,{price},3") for price in ("98", "99")),
        *((second, f"false,bid,97,{second}.125") for second in range(40, 120, 5)),
    ],
    "book_snapshot_5": [
        (
            second,
            ",".join(f"{101 + level}.5,{level + 1}.125,{100 - level}.5,{level + 1}.25" for level in range(levels))
            + ",,,," * (5 - levels),
        )
        for second, levels in ((0, 5), (10, 3), (20, 4), (30, 1), (60, 5))
    ],
}


def built(folder: Path) -> Path:
    """A catalog of two minutes."""
    for kind, rows in ROWS.items():
        lines = [f"exchange,symbol,timestamp,local_timestamp,{HEADS[kind]}"]
        for second, row in rows:
            at = MIDNIGHT // 1_000 + second * 10**6
            lines.append(f"binance-futures,BTCUSDT,{at},{at + 500},{row}")
        path = folder / "cache/datasets" / f"binance-futures_{kind}_2024-01-01_BTCUSDT.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    defined = {"BTCUSDT": {"price_precision": 1, "size_precision": 3, "mark_precision": 8}}
    config = folder / "t.json"
    config.write_text(
        json.dumps({"cache_dir": str(folder / "cache"), "depth_kind": "book_snapshot_5", "instruments": defined})
    )
    days = ["--start", "2024-01-01", "--end", "2024-01-02", "--config", str(config), "--data-types", TOKENS]
    places = ["--output", str(folder / "first"), "--data", str(folder / "data"), "--nautilus", "1", "-q"]
    assert run(["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", *days, *places]) == 0
    to = ["--catalog", str(folder / "first"), "--output", str(folder / "second"), "-q"]
    assert run(["catalog", "convert", "--nautilus", "2", *to]) == 0
    return folder


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in both forms: ``first`` and ``second``."""
    return built(tmp_path_factory.mktemp("played"))


def played(folder: Path, catalog: Path, streams: dict[str, str]) -> tuple[Ran, list[Any]]:
    """A run on these streams (as a strategy hears them -> data class), and what was heard."""
    folder.mkdir()
    heard = folder / "heard.json"
    config = {"instrument_id": ID, "streams": list(filter(None, streams)), "bar_type": MINUTES, "file": str(heard)}
    watcher = {"strategy_path": f"{SCRIPTED}:Watcher", "config_path": f"{SCRIPTED}:WatcherConfig", "config": config}
    values = settings_of(catalog, {}, tables=(), engine={"strategies": [watcher, scripted(PLAN)]})
    rows: dict[str, dict[str, Any]] = {name: {"data_cls": name, "instrument_id": ID} for name in streams.values()}
    if "bars" in streams:
        rows["Bar"] = {"data_cls": "Bar", "bar_types": [MINUTES]}
    values["data"] = [{"catalog_path": str(catalog)} | row for row in rows.values()]
    ran = run_backtest(setup_of(folder, values), folder / "artifacts")
    assert ran.ok, ran.result["problems"]
    return ran, json.loads(heard.read_text())


def fills(ran: Ran) -> list[tuple[Any, ...]]:
    frame = pl.read_parquet(ran.folder / "fills.parquet")
    numbers = pl.col("quantity", "price", "commission").cast(pl.Decimal(38, 10))
    return frame.select("ts_event", "side", "quantity", "price", "commission", "liquidity").with_columns(numbers).rows()


@pytest.mark.parametrize(
    ("streams", "count", "valued"),
    [
        ({"deltas": "OrderBookDelta", "bars": "Bar", "": "TradeTick"}, {"deltas": 20, "bar": 2}, "trade"),
        ({"depth": "OrderBookDepth10", "quotes": "QuoteTick"}, {"depth": 5, "quote": 24}, "middle of bid and ask"),
    ],
)
def test_both_are_given_the_same_and_fill_the_same(
    streams: dict[str, str], count: dict[str, int], valued: str, tmp_path: Path, catalogs: Path
) -> None:
    (first, one), (second, other) = (played(tmp_path / name, catalogs / name, streams) for name in ("first", "second"))
    assert {kind: sum(row[0] == kind for row in one) for kind in count} == count
    assert other == one
    assert second.result["delivered"] == first.result["delivered"]
    assert fills(second) == fills(first)
    assert first.result["net"] == second.result["net"]
    assert len(fills(first)) >= len(PLAN)
    told = f"The run has no mark prices: positions are valued at the last {valued}."
    assert all(told in run.result["assumptions"] for run in (first, second))


def test_2_denies_market_orders_where_books_alone_tell_a_price_and_the_run_says_so(
    tmp_path: Path, catalogs: Path
) -> None:
    run, _ = played(tmp_path / "second", catalogs / "second", {"deltas": "OrderBookDelta", "bars": "Bar"})
    assert len(fills(run)) == 1  # of the order behind the first bar
    assert "2 of 3 orders were denied before they reached a venue: run.log has why." in run.result["assumptions"]
    assert "MARKET_PRICE_UNAVAILABLE" in (run.folder / "run.log").read_text()
