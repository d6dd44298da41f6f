"""The landing zone: files that users drop, imported once for each content."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import date
from functools import reduce
from operator import attrgetter
from pathlib import Path
from typing import Final

from msgspec import Struct

from hedgegrid_assets.errors import EnvironmentFault, FileRefused, FileUnreadable
from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.stages.raw.checksums import checksum_file, expected_sha256
from hedgegrid_assets.stages.raw.days import Progress, RawKey, raw_day
from hedgegrid_assets.stages.raw.index import (
    READ_AGAIN_BEFORE,
    ImportReport,
    Index,
    Indexes,
    LandingFile,
    index_path,
    indexes,
    read_index,
)
from hedgegrid_assets.stages.raw.names import claims_data, is_document, is_unfinished
from hedgegrid_assets.stages.raw.passes import LandingPass, Wanted, shown_name
from hedgegrid_assets.stages.raw.pruned import Pruned, forget_pruned, read_pruned
from hedgegrid_assets.stages.raw.publishing import publish, tell_gone
from hedgegrid_assets.store import Places, RealPaths, exclusive_lock, remove_tree, working_folder, writing

_NAMED: Final = 5


class Landed(Struct, frozen=True):
    """What the patterns of a feed match: files to import, and those that are passed over since they are no data."""

    files: list[LandingFile]
    passed_over: list[Path]


def scan_landing(root: Path, patterns: Sequence[str], is_ours: Callable[[Path], bool] = lambda _: False) -> Landed:
    """Look at the landing zone.

    Hidden, empty and half-written files never land, nor what ``is_ours``. Documents and checksum files are passed over.
    """
    below = len(f"{root}{os.sep}")
    matched = {str(path): path for pattern in patterns for path in root.glob(pattern)}
    landed = [path for text, path in matched.items() if _may_land(path, text[below:])]
    found = [path for path in sorted(landed, key=attrgetter("parts")) if not is_ours(path)]
    others = [path for path in found if is_document(path.name)]
    documents = set(others)
    files = [path for path in found if path not in documents] if others else found
    used = {beside for path in files if (beside := checksum_file(path)) is not None} if others else set()
    return Landed([LandingFile(path) for path in files], [path for path in others if path not in used])


def landing_files(root: Path, patterns: Sequence[str]) -> list[LandingFile]:
    """The files to import below ``root``; see ``scan_landing``."""
    return scan_landing(root, patterns).files


def _may_land(path: Path, below: str) -> bool:
    """``below``: the same, from the root of the landing zone."""
    if is_unfinished(path.name) or below.startswith(".") or f"{os.sep}." in below:
        return False
    try:
        status = path.stat()
    except OSError:  # it has gone since
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


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
    keep: bool = False,
    again: bool = False,
) -> ImportReport:
    """Split landing files into daily raw files: one pass a file, once for each content of it.

    With ``in_place`` a file that holds one symbol-day, and is alone in it, is not copied: its manifest points at it;
    with ``keep`` what was read of such a file is at hand in the report (``at_hand``), whose days the caller closes.
    ``again``: also files that look unchanged, and days that were pruned, which are left out otherwise.
    Landing files are never altered. Lines that belong to no table or day are kept as rejects of the landing file.
    A file that cannot be read, or is not what the checksum beside it says, raises FileRefused and nothing is published;
    with ``pass_over_damaged`` it is named in the report, and the others land.
    """
    with writing(places.data), exclusive_lock(places.import_lock(feed)), ExitStack() as stack:
        report = ImportReport()
        pruned = Pruned() if again else read_pruned(places, feed)
        held, of_before = _Held(places, feed), _Before(places, feed)
        wanted = Wanted(frozenset(channel.name for channel in channels), frozenset(symbols))
        work = stack.enter_context(working_folder(places.raw_temp(feed))) / "import"
        stack.callback(remove_tree, work)
        parts: list[LandingPass] = []
        verified: list[str] = []
        for number, landing in enumerate(files):
            try:
                _refuse_unreadable(landing.path)
                index = read_index(places, feed, landing)
                known = index is not None and not again and _is_known(index, wanted, held)
                if known and index is not None and _is_as_published(landing, index):
                    report.known.append(landing.path)
                    report.add(index)
                    continue
                before = [index] if index is not None else of_before.of(landing.path)
                both = reduce(Wanted.with_index, before, wanted)
                importing = LandingPass(places, landing, both, work / str(number), keeping=keep)
                stack.callback(importing.drop_kept)
                if index is not None and again:  # its content may be another one by now
                    importing.before = {index_path(places, feed, landing): index}
                elif index is not None:
                    importing.earlier = frozenset(index.days)
                with _reading(landing.path):
                    importing.run(source, alone=in_place, progress=progress)
            except FileRefused as error:
                if not pass_over_damaged:
                    raise
                if claims_data(landing.path.name, source.extension):
                    report.damaged.append(error)
                else:
                    report.notes.append(f"{shown_name(places, landing.path)} is passed over: {error.message}")
                continue
            parts.append(importing)
            verified += [importing.name] if importing.verified else []
        report.notes += publish(
            places, feed, source, parts, files, work, in_place=in_place, progress=progress, pruned=pruned
        )
        for part in parts:
            report.read.append(part.landing.path)
            report.replaced += [part.name] if part.replaces else []
            report.add(part.index())
            for key in sorted(key for key in part.counts if not pruned.has(key)):
                kept = part.kept_of(key)
                if kept is not None:
                    day = raw_day(places, feed, key)
                    assert day is not None
                    report.at_hand[key] = replace(day, kept=kept)
        if verified:
            report.notes.append(f"verified by the checksums beside them: {_named(verified)}")
        if in_place:
            report.notes += tell_gone(places, feed)
        if again:
            forget_pruned(places, feed, report.days)
        _leave_out(report, pruned)
        return report


def _leave_out(report: ImportReport, pruned: Pruned) -> None:
    """Days that were pruned are none of the days that were found; they are told."""
    gone = {key for key in report.days if pruned.has(key)}
    report.days -= gone
    if gone:
        first, last = min(key.day for key in gone), max(key.day for key in gone)
        report.notes.append(
            f"{len(gone):,} raw days of these files, {first} .. {last}, were pruned and stay out; --force takes them again"
        )


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")


def _refuse_unreadable(path: Path) -> None:
    """Raises FileUnreadable for what cannot be opened, or named in a manifest."""
    shown = os.fsencode(path).decode(errors="backslashreplace")
    if shown != str(path):
        raise FileUnreadable(shown, "its name is no UTF-8")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise FileUnreadable(shown, str(error.strerror or error)) from None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """A file that cannot be read any more in the middle is refused as one that could not be from the start."""
    try:
        yield
    except EnvironmentFault:
        _refuse_unreadable(path)
        raise


def waiting_files(
    places: Places,
    feed: str,
    files: Sequence[LandingFile],
    channels: Sequence[Channel],
    symbols: Sequence[str],
    known: Indexes | None = None,
) -> list[LandingFile]:
    """The landing files that an import would read: new ones, changed ones, and those read for fewer channels or symbols.

    ``known``: all index files, where they were read already.
    """
    wanted = Wanted(frozenset(channel.name for channel in channels), frozenset(symbols))
    held = _Held(places, feed)
    return [landing for landing, index in _with_index(places, feed, files, known) if not _is_known(index, wanted, held)]


def _with_index(
    places: Places, feed: str, files: Iterable[LandingFile], known: Indexes | None = None
) -> Iterator[tuple[LandingFile, Index | None]]:
    real = RealPaths()
    for landing in files:
        with suppress(FileNotFoundError):  # it has gone since
            yield landing, known.of(landing) if known else read_index(places, feed, landing, real)


class _Held:
    """Raw days that are there, or were pruned; each folder is listed once, so keep it for one look only."""

    def __init__(self, places: Places, feed: str) -> None:
        self._places, self._feed = places, feed
        self._pruned = read_pruned(places, feed)
        self._days: dict[tuple[str, str], frozenset[date]] = {}

    def has(self, key: RawKey) -> bool:
        folder = key.channel, key.symbol
        if folder not in self._days:
            self._days[folder] = frozenset(self._places.raw_days(self._feed, *folder))
        return key.day in self._days[folder] or self._pruned.has(key)


class _Before:
    """What was found in earlier contents of landing files: who is asked for less now than then loses none of it."""

    def __init__(self, places: Places, feed: str) -> None:
        self._places, self._feed = places, feed
        self._by_file: dict[str, list[Index]] | None = None

    def of(self, path: Path) -> list[Index]:
        if self._by_file is None:
            self._by_file = {}
            for index in indexes(self._places, self._feed).values():
                self._by_file.setdefault(index.file, []).append(index)
        return self._by_file.get(shown_name(self._places, path), [])


def _is_known(index: Index | None, wanted: "Wanted", held: _Held) -> bool:
    """The file was read for all that is wanted, and its raw days are still there, or were pruned."""
    if index is None or index.index < READ_AGAIN_BEFORE or not wanted.covered_by(index):
        return False
    return all(map(held.has, index.days))


def _is_as_published(landing: LandingFile, index: Index) -> bool:
    """No checksum has come since that says otherwise."""
    return expected_sha256(landing.path) in {None, index.sha256}
