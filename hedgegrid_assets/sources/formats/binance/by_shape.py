"""Lines that are read by the shape of one of them: most lines of most files."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from hedgegrid_assets.model import Channel, Field
from hedgegrid_assets.sources.formats import json_lines as shaped
from hedgegrid_assets.sources.formats import standing
from hedgegrid_assets.sources.formats.binance import folded
from hedgegrid_assets.sources.formats.binance.depth import has_levels, usual_updates
from hedgegrid_assets.sources.formats.binance.grammar import GATE
from hedgegrid_assets.sources.formats.binance.levels import Levels, short_levels, spelled_as_usual
from hedgegrid_assets.sources.formats.decimals import usual
from hedgegrid_assets.sources.formats.digits import Integers, Short, short_decimals
from hedgegrid_assets.store import Block, bytes_of, from_arrow, line_array

_GLANCE: Final = 1 << 16
_LINES_TRIED: Final = 8
_TIMES: Final = ("ts_init", "ts_event")


class Shaped(NamedTuple):
    """Lines of a channel that are read beyond doubt: ``line, ts_init, ts_event`` and fields.

    Decimals are texts, or decimals of as many digits as the finest of the block has, where all are short and of one symbol.
    ``levels``: those of all these lines, typed; None where the channel has none, or some are texts still.
    """

    channel: Channel
    rows: pl.DataFrame
    levels: Levels | None = None


def all_by_shape(block: Block, known: Iterable[Channel]) -> list[Shaped]:
    """What can be read by shape, channel by channel, until no line is left."""
    start = block.data[:_GLANCE]
    found: list[Shaped] = []
    left = block.lines
    for channel in sorted(known, key=lambda channel: -start.count(f'"{channel.event}"'.encode())):
        shaped = by_shape(block, channel) if left else None
        if shaped is not None and len(shaped.rows):
            found.append(shaped)
            left -= len(shaped.rows)
    return found


def by_shape(block: Block, channel: Channel) -> Shaped | None:
    """What can be read by the shape of one of the lines; None if no line tells a shape."""
    rows = usual_updates(block, channel) if has_levels(channel) else _flat(block, channel)
    if rows is None or not has_levels(channel):
        return None if rows is None else Shaped(channel, rows)
    levels = short_levels(rows)
    if levels is None and len(usual := rows.filter(spelled_as_usual())) < len(rows):
        rows, levels = usual, short_levels(usual)
    return Shaped(channel, rows, levels)


def _flat(block: Block, channel: Channel) -> pl.DataFrame | None:
    data, numbers = _of_event(block, channel)
    required = {field.key for field in channel.fields if field.required}
    start = data[:_GLANCE].decode(errors="replace")
    shapes = (
        shaped.shape_of(line) for line in start.split("\n")[:_LINES_TRIED] if re.fullmatch(GATE.strip("^$"), line)
    )
    usable = (found for found in shapes if found and required <= found.places.keys() and _is_plain(found))
    shape = next((found for found in usable if "e" in found.places or _is_named(found, channel)), None)
    if shape is None:
        return None
    count = block.lines if numbers is None else len(numbers)
    rows = _standing(data, count, shape, channel)
    if rows is None:
        lines = shaped.read(data, count, shape)
        rows = None if lines is None else _rows_of(lines, channel)
    if rows is None:
        return None
    line = pl.int_range(pl.len(), dtype=pl.UInt32) if numbers is None else pl.lit(numbers.cast(pl.UInt32))
    rows = rows.select((line + block.first_line).alias("line"), *rows.columns)
    if "sure" not in rows.columns:
        return rows
    return rows.drop("sure") if rows["sure"].all() else rows.filter("sure").drop("sure")


def _standing(data: bytes, lines: int, shape: shaped.Shape, channel: Channel) -> pl.DataFrame | None:
    """Rows of lines that are all as one, but for their values; decimals are typed."""
    texts = {key: shape.parts[number].value for key, number in shape.places.items() if shape.parts[number].text}
    if ("e" in shape.places and texts.get("e") != channel.event) or not all(
        texts.get(field.key) or field.kind != "text" or not field.required for field in channel.fields
    ):
        return None
    found = standing.read(data, lines, shape, {field.key: field.kind for field in channel.fields})
    if found is None:
        return None
    local = pl.lit(None, pl.Int64) if found.received is None else _integers(found.received)
    values = {field.name: _value_in(found, field, texts.get(field.key)) for field in channel.fields}
    columns = {name: value for name, value in values.items() if value is not None}
    if len(columns) < len(values):
        return None
    rows = pl.select(pl.int_range(lines, dtype=pl.UInt32).alias("local")).with_columns(local=local, **columns)
    rows = _timed(rows, channel, named="e" in shape.places, received=bool(shape.time))
    return None if rows["ts_init"].null_count() else rows.select(*_TIMES, *columns)


def _value_in(found: standing.Standing, field: Field, text: str | None) -> pl.Expr | pl.Series | None:
    """The values of a field, ``text`` if they all are that; None where some are no plain numbers."""
    if field.key in found.texts:
        short = found.decimals(field.key, field.decimals)
        return None if short is None else short.values
    if field.key in found.flags:
        return _integers(found.flags[field.key].astype(np.int64)) == 1
    if field.key in found.numbers:
        return _integers(found.numbers[field.key])
    return pl.lit(None, _TYPES[field.kind]) if text is None else pl.lit(text)


def _integers(values: Integers) -> pl.Series:
    """Handed over by Arrow: an array of NumPy imports ``numpy.ma``."""
    return from_arrow("", pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)]))


def _timed(rows: pl.DataFrame, channel: Channel, *, named: bool, received: bool) -> pl.DataFrame:
    """With ``ts_event`` and ``ts_init``."""
    rows = rows.with_columns(ts_event=channel.ts_event if named else pl.coalesce(channel.ts_event, "local"))
    return rows.with_columns(ts_init=pl.col("local") if received else pl.col("ts_event"))


def _is_named(shape: shaped.Shape, channel: Channel) -> bool:
    """The stream says what the message is, and the receive time is known."""
    stream = shape.parts[shape.places["stream"]] if "stream" in shape.places else None
    return channel.nameless and bool(shape.time) and stream is not None and stream.value.endswith(f"@{channel.event}")


def _is_plain(shape: shaped.Shape) -> bool:
    """Its receive time, if any, stands in front."""
    return bool(shape.time) or shape.places.keys().isdisjoint(folded.RECEIVED)


def _of_event(block: Block, channel: Channel) -> tuple[bytes, pl.Series | None]:
    """The lines that may be a channel's, and their numbers in the block; None: all of them."""
    event = channel.event
    start = block.data[:_GLANCE]
    if block.lines and start.count(f'"{event}"'.encode()) >= max(start.count(b"\n"), 1):
        return block.data, None
    if f'{event}"'.encode() not in block.data:
        return b"", pl.Series([], dtype=pl.UInt32)
    lines = line_array(block.data)
    text = pl.Series(lines, dtype=pl.Binary)
    ours = text.bin.contains(f'"e":"{event}"'.encode())
    if channel.nameless and not ours.any():
        ours = text.bin.contains(f'@{event}"'.encode())
    numbers = ours.arg_true()
    return bytes_of(lines.take(numbers.to_arrow())) if len(numbers) else b"", numbers


def _rows_of(lines: shaped.Lines, channel: Channel) -> pl.DataFrame:
    """Rows of lines, and which of them are ``sure``."""
    local, timed = lines.received("local")
    values: dict[str, pl.Expr] = {"local": local}
    named = "e" in lines
    proofs = [timed, lines.ends()]
    if named:
        proofs.append(lines.fits("e", channel.event))
    else:
        values["stream"], proof = lines.text("stream", "stream")
        proofs += [proof, pl.col("stream").str.ends_with(f"@{channel.event}")]
    for field in channel.fields:
        if field.key not in lines:
            values[field.name] = pl.lit(None, _TYPES[field.kind])
            continue
        values[field.name], proof = _by_kind(lines, field)
        proofs.append(proof)
    proofs += lines.unread([*(field.key for field in channel.fields), "e" if named else "stream"])
    timed_rows = _timed(lines.parts.with_columns(**values), channel, named=named, received=bool(lines.shape.time))
    rows = timed_rows.select(
        *_TIMES,
        *(field.name for field in channel.fields),
        sure=pl.all_horizontal(*proofs, pl.col("ts_init").is_not_null()).fill_null(value=False),
    )
    return _with_numbers(rows, [field for field in channel.fields if field.kind == "decimal" and field.key in lines])


def _with_numbers(rows: pl.DataFrame, decimals: Sequence[Field]) -> pl.DataFrame:
    """Only rows of which all ``decimals`` are plain numbers (or empty, if they may be) stay ``sure``."""
    short = {field: short_decimals(rows[field.name], field.decimals) for field in decimals}
    proofs = [_is_number(rows[field.name], field, found) for field, found in short.items()]
    rows = rows.with_columns(sure=pl.all_horizontal("sure", *proofs).fill_null(value=False))
    if not rows["sure"].all() or not (rows["symbol"] == rows["symbol"].first()).all():
        return rows
    return rows.with_columns(found.values.alias(field.name) for field, found in short.items() if found is not None)


def _is_number(texts: pl.Series, field: Field, found: Short | None) -> pl.Series:
    plain = texts.str.contains(usual(field.decimals)) if found is None else found.plain
    return plain if field.required else plain | (texts == "")


_TYPES: Final = {"text": pl.String, "decimal": pl.String, "integer": pl.Int64, "flag": pl.Boolean}


def _by_kind(lines: shaped.Lines, field: Field) -> shaped.Read:
    match field.kind:
        case "decimal":
            return lines.quoted(field.key, field.name)
        case "integer":
            return lines.integer(field.key, field.name)
        case "flag":
            return lines.flag(field.key)
        case "text" | "levels":
            value, proof = lines.text(field.key, field.name)
            return value, proof & (pl.col(field.name) != "") if field.required else proof
