"""The four stages composed: for one feed and day (Dagster's steps call these), and for a whole request (``run_pipeline``)."""

import asyncio
import logging
import os
import shlex
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hedgegrid_assets.config.feeds import RESERVED_PREFIX, SYNTHETIC_VENUE, Feed, check_settings, data_path
from hedgegrid_assets.errors import (
    DataError,
    FileContradicts,
    HedgegridError,
    InstrumentUnknown,
    NoDataFetched,
    Refused,
    SeriesMixed,
    Unforeseen,
    UsageError,
)
from hedgegrid_assets.instruments import DEFAULT_MARK_PRECISION, Instrument
from hedgegrid_assets.model import REST, Channel, Decimals, InstrumentDay, Source, Status, Table
from hedgegrid_assets.names import check_instrument_id, check_symbol, check_venue
from hedgegrid_assets.store import Places, make_folder
from hedgegrid_assets.timestamps import days_between, parse_day
from hedgegrid_assets.venues import Listing, Market

if TYPE_CHECKING:
    from hedgegrid_assets.config.feeds import InstrumentOverride
    from hedgegrid_assets.pipeline.days import TableDay
    from hedgegrid_assets.stages.normalize import FrameSink, Normalized, Recipe
    from hedgegrid_assets.stages.raw import (
        Carried,
        Carrier,
        ImportReport,
        Landed,
        LandingFile,
        Progress,
        RawDay,
        RawKey,
    )

_log: Final = logging.getLogger(__name__)

DEFAULT_VENUE: Final = "BINANCE"
DEFAULT_CATALOG: Final = Path("data/catalog")
MARKETS: Final[tuple[Market, ...]] = ("usdm", "coinm", "spot")
COMPRESSIONS: Final = ("zstd", "snappy", "none")
FETCHED_AT_ONCE: Final = 4
"""Days that are fetched at a time, if ``jobs`` does not ask for more; what is made of them is bounded by ``jobs`` alone."""


_KINDS: Final[Mapping[str, str]] = {"trade_tick": "trade_kind", "index_price_update": "index_kind"}
"""Table -> the setting that chooses between its channels."""


_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "price": ("price",),
    "size": ("size",),
    "mark": ("mark_price", "index_price"),
}
"""Precision of an instrument -> the fields that it is inferred from."""


# ---------------------------------------------------------------- a feed in its places


@dataclass(frozen=True, slots=True)
class House:
    """A feed put in its places: what Dagster's steps and the command line both work with."""

    feed: Feed
    places: Places

    @property
    def source(self) -> Source:
        """The feed's source."""
        from hedgegrid_assets.sources import SOURCES

        return SOURCES[self.feed.source]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The feed's settings; the environment goes before feeds.yaml, a configuration file before both."""
        remote = self.source.remote
        if remote is None:
            return self.feed.settings
        said = {key: os.environ[name] for key, name in remote.environment.items() if os.environ.get(name)}
        from_config = self.feed.name.startswith(RESERVED_PREFIX)
        return {**said, **self.feed.settings} if from_config else {**self.feed.settings, **said}

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that the source gives with the feed's settings."""
        from hedgegrid_assets.sources.formats.identity import identified

        given = self.source.remote.channels(self.settings) if self.source.remote else self.source.channels
        return tuple(identified(given, self.feed.venue, self.settings))

    def channel(self, table: Table) -> Channel:
        """The channel that a table is made from: the feed's ``trade_kind`` or ``index_kind`` where there is a choice."""
        giving = [channel for channel in self.channels if table.name in channel.tables]
        wanted = self.feed.settings.get(_KINDS.get(table.name, ""))
        return next((channel for channel in giving if channel.name == wanted), giving[0])

    def channel_in(self, raw: "RawDay") -> Channel:
        """The channel of a raw day: the series and its usual gap are the files' own where they say so (candles).

        Raises SeriesMixed if its files are of several series.
        """
        channel = next(channel for channel in self.channels if channel.name == raw.key.channel)
        views = [origin.get("dialect", {}).get("views", {}).get(channel.name, {}) for origin in raw.manifest["origin"]]
        held, *others = list(dict.fromkeys(view.get("series", channel.series) for view in views)) or [channel.series]
        if others:
            table = next(iter(channel.tables))
            raise SeriesMixed(f"the raw day {raw.key.symbol} {raw.key.day}", table, held, others[0])
        gaps = [view["gap_seconds"] for view in views if "gap_seconds" in view]
        return replace(channel, series=held, gap_seconds=max(gaps)) if gaps else channel

    @property
    def tables(self) -> tuple[Table, ...]:
        """The feed's tables."""
        from hedgegrid_assets.tables import TABLES

        given = {name for channel in self.channels for name in channel.tables}
        return tuple(TABLES[name] for name in self.feed.tables if name in given)

    def by_channel(self) -> dict[str, tuple[Channel, tuple[Table, ...]]]:
        """Channel name -> (channel, the tables made from it)."""
        found: dict[str, tuple[Channel, tuple[Table, ...]]] = {}
        for table in self.tables:
            channel = self.channel(table)
            found[channel.name] = (channel, (*found.get(channel.name, (channel, ()))[1], table))
        return found

    def landing(self) -> "list[LandingFile]":
        """The landing files of the feed: by its patterns, or those that its settings name."""
        return self._landed().files

    @property
    def names_files(self) -> bool:
        """The user named each file: none of them is passed over."""
        return bool(self.feed.settings.get("inputs") or self.feed.settings.get("files"))

    def _landed(self) -> "Landed":
        """The files to import, and those that the patterns match but are no data."""
        from hedgegrid_assets.stages.raw import Landed, OwnFiles, scan_landing

        own = OwnFiles(self.places, self.feed.name)
        if not self.names_files:
            found = scan_landing(self.places.landing, self.feed.landing, own.has)
            files = [replace(landing, settings=self._said(named=False)) for landing in found.files]
            return Landed(files, found.passed_over)
        named = self._named()
        ours = [str(landing.path) for landing in named if own.has(landing.path)]
        if ours:
            raise UsageError(
                f"these files were made by us, and are no landing files: {', '.join(ours)}",
                hint="name the file that they were made from, outside the folders of feeds, the cache and the catalog",
            )
        return Landed(named, [])

    def _named(self) -> "list[LandingFile]":
        from hedgegrid_assets.stages.raw import LandingFile

        inputs, files = self.feed.settings.get("inputs"), self.feed.settings.get("files") or {}
        if inputs:
            return [LandingFile(path, settings=self._said(named=True)) for path in _existing(map(Path, inputs))]
        from hedgegrid_assets.tables import TOKENS

        base = Path(self.feed.settings.get("base_path", "."))
        given: dict[Path, set[str]] = {}
        entries: dict[Path, dict[str, Any]] = {}
        for token, entry in files.items():
            if TOKENS[token] in self.tables:
                path = base / entry["file_path"]
                channels = {channel.name for channel in self.source.channels if TOKENS[token].name in channel.tables}
                given.setdefault(path, set()).update(channels)
                entries.setdefault(path, {})[token] = {key: entry[key] for key in entry if key != "file_path"}
        return [
            LandingFile(path, frozenset(given[path]), self._said(named=True, files=entries[path]))
            for path in _existing(given)
        ]

    def _said(self, *, named: bool, files: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What is said of how to read a landing file, for sources whose files have a dialect.

        ``reader``: a newer one may take a file for something else, and so looks at it again.
        """
        if self.source.dialect is None:
            return {}
        given: dict[str, Any] = {"named": named, "files": files}
        given |= {key: self.feed.settings.get(key) for key in ("timestamp_format", "sides", "side_is")}
        said = {entry["encoding"] for entry in (files or {}).values() if "encoding" in entry}
        if len(said) > 1:
            raise UsageError(f"one file has one encoding: expected the same for each data type, found {sorted(said)}")
        given["encoding"] = next(iter(said), self.feed.settings.get("encoding"))
        given |= {"venue": self.feed.venue, "market": self.feed.market}
        given["reader"] = self.source.code_version
        asked = {"symbols": list(self.feed.symbols), "tokens": [table.token for table in self.tables]}
        return {key: value for key, value in given.items() if value} | asked

    def import_landing(
        self,
        *,
        channels: Sequence[Channel] | None = None,
        in_place: bool = False,
        pass_over_damaged: bool = False,
        progress: "Progress | None" = None,
        carrier: "Carrier | None" = None,
        again: bool = False,
    ) -> "ImportReport":
        """Import what is new in the landing zone; see ``raw.import_landing``.

        Files of which too many lines have no place are named in the report, and their days will be blocked.
        A note tells of each day that a corrected file holds no more, as long as the catalog does.
        """
        from hedgegrid_assets.stages.raw import claims_data, import_landing, shown_name

        wanted = channels or [channel for channel, _ in self.by_channel().values()]
        landed = self._landed()
        report = import_landing(
            self.places,
            self.feed.name,
            self.source,
            landed.files,
            wanted,
            self.feed.symbols,
            in_place=in_place,
            pass_over_damaged=pass_over_damaged,
            progress=progress,
            carrier=carrier,
            again=again,
        )
        report.notes += [
            f"{shown_name(self.places, path)} is passed over: by its name it is no data" for path in landed.passed_over
        ]
        for file in report.files:
            error = file.error(self.feed.max_rejected)
            if error is None:
                continue
            if file.gives_days or claims_data(file.name, self.source.extension):
                report.blocked.append(error)
            else:
                report.notes.append(f"{file.name} is passed over: {error.message}")
        report.notes += self._left_over(report)
        return report

    def _left_over(self, report: "ImportReport") -> Iterator[str]:
        """Days that were made of lines which no landing file holds any more."""
        for name, key in sorted(report.former):
            if self.places.raw_manifest(self.feed.name, key.channel, key.symbol, key.day).exists():
                continue
            instrument_id = self.feed.instrument_id(key.symbol)
            channel = next((channel for channel in self.channels if channel.name == key.channel), None)
            for table in self.tables:
                verdict = self.places.verdict(instrument_id, table.folder, key.day)
                if channel is not None and table.name in channel.tables and verdict.exists():
                    yield (
                        f"{name} holds no {table.token} of {instrument_id} {key.day} any more, the catalog keeps the day "
                        f"as it was; to remove it: hedgegrid reset-day {shlex.quote(instrument_id)} {key.day} --table "
                        f"{table.token} --catalog {shlex.quote(str(self.places.catalog))} "
                        f"--data {shlex.quote(str(self.places.data))} --yes"
                    )

    def waiting(self) -> "list[LandingFile]":
        """Landing files that ``import_landing`` would read."""
        from hedgegrid_assets.stages.raw import waiting_files

        channels = [channel for channel, _ in self.by_channel().values()]
        return waiting_files(self.places, self.feed.name, self.landing(), channels, self.feed.symbols)

    def raw(
        self, key: "RawKey", tick: Callable[[], None] | None = None, carrier: "Carrier | None" = None
    ) -> "RawDay | None":
        """The raw day on disk; a source that makes or fetches its days gets it now (see ``raw.fetch_day``)."""
        from hedgegrid_assets.stages.raw import fetch_day, raw_day

        if self.source.lands:
            return raw_day(self.places, self.feed.name, key)
        return fetch_day(self.places, self.feed.name, self.source, key, self.settings, tick, carrier)

    def held(self, key: "RawKey") -> "RawDay | None":
        """The raw day on disk, if ``raw`` would keep it; nothing is imported, made or fetched."""
        from hedgegrid_assets.stages.raw import raw_day, request_of

        raw = raw_day(self.places, self.feed.name, key)
        kept = (
            raw is None or self.source.lands or raw.manifest["request"] == request_of(self.source, key, self.settings)
        )
        return raw if kept else None

    def recipe(self, channel: Channel, instrument: Instrument, compression: str = "zstd") -> "Recipe":
        """How this feed turns a channel's raw days into frames."""
        from hedgegrid_assets.stages.frames import Precisions
        from hedgegrid_assets.stages.integrity import Thresholds
        from hedgegrid_assets.stages.normalize import Recipe

        thresholds = {
            table.name: Thresholds(
                self.feed.gaps.get(table.name, channel.gap_seconds),
                self.feed.max_rejected,
                _tick(instrument) if any(rule.name == "prices_on_tick" for rule in table.rules) else None,
            )
            for table in self.tables
        }
        precisions = Precisions(instrument.price_precision, instrument.size_precision, instrument.mark_precision)
        return Recipe(self.source, channel, precisions, thresholds, compression)

    def instrument(self, symbol: str) -> Instrument:
        """The pinned definition of a symbol's instrument; made, announced and pinned if there is none yet.

        The feed's YAML goes before a pinned definition; what it leaves open is what the provider says, else inferred
        over all raw days at hand: prices and sizes from trades, mark and index prices from theirs. Inferred precisions
        bind once the catalog holds a row that has them; until then they follow the data. Where no number was seen, the
        definition is assumed, and not pinned.
        Raises InstrumentUnknown, LooksLikeFloats, and DataError where YAML and a pinned precision contradict each other.
        """
        from hedgegrid_assets.instruments import amended, market_of, read_definitions, says_something, settled
        from hedgegrid_assets.stages.catalog import finish

        instrument_id = self.feed.instrument_id(symbol)
        finish(self.places)
        pinned = read_definitions(self.places.catalog).get(instrument_id)
        override = self.feed.instruments.get(symbol)
        if pinned is None:
            return self._new_instrument(symbol, override)
        undecided = self._undecided(pinned)
        known = settled(pinned, self._decimals(symbol, undecided, said=override)) if undecided else pinned
        if not says_something(override):
            return pinned if known == pinned else self._pin(known)
        if self.source.remote is None:
            instrument = amended(known, market_of(known), override)
        else:
            instrument = _define_listed(self, symbol, override, _pinned_decimals(known), ask=False)
        _refuse_other_precision(pinned, instrument, undecided)
        return self._pin(instrument)

    def _new_instrument(self, symbol: str, override: "InstrumentOverride | None") -> Instrument:
        from hedgegrid_assets.instruments import define

        instrument_id = self.feed.instrument_id(symbol)
        seen = self._decimals(symbol, said=override)
        assumes = "mark" in seen or (not seen and self._has_raw_days(symbol))
        decimals = _with_assumed(seen) if assumes else seen
        if self.source.remote is None:
            listing = self.feed.listing(symbol)
            said = _said_of(self.feed, symbol, listing, override, self._multiplier(symbol))
            market = listing.market if listing else self.feed.market or "usdm"
            instrument = define(instrument_id, symbol, market, said, decimals)
        else:
            instrument = _define_listed(self, symbol, override, decimals, ask=True)
        return self._pin(instrument) if seen or instrument.origin != "inferred" else instrument

    def _has_raw_days(self, symbol: str) -> bool:
        from hedgegrid_assets.stages.raw import raw_days

        return any(raw_days(self.places, self.feed.name, channel.name, symbol) for channel in self.channels)

    def _undecided(self, pinned: Instrument) -> list[str]:
        """Precisions that were inferred, and that no row of the catalog has yet."""
        from hedgegrid_assets.tables import TABLES

        if pinned.origin != "inferred" or self.source.precisions is not None:
            return []
        decided = {
            column.precision
            for table in TABLES.values()
            if any(column.precision for column in table.columns) and _holds_rows(self.places, table, pinned.id)
            for column in table.columns
        }
        return [kind for kind in _FIELDS if kind not in decided]

    def is_pinned(self, instrument: Instrument) -> bool:
        """The catalog has this definition."""
        from hedgegrid_assets.instruments import read_definitions

        return read_definitions(self.places.catalog).get(instrument.id) == instrument

    def _pin(self, instrument: Instrument) -> Instrument:
        from hedgegrid_assets.stages.catalog.definitions import refuse_foreign_definition, write_definition

        if instrument.origin == "inferred":
            refuse_foreign_definition(self.places.catalog, instrument.id)
        if write_definition(self.places.catalog, instrument):
            _log.debug("pinned the definition of %s", told(instrument))
        return instrument

    def check(self, raw: "RawDay") -> None:
        """Raises FileContradicts where a file of a raw day is not of the venue and market that the feed takes it for."""
        from hedgegrid_assets.instruments import market_of, read_definitions
        from hedgegrid_assets.venues import markets

        if not self.source.lands:
            return
        symbol = raw.key.symbol
        instrument_id = self.feed.instrument_id(symbol)
        pinned = read_definitions(self.places.catalog).get(instrument_id)
        override, listing = self.feed.instruments.get(symbol), self.feed.listing(symbol)
        market = market_of(pinned) if pinned else listing.market if listing else self.feed.market
        said = self.feed.market is not None or bool(override and override.id)
        definition = {"multiplier": pinned.multiplier} if pinned else {} if listing is None else listing.said
        markets.check(
            raw.manifest, markets.Taken(instrument_id, symbol, self.feed.venue, market, said, dict(definition))
        )

    def _multiplier(self, symbol: str) -> str | None:
        """What one unit of size is worth, where the files say it and agree."""
        from hedgegrid_assets.venues import markets

        told = {
            value
            for raw in self._raw_days(symbol)
            for value in markets.multiplier_told(raw.manifest, self.feed.venue, symbol)
        }
        return told.pop() if len(told) == 1 else None

    def _raw_days(self, symbol: str, kind: str | None = None) -> "Iterator[RawDay]":
        """All raw days of a symbol (or those of channels with fields of a kind), as they are noted: a file may be gone since."""
        from hedgegrid_assets.stages.raw import RawKey, raw_days

        for channel in self.channels:
            if kind is not None and not any(field.name in _FIELDS[kind] for field in channel.fields):
                continue
            for day in raw_days(self.places, self.feed.name, channel.name, symbol):
                raw = self.noted(RawKey(channel.name, symbol, day))
                if raw is not None:
                    yield raw

    def noted(self, key: "RawKey") -> "RawDay | None":
        """The raw day as its manifest tells; its file is not looked for."""
        from hedgegrid_assets.stages.raw import noted_day

        return noted_day(self.places, self.feed.name, key)

    def _decimals(self, symbol: str, kinds: Iterable[str] = _FIELDS, said: object | None = None) -> dict[str, int]:
        """Decimals of price and size without trailing zeros (they make the increments), of mark prices as written.

        What was not seen is absent; what is ``said`` is not asked for. Raises LooksLikeFloats.
        """
        from hedgegrid_assets.instruments import tick_decimals

        if self.source.precisions is not None:
            known = dict(zip(("price", "size", "mark"), self.source.precisions(symbol), strict=True))
            return {kind: known[kind] for kind in kinds}
        found: dict[str, int] = {}
        for kind in kinds:
            seen, rows, example = self._seen(symbol, kind)
            given = any(getattr(said, f"{kind}_{part}", None) is not None for part in ("precision", "increment"))
            if seen is None or given:
                continue
            shown = seen._replace(example=example)
            found[kind] = seen.written if kind == "mark" else tick_decimals(symbol, kind, shown, rows)
        return found

    def _seen(self, symbol: str, kind: str, wanted: Collection[date] | None = None) -> tuple[Decimals | None, int, str]:
        """Decimals of the raw days noted (or those ``wanted``), the rows that they are of, and a long number if there is one."""
        seen: Decimals | None = None
        rows, example = 0, ""
        for raw in self._raw_days(symbol, kind):
            for name in _FIELDS[kind] if wanted is None or raw.key.day in wanted else ():
                more = raw.decimals(name)
                if more is not None:
                    seen = seen.with_more(more) if seen else more
                    rows += int(raw.manifest["lines"])
                    example = example or raw.example(name)
        return seen, rows, example

    def doubtful(self, symbol: str, instrument: Instrument, days: Collection[date]) -> list[str]:
        """What a person should know of numbers of these days that look like binary floats."""
        from hedgegrid_assets.instruments import far_finer

        notes: list[str] = []
        for kind in _FIELDS:
            seen, rows, example = self._seen(symbol, kind, days) if self.source.precisions is None else (None, 0, "")
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

    # -- stages

    def normalize(
        self,
        day: InstrumentDay,
        raw: "RawDay",
        tables: Sequence[Table],
        *,
        compression: str = "zstd",
        progress: "Progress | None" = None,
        sinks: "Mapping[str, FrameSink] | None" = None,
        carried: "Carried | None" = None,
        force: bool = False,
    ) -> "list[Normalized]":
        """Normalize tables of one raw day (see ``normalize_day``). Raises Refused before anything is written."""
        from hedgegrid_assets.stages.catalog import admit
        from hedgegrid_assets.stages.normalize import normalize_day

        self.check(raw)
        channel = self.channel_in(raw)
        recipe = self.recipe(channel, self.instrument(raw.key.symbol), compression)
        for table in tables:
            admit(self.places, day, table, channel.series)
        return normalize_day(self.places, day, raw, tables, recipe, progress, sinks, carried, force=force)


def several(errors: "Sequence[HedgegridError]") -> HedgegridError:
    """One error that tells of all."""
    if len(errors) == 1:
        return errors[0]
    told = "; ".join(error.message for error in errors)
    return DataError(f"{len(errors)} faults: {told}", hint=errors[0].hint)


def _existing(paths: Iterable[Path]) -> list[Path]:
    """Sorted. Raises UsageError that names, in full, all that are not there."""
    found = sorted(paths)
    missing = [str(path.resolve()) for path in found if not path.is_file()]
    if missing:
        raise UsageError(
            f"file not found: {', '.join(missing)}",
            hint="file_path counts from base_path, else from the config file",
            details={"missing": missing},
        )
    return found


def told(instrument: Instrument) -> str:
    """A definition in one line for people."""
    fees = "" if instrument.fees_known else "; no fees known"
    return (
        f"{instrument.id}: price {instrument.price_precision}, size {instrument.size_precision}, "
        f"mark {instrument.mark_precision} decimals ({instrument.origin}{fees})"
    )


def _tick(instrument: Instrument) -> str | None:
    """The price increment, where it is coarser than the last decimal: only then can a price lie between two ticks."""
    units = Decimal(instrument.price_increment).scaleb(instrument.price_precision)
    return instrument.price_increment if units > 1 else None


def _define_listed(
    house: House, symbol: str, override: "InstrumentOverride | None", decimals: Mapping[str, int], *, ask: bool
) -> Instrument:
    """A definition for a remote source: what the feed says, else the provider (if ``ask``), else the symbol's own name.

    The provider's precision grows to that of the data, which may be of a time with a finer tick.
    """
    from hedgegrid_assets.instruments import define

    assert house.source.remote is not None
    listing = house.source.remote.listing(house.settings, symbol)
    given = {} if override is None else {key: value for key, value in override if value is not None}
    provided = dict(house.source.remote.definition(house.settings, symbol) or {}) if ask else {}
    for name in ("price", "size"):
        if f"{name}_precision" in provided:
            provided[f"{name}_precision"] = max(provided[f"{name}_precision"], decimals.get(name, 0))
    said = _with_listing(listing, symbol, {**provided, **given}, house.feed.market)
    market = house.feed.market if "market" in listing.needs and house.feed.market else listing.market
    made = define(house.feed.instrument_id(symbol), symbol, market, said, decimals)
    told_by_provider = "price_precision" in provided and "price_precision" not in given
    return replace(made, origin="imported") if told_by_provider else made


def _said_of(
    feed: Feed, symbol: str, listing: Listing | None, override: "InstrumentOverride | None", multiplier: str | None
) -> dict[str, Any]:
    """All that is said of an instrument of files: by its symbol, by the files, by the feed. Raises InstrumentUnknown."""
    from hedgegrid_assets.instruments import unknown_form

    given = {} if override is None else {key: value for key, value in override if value is not None}
    told = {} if multiplier is None else {"multiplier": multiplier}
    if listing is not None:
        return _with_listing(listing, symbol, {**told, **given}, feed.market)
    if not {"base", "quote"} <= given.keys() or feed.market is None:
        raise InstrumentUnknown(feed.instrument_id(symbol), unknown_form(feed.venue, feed.market, symbol), symbol)
    return {**told, **given}


def _with_listing(listing: Listing, symbol: str, given: Mapping[str, Any], market: "Market | None") -> dict[str, Any]:
    """What a symbol says, under what is given besides. Raises InstrumentUnknown for what nobody has said."""
    from hedgegrid_assets.instruments import UNKNOWN_CONTRACT

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


def _holds_rows(places: Places, table: Table, instrument_id: str) -> bool:
    """The catalog holds rows of a table: by its verdicts, or files where it has no verdicts."""
    from hedgegrid_assets.stages.integrity import read_verdict

    verdicts = sorted(places.verdict(instrument_id, table.folder, date.min).parent.glob("????-??-??.json"))
    for path in verdicts:
        verdict = read_verdict(places, table, InstrumentDay(instrument_id, date.fromisoformat(path.stem))) or {}
        if verdict.get("status") != Status.BLOCKED and verdict.get("rows", {}).get("out"):
            return True
    return not verdicts and any(places.nautilus_folder(table.form().folder, instrument_id).glob("*.parquet"))


def _pinned_decimals(pinned: Instrument) -> dict[str, int]:
    return {"price": pinned.price_precision, "size": pinned.size_precision, "mark": pinned.mark_precision}


def _refuse_other_precision(pinned: Instrument, wanted: Instrument, undecided: Collection[str]) -> None:
    before, after = (
        {kind: value for kind, value in _pinned_decimals(each).items() if kind not in undecided}
        for each in (pinned, wanted)
    )
    if before != after:
        flags = " ".join(f"--{name}-precision {after[name]}" for name in after if after[name] > before[name])
        raise DataError(
            f"{pinned.id} is pinned with decimals {before}: expected the same in feeds.yaml, found {after}",
            hint=f"run: hedgegrid instruments widen {pinned.id} {flags}"
            if flags
            else "a precision only grows; correct feeds.yaml, or use a new catalog",
        )


# ---------------------------------------------------------------- a request


@dataclass(frozen=True, slots=True)
class Request:
    """What ``replay-to-parquet`` and ``run_pipeline`` are asked for; checked when it is made by ``request``."""

    source: str
    symbols: tuple[str, ...]
    start: date | None
    end: date | None
    catalog: Path
    data: Path
    tables: tuple[str, ...]
    venue: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    instrument: str | None = None
    compression: str = "zstd"
    jobs: int = 1
    force: bool = False
    spelled: Mapping[str, Listing] = field(default_factory=dict)
    """Symbols as tools write them -> what they are at the venue."""


@dataclass(frozen=True, slots=True)
class DaySummary:
    """One (instrument, table, day) of a run.

    ``skipped``: it was there already, made from the same bytes. ``off``: rules that say nothing of the day.
    """

    instrument_id: str
    table: str
    date: date
    status: str
    rows: Mapping[str, int]
    rejects_by_reason: Mapping[str, int]
    gaps: int
    ids_missing: int
    bytes: int
    skipped: bool = False
    error: str | None = None
    off: tuple[str, ...] = ()
    note: str | None = None
    """What a person should know of what the day has replaced."""

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            name: str(value) if isinstance(value, date) else dict(value) if isinstance(value, Mapping) else value
            for name in self.__slots__
            for value in [getattr(self, name)]
        }


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did. ``ok`` is false if anything failed; good days have landed all the same.

    Attributes:
        days: One for each (instrument, table, day).
        lines: Lines of the landing files; ``counts`` say where they went, ``files`` for each file.
        counts: ``lines, placed, header, other, unplaced``: the first is the sum of the others.
        files: The same for each landing file, with its name and the reasons of the lines without a place.
        by_stream: Lines by what they call themselves.
        unplaced: Lines without a place, by reason.
        notes: What a person should know.
        errors: What failed besides single days: files that are refused, symbols that are not there.
        seconds: Wall clock.
    """

    days: list[DaySummary]
    lines: int = 0
    by_stream: Mapping[str, int] = field(default_factory=dict)
    unplaced: Mapping[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    errors: list[HedgegridError] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Every day has landed, and all that was asked for is there."""
        return not self.errors and all(day.error is None for day in self.days)

    @property
    def rows(self) -> int:
        """Rows in the frames of this run's days."""
        return sum(day.rows.get("out", 0) for day in self.days)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.ok,
            "rows": self.rows,
            "lines": self.lines,
            "counts": dict(self.counts),
            "files": self.files,
            "errors": [error.to_dict()["error"] for error in self.errors],
            "by_stream": dict(self.by_stream),
            "unplaced": dict(self.unplaced),
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
            "days": [day.to_dict() for day in self.days],
        }


def request(
    source_type: str,
    symbol: str,
    start_date: str | None,
    end_date: str | None,
    *,
    output_path: str | Path = DEFAULT_CATALOG,
    data_types: str | Sequence[str] | None = None,
    source_config: Mapping[str, Any] | None = None,
    exchange: str | None = None,
    data: Path | None = None,
    instrument: str | None = None,
    compression: str = "zstd",
    jobs: int = 1,
    force: bool = False,
    market: str | None = None,
) -> Request:
    """Check everything that a user can get wrong, before any work. Raises UsageError."""
    from hedgegrid_assets.sources import SOURCES
    from hedgegrid_assets.tables import TABLES

    if source_type not in SOURCES:
        raise UsageError(f"unknown source (--source): expected one of {', '.join(SOURCES)}, found {source_type!r}")
    symbols = tuple(dict.fromkeys(part.strip().upper() for part in symbol.split(",") if part.strip()))
    if not symbols:
        raise UsageError("no symbol (--symbol): expected one as the exchange writes it, such as BTCUSDT")
    for name in symbols:
        check_symbol(name, "--symbol")
    if exchange is not None:
        check_venue(exchange, "--exchange")
    if instrument is not None:
        check_instrument_id(instrument, "--instrument")
    check_settings(source_type, source_config or {})
    if market is not None and market not in MARKETS:
        raise UsageError(f"unknown market (--market): expected one of {', '.join(MARKETS)}, found {market!r}")
    start = parse_day(start_date, "--start") if start_date else None
    end = parse_day(end_date, "--end") if end_date else None
    if start and end and start >= end:
        raise UsageError(
            f"empty range (--start, --end): expected start before end (end is exclusive), found {start} .. {end}"
        )
    settings = _settings_of({**(source_config or {}), **({"market": market} if market is not None else {})})
    remote = SOURCES[source_type].remote
    channels = remote.channels(settings) if remote else SOURCES[source_type].channels
    given = {table for channel in channels for table in channel.tables}
    tables = _tables(data_types) if data_types is not None else tuple(name for name in TABLES if name in given)
    if remote and not given.intersection(tables):
        raise UsageError(
            f"these settings give none of the data types asked for (--data-types): expected some of "
            f"{', '.join(TABLES[name].token for name in TABLES if name in given)}, found {data_types}"
        )
    if compression not in COMPRESSIONS:
        raise UsageError(
            f"unknown compression (--compression): expected one of {', '.join(COMPRESSIONS)}, found {compression!r}"
        )
    if instrument is not None and len(symbols) > 1:
        raise UsageError(
            f"--instrument names one InstrumentId of one symbol: expected one --symbol, found {', '.join(symbols)}"
        )
    if jobs < 1:
        raise UsageError(f"--jobs: expected 1 or more, found {jobs}")
    venue = _venue(source_type, exchange, instrument, settings)
    as_said = source_type != "csv" or instrument is not None
    return Request(
        source=source_type,
        symbols=symbols,
        start=start,
        end=end,
        catalog=Path(output_path),
        data=data or data_path(),
        tables=tables,
        venue=venue,
        settings=settings,
        instrument=instrument,
        compression=compression,
        jobs=jobs,
        force=force,
        spelled={} if as_said else _spelled(symbols, venue, settings),
    )


def _spelled(symbols: Sequence[str], venue: str, settings: Mapping[str, Any]) -> dict[str, Listing]:
    """What symbols in the spelling of ccxt or cryptofeed are at the venue, where nobody says it of them.

    Raises UsageError where such a spelling contradicts the market, or two symbols are one instrument.
    """
    from hedgegrid_assets import venues
    from hedgegrid_assets.config.feeds import instrument_id

    market = settings.get("market")
    found: dict[str, Listing] = {}
    for symbol in symbols:
        said = venues.spelled(venue, symbol)
        if said is None or symbol in settings.get("instruments", {}):
            continue
        if said.is_marked and market is not None and market not in said.markets:
            raise UsageError(
                f"symbol and market contradict each other (--symbol, --market): expected {' or '.join(said.markets)} "
                f"for {symbol}, found {market}",
                hint=f"leave out --market (the key market in the file of --config), or give the symbol of {market}",
            )
        wanted = "spot" if market is None and "/" in symbol and not said.is_marked else market
        own = venues.own_symbols(venue, symbol, wanted)
        if venues.has_makers_side(venue):  # a tool may have turned it
            continue
        if len(own) == 1 and (wanted is not None or said.is_marked):
            found[symbol] = own[0][1]
    ids = {symbol: instrument_id(symbol, market, venue) for symbol in symbols}
    ids |= {symbol: f"{listing.symbol}.{venue}" for symbol, listing in found.items()}
    for symbol in found:
        twins = [other for other in symbols if ids[other] == ids[symbol]]
        if len(twins) > 1:
            raise UsageError(
                f"symbols that are one instrument (--symbol): expected one of {', '.join(twins)}, found all of them, "
                f"which are {ids[symbol]}"
            )
    return found


def _venue(source: str, exchange: str | None, instrument: str | None, settings: Mapping[str, Any]) -> str:
    """``--instrument`` before ``--exchange`` before the configuration's ``venue``; synthetic data is SIM's alone."""
    from hedgegrid_assets.sources import SOURCES

    if source == "synthetic":
        return "SIM"
    said = instrument.rsplit(".", 1)[1] if instrument else exchange or settings.get("venue")
    remote = SOURCES[source].remote
    if remote is None:
        return said or DEFAULT_VENUE
    venues = remote.venues(settings)
    if said and said not in venues:
        raise UsageError(
            f"exchange and venue do not belong together: expected {' or '.join(venues)} for the data of "
            f"{settings.get('exchange', 'the default exchange')}, found {said}",
            hint="--exchange names the Nautilus venue; the key exchange in the file of --config names the exchange whose data is fetched",
        )
    return said or venues[0]


def _settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """A source's settings; a key is a secret from here on."""
    from pydantic import SecretStr

    key = given.get("api_key")
    return dict(given) | ({"api_key": SecretStr(key)} if isinstance(key, str) else {})


def _tables(data_types: str | Sequence[str]) -> tuple[str, ...]:
    from hedgegrid_assets.tables import TABLES, TOKENS

    words = data_types.split(",") if isinstance(data_types, str) else list(data_types)
    wanted = [word.strip() for word in words if word.strip()]
    unknown = [word for word in wanted if word not in TOKENS]
    if unknown or not wanted:
        raise UsageError(
            f"unknown data type (--data-types): expected some of {', '.join(TOKENS)}, found {', '.join(unknown) or 'none'}"
        )
    return tuple(name for name, table in TABLES.items() if table.token in wanted)


async def run_pipeline(
    source_type: str,
    symbol: str,
    start_date: str | None = None,
    end_date: str | None = None,
    output_path: str | Path = "./data/catalog",
    data_types: Sequence[str] | None = None,
    source_config: Mapping[str, Any] | None = None,
    exchange: str | None = None,
) -> RunSummary:
    """Turn raw market data into a NautilusTrader catalog; the guide's coroutine.

    The work runs in a thread, so that the caller's loop stays alive; cancelling stops it at the next block. No log
    handler is added: configure ``logging`` as you like.

    Args:
        source_type: ``websocket``, ``synthetic``, ...
        symbol: Exchange symbol, or several with commas.
        start_date: First day, ``YYYY-MM-DD``, UTC; may be left out for files.
        end_date: First day that is not wanted any more (exclusive).
        output_path: Root of the catalog.
        data_types: ``trades``, ``mark``, ``index``, ``funding``; None: all that the source has.
        source_config: The source's settings, as in ``--config``.
        exchange: Nautilus venue; None: the ``venue`` of ``source_config``, else BINANCE.

    Returns:
        A summary; ``ok`` is false if a day failed, and good days have landed all the same.

    Raises:
        UsageError: Before any work.
        DataError: Nothing found, or nothing usable.
        EnvironmentFault: Disk or permissions.
    """
    asked = request(
        source_type,
        symbol,
        start_date,
        end_date,
        output_path=output_path,
        data_types=data_types,
        source_config=source_config,
        exchange=exchange,
    )
    stop = threading.Event()
    try:
        return await asyncio.to_thread(run, asked, stop=stop)
    except asyncio.CancelledError:
        stop.set()
        raise


class Stopped(BaseException):
    """The caller cancelled the run."""


def run(
    asked: Request,
    *,
    progress: "Progress | None" = None,
    say: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> RunSummary:
    """Do what is asked: import, define instruments, then day by day normalize, judge and publish.

    ``say`` is told what a person should know (notes are in the summary as well). A day that fails stops no other.
    """
    from hedgegrid_assets.stages.raw import Carrier

    with closing(Carrier()) as carrier:
        return _run(asked, progress, say, stop or threading.Event(), carrier)


def _run(
    asked: Request,
    progress: "Progress | None",
    say: Callable[[str], None] | None,
    halt: threading.Event,
    carrier: "Carrier",
) -> RunSummary:
    from hedgegrid_assets.stages.catalog import refuse_unfit_nautilus
    from hedgegrid_assets.venues.markets import NAMES

    started = time.monotonic()
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        _log.info(text)
        if say:
            say(text)

    def tick(what: str, lines: int) -> None:
        if halt.is_set():
            raise Stopped
        if progress:
            progress(what, lines)

    refuse_unfit_nautilus()
    make_folder(asked.catalog)
    for symbol, listing in asked.spelled.items():
        note(f"{symbol} is read as {NAMES[listing.market]} of {asked.venue}: {listing.symbol}.{asked.venue}")
    house = House(_feed_of(asked), Places(asked.data, asked.catalog))
    report: ImportReport | None = None
    errors: list[HedgegridError] = []
    if house.source.lands:
        report = house.import_landing(
            channels=_giving(house),
            in_place=True,
            pass_over_damaged=not house.names_files,
            progress=tick,
            carrier=carrier,
            again=asked.force,
        )
        errors += report.refused
        for text in report.notes:
            note(text)
        if house.source.dialect is not None and report.unknown_symbols:
            most = ", ".join(f"{symbol} {count:,}" for symbol, count in report.unknown_symbols.most_common(5))
            note(
                f"{sum(report.unknown_symbols.values()):,} rows of {len(report.unknown_symbols)} other symbols are passed over: {most}"
            )
        if report.unplaced:
            note(
                f"{sum(report.unplaced.values())} lines belong to no table or day {dict(report.unplaced)}: kept in {house.places.data / 'rejects' / house.feed.name}"
            )
        house = _with_index_kind(_with_trade_kind(house, report, note), report, note)
        keys, missing = _wanted_keys(house, asked, report)
        errors += missing
        if not keys:
            raise several(report.refused) if report.refused else missing[0]
        house = _with_market(house, keys, note)
    else:
        keys = _made_keys(house, asked)
    _note_missing_tables(house, keys, note, report.by_stream[REST] + report.unplaced.total() if report else 0)
    failed = _contradicted(house, keys) if house.source.lands else {}
    if keys and len(failed) == len(keys):
        raise next(iter(failed.values()))
    if house.source.remote is not None:
        failed = _fetch(house, keys, max(asked.jobs, FETCHED_AT_ONCE), tick, halt, note, carrier)
    inferred: list[Instrument] = []
    for symbol in sorted({key.symbol for key in keys if key not in failed}):
        try:
            if not house.source.lands and house.source.remote is None and house.source.precisions is None:
                for key in keys:
                    house.raw(key) if key.symbol == symbol else None
            instrument = house.instrument(symbol)
        except HedgegridError as error:
            failed |= {key: error for key in keys if key.symbol == symbol and key not in failed}
            continue
        if instrument.origin == "inferred":
            inferred.append(instrument)
            if house.is_pinned(instrument):
                note(f"instrument {told(instrument)}")
        for text in house.doubtful(symbol, instrument, {key.day for key in keys if key.symbol == symbol}):
            note(text)
    if keys and len(failed) == len(keys):
        raise next(iter(failed.values()))
    with _workers(asked.jobs, halt) as pool:
        work = partial(_run_day, house, asked=asked, progress=tick, failed=failed, carrier=carrier)
        results = _results([pool.submit(work, key) for key in keys])
    for day in (day for days in results for day in days if day.note):
        note(str(day.note))
    for text in _far_finer_notes(house, inferred, [day for days in results for day in days]):
        note(text)
    order = list(house.feed.tables)
    return RunSummary(
        sorted(
            (day for days in results for day in days),
            key=lambda day: (day.instrument_id, order.index(day.table), day.date),
        ),
        notes=notes,
        seconds=time.monotonic() - started,
        errors=errors,
        **_lines_told(report),
    )


def _far_finer_notes(house: House, inferred: Sequence[Instrument], days: Sequence[DaySummary]) -> Iterator[str]:
    """What a person should know of a few numbers, of days made in this run, that have made an inferred tick far finer."""
    from hedgegrid_assets.instruments import FAR_FINER, FEW
    from hedgegrid_assets.stages.frames import few_far_finer

    for instrument in inferred:
        for table, column in [(each, column) for each in house.tables for column in each.columns]:
            if column.precision is None or column.precision == "mark":
                continue
            precision = getattr(instrument, f"{column.precision}_precision")
            made = [day for day in days if (day.instrument_id, day.table) == (instrument.id, table.name)]
            paths = [house.places.frame(instrument.id, table.folder, day.date) for day in made if not day.skipped]
            paths = [path for path in paths if path.exists()]
            coarse = precision - FAR_FINER
            few = few_far_finer(paths, table, column.name, coarse, FEW) if coarse >= 0 else None
            if few is not None:
                yield (
                    f"{instrument.id} {column.name}: {few[0]:,} of {few[1]:,} numbers have more than {coarse} decimals, "
                    f"such as {few[2].normalize():f}, and make {precision} of it; if they are mistakes, correct the "
                    "file and use another --output"
                )


def _lines_told(report: "ImportReport | None") -> dict[str, Any]:
    """What a summary says of the lines of the landing files."""
    if report is None:
        return {}
    return {
        "lines": report.lines,
        "by_stream": report.by_stream,
        "unplaced": report.unplaced,
        "counts": report.counts.to_dict(),
        "files": [file.to_dict() for file in report.files],
    }


@contextmanager
def _workers(count: int, halt: threading.Event) -> Iterator[ThreadPoolExecutor]:
    """Threads that an error here, or Ctrl-C, stops at their next tick."""
    with ThreadPoolExecutor(count) as pool:
        try:
            yield pool
        except BaseException:
            halt.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _results[T](futures: Sequence[Future[T]]) -> list[T]:
    """Results in order; the first error is raised when it happens. Waits in short steps: Ctrl-C is seen between them."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    return [future.result() for future in futures]


def _fetch(
    house: House,
    keys: "Sequence[RawKey]",
    at_once: int,
    tick: "Progress",
    halt: threading.Event,
    note: Callable[[str], None],
    carrier: "Carrier",
) -> "dict[RawKey, HedgegridError]":
    """Fetch all days that are not there, several at a time; those that could not be had, and why.

    A symbol of which every day is empty counts as not had: the range is wrong, or the symbol.
    """
    found: dict[RawKey, RawDay] = {}
    failed: dict[RawKey, HedgegridError] = {}

    def one(key: "RawKey") -> None:
        try:
            raw = house.raw(key, lambda: tick(f"fetching {key.symbol} {key.channel} {key.day}", 0), carrier)
        except HedgegridError as error:
            _log.info("%s %s %s: %s", key.symbol, key.channel, key.day, error.message)
            failed[key] = error
        except Exception as error:  # noqa: BLE001 - told as what it is, with what was worked on
            _log.debug("%s %s %s", key.symbol, key.channel, key.day, exc_info=True)
            failed[key] = Unforeseen(error, f"{key.symbol} {key.channel} {key.day}")
        else:
            if raw is not None:
                found[key] = raw

    with _workers(at_once, halt) as pool:
        _results([pool.submit(one, key) for key in keys])
    for symbol in dict.fromkeys(key.symbol for key in found):
        mine = {key: raw for key, raw in found.items() if key.symbol == symbol}
        if not any(raw.manifest["lines"] for raw in mine.values()):
            days = sorted({str(key.day) for key in mine})
            nothing = NoDataFetched(f"{symbol} {days[0]} .. {days[-1]}", house.source.name, "days without a single row")
            failed |= dict.fromkeys(mine, nothing)
    unreadable = sum(origin.get("unreadable", 0) for raw in found.values() for origin in raw.manifest["origin"])
    if unreadable:
        note(f"{unreadable} lines belong to no table or day: kept in {house.places.data / 'rejects' / house.feed.name}")
    return {key: failed[key] for key in keys if key in failed}


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """What a run would do about one raw day.

    ``stored``: its raw file is there (of ``bytes``), and nothing has to be fetched. ``free``: no key is needed.
    """

    symbol: str
    channel: str
    date: date
    stored: bool
    requests: int
    cached: int
    free: bool
    bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            name: str(value) if isinstance(value, date) else value
            for name in self.__slots__
            for value in [getattr(self, name)]
        }


def plan(asked: Request) -> list[PlannedDay]:
    """What ``run`` would fetch; nothing is asked or written. Raises UsageError for a source that fetches nothing."""
    house = House(_feed_of(asked), Places(asked.data, asked.catalog))
    remote = house.source.remote
    if remote is None:
        raise UsageError(f"--dry-run says what would be fetched: expected a source that fetches, found {asked.source}")
    by_name = {channel.name: channel for channel in house.channels}
    planned: list[PlannedDay] = []
    for key in _made_keys(house, asked):
        held = house.held(key)
        would = remote.plan(house.settings, key.symbol, by_name[key.channel], key.day, house.places.data / "cache")
        planned.append(
            PlannedDay(
                symbol=key.symbol,
                channel=key.channel,
                date=key.day,
                stored=held is not None,
                requests=0 if held else would.requests,
                cached=would.cached,
                free=would.free,
                bytes=held.manifest["bytes"] if held else None,
            )
        )
    return planned


def account(asked: Request) -> list[str]:
    """What the provider allows, in lines for people; asks the provider. Raises RemoteFault."""
    house = House(_feed_of(asked), Places(asked.data, asked.catalog))
    return house.source.remote.account(house.settings) if house.source.remote else []


def reachable(asked: Request) -> bool:
    """Whether the provider of a request's source answers, soon; sources that ask nobody are always there."""
    house = House(_feed_of(asked), Places(asked.data, asked.catalog))
    return house.source.remote is None or house.source.remote.reachable(house.settings)


def _feed_of(asked: Request) -> Feed:
    """The request as a feed of its own, whose name no feed of feeds.yaml can have."""
    from hedgegrid_assets.config.feeds import InstrumentOverride, gaps_of
    from hedgegrid_assets.sources import SOURCES

    remote = SOURCES[asked.source].remote
    left_out = {"venue", "market", "instruments", "gaps"} | (set() if remote else {"exchange", "api_key"})
    settings = {key: value for key, value in asked.settings.items() if key not in left_out}
    landing = () if settings.keys() & {"files", "inputs"} else (f"{asked.source}/**/*",)
    given = {
        name: InstrumentOverride.model_validate(one) for name, one in asked.settings.get("instruments", {}).items()
    }
    if asked.instrument:
        symbol, own = asked.symbols[0], asked.instrument.rsplit(".", 1)[0]
        given[symbol] = given.get(symbol, InstrumentOverride()).model_copy(update={"id": own})
    for symbol, listing in asked.spelled.items():
        given[symbol] = InstrumentOverride(id=listing.symbol)
    market = asked.settings.get("market")
    whose = [settings["exchange"].replace("-", "_")] if remote and "exchange" in settings else []
    if not remote:  # the same symbol of another venue or market is another one: its raw days lie elsewhere
        whose = [asked.venue.lower().replace("-", "_")] if asked.venue not in (SYNTHETIC_VENUE, DEFAULT_VENUE) else []
        whose += [market] if market is not None else []
    return Feed.model_construct(
        name="_".join((f"cli_{asked.source}", *whose)),
        source=asked.source,
        venue=asked.venue,
        market=market,
        symbols=asked.symbols,
        tables=asked.tables,
        start=asked.start or date(1970, 1, 1),
        end=asked.end,
        settings=settings,
        landing=landing,
        instruments=given,
        gaps=gaps_of(asked.settings),
        max_rejected=0.001,
        schedule=None,
        owners=(),
    )


def _giving(house: House) -> list[Channel]:
    """Every channel that gives one of the tables, unless the request names the kind; one by pair only for contracts on a pair."""
    chosen = {name: channel for name, (channel, _) in house.by_channel().items()}
    open_tables = {table.name for table in house.tables if _KINDS.get(table.name) not in house.feed.settings}
    return [
        channel
        for channel in house.source.channels
        if channel.name in chosen or (open_tables & set(channel.tables) and _may_hold(channel, house.feed.symbols))
    ]


def _may_hold(channel: Channel, symbols: Iterable[str]) -> bool:
    """Messages by pair are about contracts, which are not called as their pair is."""
    return channel.symbol_of is None or any(channel.symbol_of(symbol) != symbol for symbol in symbols)


def _with_index_kind(house: House, report: "ImportReport", note: Callable[[str], None]) -> House:
    """Index prices of the mark price messages where these have any, else the index price messages of the pair."""
    from hedgegrid_assets.stages.raw import raw_day
    from hedgegrid_assets.tables import TABLES

    table = TABLES["index_price_update"]
    if table.name not in house.feed.tables or "index_kind" in house.feed.settings:
        return house
    usual = house.channel(table)
    ours = [key for key in report.days if key.symbol in house.feed.symbols]
    by_pair = {key.channel for key in ours if key.channel != usual.name} & {
        channel.name for channel in house.source.channels if table.name in channel.tables
    }
    if not by_pair:
        return house
    raws = (raw_day(house.places, house.feed.name, key) for key in ours if key.channel == usual.name)
    if any(raw is not None and raw.decimals("index_price") is not None for raw in raws):
        note(
            f"index prices are made from {usual.name} ({', '.join(sorted(by_pair))} is there too and left out: one series "
            "holds one kind; index_kind in the configuration chooses)"
        )
        return house
    kind = min(by_pair)
    note(f"index prices are made from {kind}")
    return replace(house, feed=house.feed.model_copy(update={"settings": {**house.feed.settings, "index_kind": kind}}))


def _with_trade_kind(house: House, report: "ImportReport", note: Callable[[str], None]) -> House:
    """aggTrade where the files have it, else trade: one series holds one kind only."""
    if "trade_kind" in house.feed.settings or "trade_tick" not in house.feed.tables:
        return house
    found = {key.channel for key in report.days if key.symbol in house.feed.symbols}
    kinds = [channel.name for channel in house.source.channels if "trade_tick" in channel.tables]
    kind = next((name for name in kinds if name in found), None)
    if kind is None:
        return house
    others = [name for name in kinds if name in found and name != kind]
    if len(found & set(kinds)) > 1 or house.source.dialect is None:
        note(
            f"trades are made from {kind}"
            + (f" ({', '.join(others)} is there too and left out: one series holds one kind)" if others else "")
        )
    return replace(house, feed=house.feed.model_copy(update={"settings": {**house.feed.settings, "trade_kind": kind}}))


def _with_market(house: House, keys: "Sequence[RawKey]", note: Callable[[str], None]) -> House:
    """The market that the files themselves say, where nobody else does; what is taken for granted is said."""
    from hedgegrid_assets.venues import listing_of, markets_of
    from hedgegrid_assets.venues.markets import NAMES, market_told

    feed = house.feed
    if feed.market is not None:
        return house
    named = {symbol for symbol, override in feed.instruments.items() if override.id}
    told: dict[str, set[Market | None]] = {}
    for key in (key for key in keys if key.symbol not in named):
        raw = house.noted(key)
        found = market_told(raw.manifest, feed.venue, key.symbol) if raw else set()
        told.setdefault(key.symbol, set()).update(found)
    every = set[Market | None]().union(*told.values())
    market = next(iter(every)) if len(every) == 1 else None
    if market is not None and not named and all(listing_of(feed.venue, symbol, market) for symbol in told):
        house = replace(house, feed=feed.model_copy(update={"market": market}))
    for symbol, markets in sorted(told.items()):
        listing = house.feed.listing(symbol)
        if listing is None or len(possible := markets_of(feed.venue, symbol)) < 2:
            continue
        others = " or ".join(f"--market {name}" for name in possible if name != listing.market)
        why = f"no market is said: {others} if it is not" if markets <= {None} else "its files say so"
        note(f"{symbol} is taken as {NAMES[listing.market]}, {listing.symbol}.{feed.venue}; {why}")
    return house


def _contradicted(house: House, keys: "Sequence[RawKey]") -> "dict[RawKey, HedgegridError]":
    """The days of which a file is of another venue or market than what it is taken for."""
    failed: dict[RawKey, HedgegridError] = {}
    for key in keys:
        raw = house.noted(key)
        try:
            if raw is not None:
                house.check(raw)
        except FileContradicts as error:
            failed[key] = error
    return failed


def _wanted_keys(house: House, asked: Request, report: "ImportReport") -> "tuple[list[RawKey], list[NoDataFetched]]":
    """The raw days that are asked for, and the symbols that have none of them."""
    channels = set(house.by_channel())
    in_files = sorted(key for key in report.days if key.symbol in asked.symbols and key.channel in channels)
    keys = [
        key
        for key in in_files
        if (not asked.start or key.day >= asked.start) and (not asked.end or key.day < asked.end)
    ]
    missing = sorted(set(asked.symbols) - {key.symbol for key in keys})
    errors: list[NoDataFetched] = []
    for symbol in [",".join(missing)] if missing and not keys else missing:
        wanted = f"{symbol} {','.join(table.token for table in house.tables)} {asked.start or ''}..{asked.end or ''}"
        files = [str(landing.path) for landing in house.landing()]
        looked_in = (
            ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
            if files
            else str(house.places.landing / asked.source)
        )
        mine = [key for key in in_files if key.symbol == symbol] if keys else in_files
        errors.append(NoDataFetched(wanted, looked_in, _found(report, mine, files)))
    return keys, errors


def _found(report: "ImportReport", keys: "Sequence[RawKey]", files: Sequence[str]) -> str:
    """What the files hold instead."""
    if not files:
        return "no file"
    if keys:
        symbols = ",".join(sorted({key.symbol for key in keys}))
        return f"{symbols} {min(key.day for key in keys)} .. {max(key.day for key in keys)}"
    others = ", ".join(sorted({*report.unknown_symbols, *(key.symbol for key in report.days)})[:20])
    return (
        f"other symbols: {others}"
        if others
        else f"streams {dict(report.by_stream.most_common(8))}{_examples(report)}"
        if report.by_stream
        else "none of its messages"
    )


def _examples(report: "ImportReport") -> str:
    """How lines begin that nobody understood."""
    return f"; such lines as {', '.join(report.examples)}" if report.examples else ""


def _made_keys(house: House, asked: Request) -> "list[RawKey]":
    from hedgegrid_assets.stages.raw import RawKey

    if asked.start is None or asked.end is None:
        raise UsageError(f"--start and --end are needed for --source {asked.source}: expected YYYY-MM-DD, found none")
    return [
        RawKey(channel, symbol, day)
        for symbol in asked.symbols
        for day in days_between(asked.start, asked.end)
        for channel in house.by_channel()
    ]


def _note_missing_tables(
    house: House, keys: "Sequence[RawKey]", note: Callable[[str], None], not_understood: int
) -> None:
    found = {key.channel for key in keys}
    missing = [table.token for name, (_, tables) in house.by_channel().items() if name not in found for table in tables]
    if missing and not_understood:
        lines = "1 line was" if not_understood == 1 else f"{not_understood:,} lines were"
        note(f"no {', '.join(missing)} in what could be read of these files: {lines} not understood")
    elif missing:
        note(f"no {', '.join(missing)} in these files")


def _run_day(
    house: House,
    key: "RawKey",
    asked: Request,
    progress: "Progress",
    failed: "Mapping[RawKey, HedgegridError]",
    carrier: "Carrier",
) -> list[DaySummary]:
    """One raw day through normalize and catalog; errors of the data become part of the summary."""
    tables = house.by_channel()[key.channel][1]
    try:
        day = InstrumentDay(house.feed.instrument_id(key.symbol), key.day)
    except HedgegridError as error:
        return [_failed(InstrumentDay(key.symbol, key.day), table, failed.get(key, error)) for table in tables]
    if key in failed:
        return [_failed(day, table, failed[key]) for table in tables]
    with ExitStack() as stack:
        carried = carrier.take(key)
        if carried is not None:
            stack.callback(carried.close)
        try:
            return _convert(house, day, key, tables, asked, progress, carried)
        except HedgegridError as error:
            _log.info("%s: %s", day, error.message)
            return [_failed(day, table, error) for table in tables]
        except Exception as error:  # noqa: BLE001 - told as what it is, with what was worked on
            _log.debug("%s", day, exc_info=True)
            return [_failed(day, table, Unforeseen(error, str(day))) for table in tables]


def _convert(
    house: House,
    day: InstrumentDay,
    key: "RawKey",
    tables: Sequence[Table],
    asked: Request,
    progress: "Progress",
    carried: "Carried | None",
) -> list[DaySummary]:
    from hedgegrid_assets.pipeline.days import make_tables

    raw = house.raw(key)
    if raw is None:
        raise NoDataFetched(f"{day} {key.channel}", house.source.name, "no such day")
    done = make_tables(
        house,
        day,
        raw,
        tables,
        compression=asked.compression,
        again=asked.force,
        force=asked.force,
        progress=progress,
        carried=carried,
    )
    return [_summary_of(house, each) for each in done]


def _summary_of(house: House, done: "TableDay") -> DaySummary:
    from hedgegrid_assets.stages import catalog

    if isinstance(done.error, Refused):
        return _failed(done.day, done.table, done.error)
    if done.error is not None:
        return _summary(house, done.day, done.table, 0, error=done.error)
    size = done.written.bytes if done.written else catalog.file_of(house.places, done.day, done.table).stat().st_size
    summary = _summary(house, done.day, done.table, size, skipped=done.current)
    return summary if done.made is None else replace(summary, note=done.made.note)


def _summary(
    house: House,
    day: InstrumentDay,
    table: Table,
    size: int,
    *,
    skipped: bool = False,
    error: HedgegridError | None = None,
) -> DaySummary:
    from hedgegrid_assets.stages.integrity import ids_missing, read_verdict, rules_off

    verdict = None if isinstance(error, Refused) else read_verdict(house.places, table, day)
    if verdict is None:
        return _failed(day, table, error or DataError("no verdict"))
    return DaySummary(
        instrument_id=day.instrument_id,
        table=table.name,
        date=day.date,
        status=verdict["status"],
        rows=verdict["rows"],
        rejects_by_reason=verdict["rejects_by_reason"],
        gaps=verdict.get("gaps_total", len(verdict["gaps"])),
        ids_missing=ids_missing(verdict),
        bytes=size,
        skipped=skipped,
        error=str(error) if error else None,
        off=tuple(rules_off(verdict)),
    )


def _failed(day: InstrumentDay, table: Table, error: HedgegridError) -> DaySummary:
    status = Status.REFUSED if isinstance(error, Refused) else Status.BLOCKED
    return DaySummary(day.instrument_id, table.name, day.date, str(status), {}, {}, 0, 0, 0, error=str(error))
