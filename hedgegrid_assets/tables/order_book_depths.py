"""Order books as pictures of their best ten levels a side."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from hedgegrid_assets.model import (
    Column,
    Effect,
    Encoding,
    Level,
    NautilusColumn,
    NautilusForm,
    RowFilter,
    Rule,
    Severity,
    Table,
)
from hedgegrid_assets.tables import rules

LEVELS: Final = 10
SIDES: Final = ("bid", "ask")
SNAPSHOT_AND_LAST: Final = 160
"""Each row is a snapshot and an event of its own."""


def names(what: str) -> tuple[str, ...]:
    """Columns of all levels, best first: ``bid_price_0`` .. ``bid_price_9`` for ``bid_price``."""
    return tuple(f"{what}_{level}" for level in range(LEVELS))


_PRICES: Final = (*names("bid_price"), *names("ask_price"))
_SIZES: Final = (*names("bid_size"), *names("ask_size"))
_COUNTS: Final = (*names("bid_count"), *names("ask_count"))


def _torn() -> Iterator[pl.Expr]:
    """A level with a price, but no size or no count, or one behind a level that is missing."""
    for side in SIDES:
        for level in range(LEVELS):
            price, size, count = (pl.col(f"{side}_{what}_{level}") for what in ("price", "size", "count"))
            yield (price > 0) != (size > 0)
            yield (price > 0) != (count > 0)
            if level:
                yield (price > 0) & (pl.col(f"{side}_price_{level - 1}") == 0)


def _unsorted() -> Iterator[pl.Expr]:
    for level in range(1, LEVELS):
        bid, ask = (pl.col(f"{side}_price_{level}") for side in SIDES)
        yield (bid > 0) & (bid >= pl.col(f"bid_price_{level - 1}"))
        yield (ask > 0) & (ask <= pl.col(f"ask_price_{level - 1}"))


_WHOLE: Final = Rule(
    "levels_whole",
    Severity.ERROR,
    "positive_prices",
    "every level has a price, a size and a count, or none of them, and none stands behind a missing one",
    fails=pl.any_horizontal(_torn()),
)
_SORTED: Final = Rule(
    "levels_sorted",
    Severity.ERROR,
    "sorted_timestamps",
    "bids fall and asks rise from the best level on",
    fails=pl.any_horizontal(_unsorted()),
)
_NOT_CROSSED: Final = Rule(
    "depth_not_crossed",
    Severity.WARN,
    "quality",
    "no best bid is above the best ask",
    fails=(pl.col("ask_price_0") > 0) & (pl.col("bid_price_0") > pl.col("ask_price_0")),
    effect=Effect.DEGRADES,
)
_CHANGED: Final = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in (*_PRICES, *_SIZES))

_KEPT: Final = RowFilter(_CHANGED, (), "the catalog holds changes only: the same ten levels as before")


def _levels(side: str) -> tuple[Level, ...]:
    return tuple(Level(*(f"{side}_{what}_{level}" for what in Level._fields)) for level in range(LEVELS))


def _price(name: str) -> Column:
    return Column(
        name,
        pl.Decimal(38, 16),
        "quote units; 0: there is no such level",
        precision="price",
        unsigned=True,
        maximum=17_014_118_346_046,
    )


def _size(name: str) -> Column:
    return Column(
        name,
        pl.Decimal(38, 16),
        "base units (contracts on coinm); 0: there is no such level",
        precision="size",
        unsigned=True,
        maximum=34_028_236_692_093,
    )


ORDER_BOOK_DEPTHS: Final = Table(
    name="order_book_depths",
    token="depth",
    folder="order_book_depth",
    nautilus={
        1: NautilusForm(
            cls="OrderBookDepth10",
            folder="order_book_depths",
            columns=(
                *(NautilusColumn(name, name, Encoding.RAW16) for name in (*_PRICES, *_SIZES)),
                *(NautilusColumn(name, name, Encoding.UINT32, repeats=True) for name in _COUNTS),
                NautilusColumn("flags", "flags", Encoding.UINT8, repeats=True),
                NautilusColumn("sequence", "sequence", Encoding.UINT64),
            ),
            precisions={"price_precision": "price", "size_precision": "size"},
            kept=_KEPT,
        ),
        2: NautilusForm(
            cls="OrderBookDepth",
            folder="order_book_depths",
            columns=(
                *(
                    NautilusColumn(f"{side}s", f"{side}_price_0", Encoding.LEVELS, levels=_levels(side))
                    for side in SIDES
                ),
                NautilusColumn("flags", "flags", Encoding.UINT8, repeats=True),
                NautilusColumn("sequence", "sequence", Encoding.UINT64),
            ),
            precisions={"price_precision": "price", "size_precision": "size"},
            kept=_KEPT,
            class_in="type_name",
            times=Encoding.TIMESTAMP,
        ),
    },
    doc="The best ten levels of the book a side, each change of them",
    columns=(
        *map(_price, _PRICES),
        *map(_size, _SIZES),
        *(Column(name, pl.UInt32(), "orders of the level, 1 where nobody says it", repeats=True) for name in _COUNTS),
        Column("flags", pl.UInt8(), "160: a snapshot, and the last row of its event", repeats=True),
        Column("sequence", pl.Int64(), "the venue's number of the message; 0: none", rises=True),
    ),
    gap_seconds=60.0,
    rules=(
        _WHOLE,
        _SORTED,
        *rules.STORED,
        rules.NO_TIME_GAPS,
        rules.DAY_COVERED,
        _NOT_CROSSED,
        rules.on_tick("bid_price_0", "ask_price_0"),
        *rules.OBSERVED,
    ),
    code_version=1,
    ceiling="ask_price_0",
    kind_setting="depth_kind",
)
