"""Sensors that tell people: days that failed, feeds that are late, sources that were replaced."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.config.fields import Notify
from hedgegrid_assets.defs.failures import faults_in
from hedgegrid_assets.defs.jobs import days_job, import_job
from hedgegrid_assets.defs.keys import landing_key, published_key
from hedgegrid_assets.defs.partitions import RANGE_END, RANGE_START
from hedgegrid_assets.housekeeping.alerts import Alert, deliver, last_seen, late, note_seen, tell
from hedgegrid_assets.pipeline.feed_context import FeedContext

FAILED_SECONDS: Final = 30
SECONDS: Final = 60
_EVENTS: Final = 100
"""Imports of a feed that are looked at in one tick."""


def alert_sensors(feed_contexts: Sequence[FeedContext], notify: Notify | None) -> list[dg.SensorDefinition]:
    """The sensors of all feeds, if there is somebody to be told."""
    if notify is None or not feed_contexts:
        return []
    return [_failed_runs(feed_contexts), _alerts(feed_contexts, notify)]


def _failed_runs(feed_contexts: Sequence[FeedContext]) -> dg.SensorDefinition:
    places = feed_contexts[0].places

    @dg.run_failure_sensor(
        name="alerts_failed_runs",
        minimum_interval_seconds=FAILED_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        monitor_all_code_locations=True,  # also runs of `hedgegrid backfill`, which are of none
        description="Puts aside what failed in each run, day by day, for the sensor alerts to tell.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        if _is_ours(feed_contexts, context.dagster_run):
            tell(places, _of_run(context))

    return failed_runs


def _is_ours(feed_contexts: Sequence[FeedContext], run: dg.DagsterRun) -> bool:
    """Of a feed's jobs, or of assets of feeds that somebody has materialized without one."""
    names = {feed_context.feed.name for feed_context in feed_contexts}
    jobs = {job for each in feed_contexts for job in (days_job(each), import_job(each))}
    assets = run.asset_selection or ()
    return run.job_name in jobs or any(key.path[0] in names for key in assets)


def _of_run(context: dg.RunFailureSensorContext) -> Iterator[Alert]:
    """An alert for each fault of each day; where the machine failed, one for what the run was to make."""
    told = False
    for event in context.get_step_failure_events():
        said = event.step_failure_data.user_failure_data
        for fault in faults_in(said.metadata) if said else []:
            told = True
            yield _of_fault(fault)
        if said is not None and not faults_in(said.metadata):
            told = True
            yield _of_whole(context.dagster_run, said.description or "failed")
    if not told:
        yield _of_whole(context.dagster_run, context.failure_event.message or "failed")


def _of_fault(fault: dict[str, Any]) -> Alert:
    key = f"failed|{fault['partition']}|{fault['asset']}|{fault['code']}"
    return Alert(key, f"failed: {fault['partition']} {fault['asset']}: {_first(str(fault['said']))}")


def _of_whole(run: dg.DagsterRun, why: str) -> Alert:
    tags = run.tags
    days = tags.get("dagster/partition") or " .. ".join(tags[end] for end in (RANGE_START, RANGE_END) if end in tags)
    what = f"{run.job_name} {days}".strip()
    digest = hashlib.sha256(_first(why).encode()).hexdigest()[:12]
    return Alert(f"failed|{what}|{digest}", f"failed: {what}: {_first(why)}")


def _first(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "failed")


def _alerts(feed_contexts: Sequence[FeedContext], notify: Notify) -> dg.SensorDefinition:
    places = feed_contexts[0].places

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for late feeds and replaced sources, and posts all that is new as one message.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = datetime.now(UTC)
        for feed_context in feed_contexts:
            tell(places, late(feed_context, now), now)
            for asset in _replacing(feed_context):
                _tell_replaced(context.instance, feed_context, asset)
        sent = deliver(places, notify)  # AlertsWait makes the tick red, and nothing else
        return dg.SkipReason(f"{sent} alerts delivered" if sent else "nothing new")

    return alerts


def _replacing(feed_context: FeedContext) -> list[dg.AssetKey]:
    """The assets whose materializations say what was replaced."""
    landing = [landing_key(feed_context)] if feed_context.source.has_landing_zone else []
    return [*landing, *([published_key(feed_context)] if feed_context.feed.refresh else [])]


def _tell_replaced(instance: dg.DagsterInstance, feed_context: FeedContext, asset: dg.AssetKey) -> None:
    """What imports and refreshes said of replaced sources since the last look; the first look tells of nothing before it."""
    places, name = feed_context.places, asset.to_user_string()
    seen = last_seen(places, name)
    wanted = dg.AssetRecordsFilter(asset, after_storage_id=seen)
    found = instance.fetch_materializations(
        wanted, limit=_EVENTS if seen is not None else 1, ascending=seen is not None
    )
    for record in found.records:
        event = record.asset_materialization
        if seen is not None and event is not None:
            tell(places, _of_replaced(feed_context, event, record.storage_id))
        note_seen(places, name, record.storage_id)
    if seen is None and not found.records:
        note_seen(places, name, 0)


def _of_replaced(feed_context: FeedContext, event: dg.AssetMaterialization, number: int) -> Iterator[Alert]:
    files = event.metadata.get("replaced")
    if isinstance(files, dg.JsonMetadataValue) and isinstance(files.value, list):
        names = ", ".join(map(str, files.value[:10]))
        told = f"replaced: {feed_context.feed.name}: {names} has another content than before; its days are made again"
        yield Alert(f"replaced|{feed_context.feed.name}|{number}", told)
