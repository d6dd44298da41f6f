"""Rows of levels become the events of an order book: each message one, snapshots around the updates of their stream."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec
import polars as pl

from hedgegrid_assets.model import Shapes
from hedgegrid_assets.tables.rules.book import Book, BookState, unpacked
from hedgegrid_assets.tables.rules.sides import ORDER_SIDES, order_side

ACTIONS: Final = pl.Enum(["NO_ACTION", "ADD", "UPDATE", "DELETE", "CLEAR"])
"""In the order of Nautilus' codes; it has no 0."""
LAST: Final = 128
SNAPSHOT: Final = 32
is_clear: Final = pl.col("action") == "CLEAR"
_REMEMBERED_ROWS: Final = 200_000
"""Of updates, which a snapshot that comes after them may be older than: some 2,000 messages."""
_UNKNOWN: Final = -1
"""Number before a message that does not say it."""
_flags: Final = pl.col("flags")


def action(name: str) -> pl.Expr:
    """An action as a literal."""
    return pl.lit(name, dtype=ACTIONS)


class _Events:
    """Rows of levels become events: runs of rows with one ``key``.

    A snapshot is preceded by a row that clears the book. Rows before the first one are left out, unless the day has
    none at all: then it has what came. With ``resumed``, a day goes on from the book of the day before. With ``beside``,
    a snapshot may be older or newer than the updates around it: those that it does not hold yet are told once more behind
    it, and those that it holds already are left out.

    Rows without a price are messages that change no level: what goes on from them goes on from what they go on from.
    """

    def __init__(self, key: str, *, resumed: bool, beside: bool = False) -> None:
        self._key, self._resumed, self._beside = key, resumed, beside
        self._any_snapshot = self._started = False
        self._held: pl.DataFrame | None = None
        self._recent: pl.DataFrame | None = None
        self._floor: int | None = None
        self._hollow = _Hollow(key)
        self._carried: BookState | None = None
        self._ends_with_snapshot = False
        self._start = 0
        self._told = {"carried": 0, "clears": 0, "before_snapshot": 0, "older_than_snapshot": 0, "told_again": 0}
        self._told["without_levels"] = 0

    def resume(self, states: Mapping[str, Any], start_ns: int) -> None:
        """Begin with the book of the day before, where it is known."""
        if self._resumed and Book.__name__ in states:
            self._carried = msgspec.convert(states[Book.__name__], BookState)
            self._start, self._started = start_ns, True

    @property
    def decided(self) -> bool:
        """From the first snapshot on: whether there is any decides what becomes of the rows before it."""
        return self._any_snapshot

    def see(self, rows: pl.DataFrame) -> None:
        """Rows come by, before any is made."""
        self._any_snapshot = self._any_snapshot or _has_snapshot(rows)

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The events that end in these rows."""
        count = len(rows)
        rows = self._hollow.left_out(rows)
        self._count("without_levels", len(rows) - count)
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

    def hand_on(self, states: Mapping[str, Any]) -> Mapping[str, Any]:
        """The book has the number of the last message, also where that one changes no level and goes on from it."""
        book, behind = states.get(Book.__name__), self._hollow.at_end()
        if book is None or behind is None:
            return states
        number, before = behind
        goes_on = before <= book["sequence"] < number if self._ends_with_snapshot else before == book["sequence"]
        return {**states, Book.__name__: {**book, "sequence": number}} if goes_on else states

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
        if len(rows):
            self._ends_with_snapshot = bool(rows["flags"][-1] & SNAPSHOT)
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


class _Hollow:
    """Leaves out messages that change no level, which have a row without a price, and closes the chain of numbers behind them."""

    def __init__(self, key: str) -> None:
        self._key = pl.col(key)
        self._last: pl.DataFrame | None = None

    def left_out(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of levels; ``previous`` of a message behind hollow ones is that of the first of these, if each goes on from the last."""
        if self._last is None and not rows["price"].null_count():
            return rows
        named = rows.select(self._key, "sequence", "previous", is_hollow=pl.col("price").is_null())
        before = named.clear() if self._last is None else self._last
        both = pl.concat([before, named])
        begins = (self._key != self._key.shift(1)).fill_null(value=True)
        message = both.select(begins.cum_sum() - 1).to_series()
        linked = self._linked(both.filter(begins))
        previous = linked["linked"].gather(message[len(before) :]).alias("previous")
        self._last = self._behind(linked)
        return rows.with_columns(previous).filter(pl.col("price").is_not_null())

    def at_end(self) -> tuple[int, int] | None:
        """Numbers of the last message, if it changes no level, and of the one that it, with those before it, goes on from."""
        if self._last is None:
            return None
        last = self._last.row(-1, named=True)
        is_known = last["is_hollow"] and last["previous"] is not None
        return (last["sequence"], last["previous"]) if is_known else None

    def _linked(self, messages: pl.DataFrame) -> pl.DataFrame:
        """With ``origin``, what a run of hollow messages goes on from, and ``linked``, what a message does."""
        before = pl.col("sequence").shift(1) == pl.col("previous")
        goes_on = (pl.col("is_hollow").shift(1) & before).fill_null(value=False)
        origin = pl.when(~goes_on).then(pl.col("previous").fill_null(_UNKNOWN)).forward_fill()
        linked = pl.when(goes_on & (pl.col("origin") != _UNKNOWN)).then("origin").otherwise("previous")
        return messages.with_columns(origin=origin).with_columns(linked=linked)

    def _behind(self, linked: pl.DataFrame) -> pl.DataFrame | None:
        """The last messages, as the next ones must know them; a message may go on in the next rows."""
        last = linked.tail(2)
        if not last["is_hollow"].any():
            return None
        known = pl.when("is_hollow").then("linked").otherwise("previous")
        return last.select(self._key, "sequence", known.alias("previous"), "is_hollow")


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
