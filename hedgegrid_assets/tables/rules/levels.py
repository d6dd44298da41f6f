"""Many rows of an order book played at once, by columns: what its best prices were after each event, and what is left of it.

A level lives from the row that sets it to the next row of its price, or to the next row that clears the book. Of all these
lives, the highest bid and the lowest ask at each moment are found by doubling: a life of n moments is two of 2^k.
"""

from typing import Final, NamedTuple, Self

import numpy as np
import polars as pl
import pyarrow as pa

type Integers = np.ndarray[tuple[int], np.dtype[np.int64]]

_ADD: Final = 1
_DELETE: Final = 3
_CLEAR: Final = 4
_BUY: Final = 1
_LAST: Final = 128
_KEY_BITS: Final = 63
_DIGIT_BITS: Final = 16
NO_BID: Final = -(2**62)
"""Best bid of a side without levels; ``NO_ASK`` likewise."""
NO_ASK: Final = 2**62


class Levels(NamedTuple):
    """Levels of a book, bids before asks, each by rising price, in units of the last decimal; ``asks``: 1 for an ask, 0 for a bid."""

    asks: Integers
    prices: Integers
    sizes: Integers

    @classmethod
    def none(cls) -> Self:
        """An empty book."""
        return cls(*(np.empty(0, np.int64) for _ in range(3)))

    @classmethod
    def of(cls, bids: tuple[Integers, Integers], asks: tuple[Integers, Integers]) -> Self:
        """Prices, rising, and sizes of both sides."""
        sides = np.repeat(np.array([0, 1], np.int64), [len(bids[0]), len(asks[0])])
        return cls(sides, np.concatenate([bids[0], asks[0]]), np.concatenate([bids[1], asks[1]]))

    def side(self, ask: int) -> tuple[Integers, Integers]:
        """Prices and sizes of a side."""
        mine = self.asks == ask
        return self.prices[mine], self.sizes[mine]

    def best(self, count: int) -> frozenset[tuple[int, int, int]]:
        """The best levels of each side."""
        bids = int(len(self.asks) - self.asks.sum())
        near = slice(max(bids - count, 0), bids + count)
        return frozenset(zip(*(column[near].tolist() for column in self), strict=True))


class Played:
    """A book that had some levels, and the rows behind them.

    Attributes:
        ends: Which rows end an event.
        bids: Best bid after each of these; ``asks`` likewise.
        clears: Which rows clear the book.
        unknown_deletes: Rows that delete a level that it has not.
    """

    def __init__(self, before: Levels, rows: pl.DataFrame) -> None:
        self._carried = len(before.prices)
        action = np.concatenate([np.full(self._carried, _ADD, np.uint8), _codes(rows["action"])])
        self._ask = np.concatenate([before.asks, (_codes(rows["side"]) != _BUY).astype(np.int64)])
        self._price = np.concatenate([before.prices, units(rows["price"])])
        self._size = np.concatenate([before.sizes, units(rows["size"])])
        self.ends: Integers = np.flatnonzero(rows["flags"].to_numpy() & _LAST)
        self._count = len(action)
        self._clears = clears = np.flatnonzero(action == _CLEAR)
        self.clears: Integers = clears - self._carried
        self._play(action, clears)

    def _play(self, action: np.ndarray, clears: Integers) -> None:
        """``_lives``: rows that set a level, by side and price, and the row that ends each; ``_until`` of every row, -1: none."""
        places, again = self._by_price(np.flatnonzero(action != _CLEAR) if len(clears) else np.arange(self._count))
        until = np.append(np.where(again, places[1:], self._count), self._count)[: len(places)]
        if len(clears):
            until = np.minimum(until, np.append(clears, self._count)[np.searchsorted(clears, places)])
        sets = action[places] != _DELETE
        known = np.zeros(len(places), np.bool_)
        known[1:] = again & sets[:-1] & (until[:-1] == places[1:])
        self.unknown_deletes = int((~sets & ~known).sum())
        self._lives = places[sets], until[sets]
        self._until = np.full(self._count, -1)
        self._until[places[sets]] = until[sets]
        self.bids, self.asks = self._bests()

    def _by_price(self, places: Integers) -> tuple[Integers, np.ndarray]:
        """Rows by side, price and place; is each but the first of the price of the one before?"""
        ask, price = self._ask[places], self._price[places]
        if not len(places):
            return places, np.empty(0, np.bool_)
        price = price - price.min()
        of_price = int(price.max()).bit_length()
        if of_price < _KEY_BITS:
            levels = (ask << of_price) | price
            order = _rising(levels, of_price + 1)
            levels = levels[order]
            return places[order], levels[1:] == levels[:-1]
        order = np.lexsort((places, price, ask))
        ask, price = ask[order], price[order]
        return places[order], (ask[1:] == ask[:-1]) & (price[1:] == price[:-1])

    def _bests(self) -> tuple[Integers, Integers]:
        places, until = self._lives
        ended = np.zeros(self._count + 1, np.int64)
        ended[self.ends + self._carried + 1] = 1
        ended = np.cumsum(ended)
        first, after = ended[places], ended[until]
        seen = after > first
        places, first, after = places[seen], first[seen], after[seen]
        bids = int(np.searchsorted(self._ask[places], 1))
        price, moments = self._price[places], len(self.ends)
        best_bids = _highest(price[:bids], first[:bids], after[:bids], moments)
        best_asks = _highest(-price[bids:][::-1], first[bids:][::-1], after[bids:][::-1], moments)
        return best_bids, -best_asks

    def left(self) -> Levels:
        """The book after all rows."""
        places, until = self._lives
        return self._levels(places[until == self._count])

    def before(self, row: int) -> Levels:
        """The book just before a row."""
        at = row + self._carried
        cleared = int(np.searchsorted(self._clears, at))
        first = int(self._clears[cleared - 1]) if cleared else 0
        alive = first + np.flatnonzero(self._until[first:at] >= at)
        return self._levels(alive[np.lexsort((self._price[alive], self._ask[alive]))])

    def _levels(self, places: Integers) -> Levels:
        return Levels(self._ask[places], self._price[places], self._size[places])


def _rising(numbers: Integers, bits: int) -> Integers:
    """The order in which numbers of so many bits rise; equal ones stay as they are. Sixteen bits at a time, which NumPy sorts by counting them."""
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    for shift in range(_DIGIT_BITS, bits, _DIGIT_BITS):
        order = order[np.argsort((numbers[order] >> shift).astype(np.uint16), kind="stable")]
    return order


def _highest(values: Integers, starts: Integers, ends: Integers, moments: int) -> Integers:
    """The highest value at each moment, of values that rise, each there from its start to its end; NO_BID: none is."""
    powers = np.frexp(ends - starts)[1].astype(np.int64) - 1
    most = int(powers.max(initial=0)) + 1
    table = np.full((most, moments), NO_BID)
    first = powers * moments + starts
    last = powers * moments + ends - (np.int64(1) << powers)
    table.ravel()[np.stack([first, last], axis=1).ravel()] = np.repeat(values, 2)  # of equal places the last one counts
    for power in range(most - 1, 0, -1):
        half = 1 << (power - 1)
        np.maximum(table[power - 1], table[power], out=table[power - 1])
        np.maximum(table[power - 1, half:], table[power, :-half], out=table[power - 1, half:])
    return table[0]


def _codes(series: pl.Series) -> np.ndarray:
    return series.to_physical().to_numpy()


def decimals(numbers: Integers, scale: int) -> pl.Series:
    """Units of the last of so many decimals as what they are."""
    wide = np.empty((len(numbers), 2), np.int64)
    wide[:, 0], wide[:, 1] = numbers, numbers >> 63
    found = pl.from_arrow(pa.Array.from_buffers(pa.decimal128(38, scale), len(numbers), [None, pa.py_buffer(wide)]))
    assert isinstance(found, pl.Series)
    return found


def units(series: pl.Series) -> Integers:
    """Decimals in units of the last one; those that 64 bits do not hold as the largest number."""
    numbers = series.to_physical().cast(pl.Int64, strict=False)
    return numbers.fill_null(NO_ASK - 1).to_numpy()
