"""Raw days composed of what the passes over landing files have found."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.errors import LinesUnnumbered, RawDamaged
from hedgegrid_assets.model import Source
from hedgegrid_assets.stages.raw.days import (
    LINES_REMEDY,
    LINES_SCHEMA,
    Progress,
    RawKey,
    Tally,
    keep_unplaced,
    manifest_of,
    noted_day,
    write_manifest,
)
from hedgegrid_assets.stages.raw.index import (
    LandingFile,
    indexes,
    last_import,
    older_indexes,
    write_index,
)
from hedgegrid_assets.stages.raw.manifest import FileOrigin, Manifest, read_manifest
from hedgegrid_assets.stages.raw.parts import LINES_OPTIONS
from hedgegrid_assets.stages.raw.passes import LandingPass, Wanted, shown_name
from hedgegrid_assets.stages.raw.pruned import Pruned
from hedgegrid_assets.store import (
    AnyFile,
    Places,
    StorePath,
    atomic_write,
    local_file,
    parquet_writer,
    reading,
    sha256_of,
    write_document,
)

OF_RAW: Final = b"hedgegrid.raw_sha256"
"""Metadata of a sidecar: the raw file that its lines are of."""


def publish(
    places: Places,
    feed: str,
    source: Source,
    imported: Sequence[LandingPass],
    files: Sequence[LandingFile],
    work: Path,
    *,
    in_place: bool,
    progress: Progress | None,
    pruned: Pruned,
) -> list[str]:
    """Compose the raw days of all files read, then note the files as imported; what to tell of files that are gone.

    Days that were pruned are not made again.
    """
    landed = {shown_name(places, landing.path): landing for landing in files}
    older = older_indexes(places, feed, {part.name: part.signature for part in imported})
    for part in imported:
        if part.before is not None:
            older[part.name].update(part.before)
    gone = {key for indexes in older.values() for index in indexes.values() for key in index.days}
    missing = _Missing()
    for key in sorted(gone.union(*(part.counts for part in imported))):
        if pruned.has(key):
            continue
        giving = [part for part in imported if key in part.counts]
        held = _held_origins(places, feed, key, {part.name for part in imported})
        held = missing.without(places, feed, key, held, giving)
        if in_place and not held and len(giving) == 1 and not giving[0].copied:
            _publish_in_place(places, feed, source, key, giving[0])
            continue
        for part in giving:
            if not part.copied:
                part.copy(source, progress)
        wanted = Wanted(frozenset({key.channel}), frozenset({key.symbol}))
        for name in [each.path for each in held if not each.stored_bytes]:  # so far in place
            folder = work / hashlib.sha256(name.encode()).hexdigest()[:16]
            landing = landed.get(name, LandingFile(places.home / name))
            said = next(each.origin.settings for each in held if each.path == name)
            again = LandingPass(places, replace(landing, settings=said) if said else landing, wanted, folder)
            again.run(source, alone=False, progress=progress)
            if key in again.counts:
                giving.append(again)
        _publish_day(places, feed, source, key, giving, [each for each in held if each.stored_bytes])
    at = last_import(places, feed) if imported else 0
    for part in imported:
        held_before = {key for index in older[part.name].values() for key in {*index.days, *index.former}}
        part.former = frozenset(key for key in held_before - part.counts.keys() if part.wanted.has(key))
        contents = {index.sha256 for index in older[part.name].values()}
        part.replaces = bool(contents - {None, part.reader.sha256})
        _write_line_rejects(places, feed, part)
        for path in older[part.name]:
            path.unlink()
        at = write_index(places, feed, part.landing.path, part.index(), at)
    _forget(places, feed, missing.renamed)
    return missing.notes()


class _Held(Struct, frozen=True):
    """What a landing file gives to a raw day, and where that begins in the day's file and in its sidecar.

    ``unnumbered``: the day's file holds its lines, but not which of the landing file they are.
    """

    origin: FileOrigin
    start_bytes: int = 0
    start_lines: int = 0
    unnumbered: bool = False

    @property
    def path(self) -> str:
        return self.origin.path or ""

    @property
    def stored_bytes(self) -> int:
        return self.origin.stored_bytes or 0

    @property
    def stored_lines(self) -> int:
        return self.origin.stored_lines or 0

    @property
    def span(self) -> tuple[int, int]:
        first, last = self.origin.first_local_ns, self.origin.last_local_ns
        assert first is not None
        assert last is not None
        return first, last


class _Missing:
    """Landing files that days were made of and that are not there any more."""

    def __init__(self) -> None:
        self.renamed: dict[str, str] = {}
        self._lost: dict[str, set[RawKey]] = {}

    def without(
        self, places: Places, feed: str, key: RawKey, held: Sequence[_Held], giving: Sequence[LandingPass]
    ) -> list["_Held"]:
        """The origins of a day that still count.

        Not those whose file has another name now, or was packed: the new file gives their lines. Nor those that were
        read in place and are gone: their lines are nowhere. Raises LinesUnnumbered.
        """
        kept: list[_Held] = []
        for each in held:
            name = each.path
            if (places.home / name).is_file():
                kept.append(each)
                continue
            heir = next((part for part in giving if part.is_content_of(each.origin)), None)
            if heir is not None:
                self.renamed[name] = heir.name
            elif each.stored_bytes:
                kept.append(each)
            elif each.unnumbered:
                raise LinesUnnumbered(places.raw_folder(feed, key.channel, key.symbol), name, f"{key.symbol} {key.day}")
            else:
                self._lost.setdefault(name, set()).add(key)
        return kept

    def notes(self) -> list[str]:
        """What a person should know."""
        told = [f"{old} is {new} now: its days are kept from there" for old, new in sorted(self.renamed.items())]
        for name, keys in sorted(self._lost.items()):
            days = ", ".join(sorted({f"{key.symbol} {key.day}" for key in keys})[:5])
            told.append(
                f"{name} is gone, and was not copied: {days} is made of the other files at hand, without its lines"
            )
        return told


def _forget(places: Places, feed: str, names: Collection[str]) -> None:
    """Remove what was noted of landing files that have another name now."""
    for path, index in indexes(places, feed).items() if names else ():
        if index.file in names:
            path.unlink(missing_ok=True)
    for name in names:
        keep_unplaced(places, feed, name, [])


def tell_gone(places: Places, feed: str) -> list[str]:
    """What to tell of files that days were read from in place and that are gone: once, since there is nothing to do."""
    found: list[str] = []
    for path, index in indexes(places, feed).items():
        there = (places.home / index.file).is_file()
        if there == (not index.gone):
            continue
        write_document(path, places.raw_temp(feed), msgspec.structs.replace(index, gone=not there))
        days = sorted(f"{key.symbol} {key.day}" for key in index.days if _is_in(places, feed, key, index.file))
        if not there and days:
            found.append(
                f"{index.file} is gone, and was not copied: what the catalog holds of {days[0]} stays as it is, "
                "but cannot be made again; put the file back for that"
            )
    return found


def _is_in(places: Places, feed: str, key: RawKey, name: str) -> bool:
    day = noted_day(places, feed, key)
    return day is not None and day.lines is None and day.manifest.origin[0].path == name


def _held_origins(places: Places, feed: str, key: RawKey, replaced: set[str]) -> list[_Held]:
    """Origins of the day on disk that this import does not replace, each with its place in the day's file.

    ``stored_bytes`` is 0 where the lines have to be taken from the landing file again.
    """
    manifest = read_manifest(places.raw_manifest(feed, key.channel, key.symbol, key.day))
    held: list[_Held] = []
    start_bytes = start_lines = 0
    for origin in manifest.origin if manifest else []:
        here = _Held(origin, start_bytes, start_lines)
        if here.path not in replaced:
            held.append(here)
        start_bytes += here.stored_bytes
        start_lines += here.stored_lines
    if manifest and held and start_bytes and not _is_whole(places, feed, key, manifest):
        unread = [msgspec.structs.replace(each.origin, stored_bytes=0) for each in held]
        held = [_Held(origin, unnumbered=True) for origin in unread]
    return held


def _is_whole(places: Places, feed: str, key: RawKey, manifest: Manifest) -> bool:
    """A raw file and its sidecar are those of the manifest: no run was killed between publishing one and the other."""
    path = places.raw_folder(feed, key.channel, key.symbol) / manifest.file
    lines = places.raw_lines(feed, key.channel, key.symbol, key.day)
    return path.exists() and lines_are_of(lines, manifest) and sha256_of(path) == manifest.sha256


def lines_are_of(lines: StorePath, manifest: Manifest) -> bool:
    """A sidecar is there, and of the raw file of a manifest."""
    if not lines.exists():
        return False
    try:
        of = (pq.read_schema(lines.footer()).metadata or {}).get(OF_RAW, b"").decode()
    except (pa.ArrowException, OSError, UnicodeDecodeError):  # damaged: the landing files have it all
        return False
    return of == manifest.sha256


def _publish_in_place(places: Places, feed: str, source: Source, key: RawKey, part: LandingPass) -> None:
    tally = Tally()
    tally.see(*part.spans[key])
    manifest = manifest_of(
        feed,
        source,
        key,
        str(part.landing.path.resolve()),
        part.reader.bytes,
        part.reader.sha256,
        part.counts[key],
        tally,
        [part.origin(key)],
        in_place=True,
    )
    write_manifest(places, feed, key, manifest)
    for copy in (_raw_file(places, feed, source, key), places.raw_lines(feed, key.channel, key.symbol, key.day)):
        copy.unlink(missing_ok=True)


def _raw_file(places: Places, feed: str, source: Source, key: RawKey) -> StorePath:
    return places.raw_folder(feed, key.channel, key.symbol) / f"{key.day}.{source.extension}.zst"


def _publish_day(
    places: Places,
    feed: str,
    source: Source,
    key: RawKey,
    giving: Sequence[LandingPass],
    held: Sequence[_Held],
) -> None:
    """Join the parts in the order of their landing files: zstd frames are laid end to end, nothing is recompressed."""
    final = _raw_file(places, feed, source, key)
    lines_final = places.raw_lines(feed, key.channel, key.symbol, key.day)
    pieces: list[tuple[_Held, AnyFile, Iterator[pa.Table]]] = [
        (_Held(part.origin(key)), part.parts[key].path, part.parts[key].numbers()) for part in giving
    ]
    pieces += [(each, final, _numbers(lines_final, each.start_lines, each.stored_lines)) for each in held]
    pieces.sort(key=lambda piece: piece[0].path)
    if not pieces:
        for path in (places.raw_manifest(feed, key.channel, key.symbol, key.day), final, lines_final):
            path.unlink(missing_ok=True)
        return
    tally = Tally()
    with ExitStack() as stack:
        temporary = stack.enter_context(atomic_write(final, places.raw_temp(feed)))
        lines_temporary = stack.enter_context(atomic_write(lines_final, places.raw_temp(feed)))
        digest, size, count = hashlib.sha256(), 0, 0
        with temporary.open("wb") as out:
            for piece, path, _ in pieces:
                for chunk in _range(path, piece.start_bytes, piece.stored_bytes):
                    out.write(chunk)
                    digest.update(chunk)
                size += piece.stored_bytes
                count += piece.stored_lines
                tally.see(*piece.span)
        schema = LINES_SCHEMA.with_metadata({OF_RAW: digest.hexdigest()})
        with parquet_writer(lines_temporary, schema, LINES_OPTIONS) as writer:
            for _, _, tables in pieces:
                for numbers in tables:
                    writer.write_table(numbers.cast(schema))
    origins = [piece.origin for piece, _, _ in pieces]
    manifest = manifest_of(feed, source, key, final.name, size, digest.hexdigest(), count, tally, origins)
    write_manifest(places, feed, key, manifest)


def _range(path: AnyFile, start: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while length > 0:
            chunk = file.read(min(length, 1 << 20))
            if not chunk:
                raise RawDamaged(path, "it is shorter than its manifest says")
            length -= len(chunk)
            yield chunk


def _numbers(path: AnyFile, start: int, count: int) -> Iterator[pa.Table]:
    """Some rows of a sidecar, row group by row group."""
    with reading(path, "the lines of a raw day", LINES_REMEDY), pq.ParquetFile(local_file(path)) as file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            low, high = max(start - first, 0), min(start + count - first, rows)
            if low < high:
                yield file.read_row_group(group).slice(low, high - low)
            first += rows


def _write_line_rejects(places: Places, feed: str, part: LandingPass) -> None:
    keep_unplaced(places, feed, part.name, part.unplaced)
