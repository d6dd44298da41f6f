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
from hedgegrid_assets.sources.formats.digits import PAD, Bytes, Integers, Short, padded, short_decimals_in
from hedgegrid_assets.sources.formats.lines import REJECTS_SCHEMA
from hedgegrid_assets.tables.rules.sides import ORDER_SIDES, order_side

_SIDES: Final = {"bids": "BUY", "asks": "SELL"}
_NONE: Final = "[]"
_DECIMALS: Final = 16
_FEW_LINES: Final = 64
"""That are put between others; more are sorted with them."""
_QUOTE: Final = ord('"')
_BETWEEN_NUMBERS: Final = int.from_bytes(b'","', "little")
_BETWEEN_LEVELS: Final = int.from_bytes(b'],["', "little")
_OPENED: Final = int.from_bytes(b"[[", "little")
_CLOSED: Final = int.from_bytes(b"]]", "little")
_EMPTY: Final = int.from_bytes(_NONE.encode(), "little")
_TWO_BYTES, _THREE_BYTES = (1 << 16) - 1, (1 << 24) - 1
_LEVEL: Final = r'\["[0-9]+(?:\.[0-9]+)?","[0-9]+(?:\.[0-9]+)?"\]'
_LEVELS: Final = rf"^\[(?:{_LEVEL}(?:,{_LEVEL})*)?\]$"


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
    bounds += PAD
    counts, left = np.divmod(np.diff(np.searchsorted(quotes, bounds)), 4)
    if not len(quotes) or left.any() or not _are_levels(data, quotes, bounds, counts):
        return None
    starts, ends = quotes[0::2] + 1, quotes[1::2]
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


def _are_levels(data: Bytes, quotes: Integers, bounds: Integers, counts: Integers) -> bool:
    """Between bounds stands nothing but lists of levels, each of two texts; what is in these is open.

    ``quotes``: all that are there, four a level; ``counts``: levels of each list.
    """
    word = np.ndarray(len(data) - 3, np.uint32, data, strides=(1,))
    starts, ends = bounds[:-1], bounds[1:]
    none = counts == 0
    if (ends[none] - starts[none] != len(_NONE)).any() or (word[starts[none]] & _TWO_BYTES != _EMPTY).any():
        return False
    some, last = ~none, np.cumsum(counts)[~none] - 1
    first, behind = quotes[0::4], word[quotes[3::4] + 1]
    opened = (first[last - counts[some] + 1] == starts[some] + 2) & (word[starts[some]] & _TWO_BYTES == _OPENED)
    closed = (quotes[3::4][last] + 3 == ends[some]) & (behind[last] & _TWO_BYTES == _CLOSED)
    behind[last] = _BETWEEN_LEVELS
    return (
        bool(opened.all() and closed.all())
        and bool((behind == _BETWEEN_LEVELS).all())
        and bool((word[quotes[1::4]] & _THREE_BYTES == _BETWEEN_NUMBERS).all())
    )


def spelled_as_usual() -> pl.Expr:
    """Messages whose levels are all plain numbers, however long."""
    return pl.all_horizontal(pl.col(name).str.contains(_LEVELS) for name in _SIDES)


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
    return _in_order(typed, others.select(typed.columns)), rejects


def _in_order(most: pl.DataFrame, few: pl.DataFrame) -> pl.DataFrame:
    """Both by line; no line is in both. The numbers of one may be finer."""
    lines = few["line"].unique().sort()
    if len(lines) > _FEW_LINES:
        return pl.concat([most, few], how="vertical_relaxed").sort("line", maintain_order=True)
    parts, start = [few[:0]], 0
    for line, end in zip(lines, most["line"].search_sorted(lines), strict=True):
        parts += [most[start:end], few.filter(pl.col("line") == line)]
        start = end
    return pl.concat([*parts, most[start:]], how="vertical_relaxed", rechunk=True)


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
