"""Files of more than one day of UTC, cut into days: verbatim, in one pass, once."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import polars as pl

from hedgegrid_assets.batch import Block
from hedgegrid_assets.errors import RawDamaged
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.archive.files import Place, Proof
from hedgegrid_assets.sources.archive.layouts import ArchiveDialect, Columns, dialect_of
from hedgegrid_assets.sources.archive.rows import times_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.store import BlockReader, LineFile, bytes_of, line_array, make_folder
from hedgegrid_assets.timestamps import FACTORS, NS_PER_DAY, NS_PER_SECOND, RANGES, day_of

_INDEX: Final = "days.json"
_BLOCK_BYTES: Final = 4 << 20
"""Less than usual: it takes less memory, and a line that is odd makes fewer of them be looked at closely."""


class DayFile(msgspec.Struct, frozen=True):
    """The lines of one day."""

    sha256: str
    bytes: int
    lines: int


class DaysOfFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """The index of a file that was cut into days. ``sha256``: of the file; ``dialect``: of the days, None if it is empty."""

    sha256: str
    days: dict[str, DayFile]
    dialect: ArchiveDialect | None = None


def split(
    place: Place,
    proof: Proof,
    columns: Columns,
    channel: Channel,
    symbol: str,
    published: date,
    tick: Callable[[], None] | None,
) -> tuple[Path, DaysOfFile]:
    """The folder with a file for each day, and its index. ``published``: a day of the file.

    Lines without a time go into the day of the line before.
    """
    folder = place.file.with_name(f"{place.file.name}.{symbol}.days")
    index = _index(folder, proof)
    if index is not None:
        return folder, index
    work = place.cache / ".tmp" / uuid4().hex
    make_folder(work)
    try:
        label_seconds = columns.at(published).label_seconds
        index = _split(place, proof, columns, channel, symbol, label_seconds, work, tick)
        (work / _INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(index, order="sorted"), indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        work.replace(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder, index


def _index(folder: Path, proof: Proof) -> DaysOfFile | None:
    try:
        index = msgspec.json.decode((folder / _INDEX).read_bytes(), type=DaysOfFile)
    except (OSError, ValueError):  # it is made anew
        return None
    return index if index.sha256 == proof.sha256 else None


def _split(
    place: Place,
    proof: Proof,
    columns: Columns,
    channel: Channel,
    symbol: str,
    label_seconds: int,
    work: Path,
    tick: Callable[[], None] | None,
) -> DaysOfFile:
    reader = BlockReader(place.file, _BLOCK_BYTES)
    dialect: ArchiveDialect | None = None
    files: dict[int, LineFile] = {}
    last = 0
    for block in reader:
        if dialect is None:
            first = block.data.split(b"\n", 1)[0].decode(errors="replace")
            found = dialect_of(first, columns, channel, symbol, place.what)
            dialect = msgspec.structs.replace(found, label_seconds=label_seconds)
        last = _hand_out(block, dialect, files, work, last)
        if tick:
            tick()
    if reader.truncated or reader.sha256 != proof.sha256:
        raise RawDamaged(place.file, "it is not what was received")
    days = {
        str(day_of(number * NS_PER_DAY)): DayFile(sha256=file.close(), bytes=file.bytes, lines=file.lines)
        for number, file in sorted(files.items())
    }
    return DaysOfFile(sha256=proof.sha256, dialect=dialect.cut() if dialect else None, days=days)


def _hand_out(block: Block, dialect: ArchiveDialect, files: dict[int, LineFile], work: Path, last: int) -> int:
    """Add the lines of a block to their days; the day of the last one."""
    runs = _runs(block, dialect)
    if runs:
        return _cut(block, runs, files, work)
    columns = dialect.columns
    place = columns["time"]
    wanted = [columns[key] for key in ("time", "symbol") if key in columns]
    texts = cells.read(block, len(dialect.names), ",", wanted).frame
    days = (times_of(texts[cells.name(place)]) + dialect.label_seconds * NS_PER_SECOND) // NS_PER_DAY
    found = pl.DataFrame({"line": texts["line"] - block.first_line, "day": days})
    if "symbol" in columns:  # a file of all symbols
        found = found.filter(texts[cells.name(columns["symbol"])] == dialect.symbol)
    if block.first_line == 0:
        found = found.filter(pl.col("line") >= dialect.header_lines)
    found = found.with_columns(pl.col("day").forward_fill().fill_null(last))
    if not len(found):
        return last
    lines = line_array(block.data)
    for (number,), part in found.group_by("day", maintain_order=True):
        taken = part["line"]
        data = bytes_of(lines.take(taken.cast(pl.Int64).to_arrow()))
        _file_of(files, int(str(number)), work).append(_whole(data), len(taken))
    return int(str(found["day"][-1]))


def _runs(block: Block, dialect: ArchiveDialect) -> list[tuple[int, int]]:
    """Days and how many lines each has, in their order; none where times fall, or where it takes a closer look to tell."""
    if "symbol" in dialect.columns or (block.first_line == 0 and dialect.header_lines):
        return []
    times = cells.whole_numbers(block, len(dialect.names), ",", dialect.columns["time"])
    if times is None or not len(times):
        return []
    least, most = int(str(times.min())), int(str(times.max()))
    factor = next((FACTORS[unit] for unit, (first, last) in RANGES.items() if first <= least and most <= last), None)
    if factor is None:  # they are not of one unit
        return []
    label_ns = dialect.label_seconds * NS_PER_SECOND
    day = (least * factor + label_ns) // NS_PER_DAY
    if day == (most * factor + label_ns) // NS_PER_DAY:
        return [(day, len(times))]
    if not times.is_sorted():
        return []
    runs = ((times * factor + label_ns) // NS_PER_DAY).rle().struct
    return list(zip(runs.field("value").to_list(), runs.field("len").to_list(), strict=True))


def _cut(block: Block, runs: list[tuple[int, int]], files: dict[int, LineFile], work: Path) -> int:
    """Add the lines of a block to the days of its runs; the day of the last one."""
    if len(runs) == 1:
        _file_of(files, runs[0][0], work).append(_whole(block.data), runs[0][1])
        return runs[0][0]
    lines, start = line_array(block.data), 0
    for day, count in runs:
        _file_of(files, day, work).append(_whole(bytes_of(lines.slice(start, count))), count)
        start += count
    return runs[-1][0]


def _file_of(files: dict[int, LineFile], day: int, work: Path) -> LineFile:
    if day not in files:
        for other in files.values():
            other.pause()
        files[day] = LineFile(work / f"{day_of(day * NS_PER_DAY)}.csv.zst")
    return files[day]


def _whole(data: bytes) -> bytes:
    return data if data.endswith(b"\n") else data + b"\n"


def day_file(folder: Path, day: date) -> Path:
    """The lines of a day."""
    return folder / f"{day}.csv.zst"
