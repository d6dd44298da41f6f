"""Two processes in blocks of days at once, on one instance: SQLite as Dagster has it, in one file, and PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from hedgegrid_assets.defs.backfill import instance_for
from hedgegrid_assets_tests.dagster_feeds import day_of, drop, feed_context_of, partition
from hedgegrid_assets_tests.standins.services import postgres

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Dagster's own, of SQLAlchemy's next version

KEPT: Final = """
event_log_storage:
  module: hedgegrid_assets.defs.event_log
  class: KeptEventLog
  config: {base_dir: {env: DAGSTER_HOME}}
"""
POSTGRES: Final = """
storage:
  postgres:
    postgres_url: "postgresql+psycopg2://hedgegrid@127.0.0.1:{port}/postgres"
"""
DAYS: Final = 4
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")


@pytest.mark.parametrize("settings", ["", KEPT, POSTGRES], ids=["default", "kept", "postgres"])
def test_two_processes_fill_blocks_at_once_and_nothing_of_either_is_lost(
    settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if settings == POSTGRES:
        with postgres() as port:
            _two_at_once(settings.format(port=port), tmp_path, monkeypatch)
    else:
        _two_at_once(settings, tmp_path, monkeypatch)


def _two_at_once(settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, b"".join(day_of(number, symbol=symbol) for number in range(DAYS) for symbol in SYMBOLS))
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(settings)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    data = tmp_path / "data"
    with instance_for(data) as instance:  # the tables, by one process before the others
        assert instance.get_runs_count() == 0
    places = {"HEDGEGRID_DATA": str(data), "HEDGEGRID_FEEDS": str(tmp_path / "feeds.yaml")}
    command = [sys.executable, "-m", "hedgegrid_assets", "backfill", "captures", "--block", "2", "--quiet", "--symbol"]
    processes = [subprocess.Popen([*command, symbol], env={**os.environ, **places}) for symbol in SYMBOLS]
    assert [process.wait(100) for process in processes] == [0, 0]
    everything = {partition(number, f"{symbol}-PERP.BINANCE") for number in range(DAYS) for symbol in SYMBOLS}
    with instance_for(data) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 4
        for table in ("trade_tick", "funding_rate_update"):
            key = dg.AssetKey(["captures", "catalog", table])
            assert instance.get_materialized_partitions(key) == everything
            check = dg.AssetCheckKey(key, "reads_back_equal")
            found = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
            evaluated = [
                each.event.dagster_event.event_specific_data
                for each in found
                if each.event and each.event.dagster_event
            ]
            assert sorted(str(getattr(each, "partition", None)) for each in evaluated) == sorted(everything)
