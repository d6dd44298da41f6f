"""Order books as their changes: one row a level that a message sets or deletes, in events that end with a flag."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec
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
    Shapes,
    Table,
    Undoes,
)
from hedgegrid_assets.tables import rules
from hedgegrid_assets.tables.rules.book import RESHAPED, Book, BookState, unpacked
from hedgegrid_assets.tables.rules.counters import Extent, rows_failing
from hedgegrid_assets.tables.rules.sides import ORDER_SIDES, order_side
from hedgegrid_assets.tables.rules.tops import NUMBERED, TOP_AS_QUOTED, beside_quotes
from hedgegrid_assets.timestamps import NS_PER_DAY

ACTIONS: Final = pl.Enum(["NO_ACTION", "ADD", "UPDATE", "DELETE", "CLEAR"])
"""In the order of Nautilus' codes; it has no 0."""
LAST: Final = 128
SNAPSHOT: Final = 32
_AGREEING: Final = 0.9
_REMEMBERED_ROWS: Final = 200_000
"""Of updates, which a snapshot that comes after them may be older than: some 2,000 messages."""


def action(name: str) -> pl.Expr:
    """An action as a literal."""
    return pl.lit(name, dtype=ACTIONS)


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
_is_clear: Final = pl.col("action") == "CLEAR"
_sets: Final = pl.col("action").is_in(["ADD", "UPDATE"])
_IMPOSSIBLE: Final = pl.any_horizontal(
    pl.col("action") == "NO_ACTION",
    _is_clear != (pl.col("side") == "NO_ORDER_SIDE"),
    (pl.col("price") > 0) == _is_clear,
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
    fails=pl.col("ts_init").shift(1).is_null() & ~_is_clear,
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
            "number of the message before it (Binance pu, at spot U - 1)",
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


# ---------------------------------------------------------------- events


class _Events:
    """Rows of levels become events: runs of rows with one ``key``.

    A snapshot is preceded by a row that clears the book. Rows before the first one are left out, unless the day has
    none at all: then it has what came. With ``resumed``, a day goes on from the book of the day before. With ``beside``,
    a snapshot may be older or newer than the updates around it: those that it does not hold yet are told once more behind
    it, and those that it holds already are left out.
    """

    def __init__(self, key: str, *, resumed: bool, beside: bool = False) -> None:
        self._key, self._resumed, self._beside = key, resumed, beside
        self._any_snapshot = self._started = False
        self._held: pl.DataFrame | None = None
        self._recent: pl.DataFrame | None = None
        self._floor: int | None = None
        self._carried: BookState | None = None
        self._start = 0
        self._told = {"carried": 0, "clears": 0, "before_snapshot": 0, "older_than_snapshot": 0, "told_again": 0}

    def resume(self, states: Mapping[str, Any], start_ns: int) -> None:
        """Begin with the book of the day before, where it is known."""
        if self._resumed and Book.__name__ in states:
            self._carried = msgspec.convert(states[Book.__name__], BookState)
            self._start, self._started = start_ns, True

    @property
    def decided(self) -> bool:
        """From the first snapshot on: whether there is any decides what becomes of the rows before it."""
        return self._any_snapshot

    @property
    def undo(self) -> Undoes | None:
        """None where snapshots leave rows out, or tell some again, and where a day goes on from the one before."""
        return None if self._resumed else self._undone

    def _undone(self, made: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for rows in made:
            yield rows.filter(~_is_clear).with_columns(_flags & ~pl.lit(LAST, pl.UInt8))
        if self._held is not None:
            yield self._held

    def see(self, rows: pl.DataFrame) -> None:
        """Rows come by, before any is made."""
        self._any_snapshot = self._any_snapshot or _has_snapshot(rows)

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The events that end in these rows."""
        if self._carried is not None and len(rows):
            rows = self._with_carried(rows, self._carried)
            self._carried = None
        rows = rows if self._held is None else pl.concat([self._held, rows])
        key = rows[self._key]
        begins = (key != key.shift(1)).arg_true()
        ends = int(begins[-1]) if len(begins) else 0
        self._held = rows.slice(ends)
        return self._made(rows.head(ends))

    def _with_carried(self, rows: pl.DataFrame, state: BookState) -> pl.DataFrame:
        """The book of the day before as a snapshot of the day's first moment, unless a snapshot stands there."""
        decimals = [kind.scale for name in ("price", "size") if isinstance(kind := rows.schema[name], pl.Decimal)]
        opens = rows.row(0, named=True)
        real = opens["ts_init"] == self._start and opens["flags"] & SNAPSHOT
        if real or decimals != [state.price_decimals, state.size_decimals]:
            self._started = bool(self._started and real)
            return rows
        picture = _picture(state, rows, self._start)
        self._count("carried", len(picture))
        return pl.concat([picture, rows])

    def rest(self) -> pl.DataFrame | None:
        """The last event."""
        return None if self._held is None else self._made(self._held)

    def told(self) -> Mapping[str, int]:
        """What has become of rows."""
        return {name: count for name, count in self._told.items() if count}

    def _made(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Whole events."""
        if not _has_snapshot(rows):
            kept = rows if self._started or not self._any_snapshot else rows.clear()
            self._count("before_snapshot", len(kept) - len(rows))
            made = self._not_older(kept)
        elif self._beside:
            made = self._around_snapshots(rows)
        else:
            made = self._cleared(self._from_first(rows))
        if self._beside:
            self._remember(rows)
        return self._ended(made)

    def _count(self, what: str, rows: int) -> None:
        self._told[what] += rows

    def _from_first(self, rows: pl.DataFrame) -> pl.DataFrame:
        """From the first snapshot of the day on."""
        if self._started:
            return rows
        self._started = True
        first = int(((rows["flags"] & SNAPSHOT) > 0).arg_max() or 0)
        self._count("before_snapshot", -first)
        return rows.slice(first)

    def _cleared(self, rows: pl.DataFrame) -> pl.DataFrame:
        """With a row before the first row of a snapshot in each event."""
        snapshot = (_flags & SNAPSHOT) > 0
        event = (pl.col(self._key) != pl.col(self._key).shift(1)).fill_null(value=True).cum_sum()
        numbered = rows.with_row_index("number").with_columns(first=snapshot & (snapshot.cum_sum().over(event) == 1))
        clears = _clear(numbered.filter("first").drop("first")).with_columns(order=pl.lit(0))
        self._count("clears", len(clears))
        both = pl.concat([clears, numbered.drop("first").with_columns(order=pl.lit(1))])
        return both.sort("number", "order").drop("number", "order")

    def _ended(self, rows: pl.DataFrame) -> pl.DataFrame:
        """With the flag on the last row of each event; the last row is one."""
        ends = (pl.col(self._key) != pl.col(self._key).shift(-1)).fill_null(value=True)
        last = pl.when(ends).then(pl.lit(LAST, pl.UInt8)).otherwise(pl.lit(0, pl.UInt8))
        return rows.with_columns(flags=_flags | last)

    # -- snapshots that are fetched beside a stream

    def _around_snapshots(self, rows: pl.DataFrame) -> pl.DataFrame:
        parts: list[pl.DataFrame] = []
        snapshot = ((_flags & SNAPSHOT) > 0).cast(pl.Int64)
        runs = rows.select(run=(snapshot * (pl.col(self._key).cast(pl.Int64) + 1)).rle())
        start = 0
        for length in runs.unnest("run")["len"]:
            part = rows.slice(start, length)
            if _has_snapshot(part):
                parts += self._snapshot(part, rows.head(start))
            elif self._started:
                parts.append(self._not_older(part))
            else:
                self._count("before_snapshot", -length)
            start += length
        return pl.concat(parts)

    def _snapshot(self, snapshot: pl.DataFrame, before: pl.DataFrame) -> list[pl.DataFrame]:
        self._started = True
        self._floor = int(snapshot["sequence"][0])
        seen = before if self._recent is None else pl.concat([self._recent, before])
        arrived = pl.lit(snapshot["ts_init"][0], pl.Int64)
        newer = (pl.col("sequence") >= self._floor) & ((_flags & SNAPSHOT) == 0)
        again = seen.filter(newer).with_columns(ts_init=arrived)
        self._count("clears", 1)
        self._count("told_again", len(again))
        return [_clear(snapshot.head(1)), snapshot, again]

    def _not_older(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self._floor is None or not len(rows) or rows["sequence"][0] >= self._floor:
            return rows
        newer = rows.filter(pl.col("sequence") >= self._floor)
        self._count("older_than_snapshot", len(newer) - len(rows))
        return newer

    def _remember(self, rows: pl.DataFrame) -> None:
        recent = rows if self._recent is None else pl.concat([self._recent, rows])
        self._recent = recent.tail(_REMEMBERED_ROWS)


def _picture(state: BookState, like: pl.DataFrame, at: int) -> pl.DataFrame:
    """A book as rows of a snapshot: bids before asks, best first."""
    bids, asks = (
        pl.DataFrame(dict(zip(("price", "size"), unpacked(text), strict=True))) for text in (state.bids, state.asks)
    )
    sides = [bids.reverse().with_columns(side=pl.lit("BUY")), asks.with_columns(side=pl.lit("SELL"))]
    frame = pl.concat(sides)

    def scaled(name: str, decimals: int) -> pl.Expr:
        text = pl.col(name).cast(pl.String).str.zfill(decimals + 1)
        whole = pl.concat_str(text.str.head(-decimals), pl.lit("."), text.str.tail(decimals)) if decimals else text
        return whole.cast(pl.Decimal(38, decimals)).alias(name)

    return frame.select(
        ts_event=pl.lit(at, pl.Int64),
        ts_init=pl.lit(at, pl.Int64),
        action=action("ADD"),
        side=pl.col("side").cast(ORDER_SIDES),
        price=scaled("price", state.price_decimals),
        size=scaled("size", state.size_decimals),
        order_id=pl.lit(0, pl.Int64),
        flags=pl.lit(SNAPSHOT, pl.UInt8),
        sequence=pl.lit(state.sequence, pl.Int64),
        previous=pl.lit(None, pl.Int64),
        raw_row=pl.lit(int(like["raw_row"][0] == 0), pl.UInt32),  # another one than that of the rows behind it
    ).select(like.columns)


def _has_snapshot(rows: pl.DataFrame) -> bool:
    return bool(((rows["flags"] & SNAPSHOT) > 0).any())


def _clear(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that clear the book, at the place and time of these."""
    zero = pl.lit(0)
    return rows.with_columns(
        action=action("CLEAR"),
        side=order_side("NO_ORDER_SIDE"),
        price=zero.cast(rows.schema["price"]),
        size=zero.cast(rows.schema["size"]),
        flags=pl.lit(SNAPSHOT, pl.UInt8),
        previous=pl.lit(None, pl.Int64),
    )


BY_ARRIVAL: Final[Shapes] = partial(_Events, "ts_init", resumed=False)
"""Rows of one arrival are a message, as Tardis writes them."""
BY_LINE: Final[Shapes] = partial(_Events, "raw_row", resumed=True, beside=True)
"""Rows of one line are a message; snapshots are fetched beside the stream."""
IN_STREAM: Final[Shapes] = partial(_Events, "raw_row", resumed=True)
"""Rows of one line are a message; snapshots are messages of the stream, in their place."""
