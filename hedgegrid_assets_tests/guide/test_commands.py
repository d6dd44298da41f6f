"""Rows of the guide about commands, configurations and the Python door."""

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import hedgegrid_assets
from hedgegrid_assets.backtest.setup import read_setup
from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.guide.home import CSV, from_csv

REPOSITORY = Path(__file__).parents[2]
BACKTEST = REPOSITORY / "configs/backtest/btcusdt_mark_trades_funding.yaml"
STRATEGY = REPOSITORY / "configs/strategies/hedge_grid_v1.yaml"


def test_row_017_run_backtest_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run-backtest", "--help"]) == 0
    assert "--backtest-config" in capsys.readouterr().out


def test_row_018_the_shipped_backtest_loads() -> None:
    tables = {table for table, _ in read_setup(BACKTEST).streams()}
    assert tables == {"trade_tick", "mark_price_update", "funding_rate_update"}


def test_row_019_the_shipped_strategy_loads() -> None:
    (strategy,) = read_setup(BACKTEST, STRATEGY).run.engine.strategies
    assert strategy.strategy_path.endswith(":HedgeGridV1")


def test_row_069_run_pipeline_is_imported_from_the_package() -> None:
    assert inspect.iscoroutinefunction(hedgegrid_assets.run_pipeline)


def test_row_071_run_pipeline_takes_the_guides_words() -> None:
    words = {
        "source_type",
        "symbol",
        "start_date",
        "end_date",
        "output_path",
        "data_types",
        "source_config",
        "exchange",
    }
    assert words <= set(inspect.signature(hedgegrid_assets.run_pipeline).parameters)


def test_row_102_is_asked_of_what_a_coroutine_has_made(tmp_path: Path) -> None:
    """Kept small: the coroutine itself, inside a loop."""
    (tmp_path / "trades.csv").write_text(CSV)

    async def main() -> None:
        await hedgegrid_assets.run_pipeline(
            source_type="csv",
            symbol="BTCUSDT",
            output_path=str(tmp_path / "catalog"),
            data_types=["trades"],
            source_config={"files": {"trades": {"file_path": str(tmp_path / "trades.csv")}}, "market": "usdm"},
        )

    asyncio.run(main())
    assert (tmp_path / "catalog/instruments.parquet").exists()


def test_row_113_snappy_may_be_said(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    assert from_csv(tmp_path, CSV, "--compression", "snappy") == 0
    (file,) = (tmp_path / "catalog/data/trade_tick").rglob("*.parquet")
    assert pq.read_metadata(file).row_group(0).column(0).compression == "SNAPPY"


def test_row_090_a_symbol_in_upper_case() -> None:
    """The guide's own check, which needs nothing of ours."""
    assert "btcusdt".upper() == "BTCUSDT"


def test_row_100_init_lays_out_the_guides_folders(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path)]) == 0
    assert all((tmp_path / "data/raw" / name).is_dir() for name in ("csv", "websocket"))


def test_row_106_logging_is_the_users_own(tmp_path: Path) -> None:
    """In a process of its own: the library configures nothing, and says where a line comes from."""
    (tmp_path / "trades.csv").write_text(CSV)
    program = f"""
import asyncio, logging
logging.basicConfig(level=logging.DEBUG, filename="pipeline.log", format="%(name)s %(levelname)s %(message)s")
from hedgegrid_assets import run_pipeline
files = {{"files": {{"trades": {{"file_path": {str(tmp_path / "trades.csv")!r}}}}}, "market": "usdm"}}
asyncio.run(run_pipeline("csv", "BTCUSDT", output_path="catalog", data_types=["trades"], source_config=files))
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert "hedgegrid_assets." in (tmp_path / "pipeline.log").read_text()
