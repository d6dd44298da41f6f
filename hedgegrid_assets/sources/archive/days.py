"""Raw days from an archive's files: the file of a day as it was received, or the day's lines of files of more than a day."""

import gzip
import hashlib
import logging
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import polars as pl
from msgspec import Struct, structs, to_builtins

from hedgegrid_assets.dialect import View
from hedgegrid_assets.errors import DayNotOver, NoDataFetched, NotPublished, RawDamaged
from hedgegrid_assets.model import Channel, Download, WatchesCut
from hedgegrid_assets.sources.archive.archives import Archive, Files, Period
from hedgegrid_assets.sources.archive.files import Missing, Place, Proof, cache_of, have
from hedgegrid_assets.sources.archive.layouts import ArchiveDialect, dialect_of, notes_of
from hedgegrid_assets.sources.archive.splitting import DayFile, DaysOfFile, day_file, split
from hedgegrid_assets.sources.client.cache import linked
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.store import BlockReader, exclusive_lock, make_folder
from hedgegrid_assets.store.zips import ZIP_ERRORS, unzipped

_log: Final = logging.getLogger(__name__)
_LONGEST_HEADER: Final = 1 << 16
_SETTLED_LATE_SECONDS: Final = 60.0
"""Venues stamp a settlement some milliseconds after the hour, and a few seconds where they are busy."""

type Tick = Callable[[], None] | None
type Watch = WatchesCut | None


class ArchiveDay(Struct, frozen=True):
    """A day of a symbol in one kind of file.

    Attributes:
        endpoint: Replaces scheme and host of every address; empty: the archive's own.
        cache: Folder of all files.
        period: Files of a day or of a month, where there is a choice; None: of a month, if that is at hand.
        accepted: sha256 of files that are taken though their checksum file says another one.
    """

    archive: Archive
    files: Files
    symbol: str
    day: date
    endpoint: str
    cache: Path
    period: Period | None
    accepted: tuple[str, ...]

    @classmethod
    def of(
        cls,
        archive: Archive,
        settings: Mapping[str, Any],
        symbol: str,
        channel: Channel,
        day: date,
        cache_folder: Path,
    ) -> "ArchiveDay":
        """From a source's settings."""
        accepted = settings.get("accept_checksum", ())
        period = settings.get("period")
        return cls(
            archive,
            archive.kind(channel.name),
            symbol,
            day,
            str(settings.get("endpoint", "")).rstrip("/"),
            cache_of(settings, cache_folder),
            period if period in ("daily", "monthly") else None,
            (accepted,) if isinstance(accepted, str) else tuple(accepted),
        )

    def __str__(self) -> str:
        return f"{self.archive.name} {self.files.channel.name} {self.symbol} {self.day}"

    def place(self, period: Period, day: date) -> Place:
        """A file of this kind."""
        path = self.files.path(period, self.symbol, day)
        return Place(self.archive, self.endpoint, path, self.cache, self._instead_of(period, day))

    def _instead_of(self, period: Period, day: date) -> str:
        """The other period that this day may be had in; empty: none."""
        other: Period = "daily" if period == "monthly" else "monthly"
        return other if other in self.files.paths and (other == "daily" or _is_over(day)) else ""

    @property
    def usual_period(self) -> Period:
        """Files of a day where there are any, unless that of the month is at hand, or wanted."""
        if "monthly" not in self.files.paths:
            return "daily"
        if "daily" not in self.files.paths:
            return "monthly"
        if self.period is not None:
            return self.period if _is_over(self.day) else "daily"
        return "monthly" if self.place("monthly", self.day).held() else "daily"

    def days(self) -> list[date]:
        """The days of the archive that a day of UTC is in."""
        if self.files.into_next:
            return [self.day - timedelta(days=1), self.day]
        return [self.day] if not self.archive.day_begins else [self.day, self.day + timedelta(days=1)]


def download(wanted: ArchiveDay, work: Path, tick: Tick, watch: Watch = None) -> Download:
    """The lines of a day. Raises NoDataFetched, RemoteFault, DataError."""
    if wanted.day >= datetime.now(UTC).date():
        raise DayNotOver(wanted.symbol, wanted.archive.name, wanted.day)
    ended = wanted.files.ended
    if ended is not None and wanted.day >= ended:
        why = f"{wanted.files.channel.name} is not published any more since {ended}"
        hint = f"ask for days before {ended}, or for other data types"
        raise NoDataFetched(str(wanted), wanted.archive.name, why, hint=hint)
    period = wanted.usual_period
    try:
        return _of_period(wanted, period, work, tick, watch)
    except (Missing, _NoRows) as error:
        if period == "monthly" and "daily" in wanted.files.paths:
            _log.info("%s: %s; the file of the day is tried", wanted, error)
            period = "daily"
    try:
        return _of_period(wanted, period, work, tick, watch)
    except _NoRows as error:
        raise NoDataFetched(str(wanted), wanted.archive.name, str(error)) from None
    except Missing:
        from hedgegrid_assets.sources.archive.listing import why_missing

        why, not_yet = why_missing(
            wanted.archive, wanted.endpoint, wanted.files, period, wanted.symbol, wanted.day, tick
        )
        raise (NotPublished if not_yet else NoDataFetched)(str(wanted), wanted.archive.name, why) from None


def plan(wanted: ArchiveDay) -> tuple[int, int]:
    """(requests that fetching takes, files that are at hand)."""
    period = wanted.usual_period
    days = wanted.days() if period == "daily" else [wanted.day]
    held = sum(wanted.place(period, day).held() is not None for day in days)
    return (len(days) - held) * (2 if wanted.archive.checksum else 1), held


# ---------------------------------------------------------------- steps


def _is_over(day: date) -> bool:
    """The month of a day is over."""
    return f"{day:%Y-%m}" < f"{datetime.now(UTC):%Y-%m}"


class _NoRows(Exception):
    """A file is there, and holds no row of a day."""


def _of_period(wanted: ArchiveDay, period: Period, work: Path, tick: Tick, watch: Watch = None) -> Download:
    """From files of a day or of a month. Raises Missing, _NoRows."""
    if period == "daily" and wanted.days() == [wanted.day]:
        return _as_received(wanted, work, tick)
    return _cut_out(wanted, period, work, tick, watch)


def _as_received(wanted: ArchiveDay, work: Path, tick: Tick) -> Download:
    place = wanted.place("daily", wanted.day)
    with exclusive_lock(place.lock):
        was_held = place.held() is not None
        proof = have(place, wanted.accepted, tick)
        path = linked(place.file, work)
    suffix = ".csv.zip" if place.path.endswith(".zip") else ".csv.gz"
    dialect = _dialect(wanted, place)
    return Download(path, suffix, to_builtins(proof), dialect, place.forget if was_held else None)


def _dialect(wanted: ArchiveDay, place: Place) -> ArchiveDialect:
    first = first_line(place.file)
    if not first.strip():  # no line is in it
        first = ",".join(wanted.files.columns.at(wanted.day).names)
    found = dialect_of(first, wanted.files.columns, wanted.files.channel, wanted.symbol, place.what)
    note = notes_of(found, wanted.files.columns.at(wanted.day), place.what)
    if note:
        _log.warning("%s", note)
    return structs.replace(found, exchange=wanted.archive.exchange)


def first_line(path: Path) -> str:
    """The first line of a file; empty for a damaged one, which is told by what reads it next."""
    try:
        start = _beginning(path)
    except (*ZIP_ERRORS, RawDamaged, OSError):
        return ""
    return start.split(b"\n", 1)[0][:_LONGEST_HEADER].decode(errors="replace")


def _beginning(path: Path) -> bytes:
    """Some of what a file holds, with its first line."""
    if path.suffix != ".zip":
        with gzip.open(path) as file:
            return file.readline(_LONGEST_HEADER)
    with zipfile.ZipFile(path) as archive:
        return next((start for member in archive.infolist()[:1] for start in unzipped(archive, member, path)), b"")


def _cut_out(wanted: ArchiveDay, period: Period, work: Path, tick: Tick, watch: Watch = None) -> Download:
    """The day's lines of one file or of several, one behind the other."""
    parts: list[tuple[Path, DayFile]] = []
    proofs: list[Proof] = []
    dialect: ArchiveDialect | None = None
    make_folder(work)
    days = wanted.days() if period == "daily" else [wanted.day]
    for day in reversed(days):
        place = wanted.place(period, day)
        try:
            with exclusive_lock(place.lock):
                proof, part, index = _had(wanted, place, day, tick, watch if days == [wanted.day] else None)
        except Missing:
            if parts and wanted.files.into_next:  # there is none of the day before the first
                continue
            raise
        proofs.insert(0, proof)
        if part is None or index.dialect is None:
            continue
        if dialect and index.dialect.label_seconds != dialect.label_seconds:
            _log.warning("%s: its last row is labelled otherwise than those of %s: left out", place.what, wanted.day)
            continue
        parts.insert(0, (part, index.days[str(wanted.day)]))
        dialect = index.dialect
    if dialect is None:
        raise _NoRows(f"{proofs[0].url.rpartition('/')[2]} is there, and holds no row of this day")
    path, identity = _in_one(parts, work)
    origin = {"url": proofs[0].url, "files": to_builtins(proofs)} | identity
    dialect = structs.replace(_with_interval(path, dialect), exchange=wanted.archive.exchange)
    return Download(path, ".csv.zst", origin, dialect)


def _had(
    wanted: ArchiveDay, place: Place, day: date, tick: Tick, watch: Watch
) -> tuple[Proof, Path | None, DaysOfFile]:
    """What is cut out of a file (see ``_part``). One that was held, and is damaged, is had once more."""
    was_held = place.held() is not None
    proof = have(place, wanted.accepted, tick)
    try:
        return proof, *_part(wanted, place, proof, day, tick, watch)
    except RawDamaged:
        if not was_held:
            raise
    place.forget()
    proof = have(place, wanted.accepted, tick)
    return proof, *_part(wanted, place, proof, day, tick, watch)


def _part(
    wanted: ArchiveDay, place: Place, proof: Proof, day: date, tick: Tick, watch: Watch
) -> tuple[Path | None, DaysOfFile]:
    """The file of the day's lines, None where there are none, and the index of all. One that is damaged is cut anew."""
    cut = partial(split, place, proof, wanted.files.columns, wanted.files.channel, wanted.symbol, day, tick, watch)
    folder, index = cut()
    file, path = index.days.get(str(wanted.day)), day_file(folder, wanted.day)
    if file is None:
        return None, index
    if not _is_sound(path, file, wanted.day, watch):
        _log.warning("%s: its lines of %s are damaged in the cache: it is cut again", place.what, wanted.day)
        shutil.rmtree(folder)
        _, index = cut()
    return path, index


def _is_sound(path: Path, file: DayFile, day: date, watch: Watch) -> bool:
    """It is as the index says; one that was cut in this run is not read for that."""
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    return (watch is not None and watch.saw(day, file.sha256)) or _identity(path)["sha256"] == file.sha256


def _with_interval(path: Path, dialect: ArchiveDialect) -> ArchiveDialect:
    """With the longest silence that rates of this day allow, where their rows say how often they are paid."""
    place = dialect.columns.get("interval_hours")
    if place is None:
        return dialect
    texts = [
        cells.read(block, len(dialect.names), ",", [place]).frame[cells.name(place)] for block in BlockReader(path)
    ]
    hours = pl.concat(texts).cast(pl.Float64, strict=False).max() or 8.0
    seconds = float(str(hours)) * 3_600 + _SETTLED_LATE_SECONDS
    return structs.replace(dialect, views={dialect.channel: View(gap_seconds=seconds)})


def _in_one(parts: Sequence[tuple[Path, DayFile]], work: Path) -> tuple[Path, dict[str, Any]]:
    """The lines of parts one behind the other, in a file, and its identity: that of a part alone was looked at."""
    if len(parts) == 1:
        part, file = parts[0]
        return linked(part, work), {"bytes": file.bytes, "sha256": file.sha256}
    path = work / f"{uuid4().hex}.day.part"
    with path.open("wb") as out:
        for part, _ in parts:
            with part.open("rb") as lines:
                shutil.copyfileobj(lines, out)
    return path, _identity(path)


def _identity(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
