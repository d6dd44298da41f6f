"""The files of Nautilus' folders: whose they are, and which times they hold by their names."""

import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from hedgegrid_assets.errors import ForeignFile
from hedgegrid_assets.model import GENERATION, InstrumentDay, Table
from hedgegrid_assets.stages.catalog.generations import generation_of
from hedgegrid_assets.store import AnyFile, Places, StorePath, footer_file
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_end, day_of, day_start, nautilus_file_name

_STAMP: Final = "hedgegrid.frame."
_TAIL: Final = 8
"""Bytes behind a footer: its length, and Parquet's mark."""
_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{9})Z", re.ASCII)
_WHOLE_DAYS: Final = re.compile(
    r"(?<=\0)([^\0]{10})"
    + r"\1".join(map(re.escape, nautilus_file_name(date(2000, 1, 1)).split("2000-01-01")[1:]))
    + r"\0"
)
"""The form of our own names, each between two zeros: a folder may hold thousands."""
_PLAIN: Final = "!$&'()+,/:;=@ "
"""Signs that the store of 2.x leaves as they are, besides letters, digits and ``_.-``."""
_SET_ASIDE: Final = "set-aside"
_NAMED_IN_HINT: Final = 20

type Trouble = Literal["no time in its name", "overlaps", "unknown"]


class Stray(Struct, frozen=True):
    """A file in one of Nautilus' folders that does not belong there, told by names alone."""

    path: StorePath
    trouble: Trouble
    why: str


def folder_in(places: Places, table: Table, instrument_id: str) -> StorePath:
    """Nautilus' own folder of an (instrument, table)."""
    generation = generation_of(places)
    form = table.form(generation)
    return places.nautilus_folder(form.folder, named_folder(form.name_of(instrument_id), generation))


def named_folder(name: str, generation: int) -> str:
    """The name of a folder: 2.x writes by their bytes, as ``%E5``, what is not ASCII and some signs besides."""
    return name if generation == GENERATION else quote(name, safe=_PLAIN).replace("~", "%7E")


def file_of(places: Places, day: InstrumentDay, table: Table) -> StorePath:
    """Where Nautilus expects the day."""
    return folder_in(places, table, day.instrument_id) / nautilus_file_name(day.date)


# ---------------------------------------------------------------- the stamp of our own files


def stamp_of(day: date, content_digest: str) -> dict[str, str]:
    """Footer metadata of our own file of a day: the digest of the frame that it was made from; see ``seal``.

    All is in the key: Nautilus' Rust reader merges the footers of a folder and fails where one key has two values.
    Its Python side sees none of it (it reads the metadata of the Arrow schema), and so drops it where it writes anew:
    a file that has the stamp holds what we wrote.
    """
    return {f"{_STAMP}{day}.{content_digest}": ""}


def seal(path: Path, stamp: Mapping[str, str]) -> None:
    """Take the empty values of a stamp out of a complete file's footer: a key without a value, as Parquet allows it.

    The Rust reader passes over such keys. With a value, each file of a folder would put one more into the metadata that
    it merges and copies: a query of a minute took 85 ms instead of 57 in a folder of 400 days. pyarrow cannot write them.
    """
    with path.open("r+b") as file:
        end = file.seek(-_TAIL, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(end - length)
        footer = _sealed(file.read(length), stamp)
        file.seek(end - length)
        file.write(footer)
        file.truncate()


def sealed(data: bytes, stamp: Mapping[str, str]) -> bytes:
    """The bytes of a complete file, sealed; see ``seal``."""
    end = len(data) - _TAIL
    start = end - int.from_bytes(data[end : end + 4], "little")
    return data[:start] + _sealed(data[start:end], stamp)


def _sealed(footer: bytes, stamp: Mapping[str, str]) -> bytes:
    """All that follows the columns."""
    for key in stamp:
        named = b"\x18" + _varint(len(key.encode())) + key.encode()  # Thrift's compact form: field 1, text
        footer = footer.replace(named + b"\x18\x00\x00", named + b"\x00")  # field 2, no text; end
    return footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + _varint(number >> 7)


def stamped_digest(path: AnyFile, day: date) -> str | None:
    """The digest of the frame that our file of a day was made from; None if it has no such stamp, or cannot be read."""
    metadata = _footer(path)
    return None if metadata is None else _stamped(metadata, day)


def _stamped(metadata: pq.FileMetaData, day: date) -> str | None:
    prefix = f"{_STAMP}{day}.".encode()
    return next((key[len(prefix) :].decode() for key in metadata.metadata or {} if key.startswith(prefix)), None)


def is_ours(path: AnyFile, day: date) -> bool:
    """A file with the name of a whole day was written by us, or has no rows that could be lost.

    Ours have the stamp; older ones are known by what Nautilus' own writer never does: no column has a dictionary.
    """
    metadata = _footer(path)
    if metadata is None or not metadata.num_rows or _stamped(metadata, day) is not None:
        return True
    group = metadata.row_group(0)
    encodings = {encoding for number in range(group.num_columns) for encoding in group.column(number).encodings}
    return metadata.created_by.startswith("parquet-cpp-arrow") and not any("DICT" in each for each in encodings)


def _footer(path: AnyFile) -> pq.FileMetaData | None:
    try:
        return pq.read_metadata(footer_file(path))
    except (pa.ArrowException, OSError):
        return None


# ---------------------------------------------------------------- names


def interval(name: str) -> tuple[int, int] | None:
    """First and last ``ts_init`` (ns, inclusive) that a file may hold, by its name; None if the name does not say it."""
    first, _, last = name.removesuffix(".parquet").partition("_")
    start, end = _ns(first), _ns(last)
    return None if start is None or end is None or end < start else (start, end)


def days_in(name: str) -> list[date]:
    """UTC days that a file may hold rows of, by its name."""
    found = interval(name)
    if found is None:
        return []
    first, last = day_of(found[0]), day_of(found[1])
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _ns(text: str) -> int | None:
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    try:
        whole = datetime(*map(int, match[1].split("-")), *map(int, match.group(2, 3, 4)), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return None
    return int(whole.timestamp()) * NS_PER_SECOND + int(match[5])


def whole_day(name: str) -> date | None:
    """The day whose file has this name."""
    found = interval(name)
    if found is None:
        return None
    day = day_of(found[0])
    return day if found == (day_start(day), day_end(day) - 1) else None


# ---------------------------------------------------------------- what another has written


def refuse_others(places: Places, day: InstrumentDay, table: Table, target: pa.Schema | None = None) -> None:
    """Raises ForeignFile where files that we did not write have times of the day, or a name that does not tell them.

    Nautilus reads all files of a folder: their rows would be there twice, or, had we removed them, be lost. With the
    ``target`` that our file will have, also where another's file of other days says other decimals: it would read none.
    """
    final = file_of(places, day, table)
    first, last = day_start(day.date), day_end(day.date) - 1
    found = [final] if final.exists() and not is_ours(final, day.date) else []
    strangers = _strangers(final.parent)
    for path in strangers:
        times = interval(path.name)
        if path.parent != final.parent or times is None or (times[0] <= last and times[1] >= first):
            found.append(path)
    if found:
        raise _foreign(places, day, table, final, found)
    unlike = [path for path in strangers if target and not _schema_of(path).equals(target, check_metadata=True)]
    if unlike:
        raise _foreign(
            places, day, table, final, unlike, "its decimals or columns are others: Nautilus could read neither"
        )


def _schema_of(path: StorePath) -> pa.Schema:
    try:
        return pq.read_schema(path.footer())
    except (pa.ArrowException, OSError):
        return pa.schema([])


def _files(folder: StorePath) -> Iterator[StorePath]:
    """All that Nautilus would take for a file of the folder, also hidden ones and those of folders below."""
    yield from folder.files(".parquet")
    for below in folder.folders():
        yield from _files(below)


def _strangers(folder: StorePath) -> list[StorePath]:
    """Those of them that have not the name of a whole day. Asked for each day, of folders that hold thousands."""
    level = folder.store.level(folder.key)
    others = _WHOLE_DAYS.sub("", "\0".join(("", *level.files, "")))
    here = [folder / name for name in others.split("\0") if name.endswith(".parquet")]
    return sorted([*here, *(path for name in level.folders for path in _files(folder / name))])


def names_of_days(places: Places, table: Table, instrument_id: str) -> frozenset[str] | None:
    """Names of the files in Nautilus' folder of an (instrument, table); None where one of them is not of a whole day."""
    folder = folder_in(places, table, instrument_id)
    return None if _strangers(folder) else frozenset(folder.store.level(folder.key).files)


def _foreign(
    places: Places, day: InstrumentDay, table: Table, final: StorePath, found: list[StorePath], why: str = ""
) -> ForeignFile:
    moved = [path for path in found if path != final and stamped_digest(path, day.date) is not None]
    if moved == found and len(found) == 1 and not final.exists():
        command = f"mv {shlex.quote(str(found[0]))} {shlex.quote(str(final))}"
        hint = f"give it its name back, then run again: {command}"
        return ForeignFile(str(day), table.name, found, "this catalog's own file of the day, renamed", hint)
    own = places.verdict(day.instrument_id, table.folder, day.date).exists()
    why = why or (
        "this catalog has a verdict of the day, so it may have been made from its files, as by consolidate_data"
        if own and final not in found
        else "no verdict of this catalog names it"
    )
    aside = places.catalog / _SET_ASIDE
    names = " ".join(shlex.quote(str(path)) for path in found[:_NAMED_IN_HINT])
    rest = "" if len(found) <= _NAMED_IN_HINT else f", and the {len(found) - _NAMED_IN_HINT} others"
    hint = (
        "the Nautilus files are as they were; use another --output, or move away what you do not need there and run again (days that "
        f"are in this catalog are written anew from their frames): mkdir -p {shlex.quote(str(aside))} && mv {names} "
        f"{shlex.quote(str(aside))}{rest}"
    )
    return ForeignFile(str(day), table.name, found, why, hint)


def strays(folder: StorePath, ours: Collection[date]) -> Iterator[Stray]:
    """Files of one (table, instrument) folder that make Nautilus give rows that we do not stand for.

    ``ours``: days that this catalog has verdicts or frames of. In a folder without any, files may have any times, as
    long as no two of them overlap.
    """
    timed: list[tuple[int, int, StorePath]] = []
    for path in sorted(_files(folder)):
        times = interval(path.name)
        if times is None or path.parent != folder:
            told = "Nautilus reads it with every query of the instrument, and stops at names that it cannot parse"
            yield Stray(path, "no time in its name", told)
            continue
        timed.append((*times, path))
        if ours and whole_day(path.name) not in ours:
            yield Stray(path, "unknown", "no verdict of this catalog names it; its rows were never judged")
    latest: tuple[int, StorePath] | None = None
    for start, end, path in sorted(timed):
        if latest is not None and start <= latest[0]:
            yield Stray(path, "overlaps", f"{latest[1].name} holds the same times: Nautilus gives the rows of both")
        if latest is None or end > latest[0]:
            latest = end, path
