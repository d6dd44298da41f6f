"""Stage 1: bytes as received become immutable daily raw files, each with a manifest and its line numbers."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.errors import FileRefused, RawDamaged
from hedgegrid_assets.frames import repeated
from hedgegrid_assets.model import Channel, Decoded, Dialect, Download, Scan, Source
from hedgegrid_assets.storage import (
    Behind,
    Block,
    BlockReader,
    LineFile,
    Places,
    Spool,
    atomic_write,
    bytes_of,
    exclusive_lock,
    line_array,
    make_folder,
    publish_file,
    read_json,
    remove_tree,
    sha256_of,
    side_by_side,
    write_json,
    writing,
)
from hedgegrid_assets.timestamps import NS_PER_DAY, day_of

type Progress = Callable[[str, int], None]
"""Told what is worked on, and how many lines are done since the last call."""

LINES_SCHEMA: Final = pa.schema([("file", pa.dictionary(pa.int32(), pa.string())), ("line", pa.uint64())])
REJECT_SCHEMA: Final = pl.Schema(
    {
        "file": pl.String,
        "line": pl.UInt64,
        "raw_row": pl.UInt32,
        "stage": pl.String,
        "reason": pl.String,
        "field": pl.String,
        "value": pl.String,
        "raw": pl.String,
        "ts_init": pl.Datetime("ns", "UTC"),
    }
)
_NEVER_LAND: Final = (".tmp", ".part")
_SCANNING: Final = threading.Lock()
"""Days are fetched together, but looked through one by one: so memory does not grow with their number."""
_PARTS_AT_WORK: Final = 64
CARRIED_BYTES: Final = 4 << 30
_UNREADABLE_CAP: Final = 200_000
_OF_RAW: Final = b"hedgegrid.raw_sha256"
"""Metadata of a sidecar: the raw file that its lines are of."""


@dataclass(frozen=True, slots=True, order=True)
class RawKey:
    """One raw day: channel x exchange symbol x UTC date."""

    channel: str
    symbol: str
    day: date


@dataclass(frozen=True, slots=True)
class RawDay:
    """A raw day on disk: its file, its manifest, and the origin of its lines (None: the file's own lines)."""

    key: RawKey
    path: Path
    manifest: Mapping[str, Any]
    lines: Path | None

    @property
    def sha256(self) -> str:
        """sha256 of the file's bytes."""
        return str(self.manifest["sha256"])

    def decimals(self, name: str) -> tuple[int, int] | None:
        """Most decimals of a field in this day: (as written, without trailing zeros); None if never seen."""
        seen = [origin["decimals"][name] for origin in self.manifest["origin"] if name in origin.get("decimals", {})]
        return (max(n[0] for n in seen), max(n[1] for n in seen)) if seen else None

    def by_dialect(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, Dialect]]:
        """Blocks of this day with the dialect of their lines; cut where a landing file of another dialect begins."""
        dialects = [origin.get("dialect", {}) for origin in self.manifest["origin"]]
        starts = [0, *self.origin_starts()]
        if all(dialect == dialects[0] for dialect in dialects):
            starts, dialects = [0], dialects[:1]
        number = 0
        for block in blocks:
            rest = block
            while number + 1 < len(starts) and rest.first_line + rest.data.count(b"\n") > starts[number + 1]:
                head, rest = _cut(rest, starts[number + 1] - rest.first_line)
                if head.data:
                    yield head, dialects[number]
                number += 1
            yield rest, dialects[number]

    def origin_starts(self) -> list[int]:
        """The first raw row of each landing file but the first."""
        starts: list[int] = []
        row = 0
        for origin in self.manifest["origin"][:-1]:
            row += int(origin.get("stored_lines", 0))
            starts.append(row)
        return starts


def _cut(block: Block, lines: int) -> tuple[Block, Block]:
    """The first lines of a block, and the rest."""
    end = 0
    for _ in range(lines):
        end = block.data.index(b"\n", end) + 1
    return Block(block.data[:end], block.first_line), replace(
        block, data=block.data[end:], first_line=block.first_line + lines
    )


@dataclass(frozen=True, slots=True)
class LandingFile:
    """A file in the landing zone, the channels that it may give (None: all), and what is said of how to read it."""

    path: Path
    channels: frozenset[str] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class ImportReport:
    """What an import found: the files read now, those known already, and the raw days of all of them."""

    read: list[Path] = field(default_factory=list)
    known: list[Path] = field(default_factory=list)
    days: set[RawKey] = field(default_factory=set)
    lines: int = 0
    by_stream: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    unknown_symbols: Counter[str] = field(default_factory=Counter)
    unplaced: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    damaged: list[FileRefused] = field(default_factory=list)


class Carried:
    """What was decoded in the pass that scanned a raw day, block by block; for normalizing it in the same run.

    Rows wait on disk, with the columns that tables are made of; rejects in memory.
    """

    def __init__(self, folder: Path, channel: Channel) -> None:
        mappings = channel.tables.values()
        used = {
            name for mapping in mappings for column in mapping.columns.values() for name in column.meta.root_names()
        }
        used |= {
            name for mapping in mappings if mapping.applies is not None for name in mapping.applies.meta.root_names()
        }
        self._columns = [
            "raw_row",
            "ts_event",
            "ts_init",
            *(field.name for field in channel.fields if field.name in used),
        ]
        self._rows = Spool(folder)
        self._rest: list[tuple[pl.DataFrame, int, int]] = []

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return self._rows.bytes

    def add(self, decoded: Decoded, lines: int) -> None:
        """Keep a block of so many lines."""
        self._rows.append(decoded.rows.select(self._columns))
        self._rest.append((decoded.rejects, decoded.odd, lines))

    def __iter__(self) -> Iterator[tuple[int, Decoded]]:
        """(lines, decoded) of each block."""
        for rows, (rejects, odd, lines) in zip(self._rows, self._rest, strict=True):
            yield lines, Decoded(rows, rejects, odd)

    def close(self) -> None:
        """Forget all blocks."""
        self._rows.close()


class Carrier:
    """The raw days of a run that are carried over from scanning to normalizing, as long as there is room for them."""

    def __init__(self) -> None:
        self._days: dict[RawKey, Carried] = {}

    def put(self, key: RawKey, day: Carried) -> None:
        """Carry a day, if it fits."""
        if day.bytes + sum(other.bytes for other in list(self._days.values())) <= CARRIED_BYTES:
            self._days[key] = day
        else:
            day.close()

    def take(self, key: RawKey) -> Carried | None:
        """A day that is carried; from then on it is not, and the taker closes it."""
        return self._days.pop(key, None)

    def close(self) -> None:
        """Forget the days that nobody has taken."""
        for day in self._days.values():
            day.close()
        self._days.clear()


# ---------------------------------------------------------------- reading back


def raw_day(places: Places, feed: str, key: RawKey) -> RawDay | None:
    """The raw day as its manifest tells, or None where there is none. Raises RawDamaged if its file has changed."""
    manifest = read_json(places.raw_manifest(feed, key.channel, key.symbol, key.day))
    if manifest is None:
        return None
    in_place = manifest["stored"] == "in_place"
    path = Path(manifest["file"]) if in_place else places.raw_folder(feed, key.channel, key.symbol) / manifest["file"]
    if not path.exists():
        raise RawDamaged(path, "the file that the manifest names is gone")
    if path.stat().st_size != manifest["bytes"]:
        raise RawDamaged(
            path, f"expected {manifest['bytes']:,} bytes as in its manifest, found {path.stat().st_size:,}"
        )
    return RawDay(key, path, manifest, None if in_place else places.raw_lines(feed, key.channel, key.symbol, key.day))


def raw_days(places: Places, feed: str, channel: str, symbol: str) -> list[date]:
    """The days that a feed has raw files for."""
    folder = places.raw_folder(feed, channel, symbol)
    return sorted(date.fromisoformat(path.stem) for path in folder.glob("????-??-??.json"))


def verify(day: RawDay) -> None:
    """Read a raw file to its end and compare its sha256 with the manifest. Raises RawDamaged."""
    reader = BlockReader(day.path)
    for _ in reader:
        pass
    if reader.truncated:
        raise RawDamaged(day.path, "its compressed stream ends too early")
    if reader.sha256 != day.sha256:
        raise RawDamaged(day.path, f"expected sha256 {day.sha256}, found {reader.sha256}")


# ---------------------------------------------------------------- days that a source makes or fetches


def request_of(source: Source, key: RawKey, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a day that a source makes or fetches: an equal request would give equal data."""
    if source.remote is None:
        return dict(settings)
    return source.remote.request(settings, key.symbol, _remote_channel(source, key, settings), key.day)


def fetch_day(
    places: Places,
    feed: str,
    source: Source,
    key: RawKey,
    settings: Mapping[str, Any],
    tick: Callable[[], None] | None = None,
    carrier: Carrier | None = None,
) -> RawDay | None:
    """Get one day from a source that makes or fetches days itself; what is there already is kept.

    None if the source has no such day. Same settings, same bytes. ``tick`` is called often while a day is fetched, and
    may raise to stop it; nothing is published then. What is decoded on the way is left with the ``carrier``.
    """
    if source.remote is not None:
        return _download_day(places, feed, source, key, settings, tick or (lambda: None), carrier)
    assert source.fetch is not None
    channel = next(channel for channel in source.channels if channel.name == key.channel)
    held = raw_day(places, feed, key)
    if held is not None and held.manifest["request"] == dict(settings):
        return held
    blocks = source.fetch(settings, key.symbol, channel, key.day)
    if blocks is None:
        return None
    tally = _Tally()
    final = places.raw_folder(feed, key.channel, key.symbol) / f"{key.day}.{source.extension}.zst"
    first_line = 0
    with atomic_write(final, places.raw_temp(feed)) as temporary:
        file = LineFile(temporary)
        for data in blocks:
            lines = data.count(b"\n")
            tally.add(source.scan(Block(data, first_line), {}))
            file.append(data, lines)
            first_line += lines
        sha256 = file.close()
    origin = {
        "sha256": sha256,
        "bytes": file.bytes,
        "lines": file.lines,
        "stored_lines": file.lines,
        "decimals": tally.decimals_of(key),
    }
    manifest = _manifest(feed, source, key, final.name, file.bytes, sha256, file.lines, tally, [origin]) | {
        "request": dict(settings)
    }
    write_json(places.raw_manifest(feed, key.channel, key.symbol, key.day), places.raw_temp(feed), manifest)
    return raw_day(places, feed, key)


def _remote_channel(source: Source, key: RawKey, settings: Mapping[str, Any]) -> Channel:
    assert source.remote is not None
    return next(channel for channel in source.remote.channels(settings) if channel.name == key.channel)


def _download_day(
    places: Places,
    feed: str,
    source: Source,
    key: RawKey,
    settings: Mapping[str, Any],
    tick: Callable[[], None],
    carrier: Carrier | None,
) -> RawDay | None:
    """A day as its provider sent it: the bytes are kept, the manifest says where they are from."""
    assert source.remote is not None
    remote, request = source.remote, request_of(source, key, settings)
    channel = _remote_channel(source, key, settings)
    with exclusive_lock(places.raw_temp(feed) / "locks" / f"{key.channel}-{key.symbol}-{key.day}"):
        try:
            held = raw_day(places, feed, key)
        except RawDamaged:  # it can be had again
            held = None
        if held is not None and held.manifest["request"] == request:
            return held
        work = places.raw_temp(feed) / "fetch"
        download, seen = _received(
            lambda: remote.download(settings, key.symbol, channel, key.day, places.data / "cache", work, tick),
            partial(_look_through, source=source, channel=channel, tick=tick, carry=work if carrier else None),
        )
        if carrier is not None and seen.carried is not None:
            carrier.put(key, seen.carried)
        reader, tally = seen.reader, seen.tally
        final = places.raw_folder(feed, key.channel, key.symbol) / f"{key.day}{download.suffix}"
        publish_file(download.path, final)
        origin = dict(download.origin) | {
            "lines": reader.lines,
            "stored_lines": reader.lines,
            "by_stream": dict(sorted(tally.by_stream.items())),
            "connection": tally.connection,
            "blank": tally.blank,
            "unreadable": tally.unreadable,
            "decimals": tally.decimals_of(key),
            "disconnects_ns": sorted(seen.disconnects),
            "dialect": dict(download.dialect),
        }
        _keep_unplaced(places, feed, f"{key.channel}/{key.symbol}/{final.name}", seen.unplaced)
        manifest = _manifest(feed, source, key, final.name, reader.bytes, reader.sha256, reader.lines, tally, [origin])
        write_json(
            places.raw_manifest(feed, key.channel, key.symbol, key.day),
            places.raw_temp(feed),
            manifest | {"request": request},
        )
    return raw_day(places, feed, key)


@dataclass(slots=True)
class _Seen:
    """What looking through a download has told."""

    reader: BlockReader
    tally: "_Tally"
    disconnects: set[int] = field(default_factory=set)
    unplaced: list[pl.DataFrame] = field(default_factory=list)
    carried: Carried | None = None


def _received(fetch: Callable[[], Download], look_through: Callable[[Download], _Seen]) -> tuple[Download, _Seen]:
    """A download that could be read to its end; what a cache gave and is damaged is had again."""
    download = fetch()
    try:
        return download, look_through(download)
    except BaseException as error:
        download.path.unlink(missing_ok=True)
        if not isinstance(error, RawDamaged) or download.discard is None:
            raise
    download.discard()
    return _received(fetch, look_through)


def _look_through(
    download: Download, source: Source, channel: Channel, tick: Callable[[], None], carry: Path | None
) -> _Seen:
    """Scan all blocks (and ``carry`` what is decoded, in a file in this folder). Raises RawDamaged if the file is not what was received."""
    seen = _Seen(BlockReader(download.path), _Tally())
    if carry is not None and source.read is not None:
        seen.carried = Carried(carry, channel)
    names = [channel.name] if seen.carried is not None else []

    def look(block: Block) -> tuple[Block, Scan, Mapping[str, Decoded]]:
        return block, *_scanned(source, block, download.dialect, names)

    with _SCANNING, ExitStack() as stack:
        if seen.carried is not None:
            stack.callback(seen.carried.close)
        for block, scan, decoded in side_by_side(look, seen.reader):
            seen.tally.add(scan)
            seen.disconnects.update(scan.disconnects_ns)
            lost = scan.lines.filter(pl.col("reason").is_not_null())
            seen.unplaced += [lost] if len(lost) else []
            if seen.carried is not None and channel.name in decoded:
                seen.carried.add(decoded[channel.name], block.lines)
            tick()
        if seen.reader.truncated or seen.reader.sha256 != download.origin["sha256"]:
            raise RawDamaged(download.path, "it is not what was received")
        stack.pop_all()
    return seen


def _scanned(
    source: Source, block: Block, dialect: Dialect, names: Collection[str]
) -> tuple[Scan, Mapping[str, Decoded]]:
    """A block scanned, and decoded for the channels named."""
    if names and source.read is not None:
        return source.read(block, dialect, names)
    return source.scan(block, dialect), {}


# ---------------------------------------------------------------- landing zone


def landing_files(root: Path, patterns: Sequence[str]) -> list[LandingFile]:
    """Files below ``root`` that the patterns match; half-written and hidden ones never do."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file() and _may_land(path)}
    return [LandingFile(path) for path in sorted(found)]


def _may_land(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.endswith(_NEVER_LAND) and path.stat().st_size > 0


def signature(path: Path) -> str:
    """Cheap identity of a file's content: size and time of change."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def landing_signature(landing: LandingFile) -> str:
    """Cheap identity of a file's content and of how it is to be read; the symbols asked for do not change it."""
    said = {name: value for name, value in landing.settings.items() if name != "symbols"}
    how = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:8] if said else ""
    return f"{signature(landing.path)}-{how}" if how else signature(landing.path)


def import_landing(
    places: Places,
    feed: str,
    source: Source,
    files: Sequence[LandingFile],
    channels: Sequence[Channel],
    symbols: Sequence[str],
    *,
    in_place: bool = False,
    pass_over_damaged: bool = False,
    progress: Progress | None = None,
    carrier: Carrier | None = None,
) -> ImportReport:
    """Split landing files into daily raw files: one pass a file, once for each content of it.

    With ``in_place`` a file that holds one symbol-day, and is alone in it, is not copied: its manifest points at it;
    what is decoded of such a file on the way is left with the ``carrier``.
    Landing files are never altered. Lines that belong to no table or day are kept as rejects of the landing file.
    A file that cannot be read raises FileRefused and nothing is published; with ``pass_over_damaged`` it is named in
    the report, and the others land.
    """
    work = places.raw_temp(feed) / "import"
    with writing(places.data), exclusive_lock(places.imports(feed) / "lock"), ExitStack() as stack:
        report = ImportReport()
        wanted = _Wanted(frozenset(channel.name for channel in channels), frozenset(symbols))
        remove_tree(places.raw_temp(feed))  # what a run that was killed has left
        stack.callback(remove_tree, work)
        parts: list[_Imported] = []
        for number, landing in enumerate(files):
            index = _read_index(places, feed, landing)
            if index is not None and _is_known(places, feed, index, wanted):
                report.known.append(landing.path)
                report.days |= _index_days(index)
                report.unknown_symbols.update(index["unknown_symbols"])
                continue
            both = wanted.with_index(index)
            importing = _Imported(places, landing, both, work / str(number))
            importing.carries = carrier is not None and source.read is not None
            stack.callback(importing.drop_carried)
            importing.earlier = frozenset(_index_days(index)) if index else frozenset()
            try:
                importing.run(source, alone=in_place, progress=progress)
            except FileRefused as error:
                if not pass_over_damaged:
                    raise
                report.damaged.append(error)
                continue
            parts.append(importing)
        _publish(places, feed, source, parts, files, in_place=in_place, progress=progress)
        for part in parts:
            part.tell(report)
            if carrier is not None:
                part.hand_over(carrier)
        return report


def waiting_files(
    places: Places, feed: str, files: Sequence[LandingFile], channels: Sequence[Channel], symbols: Sequence[str]
) -> list[LandingFile]:
    """The landing files that an import would read: new ones, changed ones, and those read for fewer channels or symbols."""
    wanted = _Wanted(frozenset(channel.name for channel in channels), frozenset(symbols))
    indexes = ((landing, _read_index(places, feed, landing)) for landing in files)
    return [landing for landing, index in indexes if index is None or not _is_known(places, feed, index, wanted)]


def _is_known(places: Places, feed: str, index: Mapping[str, Any], wanted: "_Wanted") -> bool:
    """The file was read for all that is wanted, and its raw days are still there."""
    days = (places.raw_manifest(feed, key.channel, key.symbol, key.day) for key in _index_days(index))
    return wanted.covered_by(index) and all(manifest.exists() for manifest in days)


@dataclass(frozen=True, slots=True)
class _Wanted:
    channels: frozenset[str]
    symbols: frozenset[str]

    def covered_by(self, index: Mapping[str, Any]) -> bool:
        return self.channels <= set(index["channels"]) and self.symbols <= set(index["symbols"])

    def with_index(self, index: Mapping[str, Any] | None) -> "_Wanted":
        if index is None:
            return self
        return _Wanted(self.channels | set(index["channels"]), self.symbols | set(index["symbols"]))


class _Tally:
    """Adds up what ``scan`` says of the blocks of a file."""

    def __init__(self) -> None:
        self.by_stream: Counter[str] = Counter()
        self.connection = self.blank = self.unreadable = 0
        self.decimals: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.first_local: int | None = None
        self.last_local: int | None = None

    def add(self, scan: Scan) -> None:
        self.by_stream.update(scan.by_stream)
        self.connection += scan.connection
        self.blank += scan.blank
        self.unreadable += scan.unreadable
        for key, (written, needed) in scan.decimals.items():
            before = self.decimals.get(key, (0, 0))
            self.decimals[key] = (max(before[0], written), max(before[1], needed))
        times = scan.lines["ts_init"].drop_nulls()
        if len(times):
            self.see(times[0], times[-1])

    def see(self, first: int, last: int) -> None:
        self.first_local = first if self.first_local is None else self.first_local
        self.last_local = last

    def decimals_of(self, key: RawKey) -> dict[str, list[int]]:
        return {
            name: list(n)
            for (channel, symbol, name), n in sorted(self.decimals.items())
            if (channel, symbol) == (key.channel, key.symbol)
        }


class _Part:
    """The lines that one landing file gives to one raw day."""

    def __init__(self, folder: Path, name: str, file: str) -> None:
        self.path = folder / f"{name}.zst"
        self.lines_path = folder / f"{name}.lines.parquet"
        self._file = file
        self._lines = LineFile(self.path)
        self._numbers: list[pl.Series] = []

    @property
    def count(self) -> int:
        return self._lines.lines

    @property
    def size(self) -> int:
        return self._lines.bytes

    def add(self, data: bytes | memoryview, numbers: pl.Series) -> None:
        self._lines.append(data, len(numbers))
        self._numbers.append(numbers)

    def pause(self) -> None:
        """Hold as little as can be: other days and symbols come now."""
        self._lines.pause()

    def close(self) -> None:
        self._lines.close()
        numbers = (pl.concat(self._numbers).cast(pl.UInt64) + 1).to_arrow()
        self._numbers.clear()
        with pq.ParquetWriter(self.lines_path, LINES_SCHEMA, **_LINES_OPTIONS) as writer:
            for start in range(0, len(numbers), _LINES_GROUP):
                group = numbers.slice(start, _LINES_GROUP)
                writer.write_table(pa.table([repeated(self._file, len(group)), group], schema=LINES_SCHEMA))


_LINES_GROUP: Final = 1 << 20
_LINES_OPTIONS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": ["file"],
    "column_encoding": {"line": "DELTA_BINARY_PACKED"},
}


class _Imported:
    """One pass over one landing file."""

    def __init__(self, places: Places, landing: LandingFile, wanted: _Wanted, work: Path) -> None:
        self.landing = landing
        self.wanted = wanted
        self.name = _shown(places, landing.path)
        self.signature = landing_signature(landing)
        self.earlier: frozenset[RawKey] = frozenset()
        self.carries = False
        self.carried: dict[str, Carried] = {}
        self._work = work
        self._reset()

    def _reset(self) -> None:
        self.drop_carried()
        remove_tree(self._work)
        make_folder(self._work)
        self.reader = BlockReader(self.landing.path)
        self.tally = _Tally()
        self.parts: dict[RawKey, _Part] = {}
        self.counts: Counter[RawKey] = Counter()
        self.spans: dict[RawKey, tuple[int, int]] = {}
        self.unknown_symbols: Counter[str] = Counter()
        self.disconnects: set[int] = set()
        self.unplaced: list[pl.DataFrame] = []
        self.dialect: Dialect = {}
        self.copied = True

    def run(self, source: Source, *, alone: bool, progress: Progress | None) -> None:
        """Read the file; with ``alone``, without copying as long as it holds one symbol-day only."""
        self._reset()
        self.copied = not alone
        finished = self._read(source, progress)
        if not finished or (not self.copied and self.reader.truncated):
            self._reset()
            self._read(source, progress)

    def _read(self, source: Source, progress: Progress | None) -> bool:
        """False if ``copied`` is off and the file turned out to hold more than one symbol-day."""
        self.reader.quoted = source.quoted
        writer = Behind(self._write)
        try:
            for block, scan, decoded in side_by_side(partial(self._scan, source), self._with_dialect(source)):
                self._note(scan)
                self._carry(source, block, decoded)
                if (
                    not self.copied
                    and len({(key.symbol, key.day) for key in self.counts} | set(self.unknown_symbols)) > 1
                ):
                    return False
                if self.copied:
                    writer.put((block, scan))
                if progress:
                    progress(self.name, block.lines)
        finally:
            writer.close()
        for part in self.parts.values():
            part.close()
        return True

    def _with_dialect(self, source: Source) -> Iterator[tuple[Block, Dialect]]:
        for block in self.reader:
            if block.first_line == 0 and source.dialect is not None:
                self.dialect = source.dialect(block, {**self.landing.settings, "path": str(self.landing.path)})
            yield block, self.dialect

    def _scan(self, source: Source, given: tuple[Block, Dialect]) -> tuple[Block, Scan, Mapping[str, Decoded]]:
        names = (
            [name for name in self.wanted.channels if self._may_give(name)] if self.carries and not self.copied else []
        )
        return given[0], *_scanned(source, *given, names)

    def _carry(self, source: Source, block: Block, decoded: Mapping[str, Decoded]) -> None:
        for name, found in decoded.items():
            if name not in self.carried:
                channel = next(channel for channel in source.channels if channel.name == name)
                self.carried[name] = Carried(self._work, channel)
            self.carried[name].add(found, block.lines)

    def hand_over(self, carrier: Carrier) -> None:
        """Leave what was decoded with the carrier, if the file itself has become the raw days."""
        if not self.copied:
            for key in self.counts:
                if key.channel in self.carried:
                    carrier.put(key, self.carried.pop(key.channel))

    def drop_carried(self) -> None:
        """Forget what was decoded and not handed over."""
        for day in self.carried.values():
            day.close()
        self.carried.clear()

    def _note(self, scan: Scan) -> None:
        self.disconnects.update(self._before_connections(scan))
        self.tally.add(scan)
        lost = scan.lines.filter(pl.col("reason").is_not_null())
        if len(lost):
            self.unplaced.append(lost)
            if self.tally.unreadable > _UNREADABLE_CAP and self.tally.unreadable > sum(self.tally.by_stream.values()):
                raise RawDamaged(self.landing.path, f"more than {_UNREADABLE_CAP:,} lines, most of it, cannot be read")
        groups = _with_day(scan).group_by("channel", "symbol", "day", maintain_order=True)
        for channel, symbol, day, count, first, last in groups.agg(
            pl.len(), first=pl.col("ts_init").first(), last=pl.col("ts_init").last()
        ).iter_rows():
            if not self._may_give(channel):
                continue
            if symbol not in self.wanted.symbols:
                self.unknown_symbols[symbol] += count
                continue
            key = RawKey(channel, symbol, day_of(day * NS_PER_DAY))
            self.counts[key] += count
            self.spans[key] = (self.spans.get(key, (first, last))[0], last)

    def _before_connections(self, scan: Scan) -> Iterator[int]:
        """When the last message came before each line that tells of a connection."""
        timed = scan.lines.filter(pl.col("ts_init").is_not_null())
        for connection in scan.connections_at:
            earlier = int(timed["line"].search_sorted(connection))
            last = timed["ts_init"][earlier - 1] if earlier else self.tally.last_local
            if last is not None:
                yield last

    def _may_give(self, channel: str) -> bool:
        return channel in self.wanted.channels and (self.landing.channels is None or channel in self.landing.channels)

    def _write(self, item: tuple[Block, Scan]) -> None:
        block, scan = item
        rows = _with_day(scan)
        rows = rows.filter(pl.col("symbol").is_in(list(self.wanted.symbols)))
        if not len(rows):
            return
        lines = line_array(block.data)
        for (channel, symbol, day), group in rows.group_by("channel", "symbol", "day", maintain_order=True):
            if not self._may_give(str(channel)):
                continue
            key = RawKey(str(channel), str(symbol), day_of(int(str(day)) * NS_PER_DAY))
            numbers = group["line"]
            taken = lines if len(group) == len(lines) else lines.take((numbers - block.first_line).to_arrow())
            data = bytes_of(taken)
            if block.cut and not data.endswith(b"\n"):
                data += b"\n"
            self._part(key).add(data, numbers)

    def _part(self, key: RawKey) -> _Part:
        """The part of a raw day; those used least of late are paused, as a file may hold thousands of days."""
        part = self.parts.pop(key, None)
        if part is None:
            part = _Part(self._work, hashlib.sha256(repr(key).encode()).hexdigest()[:16], self.name)
        self.parts[key] = part
        for idle in islice(reversed(self.parts.values()), _PARTS_AT_WORK, _PARTS_AT_WORK + 1):
            idle.pause()
        return part

    def origin(self, key: RawKey) -> dict[str, Any]:
        """The origin entry of a manifest."""
        part = self.parts.get(key)
        return {
            "path": self.name,
            "bytes": self.reader.bytes,
            "sha256": self.reader.sha256,
            "lines": self.reader.lines,
            "by_stream": dict(sorted(self.tally.by_stream.items())),
            "connection": self.tally.connection,
            "blank": self.tally.blank,
            "unreadable": self.tally.unreadable,
            "decoded_to_end": not self.reader.truncated,
            "decimals": self.tally.decimals_of(key),
            "first_local_ns": self.spans[key][0],
            "last_local_ns": self.spans[key][1],
            "disconnects_ns": sorted(self.disconnects),
            "dialect": dict(self.dialect) | ({"header_lines": 0} if part and self.dialect else {}),
            "settings": dict(self.landing.settings),
            "stored_lines": part.count if part else self.counts[key],
            "stored_bytes": part.size if part else 0,
        }

    def tell(self, report: ImportReport) -> None:
        """Add this file to a report."""
        report.read.append(self.landing.path)
        report.days |= set(self.counts) | self.earlier
        report.lines += self.reader.lines
        report.by_stream.update(self.tally.by_stream)
        report.other.update({"connection": self.tally.connection, "blank": self.tally.blank})
        report.unknown_symbols.update(self.unknown_symbols)
        for lost in self.unplaced:
            report.unplaced.update(dict(lost["reason"].value_counts().iter_rows()))
        report.notes += [f"{self.name}: {note}" for note in self.dialect.get("notes", ())]
        if self.reader.truncated:
            report.notes.append(f"{self.name}: the compressed stream ends too early; the lines up to there are used")


def _with_day(scan: Scan) -> pl.DataFrame:
    placed = scan.lines.filter(pl.col("reason").is_null())
    return placed.select("line", "channel", "symbol", "ts_init", day=pl.col("ts_init").floordiv(NS_PER_DAY))


def _shown(places: Places, path: Path) -> str:
    """A landing file's name in manifests and rejects: below the data root where it lies there."""
    resolved, root = path.resolve(), places.data.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(resolved)


# ---------------------------------------------------------------- publishing


def _publish(
    places: Places,
    feed: str,
    source: Source,
    imported: Sequence[_Imported],
    files: Sequence[LandingFile],
    *,
    in_place: bool,
    progress: Progress | None,
) -> None:
    """Compose the raw days of all files read, then note the files as imported."""
    landed = {_shown(places, landing.path): landing for landing in files}
    older = _older_indexes(places, feed, imported)
    gone = {key for indexes in older.values() for index in indexes.values() for key in _index_days(index)}
    for key in sorted(gone.union(*(part.counts for part in imported))):
        giving = [part for part in imported if key in part.counts]
        held = _held_origins(places, feed, key, {part.name for part in imported})
        if in_place and not held and len(giving) == 1 and not giving[0].copied:
            _publish_in_place(places, feed, source, key, giving[0])
            continue
        for part in giving:
            if not part.copied:
                part.copied = True
                part.run(source, alone=False, progress=progress)
        wanted = _Wanted(frozenset({key.channel}), frozenset({key.symbol}))
        for name in [origin["path"] for origin in held if not origin["stored_bytes"]]:  # so far in place
            folder = places.raw_temp(feed) / "import" / hashlib.sha256(name.encode()).hexdigest()[:16]
            landing = landed.get(name, LandingFile(places.data / name))
            said = next(origin.get("settings") for origin in held if origin["path"] == name)
            again = _Imported(places, replace(landing, settings=said) if said else landing, wanted, folder)
            again.run(source, alone=False, progress=progress)
            if key in again.counts:
                giving.append(again)
        _publish_day(places, feed, source, key, giving, [origin for origin in held if origin["stored_bytes"]])
    for part in imported:
        _write_line_rejects(places, feed, part)
        for path in older[part.name]:
            path.unlink()
        _write_index(places, feed, part)


def _held_origins(places: Places, feed: str, key: RawKey, replaced: set[str]) -> list[dict[str, Any]]:
    """Origins of the day on disk that this import does not replace, each with its place in the day's file.

    ``stored_bytes`` is 0 where the lines have to be taken from the landing file again.
    """
    manifest = read_json(places.raw_manifest(feed, key.channel, key.symbol, key.day))
    held: list[dict[str, Any]] = []
    start_bytes = start_lines = 0
    for origin in manifest["origin"] if manifest else []:
        if origin["path"] not in replaced:
            held.append(origin | {"start_bytes": start_bytes, "start_lines": start_lines})
        start_bytes += origin["stored_bytes"]
        start_lines += origin["stored_lines"]
    if held and start_bytes and not _is_whole(places, feed, key, manifest):
        held = [origin | {"stored_bytes": 0} for origin in held]
    return held


def _is_whole(places: Places, feed: str, key: RawKey, manifest: Mapping[str, Any]) -> bool:
    """A raw file and its sidecar are those of the manifest: no run was killed between publishing one and the other."""
    path = places.raw_folder(feed, key.channel, key.symbol) / manifest["file"]
    lines = places.raw_lines(feed, key.channel, key.symbol, key.day)
    if not path.exists() or not lines.exists():
        return False
    of = (pq.read_schema(lines).metadata or {}).get(_OF_RAW, b"").decode()
    return of == manifest["sha256"] and sha256_of(path) == manifest["sha256"]


def _publish_in_place(places: Places, feed: str, source: Source, key: RawKey, part: _Imported) -> None:
    tally = _Tally()
    tally.see(*part.spans[key])
    manifest = _manifest(
        feed,
        source,
        key,
        str(part.landing.path.resolve()),
        part.reader.bytes,
        part.reader.sha256,
        part.counts[key],
        tally,
        [part.origin(key)],
    )
    write_json(
        places.raw_manifest(feed, key.channel, key.symbol, key.day),
        places.raw_temp(feed),
        manifest | {"stored": "in_place"},
    )
    for copy in (_raw_file(places, feed, source, key), places.raw_lines(feed, key.channel, key.symbol, key.day)):
        copy.unlink(missing_ok=True)


def _raw_file(places: Places, feed: str, source: Source, key: RawKey) -> Path:
    return places.raw_folder(feed, key.channel, key.symbol) / f"{key.day}.{source.extension}.zst"


def _publish_day(
    places: Places, feed: str, source: Source, key: RawKey, giving: Sequence[_Imported], held: Sequence[dict[str, Any]]
) -> None:
    """Join the parts in the order of their landing files: zstd frames are laid end to end, nothing is recompressed."""
    final = _raw_file(places, feed, source, key)
    lines_final = places.raw_lines(feed, key.channel, key.symbol, key.day)
    pieces: list[tuple[str, dict[str, Any], Path, Path, int, int]] = [
        (part.name, part.origin(key), part.parts[key].path, part.parts[key].lines_path, 0, 0) for part in giving
    ]
    pieces += [
        (origin["path"], origin, final, lines_final, origin["start_bytes"], origin["start_lines"]) for origin in held
    ]
    pieces.sort(key=lambda piece: piece[0])
    if not pieces:
        for path in (places.raw_manifest(feed, key.channel, key.symbol, key.day), final, lines_final):
            path.unlink(missing_ok=True)
        return
    tally = _Tally()
    origins: list[dict[str, Any]] = []
    with ExitStack() as stack:
        temporary = stack.enter_context(atomic_write(final, places.raw_temp(feed)))
        lines_temporary = stack.enter_context(atomic_write(lines_final, places.raw_temp(feed)))
        digest, size, count = hashlib.sha256(), 0, 0
        with temporary.open("wb") as out:
            for _, origin, path, _, start_bytes, _ in pieces:
                for chunk in _range(path, start_bytes, origin["stored_bytes"]):
                    out.write(chunk)
                    digest.update(chunk)
                size += origin["stored_bytes"]
                count += origin["stored_lines"]
                tally.see(origin["first_local_ns"], origin["last_local_ns"])
                origins.append({name: value for name, value in origin.items() if not name.startswith("start_")})
        schema = LINES_SCHEMA.with_metadata({_OF_RAW: digest.hexdigest()})
        with pq.ParquetWriter(lines_temporary, schema, **_LINES_OPTIONS) as writer:
            for _, origin, _, lines_path, _, start_lines in pieces:
                for numbers in _numbers(lines_path, start_lines, origin["stored_lines"]):
                    writer.write_table(numbers.cast(schema))
    manifest = _manifest(feed, source, key, final.name, size, digest.hexdigest(), count, tally, origins)
    write_json(places.raw_manifest(feed, key.channel, key.symbol, key.day), places.raw_temp(feed), manifest)


def _range(path: Path, start: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while length > 0:
            chunk = file.read(min(length, 1 << 20))
            if not chunk:
                raise RawDamaged(path, "it is shorter than its manifest says")
            length -= len(chunk)
            yield chunk


def _numbers(path: Path, start: int, count: int) -> Iterator[pa.Table]:
    """Some rows of a sidecar, row group by row group."""
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            low, high = max(start - first, 0), min(start + count - first, rows)
            if low < high:
                yield file.read_row_group(group).slice(low, high - low)
            first += rows


def _manifest(
    feed: str,
    source: Source,
    key: RawKey,
    file: str,
    size: int,
    sha256: str,
    lines: int,
    tally: _Tally,
    origin: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "manifest": 1,
        "feed": feed,
        "source": source.name,
        "channel": key.channel,
        "symbol": key.symbol,
        "date": str(key.day),
        "stored": "copy",
        "file": file,
        "bytes": size,
        "sha256": sha256,
        "lines": lines,
        "decoded_to_end": True,
        "first_local_ns": tally.first_local,
        "last_local_ns": tally.last_local,
        "origin": origin,
        "request": None,
        "disconnects_ns": sorted({ns for entry in origin for ns in entry.get("disconnects_ns", [])}),
        "fetched_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "versions": {"hedgegrid_assets": version("hedgegrid-assets"), "polars": pl.__version__},
    }


def _write_line_rejects(places: Places, feed: str, part: _Imported) -> None:
    _keep_unplaced(places, feed, part.name, part.unplaced)


def _keep_unplaced(places: Places, feed: str, name: str, unplaced: Sequence[pl.DataFrame]) -> None:
    """The lines of a file that belong to no table or day, as rejects of that file."""
    final = places.line_rejects(feed, name)
    rows = [
        lost.select(
            file=pl.lit(name),
            line=pl.col("line").cast(pl.UInt64) + 1,
            raw_row=pl.lit(None, pl.UInt32),
            stage=pl.lit("raw"),
            reason="reason",
            field=pl.lit(None, pl.String),
            value=pl.lit(None, pl.String),
            raw="raw",
            ts_init=pl.lit(None, pl.Datetime("ns", "UTC")),
        )
        for lost in unplaced
    ]
    if not rows:
        final.unlink(missing_ok=True)
        return
    with atomic_write(final, places.raw_temp(feed)) as temporary:
        pl.concat(rows).cast(REJECT_SCHEMA).write_parquet(temporary, compression="zstd")


# ---------------------------------------------------------------- index of imports


def _index_path(places: Places, feed: str, path: Path, signed: str) -> Path:
    return places.imports(feed) / f"{hashlib.sha256(f'{path.resolve()}|{signed}'.encode()).hexdigest()[:32]}.json"


def _read_index(places: Places, feed: str, landing: LandingFile) -> dict[str, Any] | None:
    return read_json(_index_path(places, feed, landing.path, landing_signature(landing)))


def _index_days(index: Mapping[str, Any]) -> set[RawKey]:
    return {RawKey(channel, symbol, date.fromisoformat(day)) for channel, symbol, day in index["days"]}


def _write_index(places: Places, feed: str, part: _Imported) -> None:
    index = {
        "file": part.name,
        "signature": part.signature,
        "days": [[key.channel, key.symbol, str(key.day)] for key in sorted({*part.counts, *part.earlier})],
        "channels": sorted(part.wanted.channels),
        "symbols": sorted(part.wanted.symbols),
        "unknown_symbols": dict(sorted(part.unknown_symbols.items())),
    }
    write_json(_index_path(places, feed, part.landing.path, part.signature), places.raw_temp(feed), index)


def _older_indexes(places: Places, feed: str, imported: Sequence[_Imported]) -> dict[str, dict[Path, dict[str, Any]]]:
    """Name of each landing file -> index files of its earlier contents."""
    signatures = {part.name: part.signature for part in imported}
    found: dict[str, dict[Path, dict[str, Any]]] = {name: {} for name in signatures}
    for path in places.imports(feed).glob("*.json") if imported else ():
        index = json.loads(path.read_bytes())
        if signatures.get(index["file"], index["signature"]) != index["signature"]:
            found[index["file"]][path] = index
    return found


@dataclass(frozen=True, slots=True)
class Imported:
    """One content of a landing file that was imported. ``name``: ``<file>@<signature>``; ``at``: when, in ns since 1970."""

    name: str
    at: int
    days: frozenset[RawKey]


def imports(places: Places, feed: str) -> list[Imported]:
    """All that a feed has imported, in the order of the imports."""
    found = []
    for path in places.imports(feed).glob("*.json"):
        index = json.loads(path.read_bytes())
        found.append(
            Imported(f"{index['file']}@{index['signature']}", path.stat().st_mtime_ns, frozenset(_index_days(index)))
        )
    return sorted(found, key=lambda imported: (imported.at, imported.name))


def imported_days(places: Places, feed: str) -> dict[str, set[RawKey]]:
    """Landing file signature (``<file>@<signature>``) -> raw days, for all that a feed has imported."""
    return {imported.name: set(imported.days) for imported in imports(places, feed)}
