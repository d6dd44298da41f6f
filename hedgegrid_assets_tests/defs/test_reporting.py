"""What Dagster makes of the events of a day: status, checks and staleness of single partitions, as its UI asks for them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DataProvenance

from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets_tests.dagster_daemon import Daemon, daemon_of
from hedgegrid_assets_tests.dagster_feeds import day_of, drop, feed_context_of, of_layer, partition, run
from hedgegrid_assets_tests.scenario import BAD_MS, DAY_MS, agg_trade, line, received

pytestmark = pytest.mark.filterwarnings("ignore")  # Dagster's own, of its daemon and of tags that it writes itself


@pytest.fixture
def feed_context(tmp_path: Path) -> FeedContext:
    return feed_context_of(tmp_path)


@pytest.fixture
def daemon(feed_context: FeedContext) -> Iterator[Daemon]:
    with daemon_of(feed_context) as daemon:
        yield daemon


def conflict(number: int) -> bytes:
    """A trade of a day that has the id of another one, at another price."""
    at = BAD_MS + number * DAY_MS
    return line(agg_trade(1_000, at, p="1.00"), received(at))


@pytest.mark.slow
def test_a_day_without_mark_prices_does_not_fail_a_backfill(feed_context: FeedContext, daemon: Daemon) -> None:
    drop(feed_context, day_of(0) + day_of(1, marks=False) + day_of(2))
    done = daemon.backfill([partition(number) for number in range(3)])
    assert done.status.value == "COMPLETED_SUCCESS"
    for asset in of_layer(feed_context, "raw", "normalized", "catalog"):
        statuses = daemon.statuses(asset)
        assert statuses.pop(asset) == {"materialized": {"01", "02", "03"}}
        for answers in statuses.values():
            assert set().union(*answers.values()) == {"01", "02", "03"}
            assert "02" not in answers.get("failed", set()) or "trade" in asset


@pytest.mark.slow
def test_only_what_is_bad_in_a_block_is_red(feed_context: FeedContext, daemon: Daemon) -> None:
    drop(feed_context, day_of(0) + day_of(1) + conflict(1) + day_of(2, marks=False) + day_of(3))
    done = daemon.backfill([partition(number) for number in range(4)])
    assert done.status.value == "COMPLETED_FAILED"
    assert len(daemon.instance.get_runs()) == 1
    good = {"01", "03", "04"}
    normalized = daemon.statuses("captures/normalized/trade_tick")
    assert normalized["captures/normalized/trade_tick"] == {"materialized": good, "failed": {"02"}}
    assert normalized["no_duplicate_ids"] == {"succeeded": good, "failed": {"02"}}
    catalog = daemon.statuses("captures/catalog/trade_tick")
    assert catalog["captures/catalog/trade_tick"] == {"materialized": good, "failed": {"02"}}
    assert catalog["reads_back_equal"] == {"succeeded": {*good, "02"}}
    for asset in of_layer(feed_context, "raw") | {"captures/catalog/mark_price_update"}:
        assert daemon.statuses(asset)[asset] == {"materialized": {*good, "02"}}


@pytest.mark.slow
def test_a_day_without_any_data_stays_missing_in_a_backfill(feed_context: FeedContext, daemon: Daemon) -> None:
    drop(feed_context, day_of(0) + day_of(2))
    daemon.backfill([partition(number) for number in range(3)])
    (run_of_block,) = daemon.instance.get_runs()
    assert run_of_block.is_success
    for asset in of_layer(feed_context, "raw", "catalog"):
        assert daemon.statuses(asset)[asset] == {"materialized": {"01", "03"}}


@pytest.mark.slow
def test_a_mended_day_turns_green(feed_context: FeedContext, daemon: Daemon) -> None:
    drop(feed_context, day_of(0) + conflict(0))
    assert daemon.backfill([partition(0)]).status.value == "COMPLETED_FAILED"
    drop(feed_context, day_of(0))
    assert daemon.backfill([partition(0)]).status.value == "COMPLETED_SUCCESS"
    found = daemon.statuses("captures/normalized/trade_tick")
    assert found["captures/normalized/trade_tick"] == {"materialized": {"01"}}
    assert found["no_duplicate_ids"] == {"succeeded": {"01"}}


@pytest.mark.slow
def test_events_carry_the_tags_that_dagster_itself_would_write(feed_context: FeedContext, daemon: Daemon) -> None:
    days = dg.MultiPartitionsDefinition(
        {"date": dg.DailyPartitionsDefinition("2024-01-01"), "instrument": dg.StaticPartitionsDefinition(["A.SIM"])}
    )

    @dg.asset(partitions_def=days, code_version="1")
    def above() -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(data_version=dg.DataVersion("x"))

    @dg.asset(partitions_def=days, code_version="1", deps=[above])
    def below() -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(data_version=dg.DataVersion("y"))

    assert dg.materialize([above, below], instance=daemon.instance, partition_key="2024-01-01|A.SIM").success
    drop(feed_context, day_of(0))
    run(feed_context, daemon.instance, partition(0))
    wanted = newest(daemon.instance, "below")
    found = newest(daemon.instance, "captures/normalized/trade_tick")
    assert {name.replace("captures/raw/aggTrade", "above") for name in found} == set(wanted) - {
        "dagster/asset_event_id"
    }
    pointed = found["dagster/input_event_pointer/captures/raw/aggTrade"]
    raw = daemon.instance.fetch_materializations(dg.AssetKey(["captures", "raw", "aggTrade"]), limit=1).records[0]
    assert int(pointed) == raw.storage_id


def test_an_event_of_an_asset_without_a_code_version_says_all_the_same_what_it_was_made_from(
    feed_context: FeedContext, daemon: Daemon
) -> None:
    """Dagster reads its inputs only beside a code version, and else calls each raw day stale after each import."""
    drop(feed_context, day_of(0))
    run(feed_context, daemon.instance, partition(0))
    made_from = DataProvenance.from_tags(newest(daemon.instance, "captures/raw/aggTrade"))
    assert made_from
    assert {key.to_user_string() for key in made_from.input_data_versions} == {"captures/landing"}


def newest(instance: dg.DagsterInstance, asset: str) -> dict[str, str]:
    """The tags of the newest materialization."""
    (record,) = instance.fetch_materializations(dg.AssetKey(asset.split("/")), limit=1).records
    assert record.asset_materialization
    return dict(record.asset_materialization.tags or {})
