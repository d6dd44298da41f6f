"""Order books as their changes: one row a level that a message sets or deletes, in events that end with a flag."""

from datetime import timedelta
from typing import Any, Final

import polars as pl

from hedgegrid_assets.model import (
    Column,
    Counted,
    Effect,
    Encoding,
    Judgement,
    NautilusColumn,
    NautilusForm,
    Rule,
    Severity,
    Table,
)
from hedgegrid_assets.tables import rules
from hedgegrid_assets.tables.rules.book import RESHAPED, Book
from hedgegrid_assets.tables.rules.counters import Extent, rows_failing
from hedgegrid_assets.tables.rules.events import ACTIONS, LAST, SNAPSHOT, action, is_clear
from hedgegrid_assets.tables.rules.sides import ORDER_SIDES
from hedgegrid_assets.tables.rules.tops import NUMBERED, TOP_AS_QUOTED, beside_quotes
from hedgegrid_assets.timestamps import NS_PER_DAY

_AGREEING: Final = 0.9


def columns_of(side: pl.Expr, price: pl.Expr, size: pl.Expr, snapshot: pl.Expr) -> dict[str, pl.Expr]:
    """Columns of a level that a message tells: of a snapshot it is added, of size 0 it is gone."""
    gone = pl.when(size == 0).then(action("DELETE"))
    return {
        "action": gone.when(snapshot).then(action("ADD")).otherwise(action("UPDATE")),
        "side": side,
        "price": price,
        "size": size,
        "order_id": pl.lit(0, pl.Int64),
        "flags": pl.when(snapshot).then(pl.lit(SNAPSHOT, pl.UInt8)).otherwise(pl.lit(0, pl.UInt8)),
    }


# ---------------------------------------------------------------- rules

_flags: Final = pl.col("flags")
_sets: Final = pl.col("action").is_in(["ADD", "UPDATE"])
_IMPOSSIBLE: Final = pl.any_horizontal(
    pl.col("action") == "NO_ACTION",
    is_clear != (pl.col("side") == "NO_ORDER_SIDE"),
    (pl.col("price") > 0) == is_clear,
    (pl.col("size") > 0) != _sets,
    pl.col("size") < 0,
)
_OTHER_KIND: Final = (pl.col("sequence") > 0) & ((_flags & SNAPSHOT) != (_flags.shift(1) & SNAPSHOT))
_BEGINS: Final = _OTHER_KIND | pl.any_horizontal(
    pl.col(name) != pl.col(name).shift(1) for name in ("ts_init", "sequence")
)
_ENDED: Final = (_flags.shift(1) & LAST) > 0
_BROKEN: Final = _ENDED & pl.when((_flags.shift(1) & SNAPSHOT) > 0).then(
    pl.col("previous") > pl.col("sequence").shift(1)
).otherwise(pl.col("previous") != pl.col("sequence").shift(1))


def _events_end(day: Counted) -> Judgement:
    """Also the last one of the day."""
    failed = rows_failing(day, _EVENTS_END) + day.of(Book).open_event
    return Judgement(failed == 0, failed, {"events": day.of(Book).events})


def _not_crossed(day: Counted) -> Judgement:
    found = day.of(Book)
    numbers: dict[str, Any] = {
        "events": found.events,
        "crossed": found.crossed,
        "locked": found.locked,
        "unknown_deletes": found.unknown_deletes,
        "levels": found.levels,
    }
    if found.first_crossed:
        numbers["first_bad_raw_rows"] = list(found.first_crossed)
    return Judgement(found.crossed == 0, found.crossed, numbers)


def _snapshots_agree(day: Counted) -> Judgement:
    """Off where no snapshot came after another."""
    found = day.of(Book)
    if found.agreeing is None:
        return Judgement(None, 0, {"snapshots": found.snapshots})
    numbers = {"snapshots": found.snapshots, "least_agreeing": round(found.agreeing, 4), "threshold": _AGREEING}
    return Judgement(found.agreeing >= _AGREEING, 0, numbers)


def _sequence_continuous(day: Counted) -> Judgement:
    """Off where messages have no numbers."""
    if not day.of(Book).numbered:
        return Judgement(None)
    failed = rows_failing(day, _CONTINUOUS)
    return Judgement(failed == 0, failed, {"breaks": failed})


def _starts_with_snapshot(day: Counted) -> Judgement:
    """Off on a day without rows."""
    if not day.of(Extent).rows:
        return Judgement(None)
    failed, sequence = rows_failing(day, _STARTS), day.of(Book).carried
    numbers: dict[str, Any] = dict(day.known.reshaped)
    if "carried" in numbers:
        numbers |= {"carried_from": str(day.held.day - timedelta(days=1)), "carried_sequence": sequence}
    return Judgement(failed == 0, failed, numbers)


_POSSIBLE: Final = Rule(
    "levels_possible",
    Severity.ERROR,
    "positive_prices",
    "every row sets a level of a price and a size above zero, deletes one, or clears the book",
    fails=_IMPOSSIBLE,
)
_EVENTS_END: Final = Rule(
    "events_end",
    Severity.ERROR,
    "rows_accounted_for",
    "the flag of an event's last row stands on the last row of each message, and nowhere else",
    fails=_BEGINS != _ENDED,
    judge=_events_end,
    counters=(Book,),
)
_CONTINUOUS: Final = Rule(
    "sequence_continuous",
    Severity.WARN,
    "gap_report",
    "each message follows the one before it, or a snapshot that it goes on from, where the venue numbers them",
    fails=_BROKEN,
    judge=_sequence_continuous,
    counters=(Book,),
    effect=Effect.DEGRADES,
)
_STARTS: Final = Rule(
    "starts_with_snapshot",
    Severity.WARN,
    "gap_report",
    "the first row of the day clears the book for a snapshot: without one, levels that did not change are missing",
    fails=pl.col("ts_init").shift(1).is_null() & ~is_clear,
    judge=_starts_with_snapshot,
    counters=(Extent, Book),
    effect=Effect.DEGRADES,
    seen_while_normalizing=True,
)
_NOT_CROSSED: Final = Rule(
    "book_not_crossed",
    Severity.WARN,
    "quality",
    "after no event is the best bid above the best ask: orders of both sides would be filled at such prices",
    judge=_not_crossed,
    counters=(Book,),
    effect=Effect.DEGRADES,
)
_AGREE: Final = Rule(
    "snapshots_agree",
    Severity.WARN,
    "quality",
    "of the best 25 levels a side, at least 90 % were in the book just before each further snapshot",
    judge=_snapshots_agree,
    counters=(Book,),
)

TOLD: Final = {
    "messages": (_EVENTS_END.name, "events"),
    "carried": (_STARTS.name, "carried"),
    "breaks": (_CONTINUOUS.name, "breaks"),
    "crossed": (_NOT_CROSSED.name, "crossed"),
    "locked": (_NOT_CROSSED.name, "locked"),
    "snapshots": (_AGREE.name, "snapshots"),
    "agreeing": (_AGREE.name, "least_agreeing"),
}
"""What is told of a book that is as it should be, too -> the rule that says it, and by what name among its numbers."""

# ---------------------------------------------------------------- the table

_REPEATED: Final = {"action": Encoding.CODE, "side": Encoding.CODE, "price": Encoding.RAW16, "size": Encoding.RAW16}

_CARRIED: Final = (
    (pl.col("flags") & SNAPSHOT != 0)
    & (pl.col("ts_init") % NS_PER_DAY == 0)
    & (pl.col("ts_event") == pl.col("ts_init"))
)
"""The book of the day before, as a snapshot of the day's first moment."""
ORDER_BOOK_DELTAS: Final = Table(
    name="order_book_deltas",
    token="deltas",
    folder="order_book_delta",
    nautilus={
        1: NautilusForm(
            cls="OrderBookDelta",
            folder="order_book_deltas",
            columns=(
                *(NautilusColumn(name, name, encoding, repeats=True) for name, encoding in _REPEATED.items()),
                NautilusColumn("order_id", "order_id", Encoding.UINT64),
                NautilusColumn("flags", "flags", Encoding.UINT8, repeats=True),
                NautilusColumn("sequence", "sequence", Encoding.UINT64),
            ),
            precisions={"price_precision": "price", "size_precision": "size"},
            blocks=8,  # 5 bytes a row instead of 6 on a real book, and of 8 where sizes are random
        ),
        2: NautilusForm(
            cls="OrderBookDelta",
            folder="order_book_deltas",
            columns=(
                NautilusColumn("action", "action", Encoding.WORD),
                NautilusColumn("side", "side", Encoding.WORD),
                NautilusColumn("price", "price", Encoding.DECIMAL, nullable=True, repeats=True),
                NautilusColumn("size", "size", Encoding.DECIMAL, nullable=True, repeats=True),
                NautilusColumn("order_id", "order_id", Encoding.UINT64),
                NautilusColumn("flags", "flags", Encoding.UINT8, repeats=True),
                NautilusColumn("sequence", "sequence", Encoding.UINT64),
            ),
            precisions={"price_precision": "price", "size_precision": "size"},
            blocks=8,  # 5 bytes a row instead of 6 on a real book, and of 8 where sizes are random
            class_in="type_name",
            times=Encoding.TIMESTAMP,
        ),
    },
    doc="Changes of the order book, each message an event; a snapshot clears the book first",
    columns=(
        Column("action", ACTIONS, "ADD (of a snapshot), UPDATE, DELETE; CLEAR before a snapshot"),
        Column("side", ORDER_SIDES, "BUY: bids, SELL: asks; NO_ORDER_SIDE: both are cleared"),
        Column(
            "price",
            pl.Decimal(38, 16),
            "of the level, quote units, above zero; 0 where the book is cleared",
            precision="price",
            positive=True,
            maximum=17_014_118_346_046,
            repeats=True,
        ),
        Column(
            "size",
            pl.Decimal(38, 16),
            "of the level now: base units (contracts on coinm); 0: it is gone",
            precision="size",
            unsigned=True,
            maximum=34_028_236_692_093,
            repeats=True,
        ),
        Column("order_id", pl.Int64(), "0: levels are told by their price", rises=True),
        Column("flags", pl.UInt8(), "128: last row of its event; 32: of a snapshot", repeats=True),
        Column(
            "sequence", pl.Int64(), "the venue's number of the message (Binance u, lastUpdateId); 0: none", rises=True
        ),
        Column(
            "previous",
            pl.Int64(),
            "number of the message before it (Binance pu, at spot U - 1), those that change no level passed over",
            nullable=True,
            rises=True,
        ),
    ),
    gap_seconds=60.0,
    rules=(
        _POSSIBLE,
        _EVENTS_END,
        *rules.STORED,
        rules.NO_TIME_GAPS,
        _CONTINUOUS,
        _STARTS,
        rules.DAY_COVERED,
        _NOT_CROSSED,
        _AGREE,
        TOP_AS_QUOTED,
        rules.on_tick("price"),
        *rules.OBSERVED,
    ),
    code_version=1,
    drawn="price",
    made_up=_CARRIED,
    is_book=True,
    beside={"quote_tick": beside_quotes},
    beside_by={"quote_tick": NUMBERED},
    reshapes=RESHAPED,
)
