"""Published files that are replaced: a schedule sees it, their days are made again, and what changed is said."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.defs import definitions_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import QUICK, aggregates, fresh_standin
from hedgegrid_assets_tests.dagster_feeds import SIM, failures, feed_context_of, key_of, metadata, run, write_feeds
from hedgegrid_assets_tests.standins.archive import Standin

pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys like .'dagster/partition/date'")

DAY = "2024-01-02|BTCUSDT-PERP.BINANCE"
FEED = """
  free:
    source: archive
    venue: BINANCE
    symbols: [BTCUSDT]
    start: 2024-01-01
    tables: [trade_tick]
    refresh: {{at: "05:00", days: 3660}}
    settings: {{exchange: binance-futures, endpoint: "{endpoint}"}}
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    return fresh_standin()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def looked(feed_context: FeedContext, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = definitions_of([feed_context]).resolve_job_def("free_refresh")
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert result.success, failures(result)
    return result


def asked(feed_context: FeedContext, instance: dg.DagsterInstance, cursor: str | None) -> tuple[list[str], str | None]:
    definitions = definitions_of([feed_context])
    context = dg.build_sensor_context(instance, cursor=cursor, definitions=definitions)
    found = definitions.resolve_sensor_def("free_replaced").evaluate_tick(context)
    return [str(request.partition_key) for request in found.run_requests or []], found.cursor


def test_the_day_of_a_replaced_file_is_made_again_and_says_what_changed(
    tmp_path: Path, server: Standin, instance: dg.DagsterInstance
) -> None:
    feed_context = feed_context_of(tmp_path, FEED.format(endpoint=server.endpoint))
    assert run(feed_context, instance, DAY).success
    assert metadata(looked(feed_context, instance), "free/published") == {"files": 1}
    keys, cursor = asked(feed_context, instance, None)
    assert keys == []

    server.change(aggregates(), lambda rows: [rows[0].replace(",", ",9", 1), *rows[1:-2]])
    told = metadata(looked(feed_context, instance), "free/published")
    assert told == {"files": 1, "replaced": [server.endpoint + aggregates()], "partitions": [DAY]}
    keys, cursor = asked(feed_context, instance, cursor)
    assert keys == [DAY]
    result = run(feed_context, instance, DAY)
    assert result.success, failures(result)
    changes = metadata(result, "free/normalized/trade_tick")["changed"]
    assert changes == "2 rows gone, 1 rows changed, against 600 rows before"
    assert metadata(looked(feed_context, instance), "free/published") == {"files": 1}
    assert asked(feed_context, instance, cursor)[0] == []


def test_a_feed_that_asks_for_it_has_an_asset_a_job_a_schedule_and_a_sensor(tmp_path: Path) -> None:
    definitions = definitions_of([feed_context_of(tmp_path, FEED.format(endpoint="http://127.0.0.1:1"))])
    repository = definitions.get_repository_def()
    assert key_of("free/published") in definitions.resolve_asset_graph().get_all_asset_keys()
    assert repository.get_schedule_def("free_refresh").cron_schedule == "0 5 * * *"
    assert [sensor.name for sensor in repository.sensor_defs] == ["free_replaced"]


def test_a_source_without_published_files_takes_no_refresh(tmp_path: Path) -> None:
    (problem,) = read_feeds(write_feeds(tmp_path, SIM + '    refresh: {at: "05:00"}\n')).problems
    assert "source synthetic has no published files" in str(problem)
