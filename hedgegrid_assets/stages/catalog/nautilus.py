"""The file formats of NautilusTrader 1.2xx (128-bit build) and 2.x: Arrow tables as their own writers make them.

A table says in its own file which columns it has there and how they are encoded; here is how each encoding is written
and read. ``fixed_size_binary[16]`` is the little-endian integer value x 10^16: the buffer of ``decimal128(38, 16)``.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

import polars as pl
import pyarrow as pa
from msgspec import Struct

from hedgegrid_assets.model import GENERATION, Encoding, Level, NautilusColumn, Table
from hedgegrid_assets.sources.formats import synthetic_ids as made_ids
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.store import to_arrow

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
    """Rows as they come back from a Nautilus file: long ids shortened."""
    ids = [
        column.made_from
        for column in table.form(generation).columns
        if column.encoding is Encoding.ID and column.made_from in frame.columns
    ]
    columns = [frame[name] for name in ids]
    changed = [held.alias(texts.name) for texts in columns if (held := made_ids.shortened(texts)) is not texts]
    return frame.with_columns(changed) if changed else frame


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
    form = table.form(generation)
    raw = {column.name for column in form.columns if _CODECS[column.encoding].kind == _F16}
    kinds = {column.name: column.dtype for column in table.columns}
    words = {
        column.name: _words_of(column, kinds[column.made_from])
        for column in form.columns
        if column.encoding is Encoding.WORD
    }
    found: dict[str, Any] = {}
    for name in data.column_names:
        chunks = data.column(name)
        column = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()  # which copies
        column = _as_decimals(column) if name in raw else column
        found[name] = _as_codes(column, words[name]) if name in words else column
    frame = pl.from_arrow(pa.table(found))
    assert isinstance(frame, pl.DataFrame)
    back = [each for column in form.columns for each in _CODECS[column.encoding].read(column, kinds)]
    return frame.select(*(pl.col(name).cast(pl.Int64) for name in _TIMES), *back)


def _as_decimals(column: pa.Array) -> pa.Array:
    return pa.Array.from_buffers(pa.decimal128(38, 16), len(column), [None, column.buffers()[1]], offset=column.offset)


def _as_codes(column: pa.DictionaryArray, words: pl.Series) -> pa.Array:
    """The numbers of words in the frame's order, whatever the order of a file is; null for a word that is not known."""
    there = column.dictionary.to_pylist()
    if there == words.to_list():
        return column.indices.view(pa.uint8())
    codes = pl.Series(there, dtype=pl.String).cast(pl.Enum(words), strict=False).to_physical().cast(pl.UInt8)
    return codes.gather(pl.Series(column.indices)).to_arrow()  # pyarrow's own way imports pandas


# ---------------------------------------------------------------- encodings


class _Writes(Protocol):
    """Of rows of a frame, the column of a Nautilus file."""

    def __call__(self, frame: pl.DataFrame, column: NautilusColumn, /) -> pa.Array: ...


class _Reads(Protocol):
    """A Nautilus file's column (raw values as decimals) as the frame's columns of these types."""

    def __call__(self, column: NautilusColumn, kinds: Mapping[str, pl.DataType], /) -> Iterable[pl.Expr]: ...


class _Codec(Struct, frozen=True):
    kind: pa.DataType
    write: _Writes
    read: _Reads


class _Turns(Protocol):
    def __call__(self, series: pl.Series, /) -> pa.Array: ...


def _as(kind: pa.DataType, turn: _Turns, back: Callable[[pl.Expr, pl.DataType], pl.Expr]) -> _Codec:
    """A column that is made of one column, value by value."""

    def read(column: NautilusColumn, kinds: Mapping[str, pl.DataType]) -> Iterable[pl.Expr]:
        yield back(pl.col(column.name), kinds[column.made_from]).alias(column.made_from)

    return _Codec(kind, lambda frame, column: turn(frame[column.made_from]), read)


def _decimals(series: pl.Series) -> pa.Array:
    return series.cast(_RAW).rechunk().to_arrow()


def _fixed16(series: pl.Series) -> pa.Array:
    decimals = _decimals(series)
    return pa.Array.from_buffers(_F16, len(decimals), [None, decimals.buffers()[1]], offset=decimals.offset)


def _unsigned(series: pl.Series) -> pa.Array:
    return series.cast(pl.UInt64).to_arrow()


def _timestamps(series: pl.Series) -> pa.Array:
    return series.cast(pl.Int64).to_arrow().view(_TIMESTAMP)


def _code(series: pl.Series) -> pa.Array:
    return series.to_physical().cast(pl.UInt8).to_arrow()


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


def _words_of(column: NautilusColumn, dtype: pl.DataType) -> pl.Series:
    """Nautilus' names of an enum, in its order."""
    own = dtype.categories if isinstance(dtype, pl.Enum) else pl.Series(dtype=pl.String)
    return pl.Series(column.words, dtype=pl.String) if column.words else own


def _words(frame: pl.DataFrame, column: NautilusColumn) -> pa.Array:
    series = frame[column.made_from]
    codes = series.to_physical().cast(pl.Int8).rechunk().to_arrow()
    return pa.DictionaryArray.from_arrays(codes, to_arrow(_words_of(column, series.dtype), pa.string()))


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


def _of_levels(column: NautilusColumn, kinds: Mapping[str, pl.DataType]) -> Iterable[pl.Expr]:
    for number, level in enumerate(column.levels):
        found = pl.col(column.name).list.get(number, null_on_oob=True)
        for what, name in zip(Level._fields, level, strict=True):
            yield found.struct.field(what).fill_null(0).cast(kinds[name]).alias(name)


def _as_it_is(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    del dtype
    return column


def _cast(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    return column.cast(dtype)


_TIMESTAMP: Final = pa.timestamp("ns", tz="UTC")
_LEVEL: Final = pa.struct(
    [
        pa.field("price", pa.decimal128(38, 16), nullable=False),
        pa.field("size", pa.decimal128(38, 16), nullable=False),
        pa.field("count", pa.uint32(), nullable=False),
        pa.field("order_id", pa.uint64(), nullable=False),
    ]
)
_LEVELS: Final = pa.list_(pa.field("item", _LEVEL, nullable=False))
_CODES: Final = _as(pa.uint8(), _code, lambda column, dtype: column.cat.to(dtype))
_CODECS: Final[Mapping[Encoding, _Codec]] = {
    Encoding.RAW16: _as(_F16, _fixed16, _as_it_is),
    Encoding.DECIMAL: _as(pa.decimal128(38, 16), _decimals, _as_it_is),
    Encoding.CODE: _CODES,
    Encoding.WORD: _Codec(pa.dictionary(pa.int8(), pa.string()), _words, _CODES.read),
    Encoding.ID: _as(pa.string(), _id, _as_it_is),
    Encoding.JSON_DECIMAL: _as(
        pa.binary(), _json_decimal, lambda column, dtype: column.cast(pl.String).str.strip_chars('"').cast(dtype)
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
