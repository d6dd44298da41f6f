"""The daily schedule: what it asks for, as far as it is published, and again for what is not there yet."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from hedgegrid_assets.defs import definitions_of
from hedgegrid_assets.defs.partitions import partitions_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources.archive import listing
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.tardis import availability
from hedgegrid_assets_tests import archive_cases, tardis_cases
from hedgegrid_assets_tests.dagster_feeds import (
    CAPTURES,
    SIM,
    drop,
    failures,
    feed_context_of,
    key_of,
    made,
    partition,
    run,
)
from hedgegrid_assets_tests.scenario import BAD_ID, BAD_MS, agg_trade, inserted, line, received
from hedgegrid_assets_tests.standins import archive, tardis

# Dagster's own tags of a two-dimensional partition are not what its own rule for tags wants
pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys like .'dagster/partition/date'")

ID = "BTCUSDT-PERP.SIM"
TARDIS = """
  tardis_usdm:
    source: tardis
    venue: BINANCE
    symbols: [BTCUSDT]
    start: 2024-01-01
    tables: [trade_tick]
    schedule: {at: "06:30", look_back_days: 1}
    settings: {exchange: binance-futures, api: datasets, api_key_env: MY_TARDIS_KEY}
"""
ARCHIVE = """
  free:
    source: archive
    venue: BINANCE
    symbols: [BTCUSDT]
    start: 2024-01-01
    tables: [trade_tick, mark_price_update]
    schedule: {{at: "09:00", look_back_days: 2}}
    settings: {{exchange: binance-futures, endpoint: "{endpoint}"}}
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """On disk: a schedule opens it anew."""
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield instance


def at(day: int, clock: str = "06:30") -> datetime:
    return datetime.fromisoformat(f"2024-01-{day:02}T{clock}").replace(tzinfo=UTC)


def schedule_of(feed_context: FeedContext) -> dg.ScheduleDefinition:
    repository = definitions_of([feed_context]).get_repository_def()
    found = repository.get_schedule_def(f"{feed_context.feed.name}_daily")
    assert isinstance(found, dg.ScheduleDefinition)
    return found


def scheduled(feed_context: FeedContext, instance: dg.DagsterInstance, when: datetime) -> list[dg.RunRequest]:
    """What the daily schedule asks for at a time."""
    repository = definitions_of([feed_context]).get_repository_def()
    context = dg.build_schedule_context(instance, scheduled_execution_time=when, repository_def=repository)
    return list(schedule_of(feed_context).evaluate_tick(context).run_requests or [])


def days_of(feed_context: FeedContext, request: dg.RunRequest) -> list[str]:
    """The partitions of a run, those in a block one by one."""
    ends = [request.tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end")]
    if request.partition_key:
        return [request.partition_key]
    return list(partitions_of(feed_context).get_partition_keys_in_range(dg.PartitionKeyRange(*map(str, ends))))


def test_yesterday_and_earlier_days_that_are_not_there_are_one_run(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    feed_context = feed_context_of(tmp_path, SIM + '    schedule: {at: "06:30", look_back_days: 1}\n')
    (request,) = scheduled(feed_context, instance, at(3))
    assert days_of(feed_context, request) == [partition(0, ID), partition(1, ID)]
    assert request.run_key == f"{partition(0, ID)}..{partition(1, ID)}@2024-01-03T06:30"
    assert run(feed_context, instance, partition(0, ID)).success
    (request,) = scheduled(feed_context, instance, at(3))
    assert (request.partition_key, request.run_key) == (partition(1, ID), f"{partition(1, ID)}@2024-01-03T06:30")
    assert run(feed_context, instance, partition(1, ID)).success
    assert scheduled(feed_context, instance, at(3)) == []


def test_nothing_outside_the_feed_is_asked_for(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    feed_context = feed_context_of(tmp_path, SIM + '    schedule: {at: "06:30", look_back_days: 0}\n')
    assert not scheduled(feed_context, instance, at(1))
    assert not scheduled(feed_context, instance, at(9))


def test_a_day_whose_run_is_not_over_is_not_asked_for_again(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    feed_context = feed_context_of(tmp_path, SIM + '    schedule: {at: "06:30", look_back_days: 1}\n')
    (request,) = scheduled(feed_context, instance, at(3))
    job = definitions_of([feed_context]).resolve_job_def("sim_days")
    instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED)
    assert scheduled(feed_context, instance, at(3)) == []


def test_a_day_that_is_blocked_is_not_made_again_each_morning(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    feed_context = feed_context_of(tmp_path, CAPTURES + '    schedule: {at: "06:30", look_back_days: 0}\n')
    drop(feed_context, inserted(line(agg_trade(BAD_ID, BAD_MS, p="41999.90"), received(BAD_MS) + 1)))
    assert not run(feed_context, instance).success
    asked = [key for request in scheduled(feed_context, instance, at(2)) for key in days_of(feed_context, request)]
    assert asked == [partition(0, "ETHUSDT-PERP.BINANCE")]


@pytest.mark.parametrize(
    ("feed", "clocks"),
    [
        (SIM + '    schedule: {at: "06:30"}\n', ["30 6 * * *"]),
        (TARDIS, ["30 6 * * *", "30 7 * * *", "30 9 * * *", "30 13 * * *"]),
        (TARDIS.replace("06:30", "18:15"), ["15 18 * * *", "15 19 * * *", "15 21 * * *"]),
    ],
)
def test_a_provider_is_asked_again_on_the_same_day(tmp_path: Path, feed: str, clocks: list[str]) -> None:
    found = schedule_of(feed_context_of(tmp_path, feed)).cron_schedule
    assert ([found] if isinstance(found, str) else list(found)) == clocks


# ---------------------------------------------------------------- what is published


@pytest.fixture
def tardis_server(monkeypatch: pytest.MonkeyPatch) -> tardis.Standin:
    server = tardis_cases.fresh_standin()
    availability._details.clear()
    monkeypatch.setattr(limits, "in_force", tardis_cases.QUICK)
    monkeypatch.setenv("TARDIS_ENDPOINT", server.endpoint)
    monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", server.datasets_endpoint)
    monkeypatch.setenv("MY_TARDIS_KEY", tardis.KEY)
    return server


def test_days_that_are_not_exported_yet_are_not_asked_for(
    tmp_path: Path, instance: dg.DagsterInstance, tardis_server: tardis.Standin
) -> None:
    feed_context = feed_context_of(tmp_path, TARDIS)
    tardis_server.library.exported_until = date(2024, 1, 3)
    asked = [request.partition_key for request in scheduled(feed_context, instance, at(4))]
    assert asked == ["2024-01-02|BTCUSDT-PERP.BINANCE"]
    assert tardis_server.requests("/trades/") == []


def test_a_provider_that_does_not_answer_keeps_no_day_from_being_asked_for(
    tmp_path: Path, instance: dg.DagsterInstance, tardis_server: tardis.Standin
) -> None:
    tardis_server.inject(tardis.Fault("status", path="/exchanges/", status=500, times=None))
    (request,) = scheduled(feed_context_of(tmp_path, TARDIS), instance, at(4))
    assert request.tags["dagster/asset_partition_range_end"] == "2024-01-03|BTCUSDT-PERP.BINANCE"


@pytest.fixture
def archive_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[archive.Standin]:
    monkeypatch.setattr(limits, "in_force", archive_cases.QUICK)
    server = archive_cases.fresh_standin()
    until = server.library.until
    yield server
    server.library.until = until


def test_what_is_not_published_yet_is_no_failure_of_a_schedule_and_is_asked_for_alone_later(
    tmp_path: Path, instance: dg.DagsterInstance, archive_server: archive.Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_ENDED_AFTER", timedelta(days=3_650))  # its last day is of 2024
    feed_context = feed_context_of(tmp_path, ARCHIVE.format(endpoint=archive_server.endpoint))
    archive_server.library.until = date(2024, 1, 4)
    archive_server.library.gone |= {archive_cases.candles(day=date(2024, 1, day)) for day in (2, 3)}
    key = "2024-01-02|BTCUSDT-PERP.BINANCE"
    job = definitions_of([feed_context]).resolve_job_def("free_days")
    result = job.execute_in_process(
        partition_key=key, instance=instance, raise_on_error=False, tags={"dagster/schedule_name": "free_daily"}
    )
    assert result.success, failures(result)
    assert made(result) == {f"free/{name}" for name in ("raw/aggTrade", "normalized/trade_tick", "catalog/trade_tick")}
    requests = {
        tuple(days_of(feed_context, request)): request for request in scheduled(feed_context, instance, at(3, "10:00"))
    }
    alone = requests[(key,)]
    assert set(alone.asset_selection or ()) == {
        key_of(f"free/{name}")
        for name in ("raw/markPriceKlines", "normalized/mark_price_update", "catalog/mark_price_update")
    }
    assert requests[("2024-01-01|BTCUSDT-PERP.BINANCE",)].asset_selection is None
    assert not run(feed_context, instance, key).success  # a person who asks for it is told


@pytest.mark.slow
def test_most_of_a_month_in_one_run_is_fetched_as_the_file_of_the_month(
    tmp_path: Path, instance: dg.DagsterInstance, archive_server: archive.Standin
) -> None:
    feed_context = feed_context_of(
        tmp_path, ARCHIVE.format(endpoint=archive_server.endpoint).replace(", mark_price_update", "")
    )
    job = definitions_of([feed_context]).resolve_job_def("free_days")
    ends = {"start": partition(4, "BTCUSDT-PERP.BINANCE"), "end": partition(20, "BTCUSDT-PERP.BINANCE")}
    tags = {f"dagster/asset_partition_range_{end}": key for end, key in ends.items()}
    result = job.execute_in_process(tags=tags, instance=instance, raise_on_error=False)
    assert result.success, failures(result)
    fetched = {each.target for each in archive_server.requests("aggTrades") if each.target.endswith(".zip")}
    assert fetched == {archive_cases.month_of("aggTrades")}
