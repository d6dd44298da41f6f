"""The stored form of normalized frames: schema, Parquet, and the reader for pandas users.

In memory a frame is a Polars frame with times as integer ns (``Int64``), decimals at the instrument's scale and words
as an Enum; on disk times are ``timestamp[ns, UTC]`` and the instrument id is a column.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from hedgegrid_assets.errors import DocumentDamaged
from hedgegrid_assets.instruments import Instrument
from hedgegrid_assets.model import Column, Table
from hedgegrid_assets.store import (
    AnyFile,
    Sha256Behind,
    footer_file,
    from_arrow,
    give_up,
    local_file,
    reading,
    to_arrow,
)

if TYPE_CHECKING:
    pass

FORCED: Final = (
    "run again with --force: it is made anew (hedgegrid replay-to-parquet ... --force, hedgegrid backfill FEED --force)"
)
"""The way out for what a run makes of raw days."""
ROW_GROUP: Final = 65_536
SCHEMA_VERSION: Final = "2"
"""2: decimals have 18 digits where all of a day fit, which Parquet holds as 64-bit integers; in 1 they have 38."""
_DICTIONARY_BYTES: Final = 8 * 1024 * 1024
"""Of half a million values of 16 bytes: beyond it all values are written as they are."""
_PAGE_BYTES: Final = 256 << 10
"""Before they are packed: what packs them stays in the processor's cache, and they get no larger."""
_DIGITS: Final = 18
_TOO_MANY: Final = 10**_DIGITS
_MOST_DIGITS: Final = 38
_IDS_AT_ONCE: Final = 4_000_000
_SHARED_SHOWN: Final = 10
_TIMES: Final = frozenset({"ts_event", "ts_init"})


class Precisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Decimals of an instrument's prices, sizes, and mark and index prices."""

    price: int
    size: int
    mark: int

    @classmethod
    def from_instrument(cls, instrument: Instrument) -> Self:
        """Those of a definition."""
        return cls(instrument.price_precision, instrument.size_precision, instrument.mark_precision)

    def of(self, column: Column) -> int:
        """Scale of a decimal column: its own where no precision is named."""
        own = column.dtype.scale if isinstance(column.dtype, pl.Decimal) else 0
        return own if column.precision is None else int(getattr(self, column.precision))

    def same_for(self, table: Table, judged: "Precisions") -> bool:
        """A verdict's precisions are these, as far as the table has columns of them."""
        names = {column.precision for column in table.columns if column.precision is not None}
        return all(getattr(judged, name) == getattr(self, name) for name in names)


def frame_schema(table: Table, precisions: Precisions) -> pl.Schema:
    """Columns and Polars types of a frame in memory, in stored order (without ``instrument_id``)."""
    columns: dict[str, pl.DataType] = {"ts_event": pl.Int64(), "ts_init": pl.Int64()}
    for column in table.columns:
        decimal = isinstance(column.dtype, pl.Decimal)
        columns[column.name] = pl.Decimal(38, precisions.of(column)) if decimal else column.dtype
    return pl.Schema(columns | {"raw_row": pl.UInt32()})


def arrow_schema(table: Table, precisions: Precisions, metadata: Mapping[str, str]) -> pa.Schema:
    """Schema of the stored Parquet file, if its decimals have no more than 18 digits (see ``FrameWriter``)."""
    fields = [pa.field("instrument_id", pa.dictionary(pa.int32(), pa.string()), nullable=False)]
    nullable = {column.name for column in table.columns if column.nullable}
    times = time_columns(table)
    for name, dtype in frame_schema(table, precisions).items():
        kind = pa.timestamp("ns", "UTC") if name in times else _arrow_type(dtype)
        fields.append(pa.field(name, kind, nullable=name in nullable))
    return pa.schema(fields, metadata={"hedgegrid.schema": SCHEMA_VERSION} | dict(metadata))


def time_columns(table: Table) -> frozenset[str]:
    """Columns of a frame that hold times."""
    return _TIMES | {column.name for column in table.columns if column.is_time}


def rising(table: Table) -> frozenset[str]:
    """Columns of a frame whose numbers rise, or hardly change from row to row."""
    return time_columns(table) | {"raw_row"} | {column.name for column in table.columns if column.rises}


def repeating(table: Table) -> frozenset[str]:
    """Columns of a frame that have ever the same values again."""
    return frozenset(column.name for column in table.columns if column.repeats)


def later(table: Table) -> frozenset[str]:
    """Columns that frames of before lack."""
    return frozenset(column.name for column in table.columns if column.later)


def _arrow_type(dtype: pl.DataType) -> pa.DataType:
    if isinstance(dtype, pl.Decimal):
        return pa.decimal128(_DIGITS if dtype.scale <= _DIGITS else _MOST_DIGITS, dtype.scale)
    if isinstance(dtype, pl.Enum):
        return pa.dictionary(pa.int32(), pa.string())
    plain = {
        pl.String(): pa.string(),
        pl.Int64(): pa.int64(),
        pl.UInt8(): pa.uint8(),
        pl.UInt16(): pa.uint16(),
        pl.UInt32(): pa.uint32(),
        pl.Boolean(): pa.bool_(),
    }
    return next(arrow for kind, arrow in plain.items() if kind == dtype)


def parquet_options(
    schema: pa.Schema, compression: str, rising: Collection[str], repeating: Collection[str] = ()
) -> dict[str, Any]:
    """How frames and Nautilus tables are stored.

    Numbers that rise are kept as differences, unless they have too many digits: half the size of a table of trades, for less work.
    Raw values of 16 bytes are packed one level lower: a tenth of the work of a table of quotes, for a hundredth more bytes.
    Statistics are kept where queries look: comparing all decimals takes a sixth of the writing.
    """
    wide = {field.name for field in schema if pa.types.is_decimal(field.type) and field.type.precision > _DIGITS}
    dictionaries = [field.name for field in schema if pa.types.is_dictionary(field.type) or field.name in repeating]
    raw = {field.name for field in schema if pa.types.is_fixed_size_binary(field.type)}.difference(dictionaries)
    levels = {name: -1 if name in raw else 1 for name in schema.names}
    return {
        "compression": compression,
        "compression_level": levels if compression == "zstd" else None,
        "use_dictionary": dictionaries or False,
        "dictionary_pagesize_limit": _DICTIONARY_BYTES,
        "data_page_size": _PAGE_BYTES,
        "column_encoding": dict.fromkeys(sorted(set(rising).intersection(schema.names) - wide), "DELTA_BINARY_PACKED"),
        "write_statistics": sorted(_TIMES.intersection(schema.names)),
        "store_decimal_as_integer": True,
        "store_schema": True,
        "use_compliant_nested_type": False,  # the items of a list have the name that its schema says
    }


class FrameWriter:
    """Writes a frame to Parquet in row groups of one size, whatever the blocks are: same rows, same bytes.

    Decimals have the digits of the schema; from the first value on that has more, all of the file have 38.
    """

    def __init__(
        self, path: Path, instrument_id: str, table: Table, schema: pa.Schema, compression: str = "zstd"
    ) -> None:
        self._path, self._instrument, self._table = path, instrument_id, table
        self._schema, self._compression = schema, compression
        self._sha256 = Sha256Behind(path)
        self._file = self._open()

    def _open(self) -> pq.ParquetWriter:
        options = parquet_options(self._schema, self._compression, rising(self._table), repeating(self._table))
        return pq.ParquetWriter(self._path, self._schema, **options)

    def write(self, group: pl.DataFrame) -> None:
        """Write one row group."""
        if not self._holds(group):
            self._begin_with_more_digits()
        self._write(group)

    def _holds(self, group: pl.DataFrame) -> bool:
        few = [field for field in self._schema if pa.types.is_decimal(field.type) and field.type.precision == _DIGITS]
        return all(_has_few_digits(group[field.name]) for field in few)

    def _write(self, group: pl.DataFrame) -> None:
        arrays: list[pa.Array] = [repeated(self._instrument, len(group))]
        for field in list(self._schema)[1:]:
            arrays.append(_stored(group[field.name], field.type))
        self._file.write_table(pa.table(arrays, schema=self._schema), row_group_size=len(group) or None)
        self._sha256.catch_up()

    def _begin_with_more_digits(self) -> None:
        """Write anew what is written so far, group by group."""
        self._file.close()
        before = self._path.replace(self._path.with_name(f"before-{self._path.name}"))
        fields = [
            field.with_type(pa.decimal128(_MOST_DIGITS, field.type.scale)) if pa.types.is_decimal(field.type) else field
            for field in self._schema
        ]
        self._schema = pa.schema(fields, metadata=self._schema.metadata)
        self._sha256 = Sha256Behind(self._path)
        self._file = self._open()
        for group in read_blocks(before, self._table):
            self._write(group)
        before.unlink()

    def close(self) -> None:
        """Write the footer."""
        self._file.close()

    def sha256(self) -> str:
        """Of the file, once it is closed."""
        return self._sha256.hexdigest()

    def give_up(self) -> None:
        """Close a file that is not wanted any more; nothing to do for one that is complete."""
        give_up(self._file)


def _has_few_digits(series: pl.Series) -> bool:
    """All decimals have at most ``_DIGITS``; their units are looked at as two words."""
    if series.null_count():
        series = series.fill_null(0)
    array = series.rechunk().to_arrow()
    words = np.frombuffer(array.buffers()[1], np.int64).reshape(-1, 2)[array.offset : array.offset + len(array)]
    units, high = words[:, 0], words[:, 1]
    most, least = int(units.max(initial=0)), int(units.min(initial=0))
    return least > -_TOO_MANY and most < _TOO_MANY and bool((high == (units >> 63 if least < 0 else 0)).all())


@lru_cache(maxsize=8)
def repeated(text: str, count: int) -> pa.DictionaryArray:
    """One text, ``count`` times. Made by Polars: ``pa.array`` and ``pa.scalar`` of Python values import pandas (0.6 s)."""
    codes = pl.repeat(0, count, dtype=pl.Int32, eager=True).to_arrow()
    return pa.DictionaryArray.from_arrays(codes, to_arrow(pl.Series([text]), pa.string()))


def _stored(series: pl.Series, kind: pa.DataType) -> pa.Array:
    if isinstance(series.dtype, pl.Enum):
        codes = series.to_physical().cast(pl.Int32).to_arrow()
        return pa.DictionaryArray.from_arrays(codes, to_arrow(series.dtype.categories, pa.string()))
    if isinstance(series.dtype, pl.Decimal):  # however many digits they have: 16 bytes
        return _as_decimals(series.rechunk().to_arrow(), kind)
    return to_arrow(series, kind)


class Regrouped:
    """Cuts blocks of any size into groups of ``ROW_GROUP`` rows."""

    def __init__(self) -> None:
        self._held: list[pl.DataFrame] = []
        self._rows = 0

    def add(self, block: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """The groups that are full now."""
        self._held.append(block)
        self._rows += len(block)
        if self._rows < ROW_GROUP:
            return
        joined = pl.concat(self._held)
        full = self._rows // ROW_GROUP * ROW_GROUP
        for start in range(0, full, ROW_GROUP):
            yield joined.slice(start, ROW_GROUP).rechunk()  # once, not by each who takes it
        self._held = [joined.slice(full)]
        self._rows -= full

    def rest(self) -> Iterator[pl.DataFrame]:
        """The last group, if any rows are left."""
        if self._rows:
            yield pl.concat(self._held)


_ROWS_THAT_TELL: Final = 10_000


def few_far_finer(
    paths: Iterable[AnyFile], table: Table, column: str, coarse: int, few: float
) -> tuple[int, int, Decimal] | None:
    """Values of a decimal column that need more than ``coarse`` decimals, where they are a share of at most ``few``.

    (how many, of how many rows, the first of them); None where there is none, or they are usual, which a few blocks tell.
    """
    rows, found, first = 0, 0, None
    for path in paths:
        for block in read_blocks(path, table, [column]):
            values = block[column]
            scale = values.dtype.scale if isinstance(values.dtype, pl.Decimal) else 0
            odd = values.filter(values != values.cast(pl.Decimal(38, coarse)).cast(pl.Decimal(38, scale)))
            first = odd[0] if first is None and len(odd) else first
            rows, found = rows + len(values), found + len(odd)
            if rows >= _ROWS_THAT_TELL and found > few * rows:
                return None
    return None if first is None or found > few * rows else (found, rows, first)


def read_blocks(path: AnyFile, table: Table, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
    """A stored frame in memory form, row group by row group; all columns, or some in their stored order.

    Raises DocumentDamaged for what is no frame of this table any more.
    """
    blocks = _blocks(path, table, columns)
    while True:
        with reading(path, f"a frame of {table.name}", FORCED):
            block = next(blocks, None)
        if block is None:
            return
        yield block


def read_together(
    paths: Sequence[AnyFile], table: Table, columns: Collection[str] | None = None
) -> tuple[pl.DataFrame, list[int]]:
    """Stored frames in memory form, one behind the other, and how many rows each has; see ``read_blocks``. For small ones.

    Raises DocumentDamaged.
    """
    found = [_whole(path, table, columns) for path in paths]
    parts = [
        _block(pa.concat_tables(alike), table, columns)
        for _, alike in groupby(found, key=lambda each: each.schema)  # decimals have 18 digits in one, 38 in another
    ]
    return pl.concat(parts), list(map(len, found))


def _whole(path: AnyFile, table: Table, columns: Collection[str] | None) -> pa.Table:
    with reading(path, f"a frame of {table.name}", FORCED), pq.ParquetFile(local_file(path)) as file:
        found = file.read(_stored_of(path, file, table, columns), use_threads=False)
        return found.replace_schema_metadata()


def _blocks(path: AnyFile, table: Table, columns: Collection[str] | None) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(local_file(path)) as file:
        stored = _stored_of(path, file, table, columns)
        for group in range(file.num_row_groups):
            # without threads: a block is decoded in milliseconds, and who reads many reads them ahead
            yield _block(file.read_row_group(group, columns=stored, use_threads=False), table, columns)


def refuse_lacking(path: AnyFile, table: Table, there: Collection[str], wanted: Collection[str]) -> None:
    """Of the columns that are wanted, a stored frame has all but those that frames of before lack. Raises DocumentDamaged."""
    lacking = [name for name in wanted if name not in there and name not in later(table)]
    if lacking:
        raise DocumentDamaged(path, f"a frame of {table.name}", f"no column {', '.join(lacking)}", FORCED)


def every_column(table: Table) -> list[str]:
    """Columns of a stored frame, in their order."""
    return ["instrument_id", *_names_of(table, None)]


def _names_of(table: Table, columns: Collection[str] | None) -> list[str]:
    every = ["ts_event", "ts_init", *(column.name for column in table.columns), "raw_row"]
    return [name for name in every if columns is None or name in columns]


def _stored_of(path: AnyFile, file: pq.ParquetFile, table: Table, columns: Collection[str] | None) -> list[str]:
    """Those that a file has, where frames of before may lack some."""
    names, there = _names_of(table, columns), set(file.schema_arrow.names)
    refuse_lacking(path, table, there, names)
    return [name for name in names if name in there]


def _block(arrow: pa.Table, table: Table, columns: Collection[str] | None) -> pl.DataFrame:
    kinds = {column.name: column.dtype for column in table.columns}
    times = time_columns(table)
    return pl.DataFrame(
        [
            _in_memory(name, arrow.column(name), pl.Int64() if name in times else kinds.get(name))
            if name in arrow.column_names
            else pl.Series(name, dtype=kinds[name]).clear(len(arrow))
            for name in _names_of(table, columns)
        ]
    )


def _in_memory(name: str, column: pa.ChunkedArray, kind: pl.DataType | None) -> pl.Series:
    """A stored column as frames have it in memory. Column by column: an expression costs as much as a thousand values."""
    chunks = column.chunks
    if isinstance(kind, pl.Int64) and pa.types.is_timestamp(column.type):
        return from_arrow(name, pa.chunked_array([chunk.view(pa.int64()) for chunk in chunks], pa.int64()))
    if isinstance(kind, pl.Enum):
        if not _have_words_of(chunks, kind):
            return from_arrow(name, column).cast(kind)
        codes = from_arrow(name, pa.chunked_array([chunk.indices for chunk in chunks], pa.int32()))
        return codes.cast(pl.UInt8).cat.to(kind)
    if pa.types.is_decimal128(column.type):  # however many digits they have: 16 bytes
        wide = pa.decimal128(_MOST_DIGITS, column.type.scale)
        column = pa.chunked_array([_as_decimals(chunk, wide) for chunk in chunks], wide)
    return from_arrow(name, column)


def _as_decimals(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(array), array.buffers(), array.null_count, array.offset)


def _have_words_of(chunks: Iterable[pa.DictionaryArray], kind: pl.Enum) -> bool:
    """Their dictionary is that of their type, as in all that we write: the codes say all."""
    return all(chunk.dictionary.to_pylist() == kind.categories.to_list() for chunk in chunks)


def with_all_digits(frame: pl.DataFrame) -> pl.DataFrame:
    """Decimals as frames have them in memory, whatever the file has."""
    kinds = {name: kind.scale for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal)}
    return frame.with_columns(pl.col(name).cast(pl.Decimal(_MOST_DIGITS, scale)) for name, scale in kinds.items())


def frame_metadata(path: AnyFile) -> dict[str, str]:
    """The ``hedgegrid.*`` metadata of a stored frame."""
    with reading(path, "a frame", FORCED):
        metadata = pq.read_schema(footer_file(path)).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items() if key.startswith(b"hedgegrid.")}


class SharedIds(Struct, frozen=True):
    """Ids that stand in two days.

    Attributes:
        total: How many.
        same_trade: Those whose rows are equal in all but their arrival: one trade, stored twice.
        first: The first ten, in order of the earlier day: ``id, same_trade`` and, for each day, ``ts_init`` in ns and
            ``raw_row`` (None in files of others), as ``from_*`` and ``to_*``.
    """

    total: int = 0
    same_trade: int = 0
    first: tuple[dict[str, Any], ...] = ()


def shared_ids(
    before: pl.LazyFrame, after: pl.LazyFrame, column: str, *, rows: int, within: tuple[int, int] | None = None
) -> SharedIds:
    """Ids in the column of both; memory is bounded by going over them in parts, by hash.

    ``rows`` that both have, at most; ``within``: only integer ids between these two.
    """
    parts = -(-rows // _IDS_AT_ONCE) or 1
    total, same = 0, 0
    found: list[dict[str, Any]] = []
    for part in range(parts):
        wanted = pl.col("hash") % parts == part if parts > 1 else pl.lit(value=True)
        if within:
            wanted &= pl.col(column).cast(pl.Int64, strict=False).is_between(*within)
        named = [frame.with_columns(pl.col(column).cast(pl.String)) for frame in (before, after)]
        sides = [frame.with_columns(hash=pl.col(column).hash()).filter(wanted) for frame in named]
        hashes = [side.select("hash").unique().collect(engine="streaming") for side in sides]
        alike = hashes[0].join(hashes[1], on="hash")  # a tenth of the memory that the ids themselves would take
        if len(alike):
            rows_of = [
                side.join(alike.lazy(), on="hash", how="semi").drop("hash").collect(engine="streaming")
                for side in sides
            ]
            count, one, each = _compared(rows_of[0], rows_of[1], column)
            total, same, found = total + count, same + one, [*found, *each]
    found.sort(key=lambda each: (each["from_ts_init"], each["id"]))
    return SharedIds(total, same, tuple(found[:_SHARED_SHOWN]))


def _compared(before: pl.DataFrame, after: pl.DataFrame, column: str) -> tuple[int, int, list[dict[str, Any]]]:
    """How many ids are in both, how many of them have equal rows, and the first of all."""
    at = ["ts_init", "raw_row"]
    content = [name for name in before.columns if name not in at]
    equal = before.select(content).join(after.select(content), on=content, nulls_equal=True)[column].unique()
    firsts = [
        frame.with_columns(pl.col("ts_init").cast(pl.Int64))
        .sort("ts_init", maintain_order=True)
        .unique(column, keep="first", maintain_order=True)
        .select(id=column, **{f"{side}_{name}": pl.col(name) if name in frame.columns else pl.lit(None) for name in at})
        for side, frame in (("from", before), ("to", after))
    ]
    pairs = firsts[0].join(firsts[1], on="id").sort("from_ts_init", "id")
    shown = pairs.head(_SHARED_SHOWN).with_columns(same_trade=pl.col("id").is_in(equal.implode()))
    return len(pairs), len(equal), shown.to_dicts()


# ---------------------------------------------------------------- for users
