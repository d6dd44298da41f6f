"""Instruments of a feed: defined once, announced and pinned in the catalog."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from msgspec.structs import replace

from hedgegrid_assets.batch import Decimals
from hedgegrid_assets.config.fields import InstrumentOverride
from hedgegrid_assets.config.origin import Origin
from hedgegrid_assets.errors import DataError, InstrumentUnknown
from hedgegrid_assets.instruments import (
    DEFAULT_MARK_PRECISION,
    UNKNOWN_CONTRACT,
    Instrument,
    amended,
    define,
    far_finer,
    market_of,
    read_definitions,
    says_something,
    settled,
    tick_decimals,
    unknown_form,
)
from hedgegrid_assets.model import Channel, InstrumentDay, Status, Table
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages.catalog import finish
from hedgegrid_assets.stages.catalog.definitions import (
    mend_definition,
    refuse_foreign_definition,
    write_definition,
)
from hedgegrid_assets.stages.catalog.files import folder_in
from hedgegrid_assets.stages.catalog.generations import claim, generation_of
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.raw import RawDay, RawKey, raw_days
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, folder_of, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.venues import Listing, Market, markets

_log: Final = logging.getLogger(__name__)

_KINDS: Final = ("price", "size", "mark")
"""The precisions of an instrument."""


def _fields_of(channel: Channel, kind: str) -> list[str]:
    """The fields of a channel that a precision is inferred from: those that columns of this precision are made from."""
    found = (
        mapping.columns[column.name].meta.root_names()
        for name, mapping in channel.tables.items()
        for column in TABLES[name].columns
        if column.precision == kind and column.name in mapping.columns
    )
    return list(dict.fromkeys(field for fields in found for field in fields))


def instrument_of(context: FeedContext, symbol: str) -> Instrument:
    """The pinned definition of a symbol's instrument; made, announced and pinned if there is none yet.

    The feed's YAML goes before a pinned definition; what it leaves open is what the provider says, else inferred
    over all raw days at hand: prices and sizes from trades, mark and index prices from theirs. Inferred precisions
    bind once the catalog holds a row that has them; until then they follow the data. Where no number was seen, the
    definition is assumed, and not pinned.
    Raises InstrumentUnknown, LooksLikeFloats, and DataError where YAML and a pinned precision contradict each other.
    """
    instrument_id = context.feed.instrument_id(symbol)
    claim(context.places, context.feed.nautilus)
    finish(context.places)
    pinned = read_definitions(context.places.catalog).get(instrument_id)
    override = context.feed.instruments.get(symbol)
    if pinned is None:
        return _new_instrument(context, symbol, override)
    undecided = _undecided(context, pinned)
    known = settled(pinned, _decimals(context, symbol, undecided, said=override)) if undecided else pinned
    if not says_something(override):
        if known != pinned:
            return _pin(context, known)
        mend_definition(context.places.catalog, pinned)
        return pinned
    if context.source.remote is None:
        instrument = amended(known, market_of(known), override)
    else:
        instrument = _define_listed(context, symbol, override, plain(Precisions.from_instrument(known)), ask=False)
    _refuse_other_precision(pinned, instrument, undecided)
    return _pin(context, instrument)


def _new_instrument(context: FeedContext, symbol: str, override: InstrumentOverride | None) -> Instrument:

    instrument_id = context.feed.instrument_id(symbol)
    seen = _decimals(context, symbol, said=override)
    assumes = "mark" in seen or (not seen and _has_raw_days(context, symbol))
    decimals = _with_assumed(seen) if assumes else seen
    if context.source.remote is None:
        listing = context.feed.listing(symbol)
        said = _said_of(context.feed, symbol, listing, override, _multiplier(context, symbol))
        market = listing.market if listing else context.feed.market or "usdm"
        instrument = define(instrument_id, symbol, market, said, decimals)
    else:
        instrument = _define_listed(context, symbol, override, decimals, ask=True)
    return _pin(context, instrument) if seen or instrument.origin != "inferred" else instrument


def _has_raw_days(context: FeedContext, symbol: str) -> bool:

    return any(raw_days(context.places, context.feed.name, channel.name, symbol) for channel in context.channels)


def _undecided(context: FeedContext, pinned: Instrument) -> list[str]:
    """Precisions that were inferred, and that no row of the catalog has yet."""
    if pinned.origin != "inferred" or context.source.precisions is not None:
        return []
    decided = {
        column.precision
        for table in _tables_there(context.places, pinned.id)
        if any(column.precision for column in table.columns) and _holds_rows(context.places, table, pinned.id)
        for column in table.columns
    }
    return [kind for kind in _KINDS if kind not in decided]


def is_pinned(context: FeedContext, instrument: Instrument) -> bool:
    """The catalog has this definition."""
    return read_definitions(context.places.catalog).get(instrument.id) == instrument


def _pin(context: FeedContext, instrument: Instrument) -> Instrument:

    if instrument.origin == "inferred":
        refuse_foreign_definition(context.places.catalog, instrument.id)
    if write_definition(context.places.catalog, instrument):
        _log.debug("pinned the definition of %s", described(instrument))
    return instrument


def _multiplier(context: FeedContext, symbol: str) -> str | None:
    """What one unit of size is worth, where the files say it and agree."""
    told = {
        value
        for raw in _raw_days(context, symbol)
        for value in markets.multiplier_told(raw.manifest.files, context.feed.venue, symbol)
    }
    return told.pop() if len(told) == 1 else None


def _raw_days(context: FeedContext, symbol: str, kind: str | None = None) -> Iterator[RawDay]:
    """All raw days of a symbol (or those of channels with fields of a kind), as they are noted: a file may be gone since."""
    for channel in context.channels:
        if kind is not None and not _fields_of(channel, kind):
            continue
        for day in raw_days(context.places, context.feed.name, channel.name, symbol):
            raw = context.noted(RawKey(channel.name, symbol, day))
            if raw is not None:
                yield raw


def _decimals(
    context: FeedContext, symbol: str, kinds: Iterable[str] = _KINDS, said: object | None = None
) -> dict[str, int]:
    """Decimals of price and size without trailing zeros (they make the increments), of mark prices as written.

    What was not seen is absent; what is ``said`` is not asked for. Raises LooksLikeFloats.
    """
    if context.source.precisions is not None:
        known = dict(zip(("price", "size", "mark"), context.source.precisions(symbol), strict=True))
        return {kind: known[kind] for kind in kinds}
    found: dict[str, int] = {}
    for kind in kinds:
        seen, rows, example = _seen(context, symbol, kind)
        given = any(getattr(said, f"{kind}_{part}", None) is not None for part in ("precision", "increment"))
        if seen is None or given:
            continue
        shown = seen._replace(example=example)
        found[kind] = seen.written if kind == "mark" else tick_decimals(symbol, kind, shown, rows)
    return found


def _seen(
    context: FeedContext, symbol: str, kind: str, wanted: Collection[date] | None = None
) -> tuple[Decimals | None, int, str]:
    """Decimals of the raw days noted (or those ``wanted``), the rows that they are of, and a long number if there is one."""
    seen: Decimals | None = None
    rows, example = 0, ""
    fields = {channel.name: _fields_of(channel, kind) for channel in context.channels}
    for raw in _raw_days(context, symbol, kind):
        for name in fields[raw.key.channel] if wanted is None or raw.key.day in wanted else ():
            more = raw.decimals(name)
            if more is not None:
                seen = seen.with_more(more) if seen else more
                rows += raw.manifest.lines
                example = example or raw.example(name)
    return seen, rows, example


def doubtful_numbers(context: FeedContext, symbol: str, instrument: Instrument, days: Collection[date]) -> list[str]:
    """What a person should know of numbers of these days that look like binary floats."""
    notes: list[str] = []
    for kind in _KINDS:
        seen, rows, example = _seen(context, symbol, kind, days) if context.source.precisions is None else (None, 0, "")
        if seen is None or not far_finer(seen, rows):
            continue
        defined = getattr(instrument, f"{kind}_precision")
        what = "number looks like a binary float" if seen.long == 1 else "numbers look like binary floats"
        end = (
            "they are kept to the last digit"
            if kind == "mark" or seen.needed <= defined
            else f"rows that are far finer than {defined} decimals are rejected as too_fine; to keep them run: "
            f"hedgegrid instruments widen {instrument.id} --{kind}-precision {min(seen.needed, 16)}"
        )
        notes.append(f"{symbol} {kind}: {seen.long:,} {what}, such as {example}; {end}")
    return notes


def described(instrument: Instrument) -> str:
    """A definition in one line for people."""
    fees = "" if instrument.fees_known else "; no fees known"
    return (
        f"{instrument.id}: price {instrument.price_precision}, size {instrument.size_precision}, "
        f"mark {instrument.mark_precision} decimals ({instrument.origin}{fees})"
    )


def _define_listed(
    context: FeedContext, symbol: str, override: InstrumentOverride | None, decimals: Mapping[str, int], *, ask: bool
) -> Instrument:
    """A definition for a remote source: what the feed says, else the provider (if ``ask``), else the symbol's own name.

    The provider's precision grows to that of the data, which may be of a time with a finer tick.
    """
    assert context.source.remote is not None
    listing = context.source.remote.listing(context.settings, symbol)
    given = {} if override is None else {key: value for key, value in override if value is not None}
    provided = dict(context.source.remote.definition(context.settings, symbol) or {}) if ask else {}
    for name in ("price", "size"):
        if f"{name}_precision" in provided:
            provided[f"{name}_precision"] = max(provided[f"{name}_precision"], decimals.get(name, 0))
    said = _with_listing(listing, symbol, {**provided, **given}, context.feed.market)
    market = context.feed.market if "market" in listing.needs and context.feed.market else listing.market
    made = define(context.feed.instrument_id(symbol), symbol, market, said, decimals)
    told_by_provider = "price_precision" in provided and "price_precision" not in given
    return replace(made, origin="imported") if told_by_provider else made


def _said_of(
    feed: Origin, symbol: str, listing: Listing | None, override: InstrumentOverride | None, multiplier: str | None
) -> dict[str, Any]:
    """All that is said of an instrument of files: by its symbol, by the files, by the feed. Raises InstrumentUnknown."""
    given = {} if override is None else {key: value for key, value in override if value is not None}
    told = {} if multiplier is None else {"multiplier": multiplier}
    if listing is not None:
        return _with_listing(listing, symbol, {**told, **given}, feed.market)
    if not {"base", "quote"} <= given.keys() or feed.market is None:
        raise InstrumentUnknown(feed.instrument_id(symbol), unknown_form(feed.venue, feed.market, symbol), symbol)
    return {**told, **given}


def _with_listing(listing: Listing, symbol: str, given: Mapping[str, Any], market: Market | None) -> dict[str, Any]:
    """What a symbol says, under what is given besides. Raises InstrumentUnknown for what nobody has said."""
    said = {
        name: value
        for name, value in listing.said.items()
        if name != "settlement" or not given.keys() & {"base", "quote"}
    }
    missing = [need for need in listing.needs if need not in given and not (need == "market" and market)]
    if missing:
        why = UNKNOWN_CONTRACT if "multiplier" in missing else "nobody says whether it is spot, linear or inverse"
        raise InstrumentUnknown(listing.symbol, why, symbol)
    return {**said, **given}


def _with_assumed(seen: Mapping[str, int]) -> dict[str, int]:
    """Until trades come, prices and sizes are assumed to be as fine as what there is."""
    assumed = seen.get("mark", DEFAULT_MARK_PRECISION)
    return {"price": assumed, "size": assumed, **seen}


def _tables_there(places: Places, instrument_id: str) -> list[Table]:
    """Tables that the catalog may hold rows of: asked for each day, of an instrument that has few of many tables."""
    judged = {folder.name for folder in (places.catalog / folder_of(instrument_id)).folders()}
    published = {folder.name for folder in (places.catalog / "data").folders()}
    generation = generation_of(places)
    return [
        table
        for table in TABLES.values()
        if f"{table.folder}.verdict" in judged or table.form(generation).folder.partition("/")[0] in published
    ]


def _holds_rows(places: Places, table: Table, instrument_id: str) -> bool:
    """The catalog holds rows of a table: by its verdicts, or files where it has no verdicts."""
    judged = places.judged_days(instrument_id, table.folder)
    for day in judged:
        verdict = read_verdict(places, table, InstrumentDay(instrument_id, day))
        if verdict is None or (verdict.status is not Status.BLOCKED and verdict.rows.rows_out):
            return True
    return not judged and any(folder_in(places, table, instrument_id).files(".parquet"))


def _refuse_other_precision(pinned: Instrument, wanted: Instrument, undecided: Collection[str]) -> None:
    before, after = (
        {kind: value for kind, value in plain(Precisions.from_instrument(each)).items() if kind not in undecided}
        for each in (pinned, wanted)
    )
    if before != after:
        flags = " ".join(f"--{name}-precision {after[name]}" for name in after if after[name] > before[name])
        raise DataError(
            f"{pinned.id} is pinned with decimals {before}: expected the same in feeds.yaml, found {after}",
            hint=f"run: hedgegrid instruments widen {pinned.id} {flags}"
            if flags
            else f"a precision only grows: write {_raised(before, after)} where it is said, or use a new catalog",
        )


def _raised(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """What the catalog has, as a key of ``instruments``, of what is said to be coarser."""
    return ", ".join(f"{name}_precision: {digits}" for name, digits in before.items() if digits > after[name])
