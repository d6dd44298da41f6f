"""Partitions: one for each UTC date and instrument of a feed, and runs over blocks of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import dagster as dg

from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext

DATE: Final = "date"
INSTRUMENT: Final = "instrument"
RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
DAYS_TAG: Final = "hedgegrid/days"
"""What a run over a block covers: Dagster's list of runs shows tags of others, but not its own of a range."""


def partitions_of(feed_context: FeedContext) -> dg.MultiPartitionsDefinition:
    """Partitions of a feed.

    A day becomes a partition when it is over; today's is there as well for sources that land, since a recording that
    is dropped today must not wait until tomorrow. ``dates_of`` says the same in dates.
    """
    feed = feed_context.feed
    days = dg.DailyPartitionsDefinition(
        start_date=str(feed.start),
        end_date=str(feed.end) if feed.end else None,
        end_offset=1 if feed_context.source.has_landing_zone else 0,
    )
    return dg.MultiPartitionsDefinition(
        {DATE: days, INSTRUMENT: dg.StaticPartitionsDefinition(list(feed.instrument_ids()))}
    )


def dates_of(feed_context: FeedContext, today: date) -> list[date]:
    """The dates of the feed's partitions on a day."""
    return feed_context.feed.days(today + timedelta(days=1) if feed_context.source.has_landing_zone else today)


def key_of(day: InstrumentDay) -> dg.MultiPartitionKey:
    """The key of an instrument-day, as ``2024-01-01|BTCUSDT-PERP.BINANCE``."""
    return dg.MultiPartitionKey({DATE: str(day.date), INSTRUMENT: day.instrument_id})


def blocks_of(days: Iterable[InstrumentDay], length: int, *, in_months: bool = False) -> list[list[InstrumentDay]]:
    """Days of one instrument that follow each other, so many at most: what one run can cover. The earliest block first.

    ``in_months``: of one month each.
    """
    blocks: list[list[InstrumentDay]] = []
    for day in sorted(days, key=lambda day: (day.instrument_id, day.date)):
        last = blocks[-1] if blocks else []
        follows = last and last[-1] == InstrumentDay(day.instrument_id, day.date - timedelta(days=1))
        if follows and len(last) < length and not (in_months and day.date.day == 1):
            last.append(day)
        else:
            blocks.append([day])
    return sorted(blocks, key=lambda block: block[0].date)


def range_tags(block: Sequence[InstrumentDay]) -> dict[str, str]:
    """The tags of a run over a block of several days."""
    first, last = block[0], block[-1]
    until = f"{last.date:%m-%d}" if last.date.year == first.date.year else str(last.date)
    told = f"{first.date}..{until} {first.instrument_id}"  # short, as its column is narrow
    return {RANGE_START: str(key_of(first)), RANGE_END: str(key_of(last)), DAYS_TAG: told}


def keys_of(tags: Mapping[str, str]) -> set[str]:
    """The partition keys of a run, by its tags."""
    first, last = (tags.get(tag) or tags.get("dagster/partition") for tag in (RANGE_START, RANGE_END))
    if not first or not last:
        return set()
    day, end = day_of(first), day_of(last).date
    dates = (day.date + timedelta(days=number) for number in range((end - day.date).days + 1))
    return {str(key_of(InstrumentDay(day.instrument_id, date))) for date in dates}


def day_of(key: str) -> InstrumentDay:
    """The instrument-day of a partition key."""
    day, instrument_id = key.split("|", 1)
    return InstrumentDay(instrument_id, date.fromisoformat(day))
