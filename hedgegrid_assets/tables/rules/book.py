"""The order book that a day's deltas make: rebuilt row by row in plain Python, asked after each event."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar, Final, override
from zlib import compress, decompress

import msgspec
import numpy as np
import polars as pl

from hedgegrid_assets.model import Counted, Counter, Held, Rows

_LAST: Final = 128
_DELETE: Final = 3
_CLEAR: Final = 4
_BUY: Final = 1
_TOP: Final = 25
_FIRST_BAD: Final = 10
_SLACK: Final = 4_096


@dataclass(slots=True)
class BookFound:
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


def packed(levels: Mapping[int, int]) -> str:
    """Levels as a text of few characters: steps between prices, then sizes."""
    prices = np.array(sorted(levels), np.int64)
    sizes = np.array([levels[price] for price in prices.tolist()], np.int64)
    return b64encode(compress(np.concatenate([np.diff(prices, prepend=0), sizes]).tobytes(), 6)).decode()


def unpacked(text: str) -> dict[int, int]:
    """Price -> size, by rising price."""
    numbers = np.frombuffer(decompress(b64decode(text)), np.int64)
    half = len(numbers) // 2
    return dict(zip(np.cumsum(numbers[:half]).tolist(), numbers[half:].tolist(), strict=True))


class _Side:
    """The levels of a side: price -> size; the best one is the smallest of ``sign`` x price."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self.levels: dict[int, int] = {}
        self._heap: list[int] = []

    def put(self, price: int, size: int) -> None:
        if price not in self.levels:
            heappush(self._heap, self._sign * price)
            if len(self._heap) > 4 * len(self.levels) + _SLACK:
                self._heap = [self._sign * level for level in (*self.levels, price)]
                heapify(self._heap)
        self.levels[price] = size

    def best(self) -> int | None:
        heap, sign, levels = self._heap, self._sign, self.levels
        while heap and sign * heap[0] not in levels:
            heappop(heap)
        return sign * heap[0] if heap else None

    def clear(self) -> None:
        self.levels.clear()
        self._heap.clear()

    def top(self) -> dict[int, int]:
        """The best levels."""
        best = sorted(self.levels, key=lambda price: self._sign * price)[:_TOP]
        return {price: self.levels[price] for price in best}


class Book(Counter[BookFound]):
    """Rebuilds the book, and looks at it after each event; where messages are numbered, it goes on over midnight."""

    state: ClassVar[type[Any] | None] = BookState

    def __init__(self, held: Held) -> None:
        del held
        self._bids, self._asks = _Side(-1), _Side(1)
        self._found = BookFound()
        self._before: tuple[dict[int, int], dict[int, int]] | None = None
        self._cleared = False
        self._sequence = 0
        self._decimals = 0, 0
        self._carried: BookState | None = None

    @override
    def resume(self, state: BookState) -> None:
        self._carried = state

    def _begin(self, state: BookState) -> None:
        """With the book of the day before, if it counts in the same units."""
        if self._decimals != (state.price_decimals, state.size_decimals):
            return
        self._cleared = True
        for side, text in ((self._bids, state.bids), (self._asks, state.asks)):
            for price, size in unpacked(text).items():
                side.put(price, size)

    @override
    def hand_on(self) -> BookState | None:
        if not self._found.numbered:
            return None
        return BookState(self._sequence, *self._decimals, packed(self._bids.levels), packed(self._asks.levels))

    @override
    def add(self, rows: Rows) -> None:
        found, bids, asks = self._found, self._bids, self._asks
        self._decimals = _scale(rows.new, "price"), _scale(rows.new, "size")
        if self._carried is not None:
            self._begin(self._carried)
            self._carried = None
        flags = 0
        for action, side, price, size, flags, raw_row in _rows(rows.new):
            if action == _CLEAR:
                self._clear()
                continue
            book = bids if side == _BUY else asks
            if action == _DELETE:
                if book.levels.pop(price, None) is None:
                    found.unknown_deletes += 1
            else:
                book.put(price, size)
            if flags & _LAST:
                self._look(raw_row)
        found.open_event = not flags & _LAST
        self._sequence = int(rows.new["sequence"][-1])
        found.numbered = found.numbered or rows.new["previous"].null_count() < len(rows.new)

    def _clear(self) -> None:
        if self._cleared:
            self._before = self._bids.top(), self._asks.top()
        self._cleared = True
        self._bids.clear()
        self._asks.clear()

    def _look(self, raw_row: int) -> None:
        found, bid, ask = self._found, self._bids.best(), self._asks.best()
        found.events += 1
        if bid is not None and ask is not None and bid >= ask:
            if bid == ask:
                found.locked += 1
            else:
                found.crossed += 1
                if len(found.first_crossed) < _FIRST_BAD:
                    found.first_crossed += (raw_row,)
        if self._before is not None:
            self._compare(*self._before)
            self._before = None

    def _compare(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        """A new snapshot with the book that was there just before it."""
        now = {(1, price, size) for price, size in self._bids.top().items()}
        now |= {(2, price, size) for price, size in self._asks.top().items()}
        before = {(1, *level) for level in bids.items()} | {(2, *level) for level in asks.items()}
        if not now:
            return
        self._found.snapshots += 1
        share = len(now & before) / len(now)
        self._found.agreeing = share if self._found.agreeing is None else min(share, self._found.agreeing)

    @override
    def result(self, day: Counted) -> BookFound:
        self._found.levels = len(self._bids.levels) + len(self._asks.levels)
        return self._found


def _scale(frame: pl.DataFrame, name: str) -> int:
    kind = frame.schema[name]
    return kind.scale if isinstance(kind, pl.Decimal) else 0


def _rows(frame: pl.DataFrame) -> Iterator[tuple[int, int, int, int, int, int]]:
    columns: Iterable[list[int]] = (
        frame["action"].to_physical().to_list(),
        frame["side"].to_physical().to_list(),
        frame["price"].to_physical().cast(pl.Int64).to_list(),
        frame["size"].to_physical().cast(pl.Int64, strict=False).to_list(),
        frame["flags"].to_list(),
        frame["raw_row"].to_list(),
    )
    return zip(*columns, strict=True)  # type: ignore[return-value]
