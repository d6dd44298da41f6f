"""A feed of an archive in Dagster: free history by partition, several kinds of files a day."""

import re
from pathlib import Path

import dagster as dg
import pytest
from msgspec.structs import replace

from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources.client import limits, received
from hedgegrid_assets_tests import dagster_feeds as feeds
from hedgegrid_assets_tests.archive_cases import QUICK, aggregates, candles, fresh_standin
from hedgegrid_assets_tests.standins.archive import Standin
from hedgegrid_assets_tests.standins.server import Fault

DAY = "2024-01-02|BTCUSDT-PERP.BINANCE"
FEED = """
  free:
    source: archive
    venue: BINANCE
    symbols: [BTCUSDT]
    start: 2024-01-01
    schedule: {{at: "09:00", look_back_days: 3}}
    settings: {{exchange: binance-futures, endpoint: "{endpoint}"}}
"""
TABLES = {
    "aggTrade": "trade_tick",
    "markPriceKlines": "mark_price_update",
    "indexPriceKlines": "index_price_update",
    "fundingRate": "funding_rate_update",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    return fresh_standin()


@pytest.fixture
def feed_context(server: Standin, tmp_path: Path) -> FeedContext:
    return feeds.feed_context_of(tmp_path, FEED.format(endpoint=server.endpoint))


def test_a_partition_is_fetched_proved_judged_and_published_once(server: Standin, feed_context: FeedContext) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = feeds.run(feed_context, instance, DAY)
        assert first.success, feeds.failures(first)
        assert feeds.made(first) == {
            *(f"free/raw/{channel}" for channel in TABLES),
            *(f"free/{layer}/{table}" for layer in ("normalized", "catalog") for table in TABLES.values()),
        }
        server.log.clear()
        assert feeds.run(feed_context, instance, DAY).success
        assert server.log == []


def test_a_transfer_that_takes_long_is_told_in_the_log_of_the_run(
    server: Standin, feed_context: FeedContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", replace(QUICK, silence=2.0))
    monkeypatch.setattr(received, "APART_SECONDS", 0.1)
    server.inject(Fault("stall", path=aggregates()))
    with dg.DagsterInstance.ephemeral() as instance:
        result = feeds.run(feed_context, instance, DAY)
        assert result.success, feeds.failures(result)
        told = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert [line for line in told if re.match(r"BTCUSDT-aggTrades-2024-01-02\.zip: [\d.]+ kB of [\d.]+ kB, ", line)]


def test_a_kind_of_file_that_is_missing_stops_no_other(server: Standin, feed_context: FeedContext) -> None:
    server.library.gone.add(candles())
    with dg.DagsterInstance.ephemeral() as instance:
        result = feeds.run(feed_context, instance, DAY)
        assert not result.success
        assert "the day 2024-01-02 is missing in the archive" in " ".join(feeds.failures(result).values())
    assert list(feeds.catalog_files(feed_context, "trade_tick"))
    assert not list(feeds.catalog_files(feed_context, "mark_price_update"))


def test_a_pool_is_named_for_several_machines_and_limits_no_block_of_one(feed_context: FeedContext) -> None:
    repository = feeds.definitions_of([feed_context])
    (raw,) = [node for node in repository.resolve_job_def("free_days").nodes if node.name == "free__days"]
    assert raw.definition.pools == {"fetch_archive"}
    assert (
        "pools:" not in (Path(__file__).parents[3] / "dagster.yaml").read_text()
    )  # the client holds its limit by request
