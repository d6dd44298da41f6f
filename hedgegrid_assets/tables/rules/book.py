"""The order book that a day's deltas make: rebuilt row by row in plain Python, asked after each event."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final, override

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
    """Rebuilds the book, and looks at it after each event."""

    def __init__(self, held: Held) -> None:
        del held
        self._bids, self._asks = _Side(-1), _Side(1)
        self._found = BookFound()
        self._before: tuple[dict[int, int], dict[int, int]] | None = None
        self._cleared = False

    @override
    def add(self, rows: Rows) -> None:
        found, bids, asks = self._found, self._bids, self._asks
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
