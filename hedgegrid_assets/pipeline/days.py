"""One raw day on its way into the catalog: what the command line and Dagster both do with it."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.errors import HedgegridError, Refused
from hedgegrid_assets.instruments import Instrument, market_of, read_definitions
from hedgegrid_assets.model import Channel, InstrumentDay, Table, Thresholds
from hedgegrid_assets.pipeline.definitions import instrument_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages import catalog, normalize
from hedgegrid_assets.stages.catalog import Draft, Written
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.normalize import FrameSink, Normalized, Recipe, normalize_day
from hedgegrid_assets.stages.raw import Progress, RawDay
from hedgegrid_assets.store import exclusive_lock, writing
from hedgegrid_assets.venues import markets

_log: Final = logging.getLogger(__name__)


class TableDay(Struct, frozen=True):
    """What became of one table of an instrument-day.

    Attributes:
        day: Which one.
        table: Of it.
        made: What normalizing gave; None where the frame was current already, or nothing was made of it.
        written: The catalog file, if it was published now.
        current: The catalog has the file already, made from the same bytes.
        error: Why it is not in the catalog.
        because: Why a frame that was there had to be made again.
    """

    day: InstrumentDay
    table: Table
    made: Normalized | None = None
    written: Written | None = None
    current: bool = False
    error: HedgegridError | None = None
    because: str | None = None


def make_tables(
    context: FeedContext,
    day: InstrumentDay,
    raw: RawDay,
    tables: Sequence[Table],
    *,
    compression: str = "zstd",
    again: bool = False,
    force: bool = False,
    unpublished: Collection[Table] = (),
    progress: Progress | None = None,
) -> list[TableDay]:
    """Normalize, judge and publish tables of a raw day; it is read once for all of them, and current tables are left.

    Args:
        context: The feed in its places.
        day: The instrument-day.
        raw: Its raw day of the channel that the tables are made of.
        tables: What to make of it.
        compression: Of frames and catalog files.
        again: Current tables are made once more.
        force: Rows of an earlier frame of another origin may be lost (see ``normalize_day``).
        unpublished: Tables that are normalized only.
        progress: Told of lines that are done.

    Raises:
        HedgegridError: The raw day is damaged, or its instrument is not known; what concerns one table is in its ``TableDay``.
    """
    recipe = recipe_of(context, context.channel_in(raw), instrument_of(context, raw.key.symbol), compression)
    refused = _refused(context, day, tables, recipe.channel.series)
    because = {
        table.name: _stale_because(context, day, table, raw, recipe, again=again)
        for table in tables
        if table.name not in refused
    }
    stale = [table for table in tables if table.name in because and (again or because[table.name])]
    with writing(context.places.catalog), ExitStack() as stack:
        if stale:  # normalized and published in one go: each would take it
            stack.enter_context(exclusive_lock(context.places.day_lock(day.instrument_id, day.date)))
        drafts = {
            table.name: stack.enter_context(
                closing(catalog.Draft(context.places, day, table, recipe.precisions, compression))
            )
            for table in stale
            if table not in unpublished
        }
        made = _normalized(context, day, raw, stale, recipe, progress, drafts, force=force)
        done = [
            TableDay(day, table, error=refused[table.name])
            if table.name in refused
            else _kept(day, table, made.get(table.name))
            if table in unpublished
            else _published(context, day, table, recipe, made.get(table.name), drafts.get(table.name))
            for table in tables
        ]
        return [replace(each, because=_again(because.get(each.table.name))) for each in done]


def _stale_because(
    context: FeedContext, day: InstrumentDay, table: Table, raw: RawDay, recipe: Recipe, *, again: bool
) -> str | None:
    """Why a frame has to be made; of one that is made ``again`` in any case and is damaged, nothing can be said."""
    try:
        return normalize.stale_because(context.places, day, table, raw, recipe)
    except HedgegridError:
        if not again:
            raise
        return None


def _again(because: str | None) -> str | None:
    return None if because == normalize.NOT_MADE else because


def normalize_tables(
    context: FeedContext,
    day: InstrumentDay,
    raw: RawDay,
    tables: Sequence[Table],
    *,
    compression: str = "zstd",
    progress: Progress | None = None,
    sinks: Mapping[str, FrameSink] | None = None,
    force: bool = False,
) -> list[Normalized]:
    """Normalize tables of one raw day (see ``normalize_day``). Raises Refused before anything is written."""
    refuse_other_market(context, raw)
    channel = context.channel_in(raw)
    recipe = recipe_of(context, channel, instrument_of(context, raw.key.symbol), compression)
    for table in tables:
        catalog.admit(context.places, day, table, channel.series)
    return normalize_day(context.places, day, raw, tables, recipe, progress, sinks, force=force)


def recipe_of(context: FeedContext, channel: Channel, instrument: Instrument, compression: str = "zstd") -> Recipe:
    """How this feed turns a channel's raw days into frames."""
    thresholds = {
        table.name: Thresholds(
            context.feed.gaps.get(table.name, _usual_gap(channel, table)),
            context.feed.max_rejected,
            _tick(instrument) if any(rule.by_increment for rule in table.rules) else None,
        )
        for table in context.tables
    }
    precisions = Precisions.from_instrument(instrument)
    return Recipe(context.source, channel, precisions, thresholds, compression)


def _usual_gap(channel: Channel, table: Table) -> float | None:
    mapping = channel.tables.get(table.name)
    return channel.gap_seconds if mapping is None or mapping.gap_seconds is None else mapping.gap_seconds


def refuse_other_market(context: FeedContext, raw: RawDay) -> None:
    """Raises FileContradicts where a file of a raw day is not of the venue and market that the feed takes it for."""
    if not context.source.has_landing_zone:
        return
    symbol = raw.key.symbol
    instrument_id = context.feed.instrument_id(symbol)
    pinned = read_definitions(context.places.catalog).get(instrument_id)
    override, listing = context.feed.instruments.get(symbol), context.feed.listing(symbol)
    market = market_of(pinned) if pinned else listing.market if listing else context.feed.market
    said = context.feed.market is not None or bool(override and override.id)
    definition = {"multiplier": pinned.multiplier} if pinned else {} if listing is None else listing.said
    markets.check(
        raw.manifest.files, markets.Taken(instrument_id, symbol, context.feed.venue, market, said, dict(definition))
    )


def _refused(context: FeedContext, day: InstrumentDay, tables: Sequence[Table], series: str) -> dict[str, Refused]:
    """The tables that the catalog does not take this day of, and why; the others land."""
    found: dict[str, Refused] = {}
    for table in tables:
        try:
            catalog.admit(context.places, day, table, series)
        except Refused as error:
            _log.info("%s: %s", day, error.message)
            found[table.name] = error
    return found


def _normalized(
    context: FeedContext,
    day: InstrumentDay,
    raw: RawDay,
    stale: Sequence[Table],
    recipe: Recipe,
    progress: Progress | None,
    drafts: Mapping[str, Draft],
    *,
    force: bool,
) -> dict[str, Normalized]:
    if not stale:
        return {}
    if progress:
        progress(str(day), 0)
    refuse_other_market(context, raw)
    found = normalize_day(context.places, day, raw, stale, recipe, progress, drafts, force=force)
    return {done.table.name: done for done in found}


def _kept(day: InstrumentDay, table: Table, made: Normalized | None) -> TableDay:
    return TableDay(day, table, made, error=None if made is None else made.error)


def _published(
    context: FeedContext, day: InstrumentDay, table: Table, recipe: Recipe, made: Normalized | None, draft: Draft | None
) -> TableDay:
    if made is None and catalog.is_current(context.places, day, table):
        return TableDay(day, table, current=True)
    try:
        if made is not None and made.error is not None:
            raise made.error
        written = catalog.write_day(context.places, day, table, recipe.precisions, recipe.compression, draft)
    except HedgegridError as error:
        _log.info("%s: %s", day, error.message)
        return TableDay(day, table, made, error=error)
    return TableDay(day, table, made, written)


def _tick(instrument: Instrument) -> str | None:
    """The price increment, where it is coarser than the last decimal: only then can a price lie between two ticks."""
    units = Decimal(instrument.price_increment).scaleb(instrument.price_precision)
    return instrument.price_increment if units > 1 else None
