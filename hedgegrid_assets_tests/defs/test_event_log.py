"""The event logs that keep their engines: the same history as Dagster's own, and nothing but that with a Dagster not known."""

import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.instance import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage

from hedgegrid_assets.defs import private
from hedgegrid_assets.defs.backfill import instance_for
from hedgegrid_assets.defs.event_log import KeptEventLog, KeptSqliteEventLog
from hedgegrid_assets.defs.history import lay_out
from hedgegrid_assets.errors import HistoryHidden
from hedgegrid_assets_tests.dagster_feeds import day_of, drop, feed_context_of, partition, run

KEY = dg.AssetKey(["captures", "catalog", "trade_tick"])
CONSOLIDATED = """
event_log_storage:
  module: hedgegrid_assets.defs.event_log
  class: KeptEventLog
  config: {base_dir: {env: DAGSTER_HOME}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def of_dagster(home: Path) -> dg.DagsterInstance:
    """The instance as Dagster's own processes open it."""
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home)))


@pytest.mark.slow
def test_a_history_is_the_same_for_dagsters_own_log_and_for_the_kept_one(home: Path, tmp_path: Path) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, day_of(0) + day_of(1))
    with of_dagster(home) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        run(feed_context, instance, partition(0))
    with instance_for(tmp_path) as instance:
        assert type(instance.event_log_storage) is KeptSqliteEventLog
        assert instance.get_materialized_partitions(KEY) == {partition(0)}
        run(feed_context, instance, partition(1))
        assert len(instance.event_log_storage._engines) == 2  # the index, and the run's own
    with of_dagster(home) as instance:
        assert instance.get_materialized_partitions(KEY) == {partition(0), partition(1)}
        before, after = [len(instance.all_logs(each.run_id)) for each in reversed(instance.get_runs())]
        assert before == after + 4  # the first run has imported: two lines of log, the landing zone, the raw days


def test_one_line_of_settings_gives_one_database_for_all_runs(home: Path, tmp_path: Path) -> None:
    (home / "dagster.yaml").write_text(CONSOLIDATED)
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, day_of(0))
    with instance_for(tmp_path) as instance:
        assert type(instance.event_log_storage) is KeptEventLog
        assert run(feed_context, instance, partition(0)).success
    with of_dagster(home) as instance:
        assert instance.get_materialized_partitions(KEY) == {partition(0)}
    assert (home / "event_log.db").exists()
    assert not (home / "history" / "runs").exists() or not list((home / "history" / "runs").glob("*-*.db"))
    assert asked(home / "event_log.db", "PRAGMA page_size") == [32_768]
    assert asked(home / "event_log.db", "PRAGMA journal_mode") == ["wal"]


def test_events_are_stored_without_the_spaces_of_their_json_and_read_as_before(home: Path, tmp_path: Path) -> None:
    said = dg.AssetMaterialization("one", metadata={"text": '"a": "b", "c"', "number": 1.5})
    with instance_for(tmp_path) as instance:
        assert type(instance.event_log_storage) is KeptSqliteEventLog
        instance.report_runless_asset_event(said)
    with of_dagster(home) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("one"))
    assert event
    assert event.asset_materialization == said
    (stored,) = asked(home / "history" / "runs" / "index.db", "SELECT event FROM event_logs")
    assert stored.startswith('{"__class__":"EventLogEntry","')


def asked(path: Path, query: str) -> list[Any]:
    """The first column of an answer."""
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(query)]


def test_an_instance_with_a_history_is_never_switched_to_another_one_silently(home: Path, tmp_path: Path) -> None:
    key = dg.AssetKey("one")
    with of_dagster(home) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
    (home / "dagster.yaml").write_text(CONSOLIDATED)
    for opened in (lambda: instance_for(tmp_path), lambda: of_dagster(home)):
        with pytest.raises(HistoryHidden, match=r"would hide .*found 1 events in .*history/runs"), opened():
            pass
    assert not (home / "event_log.db").exists()
    (home / "dagster.yaml").write_text("")  # the way out, as the hint says
    with instance_for(tmp_path) as instance:
        assert instance.get_latest_materialization_event(key)


def test_an_instance_that_has_shown_nothing_yet_may_begin_with_the_other_history(home: Path, tmp_path: Path) -> None:
    with of_dagster(home) as instance:
        assert not instance.get_runs()
        assert not instance.event_log_storage.get_asset_records([dg.AssetKey("one")])
    (home / "dagster.yaml").write_text(CONSOLIDATED)
    with instance_for(tmp_path) as instance:
        assert type(instance.event_log_storage) is KeptEventLog


def test_what_dagster_does_not_export_is_named_in_one_module() -> None:
    ours = Path(private.__file__).parents[1]
    lean = re.compile(r"^\s*(from|import) (dagster\._|dagster_shared)", re.MULTILINE)
    assert [str(path.relative_to(ours)) for path in ours.rglob("*.py") if lean.search(path.read_text())] == [
        "defs/private.py"
    ]
    assert private.is_known()


def test_a_run_that_is_deleted_takes_its_materializations_along_so_history_is_not_pruned() -> None:
    """Why there is no command that prunes: days that are in the catalog would look as if they had never been made."""
    key, days = dg.AssetKey("one"), ("2024-01-01", "2024-01-02")

    @dg.asset(key=key, partitions_def=dg.StaticPartitionsDefinition(list(days)))
    def one() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        runs = [dg.materialize([one], instance=instance, partition_key=day).run_id for day in days]
        assert instance.get_materialized_partitions(key) == set(days)
        instance.delete_run(runs[0])
        assert instance.get_materialized_partitions(key) == {days[1]}


def test_with_a_dagster_that_is_not_known_the_log_is_dagsters_own_and_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(private, "KNOWN", "0.")
    with instance_for(tmp_path) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
    (home / "dagster.yaml").write_text(CONSOLIDATED)
    with caplog.at_level(logging.WARNING), instance_for(tmp_path) as instance:
        assert instance.get_materialized_partitions(KEY) == set()
    assert "is not known to the kept event log" in caplog.text


def test_a_history_that_is_laid_out_first_keeps_large_pages_for_dagsters_own_processes(home: Path) -> None:
    index = home / "history" / "runs" / "index.db"
    assert lay_out() == 0
    with of_dagster(home) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        instance.report_runless_asset_event(dg.AssetMaterialization("one"))
        assert instance.get_latest_materialization_event(dg.AssetKey("one")) is not None
    assert asked(index, "PRAGMA page_size") == [16_384]
    assert lay_out() == 0
    assert asked(index, "SELECT count(*) FROM event_logs") == [1]
