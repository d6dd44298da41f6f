"""feeds.yaml to frozen feeds: every name checked, every problem told with its file, line and key."""

import fnmatch
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NotRequired, TypedDict, override

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    with_config,
)
from pydantic_core import PydanticCustomError

from hedgegrid_assets import venues
from hedgegrid_assets.errors import FeedsFileError, InstrumentUnknown, UsageError, several
from hedgegrid_assets.names import VENUE, VENUE_EXPECTED, name_problem
from hedgegrid_assets.timestamps import days_between
from hedgegrid_assets.venues import Listing, Market

if TYPE_CHECKING:
    from hedgegrid_assets.model import Source

type KeyPath = tuple[str | int, ...]
type Note = tuple[KeyPath, str]
"""Where, from the root of the feed or of the configuration, and what is wrong there."""

SYNTHETIC: Final = "synthetic"
SYNTHETIC_VENUE: Final = "SIM"
RESERVED_NAMES: Final = ("csv", "websocket", "cli")
RESERVED_PREFIX: Final = "cli_"
GUIDE_KEYS: Final = (
    "venue",
    "market",
    "gaps",
    "instruments",
    "api_key",
    "api_key_env",
    "exchange",
    "api",
    "base_path",
    "files",
    "timestamp_format",
    "ids",
    "encoding",
    "sides",
    "side_is",
    "trade_kind",
    "index_kind",
    "cache_dir",
    "endpoint",
    "datasets_endpoint",
)
"""Keys that ``--config`` takes for every source, so that one file serves them all."""

_VERSION: Final = 1
_FEED_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_EXCHANGE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_LENGTH: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smh])")
_SECONDS_IN: Final = {"s": 1, "m": 60, "h": 3600}
_LONGEST_GAP_SECONDS: Final = 86_400.0
_OWNER: Final = re.compile(r"team:.+|[^@\s]+@[^@\s]+\.[^@\s]+")
_SAME_IN_SQL: Final = re.compile(r"[-._ :^]")
_BINANCE_NAMES: Final = ("BINANCE", "SIM")
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2261
_FINEST_DECIMALS: Final = 16
_DECIMAL: Final = re.compile(rf"-?[0-9]{{1,20}}(?:\.[0-9]{{1,{_FINEST_DECIMALS}}})?")
_SHOWN_CHARACTERS: Final = 60
_KEY_IN_FILE: Final = (
    "a key is never kept in this file: put it in the environment, and its name here: api_key_env: TARDIS_API_KEY"
)


# ---------------------------------------------------------------- the nouns


def _name_part(value: object) -> str:
    """Text that can stand in an instrument id, a folder and a partition key."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {_shown(value)}: quote it")
    if expected := name_problem(value):
        raise ValueError(f"expected {expected}, found {_shown(value)}")
    return value


def _pair_part(value: object) -> str:
    """As ``_name_part``; a pair of currencies may have its slash."""
    if not isinstance(value, str):
        return _name_part(value)
    return "/".join(map(_name_part, value.split("/", 1)))


def _day(value: object) -> object:
    """``YYYY-MM-DD`` as text, and nothing else that pydantic would take for a date."""
    wrong = ValueError(f"expected a date YYYY-MM-DD from {_FIRST_YEAR} to {_LAST_YEAR}, found {_shown(value)}")
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise wrong from None
    if type(value) is not date or not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise wrong
    return value


def _decimal_text(value: object) -> str:
    """A number as plain text without an exponent, digits kept."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = format(Decimal(str(value)), "f") if number else value
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise ValueError(f"expected a number of at most {_FINEST_DECIMALS} decimals, found {_shown(value)}")
    return text


def _positive(text: str) -> str:
    if Decimal(text) <= 0:
        raise ValueError(f"expected a number above 0, found {text}")
    return text


def _fee(text: str) -> str:
    if not -1 < Decimal(text) < 1:
        raise ValueError(f"expected a share between -1 and 1, as 0.0002 for 2 basis points, found {text}")
    return text


def _glob(text: str) -> str:
    if not text or text.startswith("/") or "\\" in text or "\0" in text or ".." in text.split("/"):
        raise ValueError(f"expected a pattern under <data>/raw, as websocket/**/*.jsonl*, found {_shown(text)}")
    return text


def _gap_seconds(value: object) -> float:
    """``60s``, ``5m``, ``1h`` to seconds; ``off``, ``false`` and 0 to 0."""
    if value == "off" or value is False or (type(value) is int and value == 0):
        return 0.0
    if isinstance(value, str) and (match := _LENGTH.fullmatch(value)):
        seconds = float(match[1]) * _SECONDS_IN[match[2]]
        if 0 < seconds <= _LONGEST_GAP_SECONDS:
            return seconds
    raise ValueError(f"expected a time of up to a day with its unit, as 60s, 5m or 1h, or off, found {_shown(value)}")


def _table_name(value: object) -> str:
    """Nautilus' name of a table, given by it or by the guide's word."""
    from hedgegrid_assets.tables import TABLES, TOKENS

    if not isinstance(value, str) or value not in (*TABLES, *TOKENS):
        raise ValueError(_unknown("table", str(value), (*TOKENS, *TABLES)))
    return TOKENS[value].name if value in TOKENS else value


def _each_table_once(value: object) -> object:
    if isinstance(value, dict):
        from hedgegrid_assets.tables import TOKENS

        twice = [token for token, table in TOKENS.items() if token in value and table.name in value]
        if twice:
            raise ValueError(f"expected each table once, found {twice[0]} and {TOKENS[twice[0]].name}")
    return value


def _matches(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"expected {expected}, found {_shown(text)}")
        return text

    return AfterValidator(check)


def _filled(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError(f"expected text that is not empty, found {_shown(text)}")
    return text


type _GapSeconds = Annotated[float, BeforeValidator(_gap_seconds)]
type _Text = Annotated[str, AfterValidator(_filled)]
type _NamePart = Annotated[str, BeforeValidator(_name_part)]
type _Digits = Annotated[int, Field(strict=True, ge=0, le=_FINEST_DECIMALS)]
type _Count = Annotated[int, Field(strict=True, ge=1)]
type _DecimalText = Annotated[str, BeforeValidator(_decimal_text)]
type _Day = Annotated[date, BeforeValidator(_day)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Schedule(_Frozen):
    """When a feed asks by itself.

    Attributes:
        at: ``HH:MM``, UTC.
        look_back_days: Earlier days that are asked for again, besides yesterday.
    """

    at: Annotated[str, _matches(_CLOCK, "a time HH:MM, UTC")]
    look_back_days: Annotated[int, Field(strict=True, ge=0, le=366)] = 3


class InstrumentOverride(_Frozen):
    """What the feed says of one instrument; it goes before an exchange document and before inference.

    Attributes:
        price_precision: Decimals of a price, 0 to 16.
        size_precision: Decimals of a size, 0 to 16.
        mark_precision: Decimals of mark and index prices, 0 to 16; Binance sends 8.
        price_increment: Tick size, decimal text in quote units.
        size_increment: Step of a size, decimal text in base units.
        base: Base currency code.
        quote: Quote currency code.
        settlement: Settlement currency code.
        multiplier: Value of one contract in base currency (quote currency if inverse), decimal text.
        maker_fee: Share of the notional, decimal text; negative is a rebate.
        taker_fee: Share of the notional, decimal text.
        id: Symbol part of the InstrumentId, in place of the one made from the exchange symbol.
    """

    price_precision: _Digits | None = None
    size_precision: _Digits | None = None
    mark_precision: _Digits | None = None
    price_increment: Annotated[_DecimalText, AfterValidator(_positive)] | None = None
    size_increment: Annotated[_DecimalText, AfterValidator(_positive)] | None = None
    base: _NamePart | None = None
    quote: _NamePart | None = None
    settlement: _NamePart | None = None
    multiplier: Annotated[_DecimalText, AfterValidator(_positive)] | None = None
    maker_fee: Annotated[_DecimalText, AfterValidator(_fee)] | None = None
    taker_fee: Annotated[_DecimalText, AfterValidator(_fee)] | None = None
    id: Annotated[str, BeforeValidator(_pair_part)] | None = None

    @field_validator("price_increment", "size_increment")
    @classmethod
    def _increment_fits(cls, text: str | None, info: ValidationInfo) -> str | None:
        precision = info.data.get(str(info.field_name).replace("increment", "precision"))
        if text is not None and precision is not None and len(text.partition(".")[2]) > precision:
            raise ValueError(f"expected at most {precision} decimals, as the precision says, found {text}")
        return text


class Feed(_Frozen):
    """One source of market data: where it comes from, which instruments and tables it gives, from when.

    Attributes:
        name: Group, first part of the asset keys and folder of the raw files.
        source: A row of ``sources``.
        venue: Nautilus venue, as ``BINANCE``; synthetic data is under ``SIM``, and nothing else is.
        market: Of all symbols; None: the one of the venue that writes them so, the usual one of several (``usdm``).
        symbols: As the exchange writes them.
        tables: Names of ``tables``; all that the source gives, if not said.
        start: First date, UTC.
        end: First date that is not wanted any more; None: open.
        settings: What the source alone understands; given keys only, each of the right type.
        landing: Globs under ``<data>/raw`` (sources that land).
        instruments: Symbol -> what is known of it.
        gaps: Table -> longest usual silence in seconds; 0: off.
        max_rejected: Share of the rows in, 0 to 1, above which a day is blocked.
        schedule: None: only when asked.
        owners: Dagster owners: an address, or ``team:name``.
    """

    name: str
    source: str
    venue: Annotated[str, _matches(VENUE, VENUE_EXPECTED)]
    market: Market | None = None
    symbols: Annotated[tuple[_NamePart, ...], Field(min_length=1)]
    tables: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default_factory=lambda data: _tables_of(data["source"])
    )
    start: _Day
    end: _Day | None = None
    settings: Mapping[str, Any] = Field(default_factory=dict)
    landing: tuple[Annotated[str, AfterValidator(_glob)], ...] = Field(default=(), validate_default=True)
    instruments: Mapping[str, InstrumentOverride] = Field(default_factory=dict, validate_default=True)
    gaps: Mapping[str, _GapSeconds] = Field(default_factory=dict)
    max_rejected: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = 0.001
    schedule: Schedule | None = None
    owners: tuple[Annotated[str, _matches(_OWNER, "an e-mail address or team:name")], ...] = ()

    def instrument_id(self, symbol: str) -> str:
        """InstrumentId of one of the feed's symbols. Raises UsageError."""
        if symbol not in self.symbols:
            raise UsageError(
                f"unknown symbol (feed {self.name}): expected one of {', '.join(self.symbols)}, found {symbol!r}"
            )
        return _instrument_id_in(
            symbol, self.market, self.venue, self.instruments, _listed(self.source, self.settings, symbol)
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
            raise UsageError(
                f"unknown instrument (feed {self.name}): expected one of {', '.join(ids)}, found {instrument_id!r}"
            )
        return ids[instrument_id]

    def days(self, until: date) -> list[date]:
        """The feed's dates before ``until``."""
        return days_between(self.start, min(self.end or until, until))

    @field_validator("name")
    @classmethod
    def _name_is_usable(cls, name: str) -> str:
        if "-" in name:
            raise ValueError(
                "expected a name without a hyphen (Dagster makes op and group names from it, which have none), "
                f"found {_shown(name)}; did you mean {name.replace('-', '_')}?"
            )
        if not _FEED_NAME.fullmatch(name):
            raise ValueError(
                f"expected 1 to 40 lower-case letters, digits and _ with a letter in front, found {_shown(name)}"
            )
        return name

    @field_validator("source")
    @classmethod
    def _source_is_known(cls, source: str) -> str:
        if source not in (known := _sources()):
            raise ValueError(_unknown(f"source {_shown(source)}", source, known))
        return source

    @field_validator("venue")
    @classmethod
    def _synthetic_has_its_own_venue(cls, venue: str, info: ValidationInfo) -> str:
        source = info.data.get("source")
        if source == SYNTHETIC and venue != SYNTHETIC_VENUE:
            raise ValueError(
                f"expected {SYNTHETIC_VENUE}, since synthetic data never carries a real venue's name, found {venue!r}"
            )
        if source not in (SYNTHETIC, None) and venue == SYNTHETIC_VENUE:
            raise ValueError(f"expected the venue of the data, found {venue!r}, which only synthetic data has")
        return venue

    @field_validator("symbols")
    @classmethod
    def _symbols_are_unique(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        _refuse(_twice("symbols", symbols))
        return symbols

    @field_validator("tables")
    @classmethod
    def _tables_are_known(cls, tables: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        _refuse([*_table_notes(tables, info.data.get("source")), *_twice("tables", tables)])
        return tables

    @field_validator("end")
    @classmethod
    def _end_is_after_start(cls, end: date | None, info: ValidationInfo) -> date | None:
        start = info.data.get("start")
        if end is not None and start is not None and end <= start:
            raise ValueError(f"expected a date after start {start} (end is exclusive), found {end}")
        return end

    @field_validator("settings")
    @classmethod
    def _settings_are_the_sources(cls, settings: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        if "source" not in info.data:
            return settings
        source = _sources()[info.data["source"]]
        _refuse(_setting_notes(settings, source.settings, ("settings",)))
        if source.remote is not None:
            try:
                venues = source.remote.venues(settings)
            except UsageError as error:
                raise ValueError(error.message) from None
            if info.data.get("venue", venues[0]) not in venues:
                raise ValueError(
                    f"expected venue {' or '.join(venues)}, where the data of this exchange belongs, found {info.data['venue']}"
                )
        return settings

    @field_validator("landing")
    @classmethod
    def _landing_is_for_file_sources(cls, landing: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "source" not in info.data or "settings" not in info.data:
            return landing
        source = _sources()[info.data["source"]]
        if landing and not source.lands:
            raise ValueError(f"expected no landing: source {source.name} makes or fetches its days itself")
        if landing and "files" in info.data["settings"]:
            raise ValueError("expected landing or settings.files, found both")
        if source.lands and not landing and "files" not in info.data["settings"]:
            raise ValueError(f"source {source.name} reads files: expected landing or settings.files, found neither")
        return landing

    @field_validator("instruments")
    @classmethod
    def _instruments_are_symbols(
        cls, instruments: Mapping[str, InstrumentOverride], info: ValidationInfo
    ) -> Mapping[str, InstrumentOverride]:
        if {"symbols", "market", "venue"} <= info.data.keys():
            symbols, market, venue = info.data["symbols"], info.data["market"], info.data["venue"]
            strangers = [
                (("instruments", key), _unknown("symbol of this feed", key, symbols))
                for key in instruments
                if key not in symbols
            ]
            source, settings = info.data.get("source", ""), info.data.get("settings", {})
            ids = [
                _instrument_id_in(symbol, market, venue, instruments, _listed(source, settings, symbol))
                for symbol in symbols
            ]
            _refuse([*strangers, *_confusable(ids)])
        return instruments

    @field_validator("gaps")
    @classmethod
    def _gaps_are_of_tables(cls, gaps: Mapping[str, float], info: ValidationInfo) -> Mapping[str, float]:
        tables = info.data.get("tables")
        if tables is not None:
            _refuse([(("gaps", key), _unknown("table of this feed", key, tables)) for key in gaps if key not in tables])
        return gaps


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in feeds.yaml.

    Attributes:
        feed: Name of the feed that it keeps out; None: none.
        line: 1-based.
        key: From the root of the file, as ``feeds.captures.venue``.
        message: What is wrong, and what was expected.
        file: As it was asked for.
    """

    feed: str | None
    line: int
    key: str
    message: str
    file: str = "feeds.yaml"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.message}"


@dataclass(frozen=True, slots=True)
class FeedsFile:
    """feeds.yaml as read: a feed is in ``feeds``, or has at least one problem.

    Attributes:
        path: As it was asked for.
        feeds: Name -> feed, in the order of the file.
        problems: In line order.
    """

    path: Path
    feeds: Mapping[str, Feed]
    problems: tuple[Problem, ...]


# ---------------------------------------------------------------- reading


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


def read_feeds(path: Path) -> FeedsFile:
    """Read and check every feed of a file; one that does not validate is reported and stops no other.

    Raises FeedsFileError if the file as a whole cannot be used.
    """
    try:
        tree, walk = _plain_file(path)
    except _Unreadable as error:
        raise FeedsFileError(path, [str(error)]) from None
    given = _feeds_of(path, tree, walk)
    checked = {name: _checked_feed(name, values) for name, values in given.items()}
    findings = [*walk.findings, *walk.place((), _unknown_roots(tree)), *walk.place((), _keys_in_file(walk))]
    for name, (_, notes) in checked.items():
        findings += walk.place(("feeds", name), notes)
    broken = {at[1] for _, at, _ in findings if len(at) > 1 and at[0] == "feeds"}
    sound = {name: feed for name, (feed, _) in checked.items() if feed is not None and name not in broken}
    feeds, clashes = _without_clashes(sound)
    findings += walk.place((), [*clashes, *(swallowing := _swallowing(sound))])
    feeds = {name: feed for name, feed in feeds.items() if name not in {at[1] for at, _ in swallowing}}
    problems = (_problem(path, *finding) for finding in dict.fromkeys(findings))
    return FeedsFile(path, feeds, tuple(sorted(problems, key=lambda problem: problem.line)))


def feeds_path() -> Path:
    """Where feeds.yaml is: ``HEDGEGRID_FEEDS``, else the working directory."""
    return Path(os.environ.get("HEDGEGRID_FEEDS") or "feeds.yaml")


def data_path() -> Path:
    """Root of the data: ``HEDGEGRID_DATA``, else ``data`` in the working directory."""
    return Path(os.environ.get("HEDGEGRID_DATA") or "data")


def read_config(path: Path, source: str) -> dict[str, Any]:
    """The file given with ``--config``, JSON or YAML: the source's settings, flat, and the keys of the guide.

    Raises UsageError that names file, line and key of everything wrong in it.
    """
    if source not in (known := _sources()):
        raise UsageError(_unknown(f"source {_shown(source)}", source, known))
    allowed = tuple(dict.fromkeys((*known[source].settings, *GUIDE_KEYS)))
    plain = _plain_json(path)
    if plain is not None and not _setting_notes(plain, allowed, ()):
        return plain
    try:
        tree, walk = _plain_file(path)
    except _Unreadable as error:
        raise UsageError(f"configuration is not usable ({path}): {error}", hint=_CONFIG_HINT) from None
    if not isinstance(tree, dict):
        raise UsageError(
            f"configuration is not usable ({path}): expected a mapping of keys, found {_shown(tree)}", hint=_CONFIG_HINT
        )
    findings = sorted(
        [*walk.findings, *walk.place((), _setting_notes(tree, allowed, ()))], key=lambda finding: finding[0]
    )
    if findings:
        problems = [f"{path}:{line}: {_dotted(at)}: {message}" for line, at, message in findings]
        raise UsageError(several(problems), hint=_CONFIG_HINT, details={"problems": problems})
    return tree


def gaps_of(settings: Mapping[str, Any]) -> dict[str, float]:
    """Table -> longest usual silence in seconds (0: off), as a configuration says it; its settings are checked already."""
    given: dict[str, float] = _SETTINGS["gaps"].validate_python(settings.get("gaps", {}))
    return given


def check_settings(source: str, given: Mapping[str, Any]) -> None:
    """Settings that come from Python: the same rules as for a file. Raises UsageError that names every key that is wrong."""
    allowed = tuple(dict.fromkeys((*_sources()[source].settings, *GUIDE_KEYS)))
    told = {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in given.items()}
    told.pop("inputs", None)  # files that the command line names
    problems = [f"{_dotted(at)}: {message}" for at, message in _setting_notes(told, allowed, ())]
    if problems:
        raise UsageError(
            f"configuration is not usable (source_config): {'; '.join(problems)}",
            hint="the keys are those of the file given with --config; see the README",
            details={"problems": problems},
        )


def _feeds_of(path: Path, tree: object, walk: "_Walk") -> dict[str, object]:
    """The value of ``feeds:``, once the file says that it is ours."""
    if not isinstance(tree, dict):
        raise FeedsFileError(path, [f"expected the keys version and feeds, found {_shown(tree)}"])
    wrong: list[Note] = []
    if type(tree.get("version")) is not int or tree["version"] != _VERSION:
        wrong.append((("version",), f"expected {_VERSION}, found {_shown(tree.get('version'))}"))
    if not isinstance(tree.get("feeds"), dict):
        wrong.append((("feeds",), f"expected a mapping of feed name to feed, found {_shown(tree.get('feeds'))}"))
    if wrong:
        raise FeedsFileError(
            path, [f"line {line}: {_dotted(at)}: {message}" for line, at, message in walk.place((), wrong)]
        )
    return tree["feeds"]


def _unknown_roots(tree: Mapping[str, object]) -> list[Note]:
    known = ("version", "feeds")
    return [((key,), _unknown("key", key, known)) for key in tree if key not in known]


def _keys_in_file(walk: "_Walk") -> list[Note]:
    """Keys of an API, wherever they stand; their values are never shown."""
    return [(at, _KEY_IN_FILE) for at in walk.lines if at[-1:] == ("api_key",)]


def _checked_feed(name: str, given: object) -> tuple[Feed | None, list[Note]]:
    """The feed, or all that is wrong with it."""
    notes: list[Note] = []
    if name in RESERVED_NAMES or name.startswith(RESERVED_PREFIX):
        notes.append(
            (
                (),
                f"expected a name other than {', '.join(RESERVED_NAMES)} and {RESERVED_PREFIX}*, which are taken, found {name!r}",
            )
        )
    if not isinstance(given, dict):
        return None, [*notes, ((), f"expected a mapping of keys, found {_shown(given)}")]
    if "name" in given:
        notes.append((("name",), _unknown("key", "name", _FEED_KEYS)))
    try:
        return Feed.model_validate({**given, "name": name}), notes
    except ValidationError as error:
        return None, notes + [(() if at == ("name",) else at, message) for at, message in _notes(error)]


def _without_clashes(feeds: Mapping[str, Feed]) -> tuple[dict[str, Feed], list[Note]]:
    """Feeds without those that make what an earlier feed makes, or an id that Nautilus takes for an earlier one."""
    kept: dict[str, Feed] = {}
    owners: dict[tuple[str, str], str] = {}
    spellings: dict[str, tuple[str, str]] = {}
    clashes: list[Note] = []
    for name, feed in feeds.items():
        mine: list[Note] = []
        for position, made in enumerate(feed.instrument_ids()):
            twin, twin_feed = spellings.get(_sql_name(made), (made, name))
            if twin != made:
                mine.append(
                    (("feeds", name, "symbols", position), f"{_confused(twin, made)} (feeds {twin_feed} and {name})")
                )
            for owner in dict.fromkeys(owners[made, table] for table in feed.tables if (made, table) in owners):
                tables = ", ".join(table for table in feed.tables if owners.get((made, table)) == owner)
                message = f"expected one feed for each table of {made}, found {owner} and {name} for {tables}"
                mine.append((("feeds", name, "symbols", position), message))
        clashes += mine
        if not mine:
            kept[name] = feed
            owners |= {(made, table): name for made in feed.instrument_ids() for table in feed.tables}
            spellings |= {_sql_name(made): (made, name) for made in feed.instrument_ids()}
    return kept, clashes


_RAW_ENDINGS: Final = ("json", "lines.parquet", "{}.zst", "{}.gz")
"""Of what lies in the folder of a raw day; ``{}``: the extension of its source."""


def _swallowing(feeds: Mapping[str, Feed]) -> list[Note]:
    """Patterns that match what we keep of landing files: each import would land its own copies again."""
    sources = _sources()
    own = {feed.name: sources[feed.source] for feed in feeds.values()}
    own |= {f"{RESERVED_PREFIX}{name}": source for name, source in sources.items()}
    kept = [
        f"{name}/{channel.name}/BTCUSDT/2024-01-01.{ending.format(source.extension)}"
        for name, source in own.items()
        for channel in source.channels
        for ending in _RAW_ENDINGS
    ]
    kept += [f"{name}/.imports/0123456789abcdef0123456789abcdef.json" for name in own]
    notes: list[Note] = []
    for name, feed in feeds.items():
        for position, pattern in enumerate(feed.landing):
            parts = [part for part in pattern.split("/") if part not in {"", "."}]
            ours = next((path for path in kept if _globs(parts, path.split("/"))), None)
            if ours is not None:
                message = f"expected a pattern for the files that you land alone, found {_shown(pattern)}, which matches our own copies (as {ours}): begin it with a folder of yours"
                notes.append((("feeds", name, "landing", position), message))
    return notes


def _globs(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether ``Path.glob`` finds a file, both in parts."""
    if not pattern or not path:
        return not path and not [part for part in pattern if part != "**"]
    if pattern[0] == "**":
        return any(_globs(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _globs(pattern[1:], path[1:])


# ---------------------------------------------------------------- settings


def _codec(name: str) -> str:
    """A codec of Python that makes text of bytes."""
    import codecs

    line = "1704067200,1.5\n"
    try:
        if line.encode(name).decode(name) == line:
            return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError(_no_codec(name)) from None
    raise ValueError(_no_codec(name))


def _no_codec(name: str) -> str:
    return f"expected a text encoding of Python, as gbk, utf-16 or cp1252, found {_shown(name)}"


type _Sides = Annotated[dict[_Text, Literal["buy", "sell", "none"]], Field(min_length=1)]


def _column(value: object) -> str | int:
    is_text, is_place = isinstance(value, str), isinstance(value, int) and not isinstance(value, bool)
    if (is_text and value and "\0" not in str(value)) or (is_place and int(str(value)) >= 0):
        assert isinstance(value, str | int)
        return value
    raise ValueError(f"expected the name of a column, or its position from 0 without quotes, found {_shown(value)}")


type _Column = Annotated[str | int, PlainValidator(_column)]
"""Name of a column, or its position from 0."""
type _Encoding = Annotated[str, AfterValidator(_codec)]
type _SideIs = Literal["taker", "maker"]


@with_config(ConfigDict(extra="forbid"))
class _File(TypedDict):
    file_path: _Text
    columns: NotRequired[dict[_Text, _Column]]
    timestamp_format: NotRequired[_Text]
    encoding: NotRequired[_Encoding]
    sides: NotRequired[_Sides]
    side_is: NotRequired[_SideIs]


@with_config(ConfigDict(extra="forbid"))
class _FundingFile(_File):
    settled: NotRequired[Annotated[bool, Field(strict=True)]]


@with_config(ConfigDict(extra="forbid"))
class _Files(TypedDict):
    trades: NotRequired[_File]
    mark: NotRequired[_File]
    index: NotRequired[_File]
    funding: NotRequired[_FundingFile]


def _not_empty(files: _Files) -> _Files:
    if not files:
        raise ValueError(f"expected at least one of {', '.join(_Files.__annotations__)}, found none")
    return files


def _environment_name(value: object) -> object:
    """The name of a variable; what was found may be a key and is not shown."""
    if not isinstance(value, str) or not _ENVIRONMENT_NAME.fullmatch(value):
        raise ValueError("expected the name of an environment variable, as TARDIS_API_KEY, found something else")
    return value


def _secret(value: object) -> object:
    if not isinstance(value, str) or not value:
        raise ValueError("expected text, found something else")
    return value


_SETTINGS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "venue": TypeAdapter(Annotated[str, _matches(VENUE, VENUE_EXPECTED)]),
    "market": TypeAdapter(Literal["usdm", "coinm", "spot"]),
    "gaps": TypeAdapter(
        Annotated[dict[Annotated[str, BeforeValidator(_table_name)], _GapSeconds], BeforeValidator(_each_table_once)]
    ),
    "instruments": TypeAdapter(dict[_Text, InstrumentOverride]),
    "seed": TypeAdapter(Annotated[int, Field(strict=True)]),
    "trades_per_day": TypeAdapter(_Count),
    "days": TypeAdapter(_Count),
    "files": TypeAdapter(Annotated[_Files, AfterValidator(_not_empty)]),
    "base_path": TypeAdapter(_Text),
    "trade_kind": TypeAdapter(Literal["aggTrade", "trade"]),
    "index_kind": TypeAdapter(Literal["markPrice", "indexPrice"]),
    "timestamp_format": TypeAdapter(_Text),
    "encoding": TypeAdapter(_Encoding),
    "sides": TypeAdapter(_Sides),
    "side_is": TypeAdapter(_SideIs),
    "ids": TypeAdapter(Literal["unique", "shared"]),
    "api_key": TypeAdapter(Annotated[str, BeforeValidator(_secret)]),
    "api_key_env": TypeAdapter(Annotated[str, BeforeValidator(_environment_name)]),
    "exchange": TypeAdapter(
        Annotated[str, _matches(_EXCHANGE, "the provider's id of an exchange, such as binance-futures")]
    ),
    "api": TypeAdapter(Literal["datasets", "replay"]),
    "cache_dir": TypeAdapter(_Text),
    "endpoint": TypeAdapter(_Text),
    "datasets_endpoint": TypeAdapter(_Text),
}
"""What each key holds; which of them a source takes is said in its own row."""


def _setting_notes(settings: Mapping[str, Any], allowed: Sequence[str], at: KeyPath) -> list[Note]:
    """Keys that the source does not take, and values of the wrong type."""
    notes: list[Note] = []
    for key, value in settings.items():
        if key not in allowed:
            notes.append(((*at, key), _unknown("key", key, allowed)))
            continue
        try:
            _SETTINGS[key].validate_python(value)
        except ValidationError as error:
            notes += _notes(error, (*at, key))
    return notes


# ---------------------------------------------------------------- rules over several keys


def _sources() -> "Mapping[str, Source]":
    """The registry; read late, since it loads Polars."""
    from hedgegrid_assets.sources import SOURCES

    return SOURCES


def _tables_of(source: str) -> tuple[str, ...]:
    """All tables that a source gives."""
    from hedgegrid_assets.tables import TABLES

    given = {table for channel in _sources()[source].channels for table in channel.tables}
    return tuple(name for name in TABLES if name in given)


def _table_notes(tables: Sequence[str], source: str | None) -> list[Note]:
    """Names that are no tables, and tables that the source does not give."""
    from hedgegrid_assets.tables import TABLES, TOKENS

    notes: list[Note] = []
    given = TABLES if source is None else _tables_of(source)
    for position, name in enumerate(tables):
        if name in TOKENS:
            notes.append((("tables", position), _unknown(f"table {name!r}", TOKENS[name].name, TABLES)))
        elif name not in TABLES:
            notes.append((("tables", position), _unknown(f"table {name!r}", name, TABLES)))
        elif name not in given:
            notes.append(
                (
                    ("tables", position),
                    f"expected a table that source {source} gives ({', '.join(given)}), found {name}",
                )
            )
    return notes


def _instrument_id_in(
    symbol: str, market: Market | None, venue: str, instruments: Mapping[str, InstrumentOverride], listed: str | None
) -> str:
    override = instruments.get(symbol)
    name = override.id if override and override.id else listed
    return f"{name}.{venue}" if name else instrument_id(symbol, market, venue)


def _listed(source: str, settings: Mapping[str, Any], symbol: str) -> str | None:
    """A symbol as its own exchange's data has it in an InstrumentId; None: as the market of the feed makes it."""
    remote = _sources()[source].remote if source in _sources() else None
    return remote.listing(settings, symbol).symbol if remote else None


def _twice(key: str, values: Sequence[str]) -> list[Note]:
    return [
        ((key, n), f"expected each once, found {value!r} again")
        for n, value in enumerate(values)
        if value in values[:n]
    ]


def _sql_name(made: str) -> str:
    """What Nautilus makes of an id in its queries."""
    return _SAME_IN_SQL.sub("_", made).lower()


def _confused(first: str, second: str) -> str:
    return f"expected ids that differ by more than case and -._ :^, since Nautilus drops one of them, found {first} and {second}"


def _confusable(ids: Sequence[str]) -> list[Note]:
    first: dict[str, str] = {}
    return [
        (("symbols", position), _confused(first[_sql_name(made)], made))
        for position, made in enumerate(ids)
        if first.setdefault(_sql_name(made), made) != made or made in ids[:position]
    ]


def _refuse(notes: Sequence[Note]) -> None:
    """Raise one error for all of them; each has its own place."""
    if notes:
        summary = "; ".join(f"{_dotted(at)}: {message}" for at, message in notes)
        raise PydanticCustomError("several", "{summary}", {"summary": summary, "notes": notes})


# ---------------------------------------------------------------- wording

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "tuple_type": "a list",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
}
"""pydantic's kinds of error in our words; the braces are its own details."""
_NOT_A_PROBLEM: Final = "default_factory_not_called"
_FEED_KEYS: Final = tuple(key for key in Feed.model_fields if key != "name")
_CONFIG_HINT: Final = "correct the file given with --config; its keys are in the README"


def _notes(error: ValidationError, at: KeyPath = ()) -> list[Note]:
    """All that pydantic found, in our words; ``at`` is where the value stands."""
    notes: list[Note] = []
    for details in error.errors(include_url=False):
        context = details.get("ctx", {})
        path = (*at, *details["loc"])
        match details["type"]:
            case "several":
                notes += context["notes"]
            case "too_short" if details["input"]:
                continue  # its items are told one by one
            case "missing":
                notes.append((path, "expected a value, found no such key"))
            case "extra_forbidden":
                notes.append((path, _unknown("key", str(path[-1]), _keys_at(path))))
            case "value_error":
                notes.append((path, str(context["error"])))
            case kind if kind in _EXPECTED:
                notes.append((path, f"expected {_EXPECTED[kind].format(**context)}, found {_shown(details['input'])}"))
            case kind if kind != _NOT_A_PROBLEM:
                notes.append((path, details["msg"]))
    return notes


def _keys_at(path: KeyPath) -> Sequence[str]:
    """The keys that may stand where an unknown one was found."""
    match path[:-1]:
        case ("instruments", _):
            return tuple(InstrumentOverride.model_fields)
        case ("schedule",):
            return tuple(Schedule.model_fields)
        case (*_, "files"):
            return tuple(_Files.__annotations__)
        case (*_, "files", _):
            return tuple(_File.__annotations__)
    return _FEED_KEYS


def _unknown(what: str, found: str, known: Iterable[str]) -> str:
    """``unknown <what>`` with what is known and, where one is near, what was probably meant."""
    import difflib

    if what == "key" and found == "api_key":
        return _KEY_IN_FILE
    names = list(known)
    near = difflib.get_close_matches(found, names, 1)
    return f"unknown {what} (expected one of: {', '.join(names)}{f'; did you mean {near[0]}?' if near else ''})"


def _shown(value: object) -> str:
    """A value as a person wrote it, not too long."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str() if len(value) > _SHOWN_CHARACTERS:
            return f"{value[:_SHOWN_CHARACTERS]!r}..."
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
    return repr(value)


def _dotted(at: KeyPath) -> str:
    """``("symbols", 2)`` as ``symbols[2]``, counted from 0."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).removeprefix(".")


def _problem(path: Path, line: int, at: KeyPath, message: str) -> Problem:
    feed = str(at[1]) if len(at) > 1 and at[0] == "feeds" else None
    return Problem(feed, line, _dotted(at), message, str(path))


# ---------------------------------------------------------------- YAML, with lines

_MOST_BYTES: Final = 512 << 10
"""Of a YAML file; as the number of values, what takes a few seconds to read."""
_MOST_JSON_BYTES: Final = 8 << 20
_MOST_LEVELS: Final = 20
_MOST_VALUES: Final = 20_000
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq"))
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,19}")
_OTHER_INTEGER: Final = re.compile(r"0o[0-7]{1,21}|0x[0-9a-fA-F]{1,16}")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

type _Finding = tuple[int, KeyPath, str]
"""Line, key and message."""


class _Unreadable(Exception):
    """The file is no YAML that could be looked into."""


@dataclass(slots=True)
class _Walk:
    """What is learnt on the way through the nodes: the line of each key, and what YAML allows but we do not."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    findings: list[_Finding] = field(default_factory=list)
    inside: set[int] = field(default_factory=set)
    values: int = 0

    def place(self, root: KeyPath, notes: Iterable[Note]) -> list[_Finding]:
        """Notes with their lines; a key that is not in the file has the line of what it is missing from.

        What the walk itself found wrong is not told a second time.
        """
        told = {at for _, at, _ in self.findings}
        placed = [((*root, *at), message) for at, message in notes]
        return [(self._line(at), at, message) for at, message in placed if at not in told]

    def _line(self, at: KeyPath) -> int:
        return next((self.lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.lines), 1)


def _plain_file(path: Path) -> tuple[Any, _Walk]:
    """Plain values of a YAML or JSON file, dates still text, and the walk. Raises _Unreadable."""
    walk = _Walk()
    try:
        node = _composed(_text(path))
        return (None if node is None else _value(node, (), walk)), walk
    except RecursionError:
        raise _Unreadable("expected a few levels, found them nested too deep to read") from None


def _plain_json(path: Path) -> dict[str, Any] | None:
    """A JSON object without a key twice; None for anything else, of which the walk tells what it is, line by line.

    Most files of ``--config`` are JSON, and importing a YAML reader takes a tenth of a second.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        with path.open("rb") as file:
            content = file.read(_MOST_JSON_BYTES + 1)
        if len(content) > _MOST_JSON_BYTES:
            return None
        tree = json.loads(content, object_pairs_hook=once, parse_constant=refuse)
    except (OSError, ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) and b"\\u" not in content else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise _Unreadable(f"expected a file, found none at {path.absolute()}") from None
    except OSError as error:
        raise _Unreadable(f"expected a readable file, found {error.strerror} at {path.absolute()}") from None
    if len(content) > _MOST_BYTES:
        raise _Unreadable(f"expected a file of at most {_MOST_BYTES:,} bytes, found more at {path.absolute()}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Unreadable(f"line {line}: expected UTF-8, found the byte 0x{content[error.start]:02x}") from None


def _composed(text: str) -> Any:
    """The root node; None: nothing in it. Raises _Unreadable."""
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    class Bounded(Composer):
        """Stops at what no file of ours has, before it is read to its end."""

        levels = nodes = 0

        @override
        def compose_node(self, parent: Any, index: Any) -> Any:
            self.levels += 1
            self.nodes += 1
            if self.levels > _MOST_LEVELS:
                raise _Unreadable(f"expected at most {_MOST_LEVELS} levels, found them nested too deep")
            if self.nodes > _MOST_VALUES:
                raise _Unreadable(f"expected at most {_MOST_VALUES:,} values, found more")
            node = super().compose_node(parent, index)
            self.levels -= 1
            return node

    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = Bounded
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Unreadable(
            f"line {mark.line + 1 if mark else 1}: expected YAML, {error.problem or error.context}"
        ) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Unreadable(f"line {line}: expected text, found the control character {error.character!r}") from None
    except YAMLError as error:
        raise _Unreadable(f"expected YAML: {error}") from None


def _value(node: Any, at: KeyPath, walk: _Walk) -> Any:
    """A node as plain values. Raises _Unreadable for aliases of aliases that stand for too much."""
    line = node.start_mark.line + 1
    walk.values += 1
    if walk.values > _MOST_VALUES:
        raise _Unreadable(f"expected at most {_MOST_VALUES:,} values, found more (aliases stand for what they name)")
    if str(node.tag).removeprefix(_TAG) not in _PLAIN_TAGS:
        walk.findings.append((line, at, f"expected a plain value, found the tag {node.tag}"))
        return None
    if node.id == "scalar":
        return _scalar(node)
    if id(node) in walk.inside:
        walk.findings.append((line, at, "expected values, found an alias of what it is inside of"))
        return None
    walk.inside.add(id(node))
    value = _mapping(node, at, walk) if node.id == "mapping" else _sequence(node, at, walk)
    walk.inside.remove(id(node))
    return value


def _mapping(node: Any, at: KeyPath, walk: _Walk) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.id != "scalar":
            walk.findings.append((line, at, f"expected text as a key, found a {key_node.id}"))
            continue
        key = _unicode(key_node.value)
        if key in values:
            walk.findings.append((line, (*at, key), f"duplicate key (first on line {walk.lines[*at, key]})"))
            continue
        walk.lines[*at, key] = line
        values[key] = _value(value_node, (*at, key), walk)
    return values


def _sequence(node: Any, at: KeyPath, walk: _Walk) -> list[Any]:
    for position, item in enumerate(node.value):
        walk.lines[*at, position] = item.start_mark.line + 1
    return [_value(item, (*at, position), walk) for position, item in enumerate(node.value)]


def _scalar(node: Any) -> str | int | float | bool | None:
    """YAML 1.2's core schema: text unless plainly something else, whatever an older YAML made of it."""
    kind, text = str(node.tag).removeprefix(_TAG), str(node.value)
    if kind == "null":
        return None
    if kind == "bool" and text in _BOOLEANS:
        return _BOOLEANS[text]
    if kind == "int" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "int" and _OTHER_INTEGER.fullmatch(text):
        return int(text, 0)
    if kind in ("int", "float") and _NUMBER.fullmatch(text):
        return float(text)
    return _unicode(text)


def _unicode(text: str) -> str:
    """Joins the surrogate pairs that JSON escapes characters beyond the first plane with."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
