"""Schedules: yesterday and a few days before, for feeds that ask for it."""

import time
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg

from hedgegrid_assets.defs.attempts import in_flight
from hedgegrid_assets.defs.days import BLOCK_DAYS
from hedgegrid_assets.defs.jobs import days_job
from hedgegrid_assets.defs.keys import catalog_key, normalized_key, raw_key
from hedgegrid_assets.defs.partitions import blocks_of, key_of, partitions_of, range_tags
from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.freshness import open_channels

AGAIN_AFTER_HOURS: Final = (1, 3, 7)
"""A provider is asked again on the same day for what was not there, or failed."""
_PATIENCE_SECONDS: Final = 20.0
"""For what a provider says of how far it has published; Dagster gives a tick 60 s."""


def schedules_of(feed_context: FeedContext) -> list[dg.ScheduleDefinition]:
    """The daily schedule of a feed that has one."""
    schedule = feed_context.feed.schedule
    if schedule is None:
        return []
    partitions = partitions_of(feed_context)
    channels = frozenset(feed_context.by_channel())

    @dg.schedule(
        name=f"{feed_context.feed.name}_daily",
        job_name=days_job(feed_context),
        cron_schedule=_crons(schedule.at, again=feed_context.source.remote is not None),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Each day at {schedule.at} UTC: yesterday, and of the {schedule.look_back_days} days before what is not there "
            "yet. What a provider has not published by then is asked for again some hours later, alone."
        ),
    )
    def daily(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        now = context.scheduled_execution_time.astimezone(UTC)
        until = _published_until(feed_context) or date.max
        busy = in_flight(context.instance, days_job(feed_context))
        lacking: dict[frozenset[str], list[InstrumentDay]] = {}
        for day in _days(feed_context, now, schedule.look_back_days):
            key = key_of(day)
            wanted = day.date < until and key not in busy and partitions.has_partition_key(key)
            if wanted and (missing := open_channels(feed_context, day)):
                lacking.setdefault(missing, []).append(day)
        for missing, days in lacking.items():
            selection = None if missing == channels else _assets_of(feed_context, missing)
            for block in blocks_of(days, BLOCK_DAYS):
                yield _request(block, selection, now)
        if not lacking:
            yield dg.SkipReason("all is there" if until == date.max else f"all before {until} is there")

    return [daily]


def _crons(at: str, *, again: bool) -> list[str]:
    """At its time, and, as long as it is the same day, some hours later."""
    hour, minute = map(int, at.split(":"))
    hours = [hour, *(hour + more for more in AGAIN_AFTER_HOURS if again and hour + more < 24)]
    return [f"{minute} {each} * * *" for each in hours]


def _days(feed_context: FeedContext, now: datetime, back: int) -> Iterator[InstrumentDay]:
    for before in range(back + 1, 0, -1):
        for instrument_id in feed_context.feed.instrument_ids():
            yield InstrumentDay(instrument_id, now.date() - timedelta(days=before))


def _request(block: Sequence[InstrumentDay], selection: Sequence[dg.AssetKey] | None, now: datetime) -> dg.RunRequest:
    """One run for a block of days."""
    one = len(block) == 1
    name = str(key_of(block[0])) if one else f"{key_of(block[0])}..{key_of(block[-1])}"
    return dg.RunRequest(
        run_key=f"{name}@{now:%Y-%m-%dT%H:%M}",
        partition_key=key_of(block[0]) if one else None,
        tags=None if one else range_tags(block),
        asset_selection=selection,
    )


def _assets_of(feed_context: FeedContext, channels: Collection[str]) -> list[dg.AssetKey]:
    """What is made of some channels."""
    found: list[dg.AssetKey] = []
    for name, (_, tables) in feed_context.by_channel().items():
        if name in channels:
            found.append(raw_key(feed_context, name))
            for table in tables:
                found += [normalized_key(feed_context, table), catalog_key(feed_context, table)]
    return found


def _published_until(feed_context: FeedContext) -> date | None:
    """The first day that its provider has not published yet; None where that is not known, or not said soon."""
    remote = feed_context.source.remote
    if remote is None or remote.published_until is None:
        return None
    started = time.monotonic()

    def tick() -> None:
        if time.monotonic() - started > _PATIENCE_SECONDS:
            raise TimeoutError

    try:
        return remote.published_until(feed_context.settings, tick)
    except (HedgegridError, TimeoutError):  # the runs will tell
        return None
