"""Levels of a book as their messages tell them, typed: a row a level.

Nearly all are short and plain: they are read where they stand, by the places of their quotes. Those of other spellings, and
all that are in a block with one, are split into texts.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from hedgegrid_assets.batch import Decimals
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.formats.decimals import DecimalsOf, decimals_of, most_decimals, usual
from hedgegrid_assets.sources.formats.digits import Integers, Short, padded, short_decimals_in
from hedgegrid_assets.sources.formats.lines import REJECTS_SCHEMA
from hedgegrid_assets.tables.rules.sides import ORDER_SIDES, order_side

_SIDES: Final = {"bids": "BUY", "asks": "SELL"}
_NONE: Final = "[]"
_DECIMALS: Final = 16
_QUOTE: Final = ord('"')
_OF_LEVEL: Final = len('["",""]')
_OF_LIST: Final = len(_NONE)


class Levels(NamedTuple):
    """Of messages, their levels: bids before asks, in their order.

    Attributes:
        lines: Of the messages.
        counts: How many each message has.
        sides: Codes of ``ORDER_SIDES``.
        prices: As decimals, and how finely they are written; ``sizes`` likewise.
    """

    lines: pl.Series
    counts: Integers
    sides: Integers
    prices: Short
    sizes: Short


def short_levels(rows: pl.DataFrame) -> Levels | None:
    """Of rows a message, with ``bids`` and ``asks`` as texts; None where a number is long, or not plain, or there is none."""
    texts, offsets = _bytes_of(rows.select(pl.concat_str(*_SIDES)).to_series())
    data = padded(texts)
    quotes = np.flatnonzero(data == _QUOTE)
    bounds = np.empty(2 * len(rows) + 1, np.int64)
    bounds[0::2], bounds[1::2] = offsets, offsets[:-1] + rows["bids"].str.len_bytes().to_numpy()
    counts = np.diff(np.searchsorted(quotes, bounds)) // 4
    starts, ends = quotes[0::2] + 1, quotes[1::2]
    if len(quotes) % 4 or not _is_usual(starts, ends, counts, len(texts)):
        return None
    prices, sizes = (short_decimals_in(data, starts[at::2], ends[at::2], _DECIMALS) for at in (0, 1))
    if prices is None or sizes is None or not (prices.plain.all() and sizes.plain.all()):
        return None
    codes = [ORDER_SIDES.categories.to_list().index(side) for side in _SIDES.values()]
    sides = np.repeat(np.tile(np.array(codes, np.int64), len(rows)), counts)
    return Levels(rows["line"], counts[0::2] + counts[1::2], sides, prices, sizes)


def _bytes_of(texts: pl.Series) -> tuple[memoryview, Integers]:
    """Texts one behind the other, and where each begins and the last one ends."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, ends, data = array.buffers()
    offsets = np.frombuffer(ends, np.int64)[array.offset : array.offset + len(array) + 1]
    whole = memoryview(data) if data is not None else memoryview(b"")
    return whole[offsets[0] : offsets[-1]], offsets - offsets[0]


def _is_usual(starts: Integers, ends: Integers, counts: Integers, size: int) -> bool:
    """There is nothing in the texts but two numbers a level, and what stands between levels."""
    between = int((counts - 1).clip(0).sum())
    return (
        bool((starts[1::2] - ends[0::2] == len('","')).all())
        and int((ends - starts).sum()) + int(counts.sum()) * _OF_LEVEL + between + len(counts) * _OF_LIST == size
    )


def without_levels(rows: pl.DataFrame) -> pl.DataFrame:
    """Messages without any level."""
    return rows.filter((pl.col("bids") == _NONE) & (pl.col("asks") == _NONE))


def with_hollow(levels: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Rows a level, and a row without side, price and size for each of some messages, in the order of their lines."""
    hollow = messages.drop(*_SIDES).with_columns(
        pl.lit(None, levels.schema[name]).alias(name) for name in ("side", "price", "size")
    )
    return pl.concat([levels, hollow.select(levels.columns)]).sort("line", maintain_order=True)


def typed_levels(rows: pl.DataFrame, known: Levels | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A row a level with exact decimals, and rejects for those that are none; ``known``: the levels of some of the messages."""
    theirs = rows.clear() if known is None else rows.filter(pl.col("line").is_in(known.lines.implode()))
    if known is None or not theirs["line"].equals(known.lines):
        return _typed(rows)
    typed = _typed_as(theirs, known)
    if len(theirs) == len(rows):
        return typed, pl.DataFrame(schema=REJECTS_SCHEMA)
    others, rejects = _typed(rows.filter(~pl.col("line").is_in(known.lines.implode())))
    both = pl.concat([typed, others.select(typed.columns)], how="vertical_relaxed")  # which may be finer
    return both.sort("line", maintain_order=True), rejects


def _typed(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    short = short_levels(rows)
    return _typed_texts(rows) if short is None else (_typed_as(rows, short), pl.DataFrame(schema=REJECTS_SCHEMA))


def _typed_as(rows: pl.DataFrame, levels: Levels) -> pl.DataFrame:
    numbers = pl.Series(np.repeat(np.arange(len(rows), dtype=np.uint32), levels.counts))
    return rows.drop(*_SIDES)[numbers].with_columns(
        side=pl.lit(pl.Series(levels.sides).cast(pl.UInt8).cat.to(ORDER_SIDES)),
        price=pl.lit(levels.prices.values),
        size=pl.lit(levels.sizes.values),
    )


def _typed_texts(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    levels = _split(rows)
    typed = levels.with_columns(decimals_of(levels[name]).alias(f"{name} typed") for name in ("price", "size"))
    bad = typed.filter(pl.any_horizontal(pl.col("price typed", "size typed").is_null()))
    wrong = pl.when(pl.col("price typed").is_null())
    rejects = bad.select(
        raw_row="line",
        reason=pl.lit("bad_decimal"),
        field=wrong.then(pl.lit("price")).otherwise(pl.lit("size")),
        value=wrong.then("price").otherwise("size"),
        raw=pl.lit(None, pl.String),
        ts_init="ts_init",
    )
    good = typed if not len(bad) else typed.filter(pl.all_horizontal(pl.col("price typed", "size typed").is_not_null()))
    good = good.drop("price", "size").rename({"price typed": "price", "size typed": "size"})
    return good, rejects.cast(REJECTS_SCHEMA)


def _split(rows: pl.DataFrame) -> pl.DataFrame:
    """A row a level, of rows a message: ``side``, ``price`` and ``size`` as texts."""
    parts = []
    for name, side in _SIDES.items():
        texts = pl.col(name).str.strip_prefix('[["').str.strip_suffix('"]]').str.split('"],["')
        part = rows.filter(pl.col(name) != _NONE).with_columns(level=texts).drop(*_SIDES).explode("level")
        level = pl.col("level").str.split_exact('","', 1).struct.rename_fields(["price", "size"])
        parts.append(part.with_columns(level.alias("level"), side=order_side(side)).unnest("level"))
    return pl.concat(parts).sort("line", maintain_order=True)


def decimals_in(rows: pl.DataFrame, channel: Channel, known: Levels | None = None) -> DecimalsOf:
    """How finely the levels of some messages are written; ``known``: those of just these."""
    parts = [rows] if rows["symbol"].n_unique() < 2 else rows.partition_by("symbol", maintain_order=True)
    return {
        (channel.name, str(part["symbol"][0]), name): seen
        for part in parts
        if len(part)
        for name, seen in _seen(part, known if part is rows else None)
    }


def _seen(rows: pl.DataFrame, known: Levels | None) -> Iterator[tuple[str, Decimals]]:
    """Of messages of one symbol."""
    short = known or short_levels(rows)
    if short is not None:
        found: dict[str, Any] = {"price": short.prices.seen, "size": short.sizes.seen}
        yield from found.items()
        return
    levels = _split(rows.select("line", "symbol", *_SIDES))
    for name in ("price", "size"):
        plain = levels.filter(pl.col(name).str.contains(usual(_DECIMALS)))
        if len(plain):
            yield name, most_decimals(plain[name], plain["line"])
