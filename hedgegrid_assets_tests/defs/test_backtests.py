"""A backtest as an asset: downstream of the tables that it reads, told in metadata, held to its pin."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hedgegrid_assets.backtest import pin
from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.defs import definitions_of, load
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets_tests.dagster_feeds import SIM, feed_context_of

ROOT = Path(__file__).parents[2]
KEY = dg.AssetKey(["sim", "backtest", "grid"])
FEEDS = """\
version: 1
feeds:
  sim:
    source: synthetic
    venue: SIM
    symbols: [BTCUSDT]
    start: 2024-01-01
    end: 2024-01-03
    settings: {trades_per_day: 500}
    backtests:
      grid: {config: run.yaml, strategy: grid.yaml}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a feed whose data end in a backtest."""
    configs = ROOT / "configs"
    (tmp_path / "run.yaml").write_text((configs / "backtest" / "btcusdt_mark_trades_funding.yaml").read_text())
    (tmp_path / "grid.yaml").write_text((configs / "strategies" / "hedge_grid_v1.yaml").read_text())
    (tmp_path / "feeds.yaml").write_text(FEEDS)
    monkeypatch.setenv("HEDGEGRID_FEEDS", str(tmp_path / "feeds.yaml"))
    return tmp_path


def convert(home: Path, end: str, seed: int = 7) -> None:
    settings = {"trades_per_day": 500, "seed": seed}
    asked = request(
        "synthetic",
        "BTCUSDT",
        "2024-01-01",
        end,
        output_path=home / "data" / "catalog",
        data=home / "data",
        source_config=settings,
        force=True,
    )
    assert run(asked).ok


def materialized(home: Path) -> tuple[dict[str, Any], dg.AssetCheckEvaluation]:
    assets = [
        each for each in load(home / "feeds.yaml", home / "data").assets or [] if isinstance(each, dg.AssetsDefinition)
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(assets, selection=[KEY], instance=instance)
    (event,) = done.get_asset_materialization_events()
    (check,) = done.get_asset_check_evaluations()
    return {name: found.value for name, found in event.materialization.metadata.items()}, check


def test_it_is_downstream_of_the_catalog_tables_that_its_file_names(home: Path) -> None:
    graph = load(home / "feeds.yaml", home / "data").resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get(KEY).parent_keys} == {
        *("sim/catalog/trade_tick", "sim/catalog/mark_price_update", "sim/catalog/funding_rate_update")
    }


def test_a_file_that_is_gone_keeps_no_other_asset_out(home: Path) -> None:
    (home / "run.yaml").unlink()
    assert KEY in load(home / "feeds.yaml", home / "data").resolve_asset_graph().get_all_asset_keys()


def test_what_is_no_backtest_is_told_with_its_line(home: Path) -> None:
    (home / "feeds.yaml").write_text(FEEDS.replace("strategy: grid.yaml", "strategie: grid.yaml"))
    (problem,) = read_feeds(home / "feeds.yaml").problems
    assert problem.line == 11
    assert "did you mean strategy?" in str(problem)


@pytest.mark.slow
def test_it_says_what_it_earned_and_which_days_have_changed_since_its_pin(home: Path) -> None:
    convert(home, "2024-01-03")
    told, check = materialized(home)
    assert check.passed
    assert told["settlements"] == 5
    assert told["equity"].startswith("![equity](data:image/png;base64,")
    assert Path(told["report"]).is_file()
    pin.write(home / "artifacts" / "sim-grid", home / "run.pin.json")
    _, same = materialized(home)
    assert same.passed
    convert(home, "2024-01-02", seed=8)
    _, other = materialized(home)
    assert not other.passed
    since = str(other.metadata["since then"].value)
    assert "BTCUSDT-PERP.SIM trade_tick 2024-01-01: changed, 500 rows then, 500 now" in since
    assert "2024-01-02" not in since
    assert "the result is another one" in since


def test_files_count_from_the_feeds_yaml_that_was_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = "configs/backtest/btcusdt_mark_trades_funding.yaml"
    strategy = "configs/strategies/hedge_grid_v1.yaml"
    feed_context = feed_context_of(
        tmp_path, f"{SIM}    backtests:\n      grid: {{config: {config}, strategy: {strategy}}}\n"
    )
    definitions_of([feed_context], folder=Path(__file__).parents[2])
    assert "cannot be run" not in caplog.text
    definitions_of([feed_context], folder=tmp_path)
    assert "cannot be run" in caplog.text
