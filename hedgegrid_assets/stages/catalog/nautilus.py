"""The file formats of NautilusTrader 1.2xx (128-bit build) and 2.x: Arrow tables as their own writers make them.

A table says in its own file which columns it has there and how they are encoded; here is how each encoding is written
and read. ``fixed_size_binary[16]`` is the little-endian integer value x 10^16: the buffer of ``decimal128(38, 16)``.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final, Protocol

import polars as pl
import pyarrow as pa
from msgspec import Struct

from hedgegrid_assets.model import GENERATION, Encoding, Level, NautilusColumn, Table
from hedgegrid_assets.sources.formats import synthetic_ids as made_ids
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.store import from_arrow, to_arrow

_F16: Final = pa.binary(16)
_RAW: Final = pl.Decimal(38, 16)
_TIMES: Final = ("ts_event", "ts_init")
_OWN: Final = ("instrument_id", "type")
"""What every row of a class of ours says."""


def schema(table: Table, instrument_id: str, precisions: Precisions, generation: int = GENERATION) -> pa.Schema:
    """Arrow schema with the metadata that Nautilus reads; equal in all files of a folder."""
    form = table.form(generation)
    fields = [_field(column, nullable=column.nullable or bool(form.own)) for column in form.columns]
    times = [pa.field(name, _CODECS[form.times].kind, nullable=form.times is Encoding.SIGNED_NS) for name in _TIMES]
    decimals = {key: str(getattr(precisions, name)) for key, name in form.precisions.items()}
    named = {form.named_in: form.name_of(instrument_id)} if form.named_in else {}
    classed = {form.class_in: form.cls} if form.class_in else {}
    if form.own:
        says = [pa.field(_OWN[0], pa.string()), pa.field(_OWN[1], pa.string(), nullable=not classed)]
        behind = [pa.field(name, pa.string(), nullable=False) for name in form.behind]
        return pa.schema([*fields, *says, *times, *behind], metadata=classed or None)
    return pa.schema([*fields, *times], metadata={"instrument_id": instrument_id} | decimals | named | classed)


def _field(column: NautilusColumn, *, nullable: bool) -> pa.Field:
    return pa.field(column.name, _CODECS[column.encoding].kind, nullable=nullable)


def columns(table: Table, generation: int = GENERATION) -> list[tuple[str, str, str]]:
    """Nautilus' column, its type, and a column of the frame that it is made from: once for each of these."""
    form = table.form(generation)
    own = [
        (column.name, str(_CODECS[column.encoding].kind), source)
        for column in form.columns
        for source in column.sources
    ]
    return own + [(name, str(_CODECS[form.times].kind), name) for name in _TIMES]


def rising(table: Table, generation: int = GENERATION) -> frozenset[str]:
    """Columns whose numbers rise, or nearly so: they are stored as differences."""
    numbers = {Encoding.NS, Encoding.UINT64, Encoding.TIMESTAMP}
    named = table.form(generation).columns
    return frozenset(_TIMES) | {column.name for column in named if column.encoding in numbers}


def repeating(table: Table, generation: int = GENERATION) -> frozenset[str]:
    """Columns that have ever the same values again: they are stored by a dictionary."""
    form = table.form(generation)
    return frozenset(column.name for column in form.columns if column.repeats) | form.behind.keys()


def deciding(table: Table, generation: int = GENERATION) -> tuple[str, ...]:
    """Columns of a frame that decide what of it the catalog holds, and that it does not hold itself."""
    kept = table.form(generation).kept
    return () if kept is None else kept.deciding


# ---------------------------------------------------------------- frame -> Nautilus


def kept(table: Table, frame: pl.DataFrame, before: pl.DataFrame | None, generation: int = GENERATION) -> pl.DataFrame:
    """The rows of a frame that the catalog holds. They need the columns ``deciding``.

    ``before`` is the last row of the block before, or None at the start of the day.
    """
    wanted = table.form(generation).kept
    if wanted is None:
        return frame
    if before is None:
        return frame.filter(wanted.rows)
    marked = pl.concat([before, frame]).with_columns(__kept=wanted.rows)
    return marked.slice(1).filter("__kept").drop("__kept")


def as_held(table: Table, frame: pl.DataFrame, generation: int = GENERATION) -> pl.DataFrame:
    """Rows as they come back from a Nautilus file: its columns, long ids shortened, decimals at scale 16."""
    form = table.form(generation)
    kinds = {column.name: column.dtype for column in table.columns}
    ids = {column.made_from for column in form.columns if column.encoding is Encoding.ID}
    held: list[pl.Series] = []
    for name in (*_TIMES, *(source for column in form.columns for source in column.sources)):
        series = frame[name]
        if name in ids:
            series = made_ids.shortened(series)
        elif isinstance(series.dtype, pl.Decimal):
            series = series.cast(kinds[name])
        held.append(series)
    return pl.DataFrame(held)


def to_nautilus(
    table: Table, frame: pl.DataFrame, target: pa.Schema, instrument_id: str, generation: int = GENERATION
) -> pa.Table:
    """Rows in memory form to an Arrow table in Nautilus' format; decimals go over as buffers, without a copy."""
    form = table.form(generation)
    arrays = {column.name: _CODECS[column.encoding].write(frame, column) for column in form.columns}
    times = [NautilusColumn(name, name, form.times) for name in _TIMES]
    arrays |= {column.name: _CODECS[column.encoding].write(frame, column) for column in times}
    if form.own:
        said = dict(zip(_OWN, (instrument_id, form.cls), strict=True))
        said |= {name: text.replace("{id}", instrument_id) for name, text in form.behind.items()}
        arrays |= {
            name: to_arrow(pl.repeat(text, len(frame), dtype=pl.String, eager=True), pa.string())
            for name, text in said.items()
        }
    return pa.table([arrays[name] for name in target.names], schema=target)


# ---------------------------------------------------------------- Nautilus -> frame


def from_nautilus(table: Table, data: pa.Table, generation: int = GENERATION) -> pl.DataFrame:
    """Rows of a Nautilus file in memory form, decimals at scale 16; columns that Nautilus does not keep are left out."""
    kinds = {column.name: column.dtype for column in table.columns}
    found = [from_arrow(name, _whole(data.column(name))).cast(pl.Int64) for name in _TIMES]
    for column in table.form(generation).columns:
        found += _CODECS[column.encoding].read(_whole(data.column(column.name)), column, kinds)
    return pl.DataFrame(found)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which copies


# ---------------------------------------------------------------- encodings


class _Writes(Protocol):
    """Of rows of a frame, the column of a Nautilus file."""

    def __call__(self, frame: pl.DataFrame, column: NautilusColumn, /) -> pa.Array: ...


class _Reads(Protocol):
    """A Nautilus file's column as the frame's columns of these types. Series, as an expression costs as much as a thousand values."""

    def __call__(
        self, array: pa.Array, column: NautilusColumn, kinds: Mapping[str, pl.DataType], /
    ) -> Iterable[pl.Series]: ...


class _Codec(Struct, frozen=True):
    kind: pa.DataType
    write: _Writes
    read: _Reads


class _Turns(Protocol):
    def __call__(self, series: pl.Series, /) -> pa.Array: ...


def _as(kind: pa.DataType, turn: _Turns, back: Callable[[pl.Series, pl.DataType], pl.Series]) -> _Codec:
    """A column that is made of one column, value by value."""

    def read(array: pa.Array, column: NautilusColumn, kinds: Mapping[str, pl.DataType]) -> Iterable[pl.Series]:
        yield back(from_arrow(column.made_from, array), kinds[column.made_from])

    return _Codec(kind, lambda frame, column: turn(frame[column.made_from]), read)


def _decimals(series: pl.Series) -> pa.Array:
    return series.cast(_RAW).rechunk().to_arrow()


def _fixed16(series: pl.Series) -> pa.Array:
    decimals = _decimals(series)
    return pa.Array.from_buffers(_F16, len(decimals), [None, decimals.buffers()[1]], offset=decimals.offset)


def _of_raw16(array: pa.Array, column: NautilusColumn, kinds: Mapping[str, pl.DataType]) -> Iterable[pl.Series]:
    del kinds
    decimals = pa.Array.from_buffers(_DECIMAL, len(array), [None, array.buffers()[1]], offset=array.offset)
    yield from_arrow(column.made_from, decimals)


def _unsigned(series: pl.Series) -> pa.Array:
    return series.cast(pl.UInt64).to_arrow()


def _timestamps(series: pl.Series) -> pa.Array:
    return series.cast(pl.Int64).to_arrow().view(_TIMESTAMP)


def _code(series: pl.Series) -> pa.Array:
    return _codes_of(series).cast(pl.UInt8).to_arrow()


def _id(series: pl.Series) -> pa.Array:
    return to_arrow(made_ids.shortened(series), pa.string())


def _json_decimal(series: pl.Series) -> pa.Array:
    """JSON strings as Nautilus writes a ``Decimal``: no trailing zeros, an exponent for the very small."""
    texts = series.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    unique = texts.unique().to_list()
    spelled = texts.replace_strict(unique, [f'"{Decimal(text)}"' for text in unique], return_dtype=pl.String)
    return to_arrow(spelled.cast(pl.Binary), pa.binary())


def _text(series: pl.Series) -> pa.Array:
    if isinstance(series.dtype, pl.Decimal):
        texts = series.cast(pl.Decimal(38, max(series.dtype.scale, 1))).cast(pl.String)
        return to_arrow(texts.str.strip_chars_end("0").str.strip_chars_end("."), pa.string())
    return to_arrow(series.cast(pl.String), pa.string())


@lru_cache(maxsize=32)
def _words_of(column: NautilusColumn, dtype: pl.DataType) -> tuple[list[str], pa.Array]:
    """Nautilus' names of an enum, in its order; also as a dictionary of Arrow's."""
    own = dtype.categories.to_list() if isinstance(dtype, pl.Enum) else []
    words = list(column.words) or own
    return words, to_arrow(pl.Series(words, dtype=pl.String), pa.string())


def _words(frame: pl.DataFrame, column: NautilusColumn) -> pa.Array:
    series = frame[column.made_from]
    return pa.DictionaryArray.from_arrays(series.to_arrow().indices.view(pa.int8()), _words_of(column, series.dtype)[1])


def _of_words(
    array: pa.DictionaryArray, column: NautilusColumn, kinds: Mapping[str, pl.DataType]
) -> Iterable[pl.Series]:
    """In the frame's order, whatever the order of a file is; null for a word that is not known."""
    dtype, there = kinds[column.made_from], array.dictionary.to_pylist()
    words, codes = _words_of(column, dtype)[0], from_arrow(column.made_from, array.indices)
    if there != words:
        known = pl.Series(there, dtype=pl.String).cast(pl.Enum(words), strict=False).to_physical()
        codes = known.gather(codes).alias(column.made_from)
    yield codes.cast(pl.UInt8).cat.to(dtype)


def _codes_of(series: pl.Series) -> pl.Series:
    """The numbers of an enum's words; ``to_physical`` costs as much as a thousand of them."""
    return from_arrow(series.name, series.to_arrow().indices)


def _levels(frame: pl.DataFrame, column: NautilusColumn) -> pa.Array:
    """Lists of those levels that have a price."""
    there = pl.sum_horizontal((pl.col(level.price) > 0).cast(pl.Int32) for level in column.levels)
    offsets = pl.concat([pl.Series([0], dtype=pl.Int32), frame.select(there.cum_sum()).to_series()])
    wanted = {
        name: pl.concat_list(names) for name, names in zip(Level._fields, zip(*column.levels, strict=True), strict=True)
    }
    each = frame.select(**wanted).explode(Level._fields).filter(pl.col("price") > 0).rechunk()
    values = [_decimals(each["price"]), _decimals(each["size"]), each["count"].to_arrow(), _zeros(len(each))]
    levels = pa.StructArray.from_arrays(values, fields=list(_LEVEL))
    return pa.ListArray.from_arrays(offsets.to_arrow(), levels, type=_LEVELS)


def _zeros(count: int) -> pa.Array:
    return pl.repeat(0, count, dtype=pl.UInt64, eager=True).to_arrow()


def _of_levels(array: pa.Array, column: NautilusColumn, kinds: Mapping[str, pl.DataType]) -> Iterable[pl.Series]:
    levels = (pl.col(column.name).list.get(number, null_on_oob=True) for number in range(len(column.levels)))
    each = [
        found.struct.field(what).fill_null(0).cast(kinds[name]).alias(name)
        for found, level in zip(levels, column.levels, strict=True)
        for what, name in zip(Level._fields, level, strict=True)
    ]
    return from_arrow(column.name, array).to_frame().select(each).get_columns()


def _as_it_is(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    del dtype
    return series


def _cast(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    return series.cast(dtype)


_DECIMAL: Final = pa.decimal128(38, 16)
_TIMESTAMP: Final = pa.timestamp("ns", tz="UTC")
_LEVEL: Final = pa.struct(
    [
        pa.field("price", _DECIMAL, nullable=False),
        pa.field("size", _DECIMAL, nullable=False),
        pa.field("count", pa.uint32(), nullable=False),
        pa.field("order_id", pa.uint64(), nullable=False),
    ]
)
_LEVELS: Final = pa.list_(pa.field("item", _LEVEL, nullable=False))
_CODES: Final = _as(pa.uint8(), _code, lambda codes, dtype: codes.cat.to(dtype))
_CODECS: Final[Mapping[Encoding, _Codec]] = {
    Encoding.RAW16: _Codec(_F16, lambda frame, column: _fixed16(frame[column.made_from]), _of_raw16),
    Encoding.DECIMAL: _as(_DECIMAL, _decimals, _as_it_is),
    Encoding.CODE: _CODES,
    Encoding.WORD: _Codec(pa.dictionary(pa.int8(), pa.string()), _words, _of_words),
    Encoding.ID: _as(pa.string(), _id, _as_it_is),
    Encoding.JSON_DECIMAL: _as(
        pa.binary(), _json_decimal, lambda texts, dtype: texts.cast(pl.String).str.strip_chars('"').cast(dtype)
    ),
    Encoding.UINT8: _as(pa.uint8(), pl.Series.to_arrow, _as_it_is),
    Encoding.UINT32: _as(pa.uint32(), pl.Series.to_arrow, _as_it_is),
    Encoding.UINT64: _as(pa.uint64(), _unsigned, _cast),
    Encoding.UINT16: _as(pa.uint16(), pl.Series.to_arrow, _as_it_is),
    Encoding.TEXT: _as(pa.string(), _text, _cast),
    Encoding.NS: _as(pa.uint64(), _unsigned, _cast),
    Encoding.SIGNED_NS: _as(pa.int64(), pl.Series.to_arrow, _cast),
    Encoding.TIMESTAMP: _as(_TIMESTAMP, _timestamps, _cast),
    Encoding.LEVELS: _Codec(_LEVELS, _levels, _of_levels),
}
