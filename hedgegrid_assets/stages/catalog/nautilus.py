"""The file format of NautilusTrader 1.2xx (128-bit build): Arrow tables as its own writer makes them.

A table says in its own file which columns it has there and how they are encoded; here is how each encoding is written
and read. ``fixed_size_binary[16]`` is the little-endian integer value x 10^16: the buffer of ``decimal128(38, 16)``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

import polars as pl
import pyarrow as pa

from hedgegrid_assets.model import Encoding, Table
from hedgegrid_assets.sources.formats import synthetic_ids as made_ids
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.store import to_arrow

_F16: Final = pa.binary(16)
_RAW: Final = pl.Decimal(38, 16)
_TIMES: Final = ("ts_event", "ts_init")
_OWN: Final[Mapping[str, pa.DataType]] = {"instrument_id": pa.string(), "type": pa.string()}
"""What every row of a class of ours says."""


def schema(table: Table, instrument_id: str, precisions: Precisions) -> pa.Schema:
    """Arrow schema with the metadata that Nautilus reads; equal in all files of a folder."""
    form = table.form()
    fields = [pa.field(column.name, _CODECS[column.encoding].kind, nullable=column.nullable) for column in form.columns]
    if form.own:
        fields += [pa.field(name, kind) for name, kind in (*_OWN.items(), *dict.fromkeys(_TIMES, pa.int64()).items())]
        return pa.schema(field.with_nullable(True) for field in fields)
    fields += [pa.field(name, pa.uint64(), nullable=False) for name in _TIMES]
    decimals = {key: str(getattr(precisions, name)) for key, name in form.precisions.items()}
    named = {form.named_in: form.name_of(instrument_id)} if form.named_in else {}
    return pa.schema(fields, metadata={"instrument_id": instrument_id} | decimals | named)


def columns(table: Table) -> list[tuple[str, str, str]]:
    """Nautilus' column, its type, and the frame's column that it is made from."""
    own = [(column.name, str(_CODECS[column.encoding].kind), column.made_from) for column in table.form().columns]
    return own + [(name, str(pa.int64() if table.form().own else pa.uint64()), name) for name in _TIMES]


def rising(table: Table) -> frozenset[str]:
    """Columns whose numbers rise, or nearly so: they are stored as differences."""
    numbers = {Encoding.NS, Encoding.UINT64}
    return frozenset(_TIMES) | {column.name for column in table.form().columns if column.encoding in numbers}


def repeating(table: Table) -> frozenset[str]:
    """Columns that have ever the same values again: they are stored by a dictionary."""
    return frozenset(column.name for column in table.form().columns if column.repeats)


def deciding(table: Table) -> tuple[str, ...]:
    """Columns of a frame that decide what of it the catalog holds, and that it does not hold itself."""
    kept = table.form().kept
    return () if kept is None else kept.deciding


# ---------------------------------------------------------------- frame -> Nautilus


def kept(table: Table, frame: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """The rows of a frame that the catalog holds. They need the columns ``deciding``.

    ``before`` is the last row of the block before, or None at the start of the day.
    """
    wanted = table.form().kept
    if wanted is None:
        return frame
    if before is None:
        return frame.filter(wanted.rows)
    marked = pl.concat([before, frame]).with_columns(__kept=wanted.rows)
    return marked.slice(1).filter("__kept").drop("__kept")


def as_held(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows as they come back from a Nautilus file: long ids shortened."""
    ids = [
        column.made_from
        for column in table.form().columns
        if column.encoding is Encoding.ID and column.made_from in frame.columns
    ]
    return frame.with_columns(made_ids.shortened(frame[name]).alias(name) for name in ids)


def to_nautilus(table: Table, frame: pl.DataFrame, target: pa.Schema, instrument_id: str) -> pa.Table:
    """Rows in memory form to an Arrow table in Nautilus' format; decimals go over as buffers, without a copy."""
    arrays = {
        column.name: _CODECS[column.encoding].write(frame[column.made_from]) for column in table.form().columns
    } | {name: frame[name].to_arrow() if table.form().own else _unsigned(frame[name]) for name in _TIMES}
    if table.form().own:
        said = zip(_OWN, (instrument_id, table.form().cls), strict=True)
        arrays |= {name: pl.repeat(text, len(frame), dtype=pl.String, eager=True).to_arrow() for name, text in said}
        arrays = {name: arrays[name].cast(target.field(name).type) for name in target.names}
    return pa.table([arrays[name] for name in target.names], schema=target)


# ---------------------------------------------------------------- Nautilus -> frame


def from_nautilus(table: Table, data: pa.Table) -> pl.DataFrame:
    """Rows of a Nautilus file in memory form, decimals at scale 16; columns that Nautilus does not keep are left out."""
    form = table.form()
    raw = {column.name for column in form.columns if _CODECS[column.encoding].kind == _F16}
    found: dict[str, Any] = {}
    for name in data.column_names:
        chunks = data.column(name)
        column = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()  # which copies
        found[name] = _as_decimals(column) if name in raw else column
    frame = pl.from_arrow(pa.table(found))
    assert isinstance(frame, pl.DataFrame)
    kinds = {column.name: column.dtype for column in table.columns}
    back = [
        _CODECS[column.encoding].read(pl.col(column.name), kinds[column.made_from]).alias(column.made_from)
        for column in form.columns
    ]
    return frame.select(*(pl.col(name).cast(pl.Int64) for name in _TIMES), *back)


def _as_decimals(column: pa.Array) -> pa.Array:
    return pa.Array.from_buffers(pa.decimal128(38, 16), len(column), [None, column.buffers()[1]], offset=column.offset)


# ---------------------------------------------------------------- encodings


class _Writes(Protocol):
    """A frame's column as a Nautilus file holds it."""

    def __call__(self, series: pl.Series, /) -> pa.Array: ...


class _Reads(Protocol):
    """A Nautilus file's column (raw values as decimals) as the frame's column of a type."""

    def __call__(self, column: pl.Expr, dtype: pl.DataType, /) -> pl.Expr: ...


@dataclass(frozen=True, slots=True)
class _Codec:
    kind: pa.DataType
    write: _Writes
    read: _Reads


def _fixed16(series: pl.Series) -> pa.Array:
    decimals = series.cast(_RAW).rechunk().to_arrow()
    return pa.Array.from_buffers(_F16, len(decimals), [None, decimals.buffers()[1]], offset=decimals.offset)


def _unsigned(series: pl.Series) -> pa.Array:
    return series.cast(pl.UInt64).to_arrow()


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
        return texts.str.strip_chars_end("0").str.strip_chars_end(".").to_arrow().cast(pa.string())
    return series.cast(pl.String).to_arrow().cast(pa.string())


def _as_it_is(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    del dtype
    return column


_CODECS: Final[Mapping[Encoding, _Codec]] = {
    Encoding.RAW16: _Codec(_F16, _fixed16, _as_it_is),
    Encoding.CODE: _Codec(pa.uint8(), _code, lambda column, dtype: column.cat.to(dtype)),
    Encoding.ID: _Codec(pa.string(), _id, _as_it_is),
    Encoding.JSON_DECIMAL: _Codec(
        pa.binary(), _json_decimal, lambda column, dtype: column.cast(pl.String).str.strip_chars('"').cast(dtype)
    ),
    Encoding.UINT8: _Codec(pa.uint8(), pl.Series.to_arrow, _as_it_is),
    Encoding.UINT32: _Codec(pa.uint32(), pl.Series.to_arrow, _as_it_is),
    Encoding.UINT64: _Codec(pa.uint64(), _unsigned, lambda column, dtype: column.cast(dtype)),
    Encoding.UINT16: _Codec(pa.uint16(), pl.Series.to_arrow, _as_it_is),
    Encoding.TEXT: _Codec(pa.string(), _text, lambda column, dtype: column.cast(dtype)),
    Encoding.NS: _Codec(pa.uint64(), _unsigned, lambda column, dtype: column.cast(dtype)),
}
