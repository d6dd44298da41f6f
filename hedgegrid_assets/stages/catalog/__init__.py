"""Stage 4: a frame with a good verdict becomes one Nautilus Parquet file, read back and compared before it appears."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, islice
from typing import Final

import polars as pl
import pyarrow.parquet as pq
from msgspec import Struct

from hedgegrid_assets.errors import (
    CatalogDiffers,
    DayBlocked,
    DocumentDamaged,
    EnvironmentFault,
    HedgegridError,
    SeriesMixed,
    UnknownName,
    VerdictRefused,
)
from hedgegrid_assets.model import InstrumentDay, Status, Table
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.catalog.definitions import write_definition
from hedgegrid_assets.stages.catalog.draft import Draft, schema_of
from hedgegrid_assets.stages.catalog.files import (
    file_of,
    folder_in,
    is_ours,
    names_of_days,
    refuse_others,
    stamped_digest,
    strays,
)
from hedgegrid_assets.stages.catalog.generations import (
    check_generation,
    claim,
    generation_of,
    held_generation,
    refuse_other,
)
from hedgegrid_assets.stages.catalog.installed import refuse_unfit_nautilus
from hedgegrid_assets.stages.catalog.moves import Moves, carry_out, finish, unfinished
from hedgegrid_assets.stages.catalog.proof import Noted, compare
from hedgegrid_assets.stages.catalog.reader import refuse_without_reader, rows_by_nautilus
from hedgegrid_assets.stages.catalog.series import Held, change_series, read_series
from hedgegrid_assets.stages.catalog.together import SmallDay, proven_files
from hedgegrid_assets.stages.digest import ContentDigest
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.verdict import Verdict, read_verdict
from hedgegrid_assets.store import (
    BackgroundWriter,
    Places,
    StorePath,
    exclusive_lock,
    plain,
    prefetch,
    publish_file,
    read_bytes_of,
    reading,
    sha256_of,
    sync_file,
    writing,
)

ACCEPTED: Final = frozenset({Status.COMPLETE, Status.DEGRADED, Status.PARTIAL, Status.EMPTY})
COMPRESSIONS: Final = ("zstd", "snappy", "none")


def check_compression(compression: str) -> None:
    """Raises UnknownName for one that is not known."""
    if compression not in COMPRESSIONS:
        raise UnknownName("compression", "--compression", compression, COMPRESSIONS)


class Written(Struct, frozen=True):
    """One published catalog file."""

    day: InstrumentDay
    table: Table
    path: StorePath
    rows: int
    bytes: int


def claim_series(places: Places, instrument_id: str, table: Table, series: str) -> None:
    """Note which series an (instrument, table) is to hold. Raises SeriesMixed if it holds another one already."""

    def claimed(noted: Held) -> Held | None:
        mine = noted.get(instrument_id, {})
        if mine.get(table.name) == series:
            return None
        held = _held_series(places, instrument_id, table, noted)
        if held not in {None, series}:
            raise SeriesMixed(instrument_id, table.name, str(held), series)
        return {**noted, instrument_id: {**mine, table.name: series}}

    if claimed(read_series(places)) is not None:  # most often it is noted already, and nobody has to wait
        with exclusive_lock(places.catalog_lock):
            change_series(places, claimed)


def _held_series(places: Places, instrument_id: str, table: Table, noted: Held) -> str | None:
    """The series of what is published; None before that, as days that were blocked or refused bind nobody.

    Where it is noted no more (a catalog that was copied without it), the verdicts of published days say it.
    """
    if not any(folder_in(places, table, instrument_id).files(".parquet")):
        return None
    mine = noted.get(instrument_id, {}).get(table.name)
    if mine is not None:
        return mine
    for day in places.judged_days(instrument_id, table.folder):
        verdict = read_verdict(places, table, InstrumentDay(instrument_id, day))
        if verdict is not None and verdict.status in ACCEPTED:
            return verdict.series
    return None


def _refuse_other_series(places: Places, day: InstrumentDay, table: Table, series: str) -> None:
    """Another run may have claimed the folder since this one did. Raises SeriesMixed."""
    noted = read_series(places).get(day.instrument_id, {}).get(table.name, series)
    if noted != series:
        raise SeriesMixed(day.instrument_id, table.name, noted, series)


def admit(places: Places, day: InstrumentDay, table: Table, series: str) -> None:
    """Ask whether the catalog takes a day of this series, before anything is made of it.

    Raises Refused (another series, another's files in its place) and NautilusUnfit.
    """
    refuse_unfit_nautilus()
    refuse_others(places, day, table)
    claim_series(places, day.instrument_id, table, series)


def write_day(
    places: Places,
    day: InstrumentDay,
    table: Table,
    precisions: Precisions,
    compression: str = "zstd",
    draft: Draft | None = None,
    beside: Places | None = None,
) -> Written:
    """Publish one day of one table, if its stored verdict allows it and belongs to the frame at hand.

    A ``draft`` that was written along with the frame saves reading it once more. ``beside``: a catalog of the same frames
    whose file may say the digest of this one, which then is not made anew. Raises DayBlocked (an ERROR rule
    failed), VerdictRefused (no verdict, or the frame is not the one that was judged), ForeignFile (another has written
    into its place), CatalogDiffers and NautilusUnfit. In each case the catalog keeps what it had.
    """
    refuse_unfit_nautilus()
    with writing(places.catalog), exclusive_lock(places.day_lock(day.instrument_id, day.date)), ExitStack() as stack:
        verdict = _good_verdict(places, day, table, precisions)
        _refuse_other_series(places, day, table, verdict.series)
        refuse_others(places, day, table, schema_of(places, day, table, precisions))
        frame = places.frame(day.instrument_id, table.folder, day.date)
        final = file_of(places, day, table)
        noted = None
        if draft is None or not _is_of(draft, verdict) or draft.version != frame.entry().version:
            draft = stack.enter_context(closing(Draft(places, day, table, precisions, compression)))
            is_large = verdict.rows.rows_out > frames.ROW_GROUP
            known = _known(places, beside, day, table, verdict) if beside is not None and is_large else None
            with _blamed(frame, table, day, verdict):
                noted = _copy(frame, table, day, draft, known)
            if not _is_of(draft, verdict):
                raise _not_as_judged(day, table, "content digest")
        target, generation = schema_of(places, day, table, precisions), generation_of(places)
        is_large = draft.rows > frames.ROW_GROUP  # a thread for a small file takes longer than the disk
        with ExitStack() as behind:
            if is_large:
                behind.enter_context(closing(BackgroundWriter(sync_file))).put(draft.path)
            if noted is not None and noted.agrees_with(draft.path, target):
                rows = noted.rows
            else:
                rows = compare(frame, table, day, draft.path, target, generation)
        publish_file(draft.path, final, is_synced=is_large)
        return Written(day, table, final, rows, final.size)


class Judged(Struct, frozen=True):
    """A day with a verdict, and the bytes of the document that tells it."""

    day: InstrumentDay
    verdict: Verdict
    document: bytes


def write_together(
    places: Places, table: Table, days: Sequence[Judged], beside: Places, compression: str = "zstd"
) -> Iterator[Written]:
    """Publish small days of an instrument that are not there, with what they have in common done once for all of them.

    Only what is as it mostly is: these verdicts, frames of one row group, with the bytes that were judged, of one series
    and with the same decimals, whose digest the file of a catalog ``beside`` says too, in a folder without foreign files.
    The rest is left to ``write_day``, which tells what is wrong with it. The caller holds the locks of the days. Raises
    NautilusUnfit.
    """
    refuse_unfit_nautilus()
    first = days[0]
    _refuse_other_series(places, first.day, table, first.verdict.series)
    there = names_of_days(places, table, first.day.instrument_id)
    alike = [
        each
        for each in days
        if (each.verdict.series, each.verdict.precision) == (first.verdict.series, first.verdict.precision)
        and there is not None
        and file_of(places, each.day, table).name not in there
    ]
    small = [found for each in alike if (found := _small(places, beside, each, table)) is not None]
    with proven_files(places, table, small, first.verdict.precision, compression) as files:
        for each in files:
            final = file_of(places, each.day, table)
            publish_file(each.path, final, is_synced=True)
            yield Written(each.day, table, final, each.rows, final.size)


def _small(places: Places, beside: Places, judged: Judged, table: Table) -> SmallDay | None:
    """A day that may be written together with others; None for one that has to be looked at by itself."""
    day, verdict, rows = judged.day, judged.verdict, judged.verdict.rows.rows_out
    at = day.instrument_id, table.folder, day.date
    if not 0 < rows <= frames.ROW_GROUP or read_bytes_of(places.verdict(*at)) != judged.document:
        return None
    try:
        _refuse_unfit(places, day, table, verdict, verdict.precision)
        digest = _known(places, beside, day, table, verdict)
    except (HedgegridError, OSError):
        return None
    return None if digest is None else SmallDay(day, places.frame(*at), rows, digest)


def is_current(places: Places, day: InstrumentDay, table: Table) -> bool:
    """The catalog file was made from the frame that the day's good verdict is of (cheap; ``validate`` compares the values).

    Files of before the stamp are taken as they are, unless their frame was written after them.
    """
    final, frame = file_of(places, day, table), places.frame(day.instrument_id, table.folder, day.date)
    verdict = read_verdict(places, table, day)
    if verdict is None or verdict.status not in ACCEPTED or not final.exists() or not frame.exists():
        return False
    digest = stamped_digest(final, day.date)
    if digest is not None:
        return digest == verdict.content_digest
    return is_ours(final, day.date) and final.entry().modified >= frame.entry().modified


def matches_frame(places: Places, day: InstrumentDay, table: Table) -> bool:
    """The published file holds exactly what its frame says, value by value, at the precision of its verdict."""
    final = file_of(places, day, table)
    verdict = read_verdict(places, table, day)
    with reading(final, "a Nautilus file", frames.FORCED):
        metadata = pq.read_schema(final.footer()).metadata
    if verdict is not None and metadata != schema_of(places, day, table, verdict.precision).metadata:
        return False
    try:
        with reading(final, "a Nautilus file", frames.FORCED):
            compare(
                places.frame(day.instrument_id, table.folder, day.date),
                table,
                day,
                final.local(),
                pq.read_schema(final.local()),
                generation_of(places),
            )
    except CatalogDiffers:
        return False
    return True


def _good_verdict(places: Places, day: InstrumentDay, table: Table, precisions: Precisions) -> Verdict:
    try:
        verdict = read_verdict(places, table, day)
    except DocumentDamaged as error:
        raise VerdictRefused(str(day), table.name, error.message) from None
    if verdict is None:
        raise VerdictRefused(str(day), table.name, "there is none")
    _refuse_unfit(places, day, table, verdict, precisions)
    return verdict


def _refuse_unfit(places: Places, day: InstrumentDay, table: Table, verdict: Verdict, precisions: Precisions) -> None:
    if (verdict.instrument_id, verdict.date, verdict.table) != (day.instrument_id, day.date, table.name):
        raise VerdictRefused(str(day), table.name, "what is there is the verdict of something else")
    if verdict.status not in ACCEPTED or verdict.failed_errors:
        ways_out = [*_conflicts_told(places, day, table, verdict), *verdict.ways_out]
        raise DayBlocked(str(day), table.name, verdict.failed_errors, ways_out=ways_out)
    if not precisions.same_for(table, verdict.precision):
        raise VerdictRefused(
            str(day), table.name, f"it judged decimals {plain(verdict.precision)}, not {plain(precisions)}"
        )
    if not places.frame(day.instrument_id, table.folder, day.date).exists():
        raise VerdictRefused(str(day), table.name, "the frame that it judged is gone")


def _conflicts_told(places: Places, day: InstrumentDay, table: Table, verdict: Verdict) -> list[str]:
    """Which ids stand for several rows, and the command that shows where the first one is from."""
    ids = next(iter(verdict.told_of("conflicts")), "")
    if not ids:
        return []
    where = ["--catalog", str(places.catalog), "--data", str(places.data)]
    words = ["hedgegrid", "trace", day.instrument_id, table.token, ids.partition(" in ")[0], *where]
    return [f"ids of several trades: {ids}; file and line of the first: {shlex.join(words)}"]


def _is_of(draft: Draft, verdict: Verdict) -> bool:
    """The draft was written from the frame that was judged."""
    return (draft.content_digest, draft.rows) == (verdict.content_digest, verdict.rows.rows_out)


def _known(places: Places, beside: Places, day: InstrumentDay, table: Table, verdict: Verdict) -> str | None:
    """The digest of a frame that has the bytes that were judged, if a file that was made of it says the same one."""
    digest = verdict.content_digest
    known = (
        stamped_digest(file_of(beside, day, table), day.date) == digest
        and sha256_of(places.frame(day.instrument_id, table.folder, day.date)) == verdict.frame_sha256
    )
    return digest if known else None


@contextmanager
def _blamed(frame: StorePath, table: Table, day: InstrumentDay, verdict: Verdict) -> Iterator[None]:
    """What cannot be made of a frame is told of the frame, where it has not the bytes that were judged: it may decode to anything."""
    try:
        yield
    except (HedgegridError, OSError):
        raise
    except Exception as error:
        if sha256_of(frame) == verdict.frame_sha256:
            raise
        raise _not_as_judged(day, table, "sha256") from error


def _not_as_judged(day: InstrumentDay, table: Table, what: str) -> VerdictRefused:
    return VerdictRefused(str(day), table.name, f"the frame is not the one that was judged (its {what} differs)")


def _copy(frame: StorePath, table: Table, day: InstrumentDay, draft: Draft, known: str | None) -> Noted:
    """Write a stored frame, and digest it if its digest is not ``known``; what the file must hold."""
    noted = draft.noting()
    digest = ContentDigest(day.instrument_id, frames.later(table))
    if known is not None:
        _write(draft, _judged_blocks(frame, table, day, draft.needed))
    else:
        _write(draft, _judged_blocks(frame, table, day), digest)
    draft.finish(known or digest.hexdigest())
    return noted


def _write(draft: Draft, blocks: Iterator[pl.DataFrame], digest: ContentDigest | None = None) -> None:
    """Write and digest blocks: reading, turning and writing have a thread each; one block alone is not worth it."""
    first = list(islice(blocks, 2))
    if len(first) < 2:
        for block in first:
            draft.add(block)
            if digest is not None:
                digest.add(block)
        return
    with closing(BackgroundWriter(draft.put)) as behind, closing(prefetch(chain(first, blocks))) as ahead:
        for block in ahead:
            behind.put(draft.turned(block))
            if digest is not None:
                digest.add(block)


def _judged_blocks(
    frame: StorePath, table: Table, day: InstrumentDay, columns: Collection[str] | None = None
) -> Iterator[pl.DataFrame]:
    """The blocks of a frame. Raises VerdictRefused where it cannot be read any more."""
    try:
        yield from frames.read_blocks(frame, table, columns)
    except EnvironmentFault as error:
        raise VerdictRefused(str(day), table.name, f"the frame cannot be read ({error})") from error


__all__ = [
    "ACCEPTED",
    "COMPRESSIONS",
    "Draft",
    "Judged",
    "Moves",
    "Precisions",
    "Written",
    "admit",
    "carry_out",
    "check_compression",
    "check_generation",
    "claim",
    "claim_series",
    "file_of",
    "finish",
    "generation_of",
    "held_generation",
    "is_current",
    "is_ours",
    "matches_frame",
    "refuse_other",
    "refuse_unfit_nautilus",
    "refuse_without_reader",
    "rows_by_nautilus",
    "schema_of",
    "stamped_digest",
    "strays",
    "unfinished",
    "write_day",
    "write_definition",
    "write_together",
]
