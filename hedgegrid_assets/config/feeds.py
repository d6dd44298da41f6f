"""feeds.yaml to frozen feeds: every name checked, every problem told with its file, line and key."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, override

from msgspec import Struct
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from hedgegrid_assets.config.fields import Backtest, InstrumentOverride, KnownOutage, Notify, Refresh
from hedgegrid_assets.config.notes import KEY_IN_FILE, KeyPath, Note, dotted, notes_of, refuse, twice, unknown
from hedgegrid_assets.config.origin import (
    SYNTHETIC,
    SYNTHETIC_VENUE,
    Origin,
    confusable,
    confused,
    instrument_id_in,
    listed,
    table_notes,
    with_bars,
)
from hedgegrid_assets.config.paths import RESERVED_PREFIX, placed
from hedgegrid_assets.config.roots import HERE, ROOT_KEYS, Roots, roots_of
from hedgegrid_assets.config.settings import setting_notes
from hedgegrid_assets.config.yaml_lines import Unreadable, Walk, plain_file
from hedgegrid_assets.errors import FeedsFileError, FeedsFileMissing, UsageError
from hedgegrid_assets.fields import Day, GapSeconds, NamePart, matches, shown
from hedgegrid_assets.names import nautilus_takes_for_one
from hedgegrid_assets.sources import SOURCES

_VERSION: Final = 1
_NO_ADDRESS: Final = "expected the name of an environment variable that holds the address, as ${SLACK_WEBHOOK}, found something else (an address is never kept in this file)"
_FEED_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN: Final = (*sorted(name for name, source in SOURCES.items() if source.has_landing_zone), "cli")
"""Folders of ``data/raw`` in which the command line looks for dropped files: a feed's raw days must not lie there."""

type BacktestName = Annotated[
    str, matches(_FEED_NAME, "1 to 40 lower-case letters, digits and _ with a letter in front")
]


class Feed(Origin):
    """An origin as declared in feeds.yaml, where it stands for itself: all that it says has to be of use.

    ``symbols`` are without a slash, ``gaps`` by the names of tables, ``settings`` those of the source alone.

    Attributes:
        backtests: Name -> what is run on the catalog, an asset each.
    """

    symbols: Annotated[tuple[NamePart, ...], Field(min_length=1)]
    start: Day
    gaps: Mapping[str, GapSeconds] = Field(default_factory=dict)
    backtests: Mapping[BacktestName, Backtest] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _name_is_usable(cls, name: str) -> str:
        if "-" in name:
            raise ValueError(
                "expected a name without a hyphen (Dagster makes op and group names from it, which have none), "
                f"found {shown(name)}; did you mean {name.replace('-', '_')}?"
            )
        if not _FEED_NAME.fullmatch(name):
            raise ValueError(
                f"expected 1 to 40 lower-case letters, digits and _ with a letter in front, found {shown(name)}"
            )
        return name

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

    @field_validator("tables")
    @classmethod
    @override
    def _tables_are_known(cls, tables: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        refuse([*table_notes(tables, info.data.get("source")), *twice("tables", tables)])
        return with_bars(tables, info.data.get("bars", ()))

    @field_validator("bars")
    @classmethod
    def _bars_are_given(cls, bars: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        source = info.data.get("source")
        if bars and source is not None and table_notes(with_bars((), bars), source):
            raise ValueError(f"expected no bars, since source {source} gives none, found {', '.join(bars)}")
        return bars

    @field_validator("settings")
    @classmethod
    @override
    def _settings_are_known(cls, settings: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        if "source" not in info.data:
            return settings
        source = SOURCES[info.data["source"]]
        refuse(setting_notes(source.settings, settings, ("settings",)))
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
        source = SOURCES[info.data["source"]]
        if landing and not source.has_landing_zone:
            raise ValueError(f"expected no landing: source {source.name} makes or fetches its days itself")
        if landing and "files" in info.data["settings"]:
            raise ValueError("expected landing or settings.files, found both")
        if source.has_landing_zone and not landing and "files" not in info.data["settings"]:
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
                (("instruments", key), unknown("symbol of this feed", key, symbols))
                for key in instruments
                if key not in symbols
            ]
            source, settings = info.data.get("source", ""), info.data.get("settings", {})
            ids = [
                instrument_id_in(symbol, market, venue, instruments, listed(source, settings, symbol))
                for symbol in symbols
            ]
            refuse([*strangers, *confusable(ids)])
        return instruments

    @field_validator("gaps")
    @classmethod
    def _gaps_are_of_tables(cls, gaps: Mapping[str, float], info: ValidationInfo) -> Mapping[str, float]:
        tables = info.data.get("tables")
        if tables is not None:
            refuse([(("gaps", key), unknown("table of this feed", key, tables)) for key in gaps if key not in tables])
        return gaps

    @field_validator("refresh")
    @classmethod
    def _refresh_is_for_published_files(cls, refresh: Refresh | None, info: ValidationInfo) -> Refresh | None:
        source = SOURCES.get(info.data.get("source", ""))
        if refresh is not None and source is not None and (source.remote is None or source.remote.published is None):
            raise ValueError(f"expected no refresh: source {source.name} has no published files that are replaced")
        return refresh

    @field_validator("outages")
    @classmethod
    def _outages_are_of_the_feed(
        cls, outages: tuple[KnownOutage, ...], info: ValidationInfo
    ) -> tuple[KnownOutage, ...]:
        of_feed = {"symbols": info.data.get("symbols"), "tables": info.data.get("tables")}
        refuse(
            [
                (("outages", number, key, position), unknown(f"{key[:-1]} of this feed", name, known))
                for number, outage in enumerate(outages)
                for key, known in of_feed.items()
                if known is not None
                for position, name in enumerate(getattr(outage, key))
                if name not in known
            ]
        )
        return outages


class Problem(Struct, frozen=True):
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


class FeedsFile(Struct, frozen=True):
    """feeds.yaml as read: a feed is in ``feeds``, or has at least one problem.

    Attributes:
        path: As it was asked for.
        feeds: Name -> feed, in the order of the file.
        problems: In line order.
        notify: Where alerts go; None: nowhere.
        roots: Where data and catalog are.
    """

    path: Path
    feeds: Mapping[str, Feed]
    problems: tuple[Problem, ...]
    notify: Notify | None = None
    roots: Roots = HERE


def read_feeds(path: Path) -> FeedsFile:
    """Read and check every feed of a file; one that does not validate is reported and stops no other.

    Raises FeedsFileError if the file as a whole cannot be used, FeedsFileMissing if it is not there.
    """
    if not path.exists():
        raise FeedsFileMissing(path)
    try:
        tree, walk = plain_file(path)
    except Unreadable as error:
        raise FeedsFileError(path, [str(error)]) from None
    given = _feeds_of(path, tree, walk)
    notify, unusable = _notify_of(tree)
    checked = {name: _checked_feed(name, values) for name, values in given.items()}
    findings = [
        *walk.findings,
        *walk.place((), [*_unknown_roots(tree), *unusable]),
        *walk.place((), _keys_in_file(walk)),
    ]
    for name, (_, notes) in checked.items():
        findings += walk.place(("feeds", name), notes)
    broken = {at[1] for _, at, _ in findings if len(at) > 1 and at[0] == "feeds"}
    sound = {name: feed for name, (feed, _) in checked.items() if feed is not None and name not in broken}
    feeds, clashes = _without_clashes(sound)
    findings += walk.place((), [*clashes, *(swallowing := _swallowing(sound))])
    feeds = {name: feed for name, feed in feeds.items() if name not in {at[1] for at, _ in swallowing}}
    problems = (_problem(path, *finding) for finding in dict.fromkeys(findings))
    in_line = tuple(sorted(problems, key=lambda problem: problem.line))
    feeds = {
        name: feed.model_copy(update={"settings": placed(feed.settings, path.parent)}) for name, feed in feeds.items()
    }
    return FeedsFile(path, feeds, in_line, notify, roots_of(tree)[0])


def _feeds_of(path: Path, tree: object, walk: Walk) -> dict[str, object]:
    """The value of ``feeds:``, once the file says that it is ours."""
    if not isinstance(tree, dict):
        raise FeedsFileError(path, [f"expected the keys version and feeds, found {shown(tree)}"])
    _, wrong = roots_of(tree)
    if type(tree.get("version")) is not int or tree["version"] != _VERSION:
        wrong.append((("version",), f"expected {_VERSION}, found {shown(tree.get('version'))}"))
    if not isinstance(tree.get("feeds"), dict):
        wrong.append((("feeds",), f"expected a mapping of feed name to feed, found {shown(tree.get('feeds'))}"))
    if wrong:
        raise FeedsFileError(
            path, [f"line {line}: {dotted(at)}: {message}" for line, at, message in walk.place((), wrong)]
        )
    return tree["feeds"]


def _notify_of(tree: Mapping[str, object]) -> tuple[Notify | None, list[Note]]:
    """Where alerts go, or all that is wrong with it; what stands there instead of a variable is not shown."""
    given = tree.get("notify")
    if given is None:
        return None, []
    if not isinstance(given, dict):
        return None, [(("notify",), f"expected a mapping with the key url, found {type(given).__name__}")]
    try:
        return Notify.model_validate(given), []
    except ValidationError as error:
        found = notes_of(error, Notify, ("notify",))
        return None, [(at, _NO_ADDRESS if at == ("notify", "url") else message) for at, message in found]


def _unknown_roots(tree: Mapping[str, object]) -> list[Note]:
    known = ("version", *ROOT_KEYS, "notify", "feeds")
    return [((key,), unknown("key", key, known)) for key in tree if key not in known]


def _keys_in_file(walk: Walk) -> list[Note]:
    """Keys of an API, wherever they stand; their values are never shown."""
    return [(at, KEY_IN_FILE) for at in walk.lines if at[-1:] == ("api_key",)]


def _checked_feed(name: str, given: object) -> tuple[Feed | None, list[Note]]:
    """The feed, or all that is wrong with it."""
    notes: list[Note] = []
    if name in _TAKEN or name.startswith(RESERVED_PREFIX):
        notes.append(
            (
                (),
                f"expected a name other than {', '.join(_TAKEN)} and {RESERVED_PREFIX}*, which are taken, found {name!r}",
            )
        )
    if not isinstance(given, dict):
        return None, [*notes, ((), f"expected a mapping of keys, found {shown(given)}")]
    if "name" in given:
        notes.append((("name",), unknown("key", "name", _FEED_KEYS)))
    try:
        return Feed.model_validate({**given, "name": name}), notes
    except ValidationError as error:
        return None, notes + [
            (() if at == ("name",) else at, message) for at, message in notes_of(error, Feed, hidden=("name",))
        ]


def _without_clashes(feeds: Mapping[str, Feed]) -> tuple[dict[str, Feed], list[Note]]:
    """Feeds without those that make what an earlier feed makes, or an id that Nautilus takes for an earlier one."""
    kept: dict[str, Feed] = {}
    owners: dict[tuple[str, str], str] = {}
    spellings: dict[str, tuple[str, str]] = {}
    clashes: list[Note] = []
    for name, feed in feeds.items():
        mine: list[Note] = []
        for position, made in enumerate(feed.instrument_ids()):
            twin, twin_feed = spellings.get(nautilus_takes_for_one(made), (made, name))
            if twin != made:
                mine.append(
                    (("feeds", name, "symbols", position), f"{confused(twin, made)} (feeds {twin_feed} and {name})")
                )
            for owner in dict.fromkeys(owners[made, table] for table in feed.tables if (made, table) in owners):
                tables = ", ".join(table for table in feed.tables if owners.get((made, table)) == owner)
                message = f"expected one feed for each table of {made}, found {owner} and {name} for {tables}"
                mine.append((("feeds", name, "symbols", position), message))
        mine += _other_generation(feed, kept.values())
        clashes += mine
        if not mine:
            kept[name] = feed
            owners |= {(made, table): name for made in feed.instrument_ids() for table in feed.tables}
            spellings |= {nautilus_takes_for_one(made): (made, name) for made in feed.instrument_ids()}
    return kept, clashes


def _other_generation(feed: Feed, earlier: Iterable[Feed]) -> list[Note]:
    """Feeds share a catalog, which is for one generation of NautilusTrader."""
    first = next((each for each in earlier if each.nautilus is not None), None)
    if first is None or feed.nautilus in {None, first.nautilus}:
        return []
    message = f"expected {first.nautilus} as in {first.name}, since feeds share a catalog, found {feed.nautilus}"
    return [(("feeds", feed.name, "nautilus"), message)]


_RAW_ENDINGS: Final = ("json", "lines.parquet", "{}.zst", "{}.gz")
"""Of what lies in the folder of a raw day; ``{}``: the extension of its source."""


def _swallowing(feeds: Mapping[str, Feed]) -> list[Note]:
    """Patterns that match what we keep of landing files: each import would land its own copies again."""
    sources = SOURCES
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
                message = f"expected a pattern for the files that you land alone, found {shown(pattern)}, which matches our own copies (as {ours}): begin it with a folder of yours"
                notes.append((("feeds", name, "landing", position), message))
    return notes


def _globs(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether ``Path.glob`` finds a file, both in parts."""
    if not pattern or not path:
        return not path and not [part for part in pattern if part != "**"]
    if pattern[0] == "**":
        return any(_globs(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _globs(pattern[1:], path[1:])


_FEED_KEYS: Final = tuple(key for key in Feed.model_fields if key != "name")


def _problem(path: Path, line: int, at: KeyPath, message: str) -> Problem:
    feed = str(at[1]) if len(at) > 1 and at[0] == "feeds" else None
    return Problem(feed, line, dotted(at), message, str(path))
