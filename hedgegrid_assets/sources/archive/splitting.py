"""Files of more than one day of UTC, cut into days: verbatim, in one pass, once."""

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final, Protocol
from uuid import uuid4

import msgspec
import polars as pl

from hedgegrid_assets.batch import Block
from hedgegrid_assets.errors import RawDamaged
from hedgegrid_assets.model import Channel, OutOfPlace, WatchesCut
from hedgegrid_assets.sources.archive.files import Place, Proof
from hedgegrid_assets.sources.archive.layouts import ArchiveDialect, Columns, dialect_of
from hedgegrid_assets.sources.archive.rows import times_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.store import (
    BlockReader,
    LineFile,
    bytes_of,
    line_array,
    make_folder,
    remove_abandoned,
    working_folder,
)
from hedgegrid_assets.timestamps import FACTORS, NS_PER_DAY, NS_PER_SECOND, RANGES, day_of, day_start

_log: Final = logging.getLogger(__name__)
_INDEX: Final = "days.json"
_BLOCK_BYTES: Final = 4 << 20
"""Less than usual: it takes less memory, and a line that is odd makes fewer of them be looked at closely."""
_LONGEST_TIME: Final = 19
"""Digits: nanoseconds have as many."""
_TOO_SMALL_OR_MIXED: Final = frozenset({"symbol", "interval_hours"})
"""Columns of files that are not watched: those of all symbols, and settled rates, whose days are looked at as a whole."""


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
    watch: WatchesCut | None = None,
) -> tuple[Path, DaysOfFile]:
    """The folder with a file for each day, and its index. ``published``: a day of the file.

    Lines without a time go into the day of the line before. ``watch`` sees the lines of files in which times never fall
    over midnight, if they are cut now.
    """
    folder = place.file.with_name(f"{place.file.name}.{symbol}.days")
    remove_abandoned(place.cache / ".tmp")
    index = _index(folder, proof)
    if index is not None:
        return folder, index

    def begin(first: Block) -> ArchiveDialect:
        line = first.data.split(b"\n", 1)[0].decode(errors="replace")
        found = dialect_of(line, columns, channel, symbol, place.what)
        return msgspec.structs.replace(found, label_seconds=columns.at(published).label_seconds)

    with working_folder(place.cache / ".tmp") as area:
        work = area / uuid4().hex
        make_folder(work)
        index = _cut_up(place, proof, begin, tick, work, watch)
        (work / _INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(index, order="sorted"), indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        work.replace(folder)
    if watch is not None:
        for day, file in index.days.items():
            watch.seal(date.fromisoformat(day), file.sha256, file.bytes)
    return folder, index


def _index(folder: Path, proof: Proof) -> DaysOfFile | None:
    try:
        index = msgspec.json.decode((folder / _INDEX).read_bytes(), type=DaysOfFile)
    except (OSError, ValueError):  # it is made anew
        return None
    return index if index.sha256 == proof.sha256 else None


def _cut_up(
    place: Place,
    proof: Proof,
    begin: Callable[[Block], ArchiveDialect],
    tick: Callable[[], None] | None,
    work: Path,
    watch: WatchesCut | None,
) -> DaysOfFile:
    """Cut where a new day begins, as ``watch`` sees whether that is right; else after a look at each line."""
    if watch is not None:
        try:
            return _split(place, proof, begin, tick, work, partial(_watched, watch, place.archive.exchange), None)
        except OutOfPlace:
            shutil.rmtree(work)
            make_folder(work)
        except RawDamaged:
            watch.close()
            raise
    return _split(place, proof, begin, tick, work, _looked_at, _BLOCK_BYTES)


def _split(
    place: Place,
    proof: Proof,
    begin: Callable[[Block], ArchiveDialect],
    tick: Callable[[], None] | None,
    work: Path,
    hand_out: "_HandsOut",
    block_bytes: int | None,
) -> DaysOfFile:
    reader = BlockReader(place.file, block_bytes)
    blocks = iter(reader)
    first = next(blocks, None)
    dialect: ArchiveDialect | None = None
    files: dict[int, LineFile] = {}
    if first is not None:
        dialect = begin(first)
        hand_out(_ticking(chain([first], blocks), tick), dialect, files, work)
    if reader.truncated or reader.sha256 != proof.sha256:
        raise RawDamaged(place.file, "it is not what was received")
    days = {
        str(day_of(number * NS_PER_DAY)): DayFile(sha256=file.close(), bytes=file.bytes, lines=file.lines)
        for number, file in sorted(files.items())
    }
    return DaysOfFile(sha256=proof.sha256, dialect=dialect.cut() if dialect else None, days=days)


class _HandsOut(Protocol):
    """Adds the lines of all blocks to the files of their days (number since 1970)."""

    def __call__(
        self, blocks: Iterable[Block], dialect: ArchiveDialect, files: dict[int, LineFile], work: Path, /
    ) -> None: ...


def _ticking(blocks: Iterable[Block], tick: Callable[[], None] | None) -> Iterator[Block]:
    for block in blocks:
        yield block
        if tick:
            tick()


# ---------------------------------------------------------------- cut where a new day begins


def _watched(
    watch: WatchesCut,
    exchange: str,
    blocks: Iterable[Block],
    dialect: ArchiveDialect,
    files: dict[int, LineFile],
    work: Path,
) -> None:
    """See ``_HandsOut``. Raises OutOfPlace."""
    if not _TOO_SMALL_OR_MIXED.isdisjoint(dialect.columns):
        raise OutOfPlace
    of_days = msgspec.structs.replace(dialect.cut(), exchange=exchange)
    with closing(watch.through(_pieces(blocks, dialect), of_days)) as pieces:
        for day, piece in pieces:
            _file_of(files, day_start(day) // NS_PER_DAY, work).append(piece.data, piece.lines)


def _pieces(blocks: Iterable[Block], dialect: ArchiveDialect) -> Iterator[tuple[date, Block]]:
    """Blocks by days, as if times never fell: only the lines at their ends are looked at. Raises OutOfPlace."""
    lines: Counter[int] = Counter()
    for block in blocks:
        data, start = _whole(block.data), 0
        if block.first_line == 0 and dialect.header_lines:
            data = data[data.index(b"\n") + 1 :]
        last = _day_at(data, data.rfind(b"\n", 0, -1) + 1, dialect) if data else 0
        while start < len(data):
            day = _day_at(data, start, dialect)
            end = len(data) if day == last else _end_of(day, data, start, dialect)
            is_all = start == 0 and end == len(block.data)
            piece = block.at(lines[day]) if is_all else Block(data[start:end], lines[day])
            lines[day] += piece.lines
            yield day_of(day * NS_PER_DAY), piece
            start = end


def _end_of(day: int, data: bytes, start: int, dialect: ArchiveDialect) -> int:
    """Where the lines of a day end, which begin at ``start`` and do not reach the last line."""
    low, high = start, data.rfind(b"\n", 0, -1) + 1
    while (middle := _line_between(data, low, high)) < high:
        if _day_at(data, middle, dialect) <= day:
            low = middle
        else:
            high = middle
    return high


def _line_between(data: bytes, low: int, high: int) -> int:
    """Where a line begins, about half way between two others; ``high`` if there is none."""
    middle = data.rfind(b"\n", low, (low + high) // 2) + 1
    return middle if middle > low else data.index(b"\n", low) + 1


def _day_at(data: bytes, start: int, dialect: ArchiveDialect) -> int:
    """The day of a line (number since 1970). Raises OutOfPlace for a line without a plain time."""
    cells = data[start : data.index(b"\n", start)].split(b",")
    place = dialect.columns["time"]
    text = cells[place] if place < len(cells) else b""
    time = int(text) if text.isdigit() and len(text) <= _LONGEST_TIME else 0
    factor = _factor(time, time)
    if factor is None:
        raise OutOfPlace
    return (time * factor + dialect.label_seconds * NS_PER_SECOND) // NS_PER_DAY


def _factor(least: int, most: int) -> int | None:
    """Nanoseconds in the unit of times; None: they are not of one unit."""
    return next((FACTORS[unit] for unit, (first, last) in RANGES.items() if first <= least and most <= last), None)


# ---------------------------------------------------------------- each line looked at


def _looked_at(blocks: Iterable[Block], dialect: ArchiveDialect, files: dict[int, LineFile], work: Path) -> None:
    """See ``_HandsOut``."""
    last = late = 0
    for block in blocks:
        last, behind = _hand_out(block, dialect, files, work, last)
        late += behind
    if late:
        _log.warning("%s: %d rows stand behind rows of a later day: each is taken into its own", dialect.file, late)


def _hand_out(
    block: Block, dialect: ArchiveDialect, files: dict[int, LineFile], work: Path, last: int
) -> tuple[int, int]:
    """Add the lines of a block to their days: the day of the last one, and how many are behind one of a later day."""
    newest = max(files, default=0)
    runs = _runs(block, dialect)
    if runs:
        return _cut(block, runs, files, work), sum(count for day, count in runs if day < newest)
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
        return last, 0
    late = found["day"] < found["day"].cum_max().clip(newest)
    lines = line_array(block.data)
    for (number,), part in found.group_by("day", maintain_order=True):
        taken = part["line"]
        data = bytes_of(lines.take(taken.cast(pl.Int64).to_arrow()))
        _file_of(files, int(str(number)), work).append(_whole(data), len(taken))
    return int(str(found["day"][-1])), len(late.arg_true())


def _runs(block: Block, dialect: ArchiveDialect) -> list[tuple[int, int]]:
    """Days and how many lines each has, in their order; none where times fall, or where it takes a closer look to tell."""
    if "symbol" in dialect.columns or (block.first_line == 0 and dialect.header_lines):
        return []
    times = cells.whole_numbers(block, len(dialect.names), ",", dialect.columns["time"])
    if times is None or not len(times):
        return []
    least, most = int(str(times.min())), int(str(times.max()))
    factor = _factor(least, most)
    if factor is None:
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
        files[day] = LineFile(work / f"{day_of(day * NS_PER_DAY)}.csv.zst", quick=True)
    return files[day]


def _whole(data: bytes) -> bytes:
    return data if data.endswith(b"\n") else data + b"\n"


def day_file(folder: Path, day: date) -> Path:
    """The lines of a day."""
    return folder / f"{day}.csv.zst"
