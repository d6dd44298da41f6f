"""Small days of an (instrument, table) in the making: what they have in common is done once, and each is proven as it lies on disk."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.catalog.draft import options_of, schema_of
from hedgegrid_assets.stages.catalog.files import sealed, stamp_of
from hedgegrid_assets.stages.catalog.generations import generation_of
from hedgegrid_assets.stages.catalog.proof import needed
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.store import (
    BackgroundWriter,
    Places,
    StorePath,
    footer_file,
    from_arrow,
    sync_file,
    temporary_file,
    write_new,
)
from hedgegrid_assets.timestamps import nautilus_file_name

_SCHEMA: Final = b"ARROW:schema"


class SmallDay(Struct, frozen=True):
    """A day whose frame has one row group of so many rows, and is the one that was judged; ``digest``: of its content."""

    day: InstrumentDay
    frame: StorePath
    rows: int
    digest: str


class Proven(Struct, frozen=True):
    """A file in the making that holds what its frame says, and how many rows."""

    day: InstrumentDay
    path: Path
    rows: int


@contextmanager
def proven_files(
    places: Places, table: Table, days: Sequence[SmallDay], precisions: Precisions, compression: str
) -> Iterator[list[Proven]]:
    """A file of each day, written, synced and compared with its frame, value by value; none where anything is not as it must be."""
    generation = generation_of(places)
    whole = _rows_of(table, days, generation) if days else None
    if whole is None:
        yield []
        return
    of = days[0].day
    target = schema_of(places, of, table, precisions)
    arrow = nautilus.to_nautilus(table, whole.held, target, of.instrument_id, generation)
    options = options_of(table, target, compression, generation)
    with ExitStack() as stack:
        files: list[Proven] = []
        with closing(BackgroundWriter(sync_file, len(days))) as behind:
            for each, (start, end) in zip(days, pairwise(whole.ends), strict=True):
                name = nautilus_file_name(each.day.date)
                path = stack.enter_context(temporary_file(name, places.catalog_temp))
                part = arrow.slice(start, end - start)
                write_new(path, _bytes_of(part, options, stamp_of(each.day.date, each.digest)))
                behind.put(path)
                files.append(Proven(each.day, path, len(part)))
            is_sound = nautilus.from_nautilus(table, arrow, generation).equals(whole.held) and hold(
                files, arrow, target
            )
        yield files if is_sound else []


class _Whole(Struct, frozen=True):
    """Rows of all days that their files hold, one day behind the other; where each begins, and the last one ends."""

    held: pl.DataFrame
    ends: list[int]


def _rows_of(table: Table, days: Sequence[SmallDay], generation: int) -> _Whole | None:
    """None where a frame is not what its verdict says, or cannot be read."""
    try:
        frame, lengths = frames.read_together([each.frame for each in days], table, needed(table, generation))
    except HedgegridError:
        return None
    if lengths != [each.rows for each in days]:
        return None
    if table.form(generation).kept is not None:
        ends = pairwise(accumulate(lengths, initial=0))
        parts = [nautilus.kept(table, frame[start:end], None, generation) for start, end in ends]
        frame, lengths = pl.concat(parts), list(map(len, parts))
    return _Whole(nautilus.as_held(table, frame, generation), list(accumulate(lengths, initial=0)))


def _bytes_of(part: pa.Table, options: dict[str, Any], stamp: dict[str, str]) -> bytes:
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, part.schema, **options) as writer:
        if len(part):
            writer.write_table(part, row_group_size=len(part))
        writer.add_key_value_metadata(stamp)
    return sealed(sink.getvalue().to_pybytes(), stamp)


# ---------------------------------------------------------------- the proof


def hold(proven: Sequence[Proven], arrow: pa.Table, target: pa.Schema) -> bool:
    """They have this schema and, one behind the other, these rows. Read by Polars: at once, and as a stranger would."""
    files = [each.path for each in proven]
    try:
        if not _are_alike(proven, target):
            return False
        found = pl.read_parquet(files, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError):
        return False
    return found.equals(pl.DataFrame([from_arrow(name, arrow.column(name)) for name in arrow.column_names]))


def _are_alike(files: Sequence[Proven], target: pa.Schema) -> bool:
    """Each has the schema of the first, which is the one it must be, and as many rows as were written into it."""
    path = files[0].path
    with pq.ParquetFile(path) as file:
        first, is_right = file.metadata, file.schema_arrow.equals(target, check_metadata=False)
    return is_right and all(
        found.num_rows == each.rows
        and found.schema.equals(first.schema)
        and (found.metadata or {}).get(_SCHEMA) == (first.metadata or {}).get(_SCHEMA)
        for each, found in ((each, _footer(each.path)) for each in files)
    )


def _footer(path: Path) -> pq.FileMetaData:
    return pq.read_metadata(footer_file(path))
