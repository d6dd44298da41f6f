"""The landing sensor: what it asks for, once and not too much at a time."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from hedgegrid_assets.defs import attempts, definitions_of
from hedgegrid_assets.defs.partitions import partitions_of
from hedgegrid_assets.defs.sensors import DAYS_A_TICK, WATCHED
from hedgegrid_assets.errors import ImportFails
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing
from hedgegrid_assets.stages.raw import LandingFile, landing_signature
from hedgegrid_assets.stages.raw.index import _read_index as read_index_again
from hedgegrid_assets.stages.raw.index import read_index, write_index
from hedgegrid_assets_tests.dagster_daemon import LosingLauncher, daemon_of
from hedgegrid_assets_tests.dagster_feeds import (
    BTC_DAY,
    CAPTURES,
    ETH_DAY,
    SIM,
    catalog_files,
    day_of,
    drop,
    failures,
    feed_context_of,
    metadata,
    partition,
    run,
    run_import,
)
from hedgegrid_assets_tests.scenario import CLEAN, ETH

# Dagster's own tags of a two-dimensional partition are not what its own rule for tags wants
pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys like .'dagster/partition/date'")


@pytest.fixture
def feed_context(tmp_path: Path) -> FeedContext:
    return feed_context_of(tmp_path)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class Ticks:
    """A sensor that is asked again and again, its cursor kept as the daemon keeps it."""

    def __init__(self, feed_context: FeedContext, instance: dg.DagsterInstance) -> None:
        self._feed_context = feed_context
        self._instance = instance
        self.cursor: str | None = None

    def next(self) -> Sequence[dg.RunRequest]:
        """The runs that one tick asks for; Dagster refuses keys of partitions that do not exist."""
        definitions = definitions_of([self._feed_context])
        sensor = definitions.resolve_sensor_def(f"{self._feed_context.feed.name}_landing")
        context = dg.build_sensor_context(self._instance, cursor=self.cursor, definitions=definitions)
        found = sensor.evaluate_tick(context)
        self.cursor = found.cursor
        return found.run_requests or []

    def days(self) -> list[str | None]:
        """The partitions that one tick asks for, those in a block one by one."""
        partitions = partitions_of(self._feed_context)
        found: list[str | None] = []
        for request in self.next():
            tags = request.tags
            ends = [tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end")]
            inside = partitions.get_partition_keys_in_range(dg.PartitionKeyRange(*map(str, ends))) if all(ends) else []
            found += inside or [request.partition_key]
        return found


@pytest.fixture
def ticks(feed_context: FeedContext, instance: dg.DagsterInstance) -> Ticks:
    return Ticks(feed_context, instance)


# ---------------------------------------------------------------- landing


def test_a_file_is_imported_when_it_has_not_grown_for_a_tick(feed_context: FeedContext, ticks: Ticks) -> None:
    assert not ticks.next()
    drop(feed_context, CLEAN[:5000])
    assert not ticks.next()
    drop(feed_context, CLEAN)
    assert not ticks.next()
    (request,) = ticks.next()
    assert request.job_name == "captures_import"


def test_one_content_is_imported_by_one_run(feed_context: FeedContext, ticks: Ticks) -> None:
    """Asked for until it is done, always with the same run key, so that Dagster starts it once."""
    drop(feed_context, CLEAN)
    ticks.next()
    keys = {request.run_key for _ in range(3) for request in ticks.next()}
    assert len(keys) == 1
    drop(feed_context, CLEAN + b"\n")
    ticks.next()
    assert {request.run_key for request in ticks.next()}.isdisjoint(keys)


def test_hidden_and_half_written_files_are_not_looked_at(feed_context: FeedContext, ticks: Ticks) -> None:
    for name in (".hidden.jsonl", "day.jsonl.tmp", "day.jsonl.part"):
        drop(feed_context, CLEAN, name)
    assert not [*ticks.next(), *ticks.next()]


def test_an_import_is_followed_by_the_runs_of_its_days(
    feed_context: FeedContext, ticks: Ticks, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, CLEAN)
    ticks.next()
    ticks.next()
    assert run_import(feed_context, instance).success
    requests = ticks.next()
    assert [(request.job_name, request.partition_key) for request in requests] == [
        ("captures_days", BTC_DAY),
        ("captures_days", ETH_DAY),
    ]
    assert all(str(request.run_key).startswith(f"{request.partition_key}@") for request in requests)
    assert not ticks.next()
    assert all(run(feed_context, instance, str(request.partition_key)).success for request in requests)
    assert len(catalog_files(feed_context, "trade_tick")) == 2


def test_an_import_by_hand_is_seen_as_well(feed_context: FeedContext, ticks: Ticks) -> None:
    drop(feed_context, CLEAN)
    import_landing(feed_context)
    assert ticks.days() == [BTC_DAY, ETH_DAY]


def test_days_are_asked_for_in_blocks_and_as_a_whole_whatever_channels_they_have(
    feed_context: FeedContext, ticks: Ticks
) -> None:
    drop(feed_context, day_of(0, marks=False))
    drop(feed_context, day_of(1) + day_of(4), "full.jsonl")
    import_landing(feed_context)
    block, alone = ticks.next()
    assert (block.asset_selection, block.partition_key) == (None, None)
    assert block.tags["dagster/asset_partition_range_start"] == partition(0)
    assert block.tags["dagster/asset_partition_range_end"] == partition(1)
    assert (alone.asset_selection, alone.partition_key) == (None, partition(4))


def test_two_files_of_one_day_make_one_run(feed_context: FeedContext, ticks: Ticks) -> None:
    drop(feed_context, day_of(0), "morning.jsonl")
    drop(feed_context, day_of(0, trades=range(5, 8)), "evening.jsonl")
    import_landing(feed_context)
    keys = [request.run_key for request in ticks.next()]
    assert len(set(keys)) == 1


def test_a_day_is_run_again_when_its_landing_content_changes(feed_context: FeedContext, ticks: Ticks) -> None:
    drop(feed_context, day_of(0))
    drop(feed_context, day_of(1), "next.jsonl")
    import_landing(feed_context)
    (first,) = ticks.next()
    drop(feed_context, day_of(0, trades=range(9)))
    import_landing(feed_context)
    second = {request.partition_key: request.run_key for request in ticks.next()}
    assert set(second) == {partition(0)}
    assert str(first.run_key).startswith(f"{partition(0)}..{partition(1)}@")


@pytest.mark.slow
def test_a_tick_asks_for_so_many_days_and_the_next_one_goes_on(feed_context: FeedContext, ticks: Ticks) -> None:
    drop(feed_context, b"".join(day_of(number, marks=False) for number in range(DAYS_A_TICK + 10)))
    drop(feed_context, day_of(DAYS_A_TICK + 20, marks=False), "other.jsonl")
    import_landing(feed_context)
    asked = [ticks.days() for _ in range(3)]
    assert [len(days) for days in asked] == [DAYS_A_TICK, 11, 0]
    assert sorted(str(key) for days in asked for key in days) == [
        partition(number) for number in (*range(DAYS_A_TICK + 10), DAYS_A_TICK + 20)
    ]


def test_days_and_symbols_outside_the_feed_are_not_asked_for(feed_context: FeedContext, ticks: Ticks) -> None:
    before, far_ahead = day_of(-400), day_of(200_000 // 10)
    drop(feed_context, before + day_of(0) + day_of(0, symbol="DOGEUSDT") + far_ahead)
    import_landing(feed_context)
    assert ticks.days() == [partition(0)]


def test_a_symbol_that_the_feed_takes_on_later_is_imported_from_old_files(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    small = feed_context_of(
        tmp_path, CAPTURES.replace("[BTCUSDT, ETHUSDT]", "[BTCUSDT]").split("    instruments:", maxsplit=1)[0]
    )
    drop(small, day_of(0) + day_of(0, symbol=ETH))
    ticks = Ticks(small, instance)
    ticks.next()
    (first,) = ticks.next()
    import_landing(small)
    assert ticks.days() == [partition(0)]
    both = feed_context_of(tmp_path)
    grown = Ticks(both, instance)
    grown.cursor = ticks.cursor
    grown.next()
    (second,) = grown.next()
    assert first.run_key != second.run_key
    import_landing(both)
    assert ETH_DAY in grown.days()


def test_the_cursor_stays_small_whatever_lies_there(feed_context: FeedContext, ticks: Ticks) -> None:
    for number in range(WATCHED + 200):
        drop(feed_context, b"{}\n", f"{number:05}.jsonl")
    ticks.next()
    assert len(json.loads(ticks.cursor or "")["waiting"]) == WATCHED
    assert len(ticks.cursor or "") < 32_000


def test_files_that_are_known_are_not_read_again_by_later_ticks(feed_context: FeedContext, ticks: Ticks) -> None:
    for number in range(50):
        drop(feed_context, day_of(number % 5, trades=range(number, number + 2), marks=False), f"{number:02}.jsonl")
    import_landing(feed_context)
    ticks.next()
    before = read_index_again.cache_info().misses
    for _ in range(3):
        assert not ticks.next()
    assert read_index_again.cache_info().misses == before


def test_a_file_that_cannot_be_read_keeps_no_other_waiting_and_is_red(
    feed_context: FeedContext, ticks: Ticks, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0))
    drop(feed_context, b"\x1f\x8b\x08 no gzip stream", "broken.jsonl.gz")
    drop(feed_context, day_of(1, symbol="DOGEUSDT"), "unknown.jsonl")
    ticks.next()
    ticks.next()
    failed = run_import(feed_context, instance)
    assert not failed.success
    assert "broken.jsonl.gz" in str(failures(failed))
    assert metadata(failed, "captures/landing")["unknown_symbols"] == {"DOGEUSDT": 4}
    found = ticks.next()
    good, again = sorted(found, key=lambda request: request.job_name != "captures_days")
    assert good.partition_key == partition(0)
    launch_fails(feed_context, instance, again)
    (again,) = ticks.next()
    launch_fails(feed_context, instance, again)
    with pytest.raises(ImportFails):
        ticks.next()
    (feed_context.places.landing / "websocket/broken.jsonl.gz").rename(feed_context.places.landing / "websocket/x.part")
    assert not ticks.next()


# ---------------------------------------------------------------- what the machine loses


def launch_fails(feed_context: FeedContext, instance: dg.DagsterInstance, request: dg.RunRequest) -> None:
    """What the daemon leaves behind where a run could not be launched: a run that failed, and its key is used up."""
    job = definitions_of([feed_context]).resolve_job_def(str(request.job_name))
    tags = {**request.tags, "dagster/sensor_name": "captures_landing", "dagster/run_key": str(request.run_key)}
    run_of = instance.create_run_for_job(job, tags=tags | ({"dagster/partition": request.partition_key or ""}))
    instance.report_run_failed(run_of, "the run worker did not start within 60 s")


def test_an_import_whose_launch_fails_is_asked_for_again_and_is_red_from_the_second_failure(
    feed_context: FeedContext, ticks: Ticks, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, CLEAN)
    ticks.next()
    keys = []
    for _ in range(2):
        (request,) = ticks.next()
        launch_fails(feed_context, instance, request)
        keys.append(request.run_key)
    assert len(set(keys)) == 2
    with pytest.raises(ImportFails, match=r"2 runs that failed, the last: the run worker did not start .* tried again"):
        ticks.next()


def test_an_import_is_tried_for_as_long_as_its_files_wait(
    feed_context: FeedContext, ticks: Ticks, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_LONGEST_SECONDS", 0)
    drop(feed_context, CLEAN)
    ticks.next()
    for number in range(5):
        (request,) = ticks.next()
        assert str(request.run_key).endswith(f"#{number}")
        launch_fails(feed_context, instance, request)
    assert run_import(feed_context, instance).success
    assert ticks.days() == [BTC_DAY, ETH_DAY]


def test_no_second_import_is_asked_for_while_one_runs(
    feed_context: FeedContext, ticks: Ticks, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, CLEAN)
    ticks.next()
    (request,) = ticks.next()
    job = definitions_of([feed_context]).resolve_job_def("captures_import")
    instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED)
    drop(feed_context, day_of(1), "another.jsonl")
    ticks.next()
    assert not ticks.next()


@pytest.mark.slow
def test_a_day_that_the_machine_loses_is_asked_for_again_and_one_that_fails_by_its_data_is_not(
    feed_context: FeedContext, ticks: Ticks, instance: dg.DagsterInstance
) -> None:
    drop(feed_context, day_of(0))
    import_landing(feed_context)
    (first,) = ticks.next()
    assert not ticks.next()
    launch_fails(feed_context, instance, first)
    (second,) = ticks.next()
    assert second.partition_key == first.partition_key
    assert second.run_key == f"{first.run_key}#1"
    job = definitions_of([feed_context]).resolve_job_def("captures_days")
    judged = instance.create_run_for_job(
        job, tags={**second.tags, "dagster/failure_reason": "STEP_FAILURE"}, status=dg.DagsterRunStatus.FAILURE
    )
    assert judged.status is dg.DagsterRunStatus.FAILURE
    assert not ticks.next()


@pytest.mark.slow
def test_a_run_that_is_lost_is_asked_for_again_once_and_not_by_the_instance_as_well(feed_context: FeedContext) -> None:
    """Dagster's own daemon with ``run_retries``: sensors and retries take turns, and each loss gives one run more."""
    lossy = {"module": LosingLauncher.__module__, "class": LosingLauncher.__name__}
    retries = {"enabled": True, "max_retries": 2}
    with daemon_of(feed_context, run_launcher=lossy, run_retries=retries) as daemon:
        daemon.retry_runs()  # what lies behind its first look is no business of it
        drop(feed_context, day_of(0))
        for number, losses in enumerate((0, 1, 0)):  # the zone settles; its import is lost; it is asked for again
            LosingLauncher.losses = losses
            daemon.tick_sensors(100.0 * number)
            daemon.retry_runs()
        statuses = [(run.job_name, run.status.value) for run in reversed(daemon.instance.get_runs())]
        assert statuses == [("captures_import", "FAILURE"), ("captures_import", "SUCCESS")]


def test_a_feed_that_does_not_land_has_no_sensor(tmp_path: Path) -> None:
    assert not definitions_of([feed_context_of(tmp_path, SIM)]).sensors


@pytest.mark.slow
def test_a_tick_over_ten_thousand_known_files_takes_less_than_a_second(feed_context: FeedContext, ticks: Ticks) -> None:
    places, feed, files = feed_context.places, feed_context.feed.name, 1_000
    first = drop(feed_context, day_of(0), "0.jsonl")
    import_landing(feed_context)
    index = read_index(places, feed, LandingFile(first))
    assert index is not None
    for number in range(1, files):
        path = drop(feed_context, b"{}\n", f"{number}.jsonl")
        name = index.file.replace("0.jsonl", path.name)
        noted = msgspec.structs.replace(index, file=name, signature=landing_signature(LandingFile(path)))
        write_index(places, feed, path, noted, 0)
    for _ in range(files // DAYS_A_TICK + 1):
        ticks.next()

    def spent() -> float:
        started = time.process_time()
        assert not ticks.next()
        return time.process_time() - started

    assert min(spent() for _ in range(5)) * 10_000 / files < 1
