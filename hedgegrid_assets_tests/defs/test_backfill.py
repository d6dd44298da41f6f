"""Backfill: many days in one process, only those that are missing or stale, with their events in the instance."""

import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hedgegrid_assets.defs import definitions_of
from hedgegrid_assets.defs.backfill import BackfillSummary, DayDone, Outcome, backfill, instance_for
from hedgegrid_assets.errors import EnvironmentFault, FeedsFileError, NoDataFetched, OtherKind, UsageError
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing
from hedgegrid_assets_tests.dagster_feeds import (
    CAPTURES,
    SIM,
    TABLES,
    catalog_files,
    day_of,
    drop,
    feed_context_of,
    partition,
    write_feeds,
)
from hedgegrid_assets_tests.scenario import BAD_MS, DAMAGED, DAY_MS, MIDNIGHT_MS, agg_trade, line, raw_trade, received


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def feed_context(tmp_path: Path) -> FeedContext:
    return feed_context_of(tmp_path)


def filled(feed_context: FeedContext, instance: dg.DagsterInstance, **how: Any) -> BackfillSummary:
    """A backfill of the feed_context's feed."""
    root = feed_context.places.home.parent
    return backfill(
        feed_context.feed.name, instance=instance, feeds=root / "feeds.yaml", data=feed_context.places.home, **how
    )


def outcomes(summary: BackfillSummary) -> list[tuple[str, Outcome]]:
    """(day of January, what became of it), in order."""
    return [(f"{done.day.date:%d}", done.outcome) for done in summary.days]


def test_only_days_with_data_are_run_and_the_events_are_in_the_instance(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0) + day_of(2))
    told: list[tuple[int, int]] = []

    def tell(_: DayDone, number: int, of: int) -> None:
        told.append((number, of))

    summary = filled(feed_context, instance, progress=tell)
    assert summary.ok
    assert outcomes(summary) == [("01", Outcome.DONE), ("03", Outcome.DONE)]
    assert summary.missing > 300
    assert told == [(1, 2), (2, 2)]
    key = dg.AssetKey(["captures", "catalog", "trade_tick"])
    assert instance.get_materialized_partitions(key) == {partition(0), partition(2)}
    assert {run.job_name for run in instance.get_runs()} == {"captures_days"}


def test_a_day_without_a_channel_is_whole_with_all_its_checks(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0, marks=False))
    assert filled(feed_context, instance).ok
    (record,) = instance.get_runs()
    events = instance.all_logs(record.run_id)
    said = [event.dagster_event.event_type_value for event in events if event.dagster_event]
    assert said.count("ASSET_CHECK_EVALUATION") == said.count("ASSET_CHECK_EVALUATION_PLANNED") == 26
    assert said.count("ASSET_MATERIALIZATION") == said.count("ASSET_MATERIALIZATION_PLANNED") == 10


def test_fresh_days_start_no_run_and_changed_ones_do(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    drop(feed_context, day_of(0))
    changing = drop(feed_context, day_of(1), "second.jsonl")
    filled(feed_context, instance)
    assert outcomes(filled(feed_context, instance)) == [("01", Outcome.FRESH), ("02", Outcome.FRESH)]
    assert instance.get_runs_count() == 1
    changing.write_bytes(day_of(1, trades=range(7)))
    assert outcomes(filled(feed_context, instance)) == [("01", Outcome.FRESH), ("02", Outcome.DONE)]
    assert instance.get_runs_count() == 2


@pytest.mark.slow
def test_a_run_covers_a_block_of_days_of_one_instrument_with_the_tag_of_the_backfill(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    days = [0, 1, 2, 3, 5]
    drop(feed_context, b"".join(day_of(number, symbol=name) for number in days for name in ("BTCUSDT", "ETHUSDT")))
    summary = filled(feed_context, instance, block=3)
    assert [done.outcome for done in summary.days] == [Outcome.DONE] * 10
    runs = instance.get_runs()
    starts = {run.tags.get("dagster/asset_partition_range_start", run.tags.get("dagster/partition")) for run in runs}
    assert starts == {partition(day, f"{name}-PERP.BINANCE") for day in (0, 3, 5) for name in ("BTCUSDT", "ETHUSDT")}
    assert len(runs) == 6
    assert len({run.tags["hedgegrid/backfill"] for run in runs}) == 1
    key = dg.AssetKey(["captures", "catalog", "trade_tick"])
    assert len(instance.get_materialized_partitions(key)) == 10


def test_a_backfill_reports_the_landing_zone_and_the_instruments(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0))
    filled(feed_context, instance)
    for name in ("landing", "instruments"):
        assert instance.get_latest_materialization_event(dg.AssetKey(["captures", name]))


def test_what_a_killed_backfill_did_not_come_to_tell_is_told_by_the_next(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    """Its days are fresh by then, and nothing new is to be imported."""
    drop(feed_context, day_of(0))
    filled(feed_context, instance)
    with dg.DagsterInstance.ephemeral() as other:  # which knows of nothing
        assert filled(feed_context, other).of(Outcome.DONE) == []
        filled(feed_context, other)
        for name in ("landing", "instruments"):
            assert len(other.fetch_materializations(dg.AssetKey(["captures", name]), limit=9).records) == 1


def test_days_that_are_made_but_dagster_never_heard_of_are_told_once(
    feed_context: FeedContext, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """As of a run that was killed between a day's work and its word, of which all files are fresh."""
    drop(feed_context, day_of(0) + day_of(1, marks=False))
    filled(feed_context, instance)
    catalog = [catalog_files(feed_context, name) for name in TABLES]
    history = tmp_path / "history"
    history.mkdir()
    with dg.DagsterInstance.local_temp(str(history)) as kept:
        keys = [dg.AssetKey(["captures", layer, name]) for layer in ("normalized", "catalog") for name in TABLES]
        assert filled(feed_context, kept).ok
        both = {partition(0), partition(1)}
        assert [kept.get_materialized_partitions(key) for key in keys] == [both] * len(keys)
        assert outcomes(filled(feed_context, kept)) == [("01", Outcome.FRESH), ("02", Outcome.FRESH)]
    assert [catalog_files(feed_context, name) for name in TABLES] == catalog


def test_a_damaged_manifest_is_told_with_the_days_that_need_it(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, day_of(0) + day_of(1))
    import_landing(feed_context)
    feed_context.places.raw_manifest("captures", "aggTrade", "BTCUSDT", date(2024, 1, 2)).local().write_text("{")
    summary = filled(feed_context, instance)
    assert outcomes(summary)[1] == ("02", Outcome.FAILED)
    assert "2024-01-02.json is damaged" in summary.days[1].errors[0]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED])
def test_a_run_whose_process_was_killed_is_closed_by_the_next_backfill(
    feed_context: FeedContext, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    drop(feed_context, day_of(0))
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    job = definitions_of([feed_context]).resolve_job_def("captures_days")
    tags = {"killed": gone.stdout.strip(), "alive": str(os.getpid())}
    runs = {
        name: instance.create_run_for_job(
            job,
            tags={"hedgegrid/backfill": f"20240101T000000/{platform.node()}-{process}"},
            status=status,
        )
        for name, process in tags.items()
    }
    assert filled(feed_context, instance).ok
    found = {name: instance.get_run_by_id(run.run_id) for name, run in runs.items()}
    statuses = {name: run.status for name, run in found.items() if run}
    assert statuses == {"killed": dg.DagsterRunStatus.FAILURE, "alive": status}


@pytest.mark.slow
def test_of_a_block_that_is_killed_the_finished_days_are_good_and_the_next_backfill_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, b"".join(day_of(number) for number in range(8)))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    places = {"HEDGEGRID_DATA": str(feed_context.places.data), "HEDGEGRID_FEEDS": str(tmp_path / "feeds.yaml")}
    command = [sys.executable, "-m", "hedgegrid_assets", "backfill", "captures"]
    process = subprocess.Popen(command, env={**os.environ, **places}, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any(line.startswith("[3/8]") for line in process.stderr)
    process.kill()
    process.wait()
    process.stderr.close()
    key = dg.AssetKey(["captures", "catalog", "trade_tick"])
    with instance_for(tmp_path / "data") as instance:
        (killed,) = instance.get_runs()
        assert killed.status is dg.DagsterRunStatus.STARTED
        finished = instance.get_materialized_partitions(key)
        assert finished >= {partition(number) for number in range(3)}
        good = catalog_files(feed_context, "trade_tick")
        assert len(good) >= 3
        summary = filled(feed_context, instance)  # which tells of all days of the run that was killed
        assert summary.ok
        assert good.items() <= catalog_files(feed_context, "trade_tick").items()
        assert len(summary.of(Outcome.FRESH)) + len(summary.of(Outcome.DONE)) == 8
        assert instance.get_materialized_partitions(key) == {partition(number) for number in range(8)}
        assert {run.status for run in instance.get_runs(dg.RunsFilter(run_ids=[killed.run_id]))} == {
            dg.DagsterRunStatus.FAILURE
        }
        assert len(instance.get_runs()) == 2
    (tmp_path / "clean").mkdir()
    clean = feed_context_of(tmp_path / "clean")
    drop(clean, b"".join(day_of(number) for number in range(8)))
    with dg.DagsterInstance.ephemeral() as instance:
        assert filled(clean, instance).ok
    for table in TABLES:
        assert catalog_files(feed_context, table) == catalog_files(clean, table)


def test_force_runs_fresh_days_as_well(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    drop(feed_context, day_of(0))
    filled(feed_context, instance)
    assert outcomes(filled(feed_context, instance, force=True)) == [("01", Outcome.DONE)]


def test_a_day_that_the_catalog_forbids_is_refused_and_no_other(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0) + day_of(1))
    filled(feed_context, instance, start=date(2024, 1, 2))
    folder = feed_context.places.nautilus_folder("trade_tick", feed_context.feed.instrument_ids()[0])
    theirs = folder / "2024-01-01T02-00-00-000000000Z_2024-01-01T02-00-00-004000000Z.parquet"
    content = next(folder.files()).read_bytes()
    theirs.local().write_bytes(content)
    summary = filled(feed_context, instance, force=True)
    assert outcomes(summary) == [("01", Outcome.REFUSED), ("02", Outcome.DONE)]
    assert not summary.ok
    assert theirs.name in summary.days[0].errors[0]
    assert theirs.read_bytes() == content
    assert len(list(feed_context.places.nautilus_folder("mark_price_update", folder.name).files())) == 2
    assert summary.to_dict()["refused"] == 1


def test_a_lost_catalog_file_makes_its_day_stale(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    drop(feed_context, day_of(0))
    filled(feed_context, instance)
    (lost,) = (feed_context.places.catalog / "data/mark_price_update").glob("*/*.parquet")
    lost.unlink()
    assert outcomes(filled(feed_context, instance)) == [("01", Outcome.DONE)]
    assert lost.exists()


def test_other_settings_make_a_made_up_day_stale(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    feed_context = feed_context_of(tmp_path, SIM)
    one_day: dict[str, Any] = {"start": date(2024, 1, 1), "end": date(2024, 1, 2)}
    assert outcomes(filled(feed_context, instance, **one_day)) == [("01", Outcome.DONE)]
    assert outcomes(filled(feed_context, instance, **one_day)) == [("01", Outcome.FRESH)]
    other = feed_context_of(tmp_path, SIM.replace("5000", "6000"))
    assert outcomes(filled(other, instance, **one_day)) == [("01", Outcome.DONE)]


def test_a_failing_day_stops_no_other_and_is_named_with_its_reason(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    conflict = line(agg_trade(1_000, BAD_MS, p="1.00"), received(BAD_MS))
    drop(feed_context, day_of(0) + conflict + day_of(1))
    summary = filled(feed_context, instance)
    assert not summary.ok
    assert outcomes(summary) == [("01", Outcome.FAILED), ("02", Outcome.DONE)]
    (error,) = summary.days[0].errors
    assert error.startswith("captures/normalized/trade_tick: BTCUSDT-PERP.BINANCE 2024-01-01 trade_tick is blocked")
    assert len(catalog_files(feed_context, "trade_tick")) == 1
    assert len(catalog_files(feed_context, "mark_price_update")) == 2
    assert summary.to_dict()["failed"] == 1


@pytest.mark.slow
def test_of_thirty_days_two_bad_ones_are_red_and_twenty_eight_land(
    feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    bad = (6, 18)
    conflicts = b"".join(
        line(agg_trade(1_000, at, p="1.00"), received(at)) for at in (MIDNIGHT_MS + n * DAY_MS + 5_000 for n in bad)
    )
    drop(feed_context, b"".join(day_of(number, marks=False) for number in range(30)) + conflicts)
    summary = filled(feed_context, instance)
    assert [f"{done.day.date:%d}" for done in summary.of(Outcome.FAILED)] == ["07", "19"]
    assert all("trade_ids_unique" in done.errors[0] for done in summary.of(Outcome.FAILED))
    assert len(summary.of(Outcome.DONE)) == 28
    assert len(catalog_files(feed_context, "trade_tick")) == 28
    drop(feed_context, b"".join(day_of(number, marks=False) for number in range(30)))
    again = filled(feed_context, instance)
    assert [f"{done.day.date:%d}" for done in again.of(Outcome.DONE)] == ["07", "19"]
    assert len(again.of(Outcome.FRESH)) == 28
    assert len(catalog_files(feed_context, "trade_tick")) == 30


def test_a_blocked_day_is_tried_again(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    drop(feed_context, day_of(0) + line(agg_trade(1_000, BAD_MS, p="1.00"), received(BAD_MS)))
    filled(feed_context, instance)
    assert outcomes(filled(feed_context, instance)) == [("01", Outcome.FAILED)]


def test_a_damaged_landing_file_is_told_and_the_others_land(
    feed_context: FeedContext, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    data, suffix = DAMAGED["gzip with a wrong checksum"]
    drop(feed_context, data, f"bad{suffix}")
    drop(feed_context, day_of(0))
    with caplog.at_level(logging.WARNING):
        summary = filled(feed_context, instance)
    assert not summary.ok
    assert outcomes(summary) == [("01", Outcome.DONE)]
    assert f"bad{suffix} cannot be trusted" in summary.damaged[0]
    assert summary.damaged[0] in caplog.text


def test_a_range_and_instruments_narrow_the_work(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    both = day_of(0) + day_of(0, symbol="ETHUSDT") + day_of(1) + day_of(1, symbol="ETHUSDT")
    drop(feed_context, both)
    for name in ("ETHUSDT", "ETHUSDT-PERP.BINANCE"):
        summary = filled(
            feed_context, instance, start=date(2024, 1, 2), end=date(2024, 1, 3), instruments=[name], force=True
        )
        assert [str(done.day) for done in summary.days] == ["ETHUSDT-PERP.BINANCE 2024-01-02"]


def test_nothing_to_make_a_day_from_is_an_error(feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
    with pytest.raises(NoDataFetched, match="No data fetched"):
        filled(feed_context, instance)


def test_files_of_another_kind_of_trades_are_named_with_the_setting_that_takes_them(
    tmp_path: Path, feed_context: FeedContext, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """The hint is followed to the letter, and works."""
    lines = b"".join(
        line(raw_trade(number, MIDNIGHT_MS + number), received(MIDNIGHT_MS + number)) for number in range(1, 4)
    )
    drop(feed_context, lines)
    with pytest.raises(OtherKind, match="found nothing of aggTrade, but 3 lines of trade") as told:
        filled(feed_context, instance)
    assert "say trade_kind: trade in the settings of the feed captures in feeds.yaml" in told.value.hint
    assert "day.jsonl holds nothing of aggTrade, but 3 of trade, which are left out" in caplog.text
    write_feeds(tmp_path, CAPTURES + "    settings: {trade_kind: trade}\n")
    assert outcomes(filled(feed_context, instance)) == [("01", Outcome.DONE)]


def test_trades_of_another_kind_in_a_file_that_gives_other_tables_are_told(
    tmp_path: Path, feed_context: FeedContext, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """A file with quotes was imported, its trades were left out, and the run said that all was done."""
    times = {"E": MIDNIGHT_MS + 5, "T": MIDNIGHT_MS + 5, "s": "BTCUSDT"}
    quote = {"e": "bookTicker", "u": 1, "b": "99", "B": "1", "a": "101", "A": "1", **times}
    lines = line(raw_trade(1, MIDNIGHT_MS + 1), received(MIDNIGHT_MS + 1)) + line(quote, received(MIDNIGHT_MS + 5))
    drop(feed_context, lines)
    write_feeds(tmp_path, CAPTURES + "    tables: [trade_tick, quote_tick]\n")
    assert outcomes(filled(feed_context, instance)) == [("01", Outcome.DONE)]
    assert (
        "hold nothing of aggTrade, but 1 line of trade, which are left out: trade_kind: trade takes them" in caplog.text
    )
    write_feeds(tmp_path, CAPTURES + "    tables: [trade_tick]\n")
    with pytest.raises(OtherKind, match="found nothing of aggTrade, but 1 line of trade"):
        filled(feed_context, instance)


def test_a_day_that_is_made_again_says_why(
    tmp_path: Path, feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0))
    assert [done.because for done in filled(feed_context, instance).days] == [""]
    write_feeds(tmp_path, CAPTURES + "    gaps: {mark_price_update: 7s}\n")
    assert [done.because for done in filled(feed_context, instance).days] == ["mark_price_update: other thresholds"]
    for table, why in (("trade_tick", None), ("mark_price_update", "other thresholds")):
        event = instance.get_latest_materialization_event(dg.AssetKey(["captures", "normalized", table]))
        assert event
        assert event.asset_materialization
        told = event.asset_materialization.metadata.get("made_again")
        assert told == (why and dg.MetadataValue.text(why))


def test_a_mistake_is_told_before_any_work(
    tmp_path: Path, feed_context: FeedContext, instance: dg.DagsterInstance
) -> None:
    feeds = write_feeds(tmp_path, SIM, CAPTURES.replace("venue: BINANCE", "venue: binance"))
    with pytest.raises(UsageError, match=r"unknown feed .* expected one of sim, found 'simm'"):
        backfill("simm", instance=instance, feeds=feeds, data=feed_context.places.home)
    with pytest.raises(FeedsFileError, match="venue"):
        backfill("captures", instance=instance, feeds=feeds, data=feed_context.places.home)
    with pytest.raises(UsageError, match="unknown instrument"):
        backfill("sim", instruments=["X.SIM"], instance=instance, feeds=feeds, data=feed_context.places.home)
    with pytest.raises(UsageError, match="empty range"):
        backfill(
            "sim", date(2024, 1, 2), date(2024, 1, 2), instance=instance, feeds=feeds, data=feed_context.places.home
        )
    assert instance.get_runs_count() == 0


# ---------------------------------------------------------------- where the events go


def test_without_any_dagster_yaml_the_instance_is_gone_with_the_process(workdir: Path) -> None:
    with instance_for(Path("data")) as instance:
        assert instance.is_ephemeral
    assert not list(workdir.iterdir())


def test_a_dagster_yaml_makes_a_home_beside_it(workdir: Path) -> None:
    (workdir / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with instance_for(Path("data")) as instance:
        assert Path(instance.root_directory) == workdir / ".dagster_home"
    assert (workdir / ".dagster_home/dagster.yaml").exists()


def test_another_data_root_leaves_the_history_of_this_one_alone(workdir: Path) -> None:
    (workdir / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with instance_for(Path("elsewhere")) as instance:
        assert instance.is_ephemeral


def test_dagster_home_goes_first_and_is_made(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(workdir / "new/home"))
    with instance_for(Path("elsewhere")) as instance:
        assert Path(instance.root_directory) == workdir / "new/home"
    monkeypatch.setenv("DAGSTER_HOME", "relative")
    with pytest.raises(EnvironmentFault, match="expected an absolute path, found 'relative'"):
        instance_for(Path("data"))
