"""The order book that a day's deltas make, asked after each event."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar, Final, override
from zlib import compress, decompress

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from hedgegrid_assets.model import Counted, Counter, Held, Rows
from hedgegrid_assets.tables.rules.levels import NO_ASK, NO_BID, Integers, Levels, Played

TOP: Final = 25
"""Levels of each side that snapshots are compared by."""
_FIRST_BAD: Final = 10
RESHAPED: Final = {
    "carried": "of the book of the day before, as a snapshot",
    "clears": "that clear the book for a snapshot",
    "before_snapshot": "before the first snapshot: left out",
    "older_than_snapshot": "older than the snapshot before them: left out",
    "without_levels": "of messages that change no level, for their numbers alone: left out",
    "told_again": "newer than a snapshot behind them: told again after it",
}
"""What becomes of the rows of messages where they are made into a book -> as people are told of it."""


class BookFound(Struct):
    """What the book of a day was like.

    Attributes:
        events: How often it was asked.
        crossed: Events after which the best bid was above the best ask; ``first_crossed``: raw rows of the first of them.
        locked: Those after which they were equal.
        unknown_deletes: Deletes of levels that it had not: usual where a snapshot holds a part of the book.
        levels: How many it has in the end.
        snapshots: How many a book was cleared for, the first one left out.
        agreeing: Of these, the smallest share of the best 25 levels a side that were there just before; None: none.
        open_event: The last event of the day does not end.
        numbered: Some message says which one was before it.
        carried: The venue's number of the last message of the day before, where the book goes on from it.
        narrowest: Smallest spread after an event, in units of the last decimal of prices; ``widest`` the largest.
        decimals: Of prices.
    """

    events: int = 0
    crossed: int = 0
    locked: int = 0
    unknown_deletes: int = 0
    levels: int = 0
    snapshots: int = 0
    agreeing: float | None = None
    open_event: bool = False
    numbered: bool = False
    first_crossed: tuple[int, ...] = ()
    carried: int | None = None
    narrowest: int | None = None
    widest: int | None = None
    decimals: int = 0

    @property
    def spread(self) -> dict[str, Decimal]:
        """The smallest and the largest in quote units; empty where a book never had both sides."""
        ends = {"narrowest": self.narrowest, "widest": self.widest}
        return {name: Decimal(units).scaleb(-self.decimals) for name, units in ends.items() if units is not None}


class BookState(msgspec.Struct, frozen=True):
    """A book over midnight.

    Attributes:
        sequence: The venue's number of the last message.
        price_decimals: Of the unit that prices are counted in; ``size_decimals`` likewise.
        bids: Prices and sizes, packed; ``asks`` likewise.
    """

    sequence: int
    price_decimals: int
    size_decimals: int
    bids: str
    asks: str


def packed(prices: Integers, sizes: Integers) -> str:
    """Levels by rising price as a text of few characters: steps between prices, then sizes."""
    return b64encode(compress(np.concatenate([np.diff(prices, prepend=0), sizes]).tobytes(), 6)).decode()


def unpacked(text: str) -> tuple[Integers, Integers]:
    """Prices, rising, and sizes."""
    numbers = np.frombuffer(decompress(b64decode(text)), np.int64)
    half = len(numbers) // 2
    return np.cumsum(numbers[:half]), numbers[half:]


class Agreement:
    """Of each snapshot behind the first, the share of its best levels that were in the book just before it."""

    def __init__(self) -> None:
        self._before: frozenset[tuple[int, int, int]] | None = None
        self._cleared = False

    def begin(self) -> None:
        """There is a book already, which the first snapshot is compared with."""
        self._cleared = True

    def of(self, played: Played) -> Iterator[tuple[int, float]]:
        """The row that ends each snapshot which is whole now, and the share."""
        before = {} if self._before is None else {0: self._before}
        for clear in played.clears.tolist():
            if self._cleared:
                before[int(np.searchsorted(played.ends, clear))] = played.before(clear).best(TOP)
            self._cleared = True
        self._before = before.pop(len(played.ends), None)
        for event, levels in before.items():
            end = int(played.ends[event])
            now = played.before(end + 1).best(TOP)
            if now:
                yield end, len(now & levels) / len(now)


class Book(Counter[BookFound]):
    """Rebuilds the book, and looks at it after each event; where messages are numbered, it goes on over midnight."""

    state: ClassVar[type[Any] | None] = BookState

    def __init__(self, held: Held) -> None:
        del held
        self._levels = Levels.none()
        self._found = BookFound()
        self._agreement = Agreement()
        self._sequence = 0
        self._decimals = 0, 0
        self._carried: BookState | None = None

    @override
    def resume(self, state: BookState) -> None:
        self._carried = state

    def _begin(self, state: BookState) -> None:
        """With the book of the day before, if it counts in the same units."""
        if self._decimals == (state.price_decimals, state.size_decimals):
            self._found.carried = state.sequence
            self._agreement.begin()
            self._levels = Levels.of(unpacked(state.bids), unpacked(state.asks))

    @override
    def hand_on(self) -> BookState | None:
        if not self._found.numbered:
            return None
        return BookState(self._sequence, *self._decimals, packed(*self._levels.side(0)), packed(*self._levels.side(1)))

    @override
    def add(self, rows: Rows) -> None:
        found, new = self._found, rows.new
        self._decimals = _scale(new, "price"), _scale(new, "size")
        if self._carried is not None:
            self._begin(self._carried)
            self._carried = None
        played = Played(self._levels, new)
        self._look(played, new["raw_row"])
        for _, share in self._agreement.of(played):
            found.snapshots += 1
            found.agreeing = share if found.agreeing is None else min(share, found.agreeing)
        self._levels = played.left()
        found.unknown_deletes += played.unknown_deletes
        found.open_event = not len(played.ends) or int(played.ends[-1]) != len(new) - 1
        self._sequence = int(new["sequence"][-1])
        found.numbered = found.numbered or new["previous"].null_count() < len(new)

    def _look(self, played: Played, raw_rows: pl.Series) -> None:
        """After each event."""
        found = self._found
        found.events += len(played.ends)
        found.locked += int((played.bids == played.asks).sum())
        spreads = (played.asks - played.bids)[(played.bids != NO_BID) & (played.asks != NO_ASK)]
        if len(spreads):
            low, high = int(spreads.min()), int(spreads.max())
            found.narrowest = low if found.narrowest is None else min(low, found.narrowest)
            found.widest = high if found.widest is None else max(high, found.widest)
        crossed = played.ends[played.bids > played.asks]
        found.crossed += len(crossed)
        first = crossed[: _FIRST_BAD - len(found.first_crossed)].tolist()
        found.first_crossed += tuple(raw_rows[row] for row in first)

    @override
    def result(self, day: Counted) -> BookFound:
        self._found.levels = len(self._levels.prices)
        self._found.decimals = self._decimals[0]
        return self._found


def _scale(frame: pl.DataFrame, name: str) -> int:
    kind = frame.schema[name]
    return kind.scale if isinstance(kind, pl.Decimal) else 0
