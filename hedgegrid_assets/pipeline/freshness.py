"""Is a day's work done already? Told by small files alone; nothing is decoded."""

import contextlib
from collections.abc import Iterable, Iterator
from datetime import timedelta

from hedgegrid_assets.errors import DocumentDamaged, EnvironmentFault, RawDamaged
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.model import Channel, InstrumentDay, Status, Table
from hedgegrid_assets.pipeline.days import recipe_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages import catalog, normalize
from hedgegrid_assets.stages.raw import RawDay, RawKey, raw_days
from hedgegrid_assets.stages.verdict import goes_on, read_verdict


def raw_of(feed_context: FeedContext, day: InstrumentDay) -> list[tuple[Channel, tuple[Table, ...], RawDay | None]]:
    """The raw days on disk of each channel. Raises RawDamaged where one is not what its manifest says."""
    symbol = feed_context.feed.symbol_of(day.instrument_id)
    return [
        (channel, tables, feed_context.held(RawKey(channel.name, symbol, day.date)))
        for channel, tables in feed_context.by_channel().values()
    ]


def with_raw(feed_context: FeedContext, days: Iterable[InstrumentDay]) -> list[InstrumentDay]:
    """Those days that there is a raw day of, in any channel, damaged ones too."""
    feed = feed_context.feed
    held = {
        (feed.instrument_id(symbol), day)
        for symbol in feed.symbols
        for channel in feed_context.by_channel()
        for day in raw_days(feed_context.places, feed.name, channel, symbol)
    }
    return [day for day in days if (day.instrument_id, day.date) in held]


def is_fresh(feed_context: FeedContext, day: InstrumentDay) -> bool:
    """Every table that has raw data was made from it, by today's rules, and is in the catalog.

    A source of landing files may lack a channel on a day; any other source must have all of them on disk.
    """
    return stale_because(feed_context, day) is None


def stale_because(feed_context: FeedContext, day: InstrumentDay) -> str | None:
    """Why something is left to do for a day, in words; None where nothing is: see ``is_fresh``."""
    try:
        found = raw_of(feed_context, day)
    except (RawDamaged, DocumentDamaged):
        return "its raw data are damaged"
    instrument = read_definitions(feed_context.places.catalog).get(day.instrument_id)
    if instrument is None or not any(raw for _, _, raw in found):
        return normalize.NOT_MADE
    for channel, tables, raw in found:
        if raw is None and not feed_context.source.has_landing_zone:
            return normalize.NOT_MADE
        why = None if raw is None else _outdated(feed_context, day, instrument, channel, tables, raw)
        if why is not None:
            return why
    return None


def _outdated(
    feed_context: FeedContext,
    day: InstrumentDay,
    instrument: Instrument,
    channel: Channel,
    tables: tuple[Table, ...],
    raw: RawDay,
    *,
    or_blocked: bool = False,
) -> str | None:
    """Why the first of the tables is not as it should be."""
    recipe = recipe_of(feed_context, channel, instrument)
    for table in tables:
        why = normalize.stale_because(feed_context.places, day, table, raw, recipe)
        if why is None and not catalog.is_current(feed_context.places, day, table):
            blocked = _is_blocked(feed_context, day, table)
            why = None if blocked and or_blocked else "was blocked" if blocked else "not in the catalog"
        if why is not None:
            return why if why == normalize.NOT_MADE else f"{table.name}: {why}"
    return None


def open_channels(feed_context: FeedContext, day: InstrumentDay) -> frozenset[str]:
    """The channels of a day that something is left to do for: not there, not made, or not in the catalog although they may be.

    A day that is blocked is made: making it again would block it again.
    """
    everything = frozenset(feed_context.by_channel())
    try:
        found = raw_of(feed_context, day)
    except (RawDamaged, DocumentDamaged):
        return everything
    instrument = read_definitions(feed_context.places.catalog).get(day.instrument_id)
    if instrument is None:
        return everything
    return frozenset(
        channel.name
        for channel, tables, raw in found
        if (raw is None and not feed_context.source.has_landing_zone)
        or (raw is not None and _outdated(feed_context, day, instrument, channel, tables, raw, or_blocked=True))
    )


def _is_blocked(feed_context: FeedContext, day: InstrumentDay, table: Table) -> bool:
    verdict = read_verdict(feed_context.places, table, day)
    return verdict is not None and verdict.status is Status.BLOCKED


def left_behind(
    feed_context: FeedContext, table: Table, days: Iterable[InstrumentDay]
) -> Iterator[tuple[InstrumentDay, InstrumentDay]]:
    """Of days that were made now: (day, the one behind it) where that one goes on from what it was before."""
    if table.made_up is None:
        return
    made = set(days)
    for day in sorted(made, key=str):
        after = InstrumentDay(day.instrument_id, day.date + timedelta(days=1))
        if after in made:
            continue
        with contextlib.suppress(EnvironmentFault):  # whoever looks at that day is told
            verdict = read_verdict(feed_context.places, table, after)
            if verdict is not None and not goes_on(feed_context.places, table, after, verdict):
                yield day, after
