"""Quotes: the best bid and the best ask with their sizes, each change that the venue sent."""

from typing import Final, override

import polars as pl

from hedgegrid_assets.model import (
    Column,
    Counted,
    Counter,
    Effect,
    Encoding,
    Held,
    Judgement,
    NautilusColumn,
    NautilusForm,
    Rows,
    Rule,
    Severity,
    Table,
)
from hedgegrid_assets.tables import rules
from hedgegrid_assets.tables.rules.counters import rows_failing
from hedgegrid_assets.tables.rules.tops import NUMBERED

QUOTED: Final = ("bid_price", "ask_price", "bid_size", "ask_size")


def _price(side: str) -> Column:
    return Column(
        f"{side}_price",
        pl.Decimal(38, 16),
        f"best {side} in quote units, above zero",
        precision="price",
        positive=True,
        maximum=17_014_118_346_046,
        rises=True,
    )


def _size(side: str) -> Column:
    return Column(
        f"{side}_size",
        pl.Decimal(38, 16),
        f"offered at the best {side}: base units (contracts on coinm), not below zero",
        precision="size",
        unsigned=True,
        maximum=34_028_236_692_093,
        rises=True,
    )


_BELOW_ZERO: Final = pl.any_horizontal((pl.col(f"{side}_size") < 0).fill_null(value=True) for side in ("bid", "ask"))
_NOT_NEGATIVE: Final = Rule(
    "sizes_not_negative",
    Severity.ERROR,
    "positive_prices",
    "every bid_size and ask_size is zero or above",
    fails=_BELOW_ZERO,
)
_NOT_CROSSED: Final = Rule(
    "bid_not_above_ask",
    Severity.WARN,
    "quality",
    "no bid is above its ask: a crossed quote fills orders that nobody would have filled",
    fails=pl.col("bid_price") > pl.col("ask_price"),
    effect=Effect.DEGRADES,
)


class Numbered(Counter[int]):
    """How many quotes have the number of an update of the book."""

    def __init__(self, held: Held) -> None:
        del held
        self._count = 0

    @override
    def add(self, rows: Rows) -> None:
        numbers = rows.new["update_id"]
        self._count += len(numbers) - numbers.null_count()

    @override
    def result(self, day: Counted) -> int:
        return self._count


def _updates_in_order(day: Counted) -> Judgement:
    """Off where the venue does not number them, or the source does not tell it."""
    if not day.of(Numbered):
        return Judgement(None)
    failed = rows_failing(day, _IN_ORDER)
    return Judgement(failed == 0, failed, {"numbered": day.of(Numbered)})


_IN_ORDER: Final = Rule(
    NUMBERED,
    Severity.WARN,
    "quality",
    "no quote is of an older update of the book than the one before it",
    fails=pl.col("update_id") < pl.col("update_id").shift(1),
    judge=_updates_in_order,
    counters=(Numbered,),
)

QUOTE_TICK: Final = Table(
    name="quote_tick",
    token="quotes",
    folder="quote_tick",
    nautilus={
        1: NautilusForm(
            cls="QuoteTick",
            folder="quote_tick",
            columns=tuple(NautilusColumn(name, name, Encoding.RAW16) for name in QUOTED),
            precisions={"price_precision": "price", "size_precision": "size"},
        ),
        2: NautilusForm(
            cls="QuoteTick",
            folder="quotes",
            columns=tuple(NautilusColumn(name, name, Encoding.DECIMAL) for name in QUOTED),
            precisions={"price_precision": "price", "size_precision": "size"},
            class_in="type_name",
            times=Encoding.TIMESTAMP,
        ),
    },
    doc="Best bid and ask with their sizes, every update that the venue sent",
    columns=(
        *(_price("bid"), _price("ask"), _size("bid"), _size("ask")),
        Column(
            "update_id",
            pl.Int64(),
            "the venue's number of the book's update (Binance u), as in order_book_deltas.sequence",
            nullable=True,
            rises=True,
            later=True,
        ),
    ),
    gap_seconds=60.0,
    rules=(
        rules.positive("prices_positive", "bid_price", "ask_price"),
        _NOT_NEGATIVE,
        *rules.STORED,
        rules.NO_TIME_GAPS,
        rules.DAY_COVERED,
        _NOT_CROSSED,
        _IN_ORDER,
        rules.on_tick("bid_price", "ask_price"),
        *rules.OBSERVED,
    ),
    code_version=1,
    ceiling="ask_price",
    charted=True,
)
