"""Raw days of a request, in the order and the groups in which they become days of a catalog."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from itertools import batched
from typing import Final

from msgspec import Struct

from hedgegrid_assets.errors import HedgegridError, NoDataFetched, Unforeseen
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.pipeline.days import make_tables
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.summary import DaySummary, day_summary, failed_day
from hedgegrid_assets.stages.catalog.files import file_of
from hedgegrid_assets.stages.integrity import hands_on
from hedgegrid_assets.stages.raw import SMALL, Progress, RawDay, RawKey, Together
from hedgegrid_assets.store import LocalStore, kept_folders, synced_together

_log: Final = logging.getLogger(__name__)

_IN_TURN: Final = 64
"""Days of a job at most: small ones are read together."""


class Work(Struct, frozen=True):
    """What is made of every raw day of a request; ``force``: also where it is there already."""

    context: FeedContext
    compression: str
    force: bool


def in_turn(context: FeedContext, keys: Sequence[RawKey], jobs: int) -> list[list[RawKey]]:
    """Raw days that may be made at the same time as others; each list one after the other.

    Those of tables that go on over midnight are together; of the rest so many as leave each job something to do.
    """
    by_channel = context.by_channel()
    at_once = max(1, min(_IN_TURN, len(keys) // (4 * jobs))) if jobs > 1 else _IN_TURN
    streams: dict[tuple[str, str], list[RawKey]] = {}
    for key in sorted(keys, key=lambda key: key.day):
        streams.setdefault((key.channel, key.symbol), []).append(key)
    turns: list[list[RawKey]] = []
    for (channel, _), mine in streams.items():
        follow = any(map(hands_on, by_channel[channel][1]))
        turns += [mine] if follow else map(list, batched(mine, at_once, strict=False))
    return turns


def work_off(
    work: Work,
    keys: Sequence[RawKey],
    progress: Progress,
    failed: Mapping[RawKey, HedgegridError],
    at_hand: dict[RawKey, RawDay],
    finished: Callable[[Sequence[DaySummary]], None] | None = None,
) -> list[DaySummary]:
    """Days of one channel and symbol, one after the other; small ones are read together.

    ``finished`` is told of each.

    ``failed``: those that need not be tried; ``at_hand``: those of which rows are at hand, which are taken out and closed.
    """
    context = work.context
    channel, tables = context.by_channel()[keys[0].channel]
    together = Together(context.noted, keys, context.source, channel)
    with synced_together(), kept_folders():
        made: list[DaySummary] = []
        for key in keys:
            days = _day(work, key, tables, progress, failed, at_hand, together)
            made += days
            if finished:
                finished(days)
        return made


def may_go(work: Work, turn: Sequence[RawKey], here: Collection[RawKey]) -> bool:
    """Another process may as well make these days: they are small, not made yet, and none is known ``here`` alone.

    The first of them speaks for all: whoever makes them looks at each.
    """
    context, first = work.context, turn[0]
    if not isinstance(context.places.catalog.store, LocalStore) or not set(turn).isdisjoint(here):
        return False
    try:
        raw = context.noted(first)
        day = InstrumentDay(context.feed.instrument_id(first.symbol), first.day)
    except HedgegridError:  # told where the day is made
        return False
    table = context.by_channel()[first.channel][1][0]
    is_new = work.force or not file_of(context.places, day, table).exists()
    return raw is not None and raw.manifest.lines <= SMALL and is_new


def _day(
    work: Work,
    key: RawKey,
    tables: Sequence[Table],
    progress: Progress,
    failed: Mapping[RawKey, HedgegridError],
    at_hand: dict[RawKey, RawDay],
    together: Together,
) -> list[DaySummary]:
    """One raw day through normalize and catalog; errors of the data become part of the summary."""
    try:
        day = InstrumentDay(work.context.feed.instrument_id(key.symbol), key.day)
    except HedgegridError as error:
        return [failed_day(InstrumentDay(key.symbol, key.day), table, failed.get(key, error)) for table in tables]
    if key in failed:
        return [failed_day(day, table, failed[key]) for table in tables]
    with ExitStack() as stack:
        read = at_hand.pop(key, None)
        if read is not None:
            stack.callback(read.close)
        try:
            return _convert(work, day, key, tables, progress, read, together)
        except HedgegridError as error:
            _log.info("%s: %s", day, error.message)
            return [failed_day(day, table, error) for table in tables]
        except Exception as error:  # noqa: BLE001 - told as what it is, with what was worked on
            _log.debug("%s", day, exc_info=True)
            return [failed_day(day, table, Unforeseen(error, str(day))) for table in tables]


def _convert(
    work: Work,
    day: InstrumentDay,
    key: RawKey,
    tables: Sequence[Table],
    progress: Progress,
    at_hand: RawDay | None,
    together: Together,
) -> list[DaySummary]:
    raw = work.context.raw(key)
    if raw is None:
        raise NoDataFetched(f"{day} {key.channel}", work.context.source.name, "no such day")
    raw = together.with_rows(raw) if at_hand is None else raw.with_rows_of(at_hand)
    done = make_tables(
        work.context,
        day,
        raw,
        tables,
        compression=work.compression,
        again=work.force,
        force=work.force,
        progress=progress,
    )
    return [day_summary(work.context.places, each) for each in done]
