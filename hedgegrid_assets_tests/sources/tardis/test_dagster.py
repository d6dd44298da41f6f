"""A Tardis feed in Dagster: real history by partition, retries that Dagster carries out, and no key in its records."""

import gzip
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.stages.raw import RawKey
from hedgegrid_assets_tests import dagster_feeds as feeds
from hedgegrid_assets_tests.standins.tardis import Fault, Standin
from hedgegrid_assets_tests.tardis_cases import QUICK, fresh_standin
from hedgegrid_assets_tests.test_one_read import counted

SECRET = "TDx-not-for-the-event-log"
DAY = "2024-01-02|BTCUSDT-PERP.BINANCE"
FEED = """
  tardis_usdm:
    source: tardis
    venue: BINANCE
    symbols: [BTCUSDT]
    start: 2024-01-01
    tables: [trade_tick]
    settings: {exchange: binance-futures, api: datasets, api_key_env: MY_TARDIS_KEY}
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    server = fresh_standin()
    server.keys = {SECRET: None}
    monkeypatch.setattr(limits, "in_force", QUICK)
    monkeypatch.setenv("TARDIS_ENDPOINT", server.endpoint)
    monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", server.datasets_endpoint)
    monkeypatch.setenv("MY_TARDIS_KEY", SECRET)
    return server


@pytest.fixture
def feed_context(tmp_path: Path) -> FeedContext:
    return feeds.feed_context_of(tmp_path, FEED)


def told(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> str:
    """Everything that Dagster has stored of a run."""
    return "".join(str(entry) for entry in instance.all_logs(result.run_id)) + str(
        instance.get_run_by_id(result.run_id)
    )


def test_a_partition_is_fetched_judged_and_published_once(server: Standin, feed_context: FeedContext) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = feeds.run(feed_context, instance, DAY)
        assert first.success, feeds.failures(first)
        assert feeds.made(first) == {
            f"tardis_usdm/{name}" for name in ("raw/trades", "normalized/trade_tick", "catalog/trade_tick")
        }
        assert SECRET not in told(instance, first)
        server.log.clear()
        assert feeds.run(feed_context, instance, DAY).success
        assert server.log == []
    assert list(feeds.catalog_files(feed_context, "trade_tick"))


def test_a_wrong_key_fails_the_day_with_the_way_out_and_is_not_shown(
    server: Standin, feed_context: FeedContext
) -> None:
    server.keys = {}
    with dg.DagsterInstance.ephemeral() as instance:
        result = feeds.run(feed_context, instance, DAY)
        assert not result.success
        (said,) = feeds.failures(result).values()
        assert "401" in said
        assert "MY_TARDIS_KEY" in said
        assert SECRET not in told(instance, result)
    assert len(server.requests("/trades/")) == 1


def test_a_pool_is_named_for_several_machines_and_limits_no_block_of_one(feed_context: FeedContext) -> None:
    repository = feeds.definitions_of([feed_context])
    (raw,) = [node for node in repository.resolve_job_def("tardis_usdm_days").nodes if node.name == "tardis_usdm__days"]
    assert raw.definition.pools == {"fetch_tardis"}
    assert (
        "pools:" not in (Path(__file__).parents[3] / "dagster.yaml").read_text()
    )  # the client holds its limit by request


@pytest.mark.usefixtures("server")
def test_a_partition_is_decompressed_at_most_twice_and_parsed_once(feed_context: FeedContext) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        with counted() as fetching:
            assert feeds.run(feed_context, instance, DAY).success
        with counted() as again:
            assert feeds.run(feed_context, instance, DAY).success
    raw = feed_context.held(RawKey("trades", "BTCUSDT", date(2024, 1, 2)))
    assert raw is not None
    size = len(gzip.decompress(raw.path.read_bytes()))
    for read in (fetching, again):
        assert size <= read.decompressed <= 2 * size, read
        assert 0.9 * size <= read.parsed <= size, read
    assert again.decompressed == size


def test_a_quota_of_an_hour_is_not_retried(server: Standin, feed_context: FeedContext) -> None:
    server.inject(Fault("status", path="/trades/", status=429, retry_after="3600", times=None))
    with dg.DagsterInstance.ephemeral() as instance:
        result = feeds.run(feed_context, instance, DAY)
        assert not result.success
        assert "3,600 s" in next(iter(feeds.failures(result).values()))
    assert len(server.requests("/trades/")) == 1
