"""Landing files, and what importing them has found: a report for people, an index file for each content of a file."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct, field

from hedgegrid_assets.errors import FileRefused
from hedgegrid_assets.stages.raw.accounting import FileCounts, FileLines
from hedgegrid_assets.stages.raw.days import RawDay, RawKey
from hedgegrid_assets.stages.raw.manifest import Unplaced
from hedgegrid_assets.stages.raw.pruned import read_pruned
from hedgegrid_assets.store import Document, Places, RealPaths, StorePath, read_document, write_document


class LandingFile(Struct, frozen=True):
    """A file in the landing zone, the channels that it may give (None: all), and what is said of how to read it."""

    path: Path
    channels: frozenset[str] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


READ_AGAIN_BEFORE: Final = 2
"""Version since which an index tells all that is asked of it: files with an older one are read again, once."""


class Index(Document, frozen=True, kw_only=True):
    """What was found in one content of a landing file.

    Attributes:
        signature: Cheap identity of the content, and of how it is to be read.
        days: The raw days that it gives lines to; ``former``: those that earlier contents gave lines to, and this one does not.
        channels: Those whose lines were taken; ``symbols`` likewise.
        at: When it was imported, in ns since 1970.
        gone: The file was read in place and is not there any more; that was told.
    """

    kind: ClassVar[str] = "index"
    newest: ClassVar[int] = 3
    told: ClassVar[str] = "the index of an imported file"
    index: int = 1
    file: str
    signature: str
    sha256: str | None = None
    counts: FileCounts = FileCounts()
    by_stream: dict[str, int] = msgspec.field(default_factory=dict)
    other: dict[str, int] = msgspec.field(default_factory=dict)
    unplaced: Unplaced = Unplaced()
    notes: list[str] = msgspec.field(default_factory=list)
    examples: list[str] = msgspec.field(default_factory=list)
    days: list[RawKey]
    channels: list[str]
    symbols: list[str]
    unknown_symbols: dict[str, int]
    former: list[RawKey] = msgspec.field(default_factory=list)
    at: int | None = None
    gone: bool = False


class ImportReport(Struct):
    """What an import found: the files read now, those known already; all else is of both together.

    Attributes:
        read: Files that were read now.
        known: Files that an earlier import has read.
        days: Their raw days.
        counts: Where their lines went.
        by_stream: Their lines by what they call themselves.
        other: Lines of no stream: ``connection``, ``blank``.
        unknown_symbols: Lines of symbols that are not asked for.
        unplaced: Lines without a place, by reason.
        files: The lines of each file.
        idle: File that gives no day -> its lines by what they call themselves.
        examples: How some lines begin that nobody understood.
        notes: What a person should know.
        damaged: Files that claim to be data, and could not be used.
        at_hand: Raw days with what was read of them.
        blocked: Files of which too many lines have no place: their days are not to be trusted.
    """

    read: list[Path] = field(default_factory=list)
    known: list[Path] = field(default_factory=list)
    days: set[RawKey] = field(default_factory=set)
    counts: FileCounts = field(default_factory=FileCounts)
    by_stream: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    unknown_symbols: Counter[str] = field(default_factory=Counter)
    unplaced: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    files: list[FileLines] = field(default_factory=list)
    idle: dict[str, Mapping[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    damaged: list[FileRefused] = field(default_factory=list)
    blocked: list[FileRefused] = field(default_factory=list)
    at_hand: dict[RawKey, RawDay] = field(default_factory=dict)
    former: set[tuple[str, RawKey]] = field(default_factory=set)
    """(landing file, raw day) that an earlier content of the file held, and this one does not."""
    replaced: list[str] = field(default_factory=list)
    """Landing files read now that had another content before."""

    @property
    def lines(self) -> int:
        """Lines of all files."""
        return self.counts.lines

    @property
    def refused(self) -> list[FileRefused]:
        """Every file that makes the import a failure."""
        return [*self.damaged, *self.blocked]

    def add(self, index: Index) -> None:
        """Add a file as its index tells."""
        self.days.update(index.days)
        self.former |= {(index.file, key) for key in index.former}
        self.counts += index.counts
        self.by_stream.update(index.by_stream)
        self.other.update(index.other)
        self.unknown_symbols.update(index.unknown_symbols)
        self.unplaced.update(index.unplaced.reasons)
        lines = FileLines(
            index.file, index.counts, index.unplaced.reasons, index.unplaced.first, gives_days=bool(index.days)
        )
        self.files.append(lines)
        if not index.days:
            self.idle[index.file] = index.by_stream
        self.examples += index.examples
        self.notes += [f"{index.file}: {note}" for note in index.notes]


def signature(path: Path) -> str:
    """Cheap identity of a file's content: size and time of change."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def landing_signature(landing: LandingFile) -> str:
    """Cheap identity of a file's content and of how it is to be read; what is asked for does not change it."""
    said = {name: value for name, value in landing.settings.items() if name not in ("symbols", "tokens")}
    how = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:8] if said else ""
    return f"{signature(landing.path)}-{how}" if how else signature(landing.path)


def _index_path(places: Places, feed: str, path: Path, signed: str, real: RealPaths | None = None) -> StorePath:
    return places.imports(feed) / _index_name(path, signed, real or RealPaths())


def _index_name(path: Path, signed: str, real: RealPaths) -> str:
    return f"{hashlib.sha256(f'{real.of(path)}|{signed}'.encode()).hexdigest()[:32]}.json"


def index_path(places: Places, feed: str, landing: LandingFile, real: RealPaths | None = None) -> StorePath:
    """Where it is noted what was found in this content of a landing file."""
    return _index_path(places, feed, landing.path, landing_signature(landing), real)


def read_index(places: Places, feed: str, landing: LandingFile, real: RealPaths | None = None) -> Index | None:
    """What was found in this content of a landing file, or None if it was not imported."""
    return read_index_file(index_path(places, feed, landing, real))


class Indexes:
    """All index files of a feed, each asked for once: for one look at a whole landing zone."""

    def __init__(self, places: Places, feed: str) -> None:
        self._places, self._feed, self._real = places, feed, RealPaths()
        self._by_name = {path.name: index for path, index in indexes(places, feed).items()}

    def of(self, landing: LandingFile) -> Index | None:
        """What was found in this content of a landing file. Raises FileNotFoundError."""
        return self._by_name.get(_index_name(landing.path, landing_signature(landing), self._real))

    def imports(self, since: int = 0) -> list["Imported"]:
        """What a feed has imported since then (ns since 1970), in that order, without days that were pruned."""
        pruned, folder = read_pruned(self._places, self._feed), self._places.imports(self._feed)
        found = []
        for name, index in self._by_name.items():
            at = (folder / name).entry().modified if index.at is None else index.at
            if at >= since:
                days = frozenset(key for key in index.days if not pruned.has(key))
                found.append(Imported(f"{index.file}@{index.signature}", at, days))
        return sorted(found, key=lambda imported: (imported.at, imported.name))


def read_index_file(path: StorePath) -> Index | None:
    """What an index file says, or None where there is none. Raises DocumentDamaged."""
    try:
        found = path.store.find(path.key)
    except OSError:
        return read_document(path, Index)  # which tells what is wrong
    return None if found is None else _read_index(path, found.version)


@lru_cache(maxsize=20_000)
def _read_index(path: StorePath, version: str) -> Index | None:
    """Each version is read once in a process: a sensor asks for all of them twice a minute."""
    del version
    return read_document(path, Index)


def write_index(places: Places, feed: str, path: Path, index: Index, after: int) -> int:
    """Note a landing file as imported, later than ``after`` even if the clock was set back; when."""
    at = max(time.time_ns(), after + 1)
    final = _index_path(places, feed, path, index.signature)
    write_document(final, places.raw_temp(feed), msgspec.structs.replace(index, at=at))
    return at


def last_import(places: Places, feed: str) -> int:
    """When the last import was made, ns since 1970; 0: there is none."""
    return max((imported.at for imported in imports(places, feed)), default=0)


def indexes(places: Places, feed: str) -> dict[StorePath, Index]:
    """All index files of a feed."""
    read = ((path, read_index_file(path)) for path in places.imports(feed).glob("*.json"))
    return {path: index for path, index in read if index is not None}


def older_indexes(places: Places, feed: str, signatures: Mapping[str, str]) -> dict[str, dict[StorePath, Index]]:
    """Name of each landing file (``signatures``: that of its content now) -> index files of its earlier contents."""
    found: dict[str, dict[StorePath, Index]] = {name: {} for name in signatures}
    for path, index in indexes(places, feed).items() if signatures else ():
        if signatures.get(index.file, index.signature) != index.signature:
            found[index.file][path] = index
    return found


class Imported(Struct, frozen=True):
    """One content of a landing file that was imported. ``name``: ``<file>@<signature>``; ``at``: when, in ns since 1970."""

    name: str
    at: int
    days: frozenset[RawKey]


def imports(places: Places, feed: str) -> list[Imported]:
    """All that a feed has imported, in the order of the imports, without days that were pruned."""
    return Indexes(places, feed).imports()


def imported_days(places: Places, feed: str) -> dict[str, set[RawKey]]:
    """Landing file signature (``<file>@<signature>``) -> raw days, for all that a feed has imported."""
    return {imported.name: set(imported.days) for imported in imports(places, feed)}
