"""Published files of a feed, looked at again: which were replaced since they were fetched, and the runs that make their days anew."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.defs.days import MONTH_DAYS
from hedgegrid_assets.defs.failures import failure
from hedgegrid_assets.defs.jobs import Job, days_job, refresh_job
from hedgegrid_assets.defs.keys import published_key
from hedgegrid_assets.defs.partitions import blocks_of, day_of, key_of, range_tags
from hedgegrid_assets.defs.specs import common
from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.housekeeping.refresh import Refreshed, forget_replaced
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext

PARTITIONS: Final = "partitions"
"""Metadata: the days of files that were replaced."""


def published_asset(feed_context: FeedContext) -> list[dg.AssetsDefinition]:
    """The published files of a feed that asks for it."""
    again = feed_context.feed.refresh
    if again is None:
        return []

    @dg.asset(
        key=published_key(feed_context),
        description=(
            f"The files that **{feed_context.feed.name}** was fetched from, of the last {again.days} days, as their server has "
            "them now. Materializing looks whether any was replaced since; its days are fetched and made again."
        ),
        kinds={"file"},
        **common(feed_context),
    )
    def published(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        since = datetime.now(UTC).date() - timedelta(days=again.days)
        try:
            found = forget_replaced(feed_context, since, lambda what, _: context.log.debug(what))
        except HedgegridError as error:
            raise failure(error) from None
        return dg.MaterializeResult(metadata=_told(feed_context, found))

    return [published]


def _told(feed_context: FeedContext, found: Refreshed) -> dict[str, Any]:
    replaced = [one.url for one in found.replaced if one.now is not None]
    gone = [one.url for one in found.replaced if one.now is None]
    days = {
        InstrumentDay(feed_context.feed.instrument_id(key.symbol), key.day)
        for one in found.replaced
        if one.now is not None
        for key in one.days
    }
    lists = {"replaced": replaced, "gone": gone, PARTITIONS: sorted(str(key_of(day)) for day in days)}
    return {name: dg.MetadataValue.json(value) for name, value in lists.items() if value} | {"files": found.files}


def refresh_schedules_of(feed_context: FeedContext) -> list[dg.ScheduleDefinition]:
    """When it is looked."""
    again = feed_context.feed.refresh
    if again is None:
        return []
    hour, minute = again.at.split(":")
    return [
        dg.ScheduleDefinition(
            name=f"{feed_context.feed.name}_refresh",
            job_name=refresh_job(feed_context),
            cron_schedule=f"{int(minute)} {int(hour)} * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"Each day at {again.at} UTC: which published files of the last {again.days} days were replaced?",
        )
    ]


def replaced_sensors_of(feed_context: FeedContext, jobs: Sequence[Job]) -> list[dg.SensorDefinition]:
    """Asks for the days of files that were replaced."""
    if feed_context.feed.refresh is None:
        return []
    wanted = [job for job in jobs if job.name == days_job(feed_context)]

    @dg.asset_sensor(
        published_key(feed_context),
        name=f"{feed_context.feed.name}_replaced",
        jobs=wanted,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes the days of published files that were replaced once more.",
    )
    def replaced(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry) -> Iterator[dg.RunRequest]:
        del context
        event = asset_event.asset_materialization
        found = event.metadata.get(PARTITIONS) if event else None
        keys = found.value if isinstance(found, dg.JsonMetadataValue) and isinstance(found.value, list) else []
        for block in blocks_of({day_of(str(key)) for key in keys}, MONTH_DAYS, in_months=True):
            one = len(block) == 1
            yield dg.RunRequest(
                run_key=f"{key_of(block[0])}..{key_of(block[-1])}@{asset_event.run_id}",
                partition_key=key_of(block[0]) if one else None,
                tags=None if one else range_tags(block),
            )

    return [replaced]
