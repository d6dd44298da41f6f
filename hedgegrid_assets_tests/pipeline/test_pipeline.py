"""The Python API as the guide calls it: run_pipeline, read_frame, validate_catalog, logging."""

import asyncio
import hashlib
import inspect
import logging
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

import hedgegrid_assets
from hedgegrid_assets import read_frame, run_pipeline, validate_catalog
from hedgegrid_assets.errors import NoDataFetched, OtherKind, UsageError
from hedgegrid_assets_tests.scenario import MIDNIGHT_MS, line, raw_trade, received

DAYS = {"start_date": "2024-01-01", "end_date": "2024-01-02"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of one synthetic day, and the working directory that it was made in."""
    home = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEDGEGRID_DATA", str(home / "data"))
        settings = {"trades_per_day": 5_000}
        asyncio.run(run_pipeline("synthetic", "BTCUSDT", **DAYS, output_path=home / "catalog", source_config=settings))
    return home / "catalog"


def test_the_coroutine_takes_the_guides_keyword_arguments_and_a_generation() -> None:
    names = list(inspect.signature(run_pipeline).parameters)
    assert names == [
        "source_type",
        "symbol",
        "start_date",
        "end_date",
        "output_path",
        "data_types",
        "source_config",
        "exchange",
        "nautilus",
    ]
    assert inspect.iscoroutinefunction(run_pipeline)


def test_the_guides_program_runs_under_asyncio_run_and_gives_a_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> hedgegrid_assets.RunSummary:
        return await run_pipeline(
            source_type="synthetic",
            symbol="ETHUSDT",
            **DAYS,
            output_path="./data/catalog",
            data_types=["trades", "mark", "funding"],
            source_config={"trades_per_day": 100},
            exchange="BINANCE",
        )

    summary = asyncio.run(main())
    assert summary.ok
    assert {day.table for day in summary.days} == {"trade_tick", "mark_price_update", "funding_rate_update"}
    assert summary.rows == 100 + 2 * 86_400
    assert summary.to_dict()["days"][0]["instrument_id"] == "ETHUSDT-PERP.SIM"


def test_a_callers_loop_stays_alive_while_the_pipeline_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ticks = 0

    async def heart() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def main() -> None:
        beating = asyncio.create_task(heart())
        await run_pipeline("synthetic", "BTCUSDT", **DAYS, source_config={"trades_per_day": 20_000})
        beating.cancel()

    asyncio.run(main())
    assert ticks > 5


def test_bad_arguments_raise_usage_errors_and_missing_data_a_data_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="expected one of"):
        asyncio.run(run_pipeline("kafka", "BTCUSDT"))
    with pytest.raises(UsageError, match="YYYY-MM-DD"):
        asyncio.run(run_pipeline("websocket", "BTCUSDT", "01/01/2024"))
    with pytest.raises(NoDataFetched, match="No data fetched"):
        asyncio.run(run_pipeline("websocket", "BTCUSDT"))


def test_a_kind_of_trades_that_the_files_do_not_hold_is_refused_with_the_one_that_they_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "data/raw/websocket/day.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(line(raw_trade(1, MIDNIGHT_MS), received(MIDNIGHT_MS)))
    taken = {"trade_kind": "aggTrade"}
    with pytest.raises(OtherKind, match="found nothing of aggTrade, but 1 line of trade") as told:
        asyncio.run(run_pipeline("websocket", "BTCUSDT", data_types="trades", source_config=taken))
    assert "say trade_kind: trade in the configuration" in told.value.hint
    held = {"trade_kind": "trade"}
    assert asyncio.run(run_pipeline("websocket", "BTCUSDT", data_types="trades", source_config=held)).rows == 1


def test_the_users_own_logging_gets_the_details_with_module_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    handler = logging.FileHandler("pipeline.log")
    handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
    logger = logging.getLogger("hedgegrid_assets")
    handlers = list(logging.getLogger().handlers)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        asyncio.run(run_pipeline("synthetic", "BTCUSDT", **DAYS, source_config={"trades_per_day": 10}))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        handler.close()
    assert "hedgegrid_assets.pipeline" in Path("pipeline.log").read_text()
    assert logging.getLogger().handlers == handlers


def test_a_later_week_leaves_every_earlier_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = {"trades_per_day": 50}
    asyncio.run(
        run_pipeline("synthetic", "BTCUSDT", "2024-01-01", "2024-01-03", source_config=few, data_types=["trades"])
    )
    files = [
        path
        for path in Path("data/catalog").rglob("*.parquet")
        if path.is_file() and path.name != "instruments.parquet"
    ]
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in files}
    asyncio.run(
        run_pipeline("synthetic", "BTCUSDT", "2024-01-03", "2024-01-05", source_config=few, data_types=["trades"])
    )
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in before} == before
    trades = ParquetDataCatalog(str(tmp_path / "data/catalog")).trade_ticks(instrument_ids=["BTCUSDT-PERP.SIM"])
    ids = [str(tick.trade_id) for tick in trades]
    assert len(ids) == len(set(ids)) == 200


def test_the_guides_paths_read_as_one_table_each(sample: Path) -> None:
    folder = sample / "BTCUSDT-PERP.SIM"
    assert len(pd.read_parquet(folder / "trade_tick.parquet")) == 5_000
    assert {"ts_event", "mark_price"} <= set(pd.read_parquet(folder / "mark_price.parquet").columns)
    funding = pd.read_parquet(folder / "funding_rate.parquet")
    assert {"ts_event", "funding_rate", "next_funding_time"} <= set(funding.columns)
    assert funding["is_settlement"].sum() == 3
    assert pd.read_parquet(sample / "instruments.parquet")["id"].tolist() == ["BTCUSDT-PERP.SIM"]


def test_read_frame_gives_floats_by_default_and_exact_decimals_on_request(sample: Path) -> None:
    floats = read_frame("BTCUSDT-PERP.SIM", "trades", catalog=sample)
    exact = read_frame("BTCUSDT-PERP.SIM", "trade_tick", "2024-01-01", "2024-01-02", catalog=sample, decimals="exact")
    assert floats["price"].dtype == "float64"
    assert str(floats["ts_init"].dtype) == "datetime64[ns, UTC]"
    assert isinstance(exact["price"].iloc[0], Decimal)
    assert [float(price) for price in exact["price"]] == floats["price"].tolist()
    with pytest.raises(NoDataFetched):
        read_frame("BTCUSDT-PERP.SIM", "trades", "2024-01-02", catalog=sample)
    with pytest.raises(UsageError, match="expected one of"):
        read_frame("BTCUSDT-PERP.SIM", "candles", catalog=sample)


def test_validate_catalog_counts_large_gaps_as_the_guides_snippet_does(sample: Path) -> None:
    report = validate_catalog(sample, table="trade_tick")
    trades = ParquetDataCatalog(str(sample)).trade_ticks(instrument_ids=["BTCUSDT-PERP.SIM"])
    times = pd.Series(pd.to_datetime([tick.ts_event for tick in trades], unit="ns"))
    assert report.ok
    assert report.large_gaps_over_60s == int((times.diff() > pd.Timedelta(minutes=1)).sum())
