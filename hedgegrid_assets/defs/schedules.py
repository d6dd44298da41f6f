"""Schedules: yesterday and a few days before, for feeds that ask for it."""

from collections.abc import Iterator
from datetime import UTC, timedelta

import dagster as dg

from hedgegrid_assets.defs.jobs import days_job
from hedgegrid_assets.defs.partitions import key_of, partitions_of
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.freshness import is_fresh


def schedules_of(feed_context: FeedContext) -> list[dg.ScheduleDefinition]:
    """The daily schedule of a feed that has one."""
    if feed_context.feed.schedule is None:
        return []
    hour, minute = feed_context.feed.schedule.at.split(":")
    back = feed_context.feed.schedule.look_back_days
    partitions = partitions_of(feed_context)

    @dg.schedule(
        name=f"{feed_context.feed.name}_daily",
        job_name=days_job(feed_context),
        cron_schedule=f"{int(minute)} {int(hour)} * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Each day at {feed_context.feed.schedule.at} UTC: yesterday, and of the {back} days before what is not there yet.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        now = context.scheduled_execution_time.astimezone(UTC)
        for before in range(back + 1, 0, -1):
            for instrument_id in feed_context.feed.instrument_ids():
                day = InstrumentDay(instrument_id, now.date() - timedelta(days=before))
                key = key_of(day)
                if partitions.has_partition_key(key) and not is_fresh(feed_context, day):
                    yield dg.RunRequest(run_key=f"{key}@{now:%Y-%m-%d}", partition_key=key)

    return [daily]
