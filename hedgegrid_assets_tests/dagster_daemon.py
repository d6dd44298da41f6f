"""Dagster from the outside: its daemon's own backfill iteration, and the questions that its UI asks."""

import asyncio
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, override

from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.launcher.base import LaunchRunContext
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorTick, InstigatorType
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget, freeze_time, instance_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.sensor import execute_sensor_iteration
from dagster_graphql.schema import create_schema

from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets_tests.dagster_feeds import key_of

_IN_PROCESS: Final = {
    "run_launcher": {
        "module": "dagster._core.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    },
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
}
_STATUSES: Final = """
query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized numFailed numPartitions }
  assetPartitionStatuses { ... on MultiPartitionStatuses { ranges {
    primaryDimStartKey primaryDimEndKey
    secondaryDim { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions materializingPartitions } } } } }
  assetChecksOrError { ... on AssetChecks { checks { name partitionStatuses { ... on AssetCheckMultiPartitionStatuses { ranges {
    primaryDimStartKey primaryDimEndKey
    secondaryDim { ... on AssetCheckDefaultPartitionStatuses {
      succeededPartitions failedPartitions inProgressPartitions skippedPartitions executionFailedPartitions } } } } } } } }
} } }
"""


class LosingLauncher(SyncInMemoryRunLauncher):
    """Runs in this process, but for so many that the machine loses: nobody knows how they ended."""

    losses: ClassVar[int] = 0

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        if LosingLauncher.losses > 0:
            LosingLauncher.losses -= 1
            self._instance.report_run_failed(context.dagster_run, "its process is gone")
        else:
            super().launch_run(context)


class Daemon:
    """A code location of one feed, and an instance; runs are launched in this process, when the daemon says so."""

    def __init__(self, context: WorkspaceProcessContext, feed_context: FeedContext) -> None:
        self._context, self._feed_context = context, feed_context
        self.instance = context.instance

    def backfill(self, partitions: Sequence[str], assets: Sequence[str] | None = None) -> PartitionBackfill:
        """Ask for partitions as the UI does, and let the daemon work until it is done."""
        graph = self._context.create_request_context().asset_graph
        keys = (
            [key_of(name) for name in assets]
            if assets
            else sorted(graph.materializable_asset_keys - graph.unpartitioned_asset_keys)
        )
        made = PartitionBackfill.from_asset_partitions(
            backfill_id=f"backfill{len(self.instance.get_backfills())}",
            asset_graph=graph,
            partition_names=list(partitions),
            asset_selection=keys,
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=self.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
        self.instance.add_backfill(made)
        for _ in range(10):
            list(execute_backfill_iteration(self._context, logging.getLogger("daemon")))
            found = self.instance.get_backfill(made.backfill_id)
            assert found
            if found.status.value not in {"REQUESTED", "COMPLETING"}:
                break
        return found

    def tick_sensors(self, after: float = 0.0) -> dict[str, InstigatorTick]:
        """Let the daemon's own iteration ask every sensor that is due so many seconds from now; sensor -> its last tick."""
        with freeze_time(datetime.now(UTC) + timedelta(seconds=after)):
            list(execute_sensor_iteration(self._context, logging.getLogger("daemon"), None, None))
        found: dict[str, InstigatorTick] = {}
        for state in self.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
            for tick in self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1):
                found[state.name] = tick
        return found

    def retry_runs(self) -> None:
        """Let the daemon's own iteration try failed runs again, as ``run_retries`` of the instance says."""
        list(EventLogConsumerDaemon().run_iteration(self._context))

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """GraphQL, as the UI asks it."""
        result = asyncio.run(
            create_schema().execute_async(
                query, context_value=self._context.create_request_context(), variable_values=variables
            )
        )
        assert not result.errors, result.errors
        assert result.data is not None
        return result.data

    def statuses(self, asset: str) -> dict[str, dict[str, set[str]]]:
        """Asset, or check of it -> status -> days, as ``01``: what its page shows."""
        node = self.ask(_STATUSES, {"key": {"path": asset.split("/")}})["assetNodeOrError"]
        found = {asset: _days(node["assetPartitionStatuses"]["ranges"])}
        for check in node["assetChecksOrError"]["checks"]:
            found[check["name"]] = _days((check["partitionStatuses"] or {"ranges": []})["ranges"])
        return found


def _days(ranges: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in ranges:
        first, last = int(each["primaryDimStartKey"][-2:]), int(each["primaryDimEndKey"][-2:])
        for status, instruments in each["secondaryDim"].items():
            if instruments:
                found.setdefault(status.removesuffix("Partitions"), set()).update(
                    f"{day:02}" for day in range(first, last + 1)
                )
    return found


@contextmanager
def daemon_of(feed_context: FeedContext, **settings: Any) -> Iterator[Daemon]:
    """The daemon of a feed that ``feed_context_of`` has made; ``settings``: more of dagster.yaml."""
    root = feed_context.places.home.parent
    file = root / "location.py"
    file.write_text(
        "from pathlib import Path\nfrom hedgegrid_assets.defs import load\n"
        f"defs = load(Path({str(root / 'feeds.yaml')!r}), Path({str(feed_context.places.home)!r}))\n"
    )
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(executable_path=None, python_file=str(file), working_directory=str(root)),
        location_name="here",
    )
    with warnings.catch_warnings(), instance_for_test(overrides={**_IN_PROCESS, **settings}) as instance:
        warnings.simplefilter("ignore")
        with WorkspaceProcessContext(instance, InProcessTestWorkspaceLoadTarget(origin)) as context:
            yield Daemon(context, feed_context)
