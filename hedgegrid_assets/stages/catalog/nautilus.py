"""The file format of NautilusTrader 1.2xx (128-bit build): Arrow tables as its own writer makes them.

All knowledge of the format is here and in ``definitions``; a new format version is one more module like this one.
``fixed_size_binary[16]`` is the little-endian integer value x 10^16, which is the buffer of ``decimal128(38, 16)``.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import polars as pl
import pyarrow as pa

from hedgegrid_assets.sources.formats import synthetic_ids as made_ids
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.tables.funding_rate_update import RATE_DECIMALS
from hedgegrid_assets.tables.trade_tick import AGGRESSOR_SIDES

_F16: Final = pa.binary(16)
_RAW: Final = pl.Decimal(38, 16)


def _field(name: str, kind: pa.DataType, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable)


_TIMES: Final = (_field("ts_event", pa.uint64()), _field("ts_init", pa.uint64()))
_SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    "trade_tick": pa.schema(
        [
            _field("price", _F16),
            _field("size", _F16),
            _field("aggressor_side", pa.uint8()),
            _field("trade_id", pa.string()),
            *_TIMES,
        ]
    ),
    "mark_price_update": pa.schema([_field("value", _F16), *_TIMES]),
    "index_price_update": pa.schema([_field("value", _F16), *_TIMES]),
    "funding_rate_update": pa.schema(
        [
            _field("rate", pa.binary()),
            _field("interval", pa.uint16(), nullable=True),
            _field("next_funding_ns", pa.uint64(), nullable=True),
            *_TIMES,
        ]
    ),
}


def schema(table: str, instrument_id: str, precisions: Precisions) -> pa.Schema:
    """Arrow schema with the metadata that Nautilus reads; equal in all files of a folder."""
    metadata = {"instrument_id": instrument_id}
    if table == "trade_tick":
        metadata |= {"price_precision": str(precisions.price), "size_precision": str(precisions.size)}
    elif table != "funding_rate_update":
        metadata |= {"price_precision": str(precisions.mark)}
    return _SCHEMAS[table].with_metadata(metadata)


def columns(table: str) -> list[tuple[str, str, str]]:
    """Nautilus' column, its type, and the frame's column that it is made from."""
    renamed = {
        name: expression.meta.output_name() for expression in _BACK[table] for name in expression.meta.root_names()
    }
    return [(field.name, str(field.type), renamed.get(field.name, field.name)) for field in _SCHEMAS[table]]


def deciding(table: str) -> tuple[str, ...]:
    """Columns of a frame that decide what of it the catalog holds, and that it does not hold itself."""
    return ("is_settlement",) if table == "funding_rate_update" else ()


# ---------------------------------------------------------------- frame -> Nautilus


def kept(table: str, frame: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """The rows of a frame that the catalog holds: all; of funding each settlement, and of estimates the first of the
    day and each change of rate, funding time or interval. They need the columns ``deciding``.

    ``before`` is the last row of the block before, or None at the start of the day.
    """
    if table != "funding_rate_update":
        return frame
    joined = frame if before is None else pl.concat([before, frame])
    keys = ("funding_rate", "next_funding_time", "interval_minutes")
    changed = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys)
    is_due = pl.col("ts_init") < pl.col(
        "next_funding_time"
    )  # the last estimate before a funding time is marked as well
    changed |= pl.col("is_settlement") & ~is_due.fill_null(value=False)
    if before is None:
        changed |= pl.int_range(pl.len()) == 0
    return (
        joined.filter(changed)
        if before is None
        else joined.with_columns(__changed=changed).slice(1).filter("__changed").drop("__changed")
    )


def as_held(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows as they come back from a Nautilus file: long ids shortened."""
    if "trade_id" not in frame.columns:
        return frame
    return frame.with_columns(made_ids.shortened(frame["trade_id"]).alias("trade_id"))


def to_nautilus(table: str, frame: pl.DataFrame, target: pa.Schema) -> pa.Table:
    """Rows in memory form to an Arrow table in Nautilus' format; decimals go over as buffers, without a copy."""
    columns = {
        **_COLUMNS[table](frame),
        "ts_event": _unsigned(frame["ts_event"]),
        "ts_init": _unsigned(frame["ts_init"]),
    }
    return pa.table([columns[name] for name in target.names], schema=target)


def _fixed16(series: pl.Series) -> pa.Array:
    decimals = series.cast(_RAW).rechunk().to_arrow()
    return pa.Array.from_buffers(_F16, len(decimals), [None, decimals.buffers()[1]], offset=decimals.offset)


def _unsigned(series: pl.Series) -> pa.Array:
    return series.cast(pl.UInt64).to_arrow()


def _trade(frame: pl.DataFrame) -> dict[str, pa.Array]:
    return {
        "price": _fixed16(frame["price"]),
        "size": _fixed16(frame["size"]),
        "aggressor_side": frame["aggressor_side"].to_physical().cast(pl.UInt8).to_arrow(),
        "trade_id": made_ids.shortened(frame["trade_id"]).to_arrow().cast(pa.string()),
    }


def _funding(frame: pl.DataFrame) -> dict[str, pa.Array]:
    return {
        "rate": _rate_text(frame["funding_rate"]),
        "interval": frame["interval_minutes"].to_arrow(),
        "next_funding_ns": _unsigned(frame["next_funding_time"]),
    }


def _rate_text(rates: pl.Series) -> pa.Array:
    """JSON strings as Nautilus writes a ``Decimal``: no trailing zeros, an exponent for the very small."""
    texts = rates.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    unique = texts.unique().to_list()
    spelled = texts.replace_strict(unique, [f'"{Decimal(text)}"' for text in unique], return_dtype=pl.String)
    return spelled.to_arrow().cast(pa.string()).cast(pa.binary())


_COLUMNS: Final[Mapping[str, Callable[[pl.DataFrame], dict[str, Any]]]] = {
    "trade_tick": _trade,
    "mark_price_update": lambda frame: {"value": _fixed16(frame["mark_price"])},
    "index_price_update": lambda frame: {"value": _fixed16(frame["index_price"])},
    "funding_rate_update": _funding,
}


# ---------------------------------------------------------------- Nautilus -> frame


def from_nautilus(table: str, data: pa.Table) -> pl.DataFrame:
    """Rows of a Nautilus file in memory form, decimals at scale 16; columns that Nautilus does not keep are left out."""
    names = {"trade_tick": ("price", "size"), "mark_price_update": ("value",), "index_price_update": ("value",)}.get(
        table, ()
    )
    columns: dict[str, Any] = {"ts_event": data.column("ts_event"), "ts_init": data.column("ts_init")}
    for name in data.column_names:
        column = data.column(name).combine_chunks()
        if name in names:
            column = pa.Array.from_buffers(
                pa.decimal128(38, 16), len(column), [None, column.buffers()[1]], offset=column.offset
            )
        columns[name] = column
    frame = pl.from_arrow(pa.table(columns))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.col("ts_event", "ts_init").cast(pl.Int64)).select(_BACK[table])


_BACK: Final[Mapping[str, list[pl.Expr]]] = {
    "trade_tick": [
        pl.col("ts_event", "ts_init", "price", "size"),
        pl.col("aggressor_side").cat.to(AGGRESSOR_SIDES),
        pl.col("trade_id"),
    ],
    "mark_price_update": [pl.col("ts_event", "ts_init"), pl.col("value").alias("mark_price")],
    "index_price_update": [pl.col("ts_event", "ts_init"), pl.col("value").alias("index_price")],
    "funding_rate_update": [
        pl.col("ts_event", "ts_init"),
        pl.col("rate").cast(pl.String).str.strip_chars('"').cast(pl.Decimal(38, RATE_DECIMALS)).alias("funding_rate"),
        pl.col("next_funding_ns").cast(pl.Int64).alias("next_funding_time"),
        pl.col("interval").alias("interval_minutes"),
    ],
}
