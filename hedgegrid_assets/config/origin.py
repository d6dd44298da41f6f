"""Where market data comes from: what a feed of feeds.yaml and a request have in common."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from hedgegrid_assets import venues
from hedgegrid_assets.config.fields import (
    Clock,
    GapsByTable,
    InstrumentOverride,
    KnownOutage,
    Periods,
    Refresh,
    Schedule,
)
from hedgegrid_assets.config.notes import Note, refuse, twice, unknown
from hedgegrid_assets.config.settings import INPUTS, configuration_for, own_keys, setting_notes
from hedgegrid_assets.errors import InstrumentUnknown, UnknownName
from hedgegrid_assets.fields import (
    Day,
    Frozen,
    Glob,
    PairPart,
    Venue,
    matches,
    shown,
)
from hedgegrid_assets.model import Thresholds
from hedgegrid_assets.names import nautilus_takes_for_one
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.tables import DEFAULT, TABLES, TOKENS
from hedgegrid_assets.tables.bar import TABLE_OF
from hedgegrid_assets.timestamps import days_between
from hedgegrid_assets.venues import Listing, Market

SYNTHETIC: Final = "synthetic"
SYNTHETIC_VENUE: Final = "SIM"

_LATE_MINUTES: Final = 180
_LAST_MINUTE: Final = 24 * 60 - 1
_OWNER: Final = re.compile(r"team:.+|[^@\s]+@[^@\s]+\.[^@\s]+")
_BINANCE_NAMES: Final = ("BINANCE", "SIM")


class Origin(Frozen):
    """Where market data comes from: a source with its settings, the instruments and tables wanted of it, and when.

    Attributes:
        name: Group, first part of the asset keys and folder of the raw files.
        source: What is received: a provider, or a format of files.
        venue: Nautilus venue, as ``BINANCE``; synthetic data is under ``SIM``, and nothing else is.
        market: Of all symbols; None: the one of the venue that writes them so, the usual one of several (``usdm``).
        symbols: As the exchange writes them.
        bars: Bars wanted besides the tables, each a table of its own: of the venue's candles where there are any, else of
            trades, cut by arrival.
        tables: Those wanted, by Nautilus' names; None: the usual ones that the source gives.
        start: First date, UTC.
        end: First date that is not wanted any more; None: open.
        settings: What the source alone understands; given keys only, each of the right type.
        landing: Globs under ``<data>/raw`` (sources that land).
        instruments: Symbol -> what is known of it.
        gaps: Table -> longest usual silence, as ``60s`` or ``5m`` (kept in seconds); ``off`` or 0: not looked for.
        max_rejected: Share of the rows in, 0 to 1, above which a day is blocked, once 10 rows are rejected.
        schedule: When it asks by itself; None: only when asked.
        due: ``HH:MM``, UTC: when the day before is to be there, else it is late; None: three hours after ``schedule.at``.
        refresh: When it looks again at published files; None: only when asked.
        outages: Times that are known to lack data.
        widen: ``auto``: an instrument whose precisions were inferred gets finer ones where a day needs them, in the run that
            makes the day; None: such a day is blocked.
        nautilus: Generation of NautilusTrader that the catalog is for; None: what it holds, else what is installed.
        owners: Dagster owners: an address, or ``team:name``.
    """

    name: str
    source: str
    venue: Venue
    market: Market | None = None
    symbols: Annotated[tuple[PairPart, ...], Field(min_length=1)]
    bars: Periods = ()
    tables: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default_factory=lambda data: with_bars(default_tables(data["source"]), data.get("bars", ()))
    )
    start: Day = date(1970, 1, 1)
    end: Day | None = None
    settings: Mapping[str, Any] = Field(default_factory=dict)
    landing: tuple[Glob, ...] = Field(default=(), validate_default=True)
    instruments: Mapping[str, InstrumentOverride] = Field(default_factory=dict, validate_default=True)
    gaps: GapsByTable = Field(default_factory=dict)
    max_rejected: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = Thresholds().max_rejected
    schedule: Schedule | None = None
    due: Clock | None = None
    refresh: Refresh | None = None
    outages: tuple[KnownOutage, ...] = ()
    widen: Literal["auto"] | None = None
    nautilus: Literal[1, 2] | None = None
    owners: tuple[Annotated[str, matches(_OWNER, "an e-mail address or team:name")], ...] = ()

    def instrument_id(self, symbol: str) -> str:
        """InstrumentId of one of the feed's symbols. Raises UsageError."""
        if symbol not in self.symbols:
            raise UnknownName("symbol", f"feed {self.name}", symbol, self.symbols)
        return instrument_id_in(
            symbol, self.market, self.venue, self.instruments, listed(self.source, self.settings, symbol)
        )

    def listing(self, symbol: str) -> Listing | None:
        """What venue, market, symbol and the id given for it say of an instrument; None: nothing that is known."""
        override = self.instruments.get(symbol)
        by_id = venues.listing_of_id(self.venue, override.id) if override and override.id else None
        if by_id is not None and self.market in (None, by_id.market):
            return by_id
        return venues.listing_of(self.venue, symbol, self.market)

    def instrument_ids(self) -> tuple[str, ...]:
        """InstrumentIds in the order of the symbols."""
        return tuple(map(self.instrument_id, self.symbols))

    def symbol_of(self, instrument_id: str) -> str:
        """The exchange symbol of one of the feed's instruments. Raises UsageError."""
        ids = dict(zip(self.instrument_ids(), self.symbols, strict=True))
        if instrument_id not in ids:
            raise UnknownName("instrument", f"feed {self.name}", instrument_id, ids)
        return ids[instrument_id]

    @property
    def due_at(self) -> time | None:
        """When, on each day, the day before is to be there: as said, else some hours after it is asked for; None: never."""
        said = self.due or (self.schedule.at if self.schedule else None)
        if said is None:
            return None
        at = time.fromisoformat(said)
        minutes = at.hour * 60 + at.minute + (0 if self.due else _LATE_MINUTES)
        return time(*divmod(min(max(minutes, 1), _LAST_MINUTE), 60))

    def days(self, until: date) -> list[date]:
        """The feed's dates before ``until``."""
        return days_between(self.start, min(self.end or until, until))

    @field_validator("source")
    @classmethod
    def _source_is_known(cls, source: str) -> str:
        if source not in SOURCES:
            raise ValueError(unknown(f"source {shown(source)}", source, SOURCES))
        return source

    @field_validator("symbols")
    @classmethod
    def _symbols_are_unique(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        refuse(twice("symbols", symbols))
        return symbols

    @field_validator("tables")
    @classmethod
    def _tables_are_known(cls, tables: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        refuse([*table_notes(tables), *twice("tables", tables)])
        return with_bars(tables, info.data.get("bars", ()))

    @field_validator("end")
    @classmethod
    def _end_is_after_start(cls, end: date | None, info: ValidationInfo) -> date | None:
        start = info.data.get("start")
        if end is not None and start is not None and end <= start:
            raise ValueError(f"expected a date after start {start} (end is exclusive), found {end}")
        return end

    @field_validator("settings")
    @classmethod
    def _settings_are_known(cls, settings: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        if "source" in info.data:
            in_files = {key: value for key, value in settings.items() if key != INPUTS}
            source = info.data["source"]
            refuse(setting_notes(configuration_for(source, in_files), in_files, ("settings",), own=own_keys(source)))
        return settings


def instrument_id(symbol: str, market: Market | None, venue: str) -> str:
    """The InstrumentId that Nautilus' adapter of the venue gives an exchange symbol."""
    try:
        listing = venues.listing_of(venue, symbol, market)
    except InstrumentUnknown:  # a date that is none: told when it is to be defined
        listing = None
    if listing is not None:
        return f"{listing.symbol}.{venue}"
    if market == "spot" or symbol[-1:].isdigit() or (venues.is_known(venue) and venue not in _BINANCE_NAMES):
        return f"{symbol}.{venue}"
    if symbol.endswith("_PERP"):
        return f"{symbol.replace('_', '-')}.{venue}"
    return f"{symbol}-PERP.{venue}"


def tables_of(source: str) -> tuple[str, ...]:
    """All tables that a source gives."""
    given = {table for channel in SOURCES[source].channels for table in channel.tables}
    return tuple(name for name in TABLES if name in given)


def default_tables(source: str) -> tuple[str, ...]:
    """Those of a source's tables that are made where nobody names any."""
    return tuple(name for name in tables_of(source) if name in DEFAULT)


def with_bars(tables: Sequence[str], periods: Sequence[str]) -> tuple[str, ...]:
    """Tables, and the bars that are wanted besides them."""
    return tuple(dict.fromkeys((*tables, *(TABLE_OF[period] for period in periods))))


def table_notes(tables: Sequence[str], source: str | None = None) -> list[Note]:
    """Names that are no tables, and tables that the source does not give."""
    notes: list[Note] = []
    given = TABLES if source is None else tables_of(source)
    for position, name in enumerate(tables):
        if name not in TABLES:
            meant = TOKENS[name].name if name in TOKENS else name
            notes.append((("tables", position), unknown(f"table {name!r}", meant, TABLES)))
        elif name not in given:
            notes.append(
                (
                    ("tables", position),
                    f"expected a table that source {source} gives ({', '.join(given)}), found {name}",
                )
            )
    return notes


def instrument_id_in(
    symbol: str, market: Market | None, venue: str, instruments: Mapping[str, InstrumentOverride], listed: str | None
) -> str:
    """The InstrumentId of a symbol: by the id given for it, by its own exchange's data (``listed``), else by market and venue."""
    override = instruments.get(symbol)
    name = override.id if override and override.id else listed
    return f"{name}.{venue}" if name else instrument_id(symbol, market, venue)


def listed(source: str, settings: Mapping[str, Any], symbol: str) -> str | None:
    """A symbol as its own exchange's data has it in an InstrumentId; None: as the market of the feed makes it."""
    remote = SOURCES[source].remote if source in SOURCES else None
    return remote.listing(settings, symbol).symbol if remote else None


def confused(first: str, second: str) -> str:
    """What is wrong with two ids that Nautilus takes for one."""
    return f"expected ids that differ by more than case and -._ :^/, since Nautilus drops one of them, found {first} and {second}"


def confusable(ids: Sequence[str]) -> list[Note]:
    """Ids, by the place of their symbol, that Nautilus takes for an earlier one."""
    first: dict[str, str] = {}
    return [
        (("symbols", position), confused(first[nautilus_takes_for_one(made)], made))
        for position, made in enumerate(ids)
        if first.setdefault(nautilus_takes_for_one(made), made) != made or made in ids[:position]
    ]
