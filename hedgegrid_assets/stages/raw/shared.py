"""Lines that several raw days share: arrays with messages of many symbols.

Whole, such a line would be stored as often as it has symbols, and be taken apart as often: each raw day gets what stands
around the messages, and its own.
"""

from collections.abc import Callable, Collection
from typing import Final

import polars as pl

from hedgegrid_assets.batch import Placed
from hedgegrid_assets.timestamps import NS_PER_DAY

OF_RAW_DAY: Final = ("line", "channel", "symbol", "day")
_BETWEEN: Final = "},{"


def own_lines(
    placed: Placed, as_called: Callable[[pl.DataFrame], pl.DataFrame], symbols: Collection[str]
) -> pl.DataFrame | None:
    """The shared lines of a block, once for each raw day, with its messages alone: ``OF_RAW_DAY`` and ``text``.

    ``as_called``: gives rows to the symbols that are meant by what messages call theirs. None: no line is shared.
    """
    if placed.shared is None:
        return None
    messages = as_called(placed.shared.with_columns(day=pl.col("ts_init").floordiv(NS_PER_DAY)))
    own = (
        messages.filter(pl.col("symbol").is_in(list(symbols)))
        .group_by(OF_RAW_DAY, maintain_order=True)
        .agg(pl.len().alias("count"), pl.col("of", "head", "tail").first(), pl.col("message").str.join(","))
    )
    own = own.filter(pl.col("count") < pl.col("of"))
    return own.select(*OF_RAW_DAY, pl.concat_str("head", "message", "tail").alias("text"))


def is_own_line(line: str, whole: str) -> bool:
    """A line of a raw day is a shared one without the messages of others: what is left stands there, in this order."""
    start = _alike(line, whole)
    end = _alike(line[:start:-1], whole[:start:-1])
    at = start
    for part in line[start : len(line) - end].split(_BETWEEN):
        at = whole.find(part, at)
        if at < 0:
            return False
    return len(line) < len(whole)


def _alike(one: str, other: str) -> int:
    """Characters that both begin with."""
    pairs = zip(one, other, strict=False)
    return next((number for number, (mine, yours) in enumerate(pairs) if mine != yours), min(len(one), len(other)))
