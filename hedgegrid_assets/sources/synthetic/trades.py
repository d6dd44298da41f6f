"""Aggregate trades: orders at bursty times, each sweeping one price or several."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.random import PCG64

from hedgegrid_assets.sources.synthetic.arrays import Bits, Integers, arrivals, from_zero, uniform
from hedgegrid_assets.sources.synthetic.fair import STEPS_PER_SECOND, Fair
from hedgegrid_assets.sources.synthetic.markets import Market

if TYPE_CHECKING:
    import numpy.typing as npt

_LAST_TRADE_MS: Final = 86_400_000 - 400
"""Exchange times end here, so that the slowest message still arrives within the day."""

_CHUNK_ROWS: Final = 65_536
_MOST_CELLS: Final = 9_600
"""Cells of a day (9 s at least): each holds one trade or more, which bounds every silence by two cells."""


class _Carry(Struct):
    """What one chunk of trades hands to the next."""

    rows: int = 0
    member: int = 0
    side: int = 0
    event_ms: int = 0
    local: int = 0


def trades(fair: Fair, trades_per_day: int) -> Iterator[pl.DataFrame]:
    """The day's aggregate trades as numbers, in chunks of whole cells."""
    random = fair.random("trades")
    edges, counts = _cells(fair, trades_per_day, random)
    after = np.cumsum(counts)
    carry = _Carry(member=fair.day_number * (trades_per_day + trades_per_day // 2))
    first = 0
    while first < len(counts):
        last = max(first + 1, int(np.searchsorted(after, carry.rows + _CHUNK_ROWS, side="right")))
        yield _chunk(fair, trades_per_day, random, edges[first : last + 1], counts[first:last], carry)
        first = last


def _cells(fair: Fair, trades_per_day: int, random: PCG64) -> tuple[Integers, Integers]:
    """Edges of the cells in ms of the day, and trades in each: one, and a share of the others by activity."""
    cells = max(1, min(_MOST_CELLS, trades_per_day * 7 // 10))
    edges = np.arange(cells + 1) * _LAST_TRADE_MS // cells
    second, rest = np.divmod(edges, 1_000)
    busy = from_zero(fair.activity)[second] + fair.activity[second] * (rest / 1_000)
    luck = np.minimum(1.0 / np.sqrt(uniform(random.random_raw(cells))), 6.0)
    share = from_zero(np.diff(busy) * luck)
    others = np.floor(share / share[-1] * (trades_per_day - cells)).astype(np.int64)
    return edges, 1 + np.diff(others)


def _chunk(
    fair: Fair, trades_per_day: int, random: PCG64, edges: Integers, counts: Integers, carry: _Carry
) -> pl.DataFrame:
    """The trades of some cells: orders at bursty times, each sweeping one price or several within a millisecond."""
    rows = int(counts.sum())
    raw = random.random_raw(rows)
    starts_cell = np.zeros(rows, dtype=np.bool_)
    starts_cell[np.cumsum(counts) - counts] = True
    starts = starts_cell | (raw & 0xFF >= 80)
    order = np.cumsum(starts) - 1
    at = np.flatnonzero(starts)
    level = np.arange(rows) - at[order]

    time_ms = _times(edges, counts, np.where(starts, _waits(raw >> 8), 0), random)
    if carry.rows == 0:
        time_ms[0] = min(int(time_ms[0]), int(raw[0] >> 24) % 5_000)
    if carry.rows + rows == trades_per_day:
        time_ms[-1] = max(int(time_ms[-1]), _LAST_TRADE_MS - 1 - int(raw[-1] >> 24) % 5_000)

    step = time_ms // (1_000 // STEPS_PER_SECOND)
    bid = np.floor(fair.path[step]).astype(np.int64)
    rising = (fair.path[step] > fair.path[np.maximum(step - STEPS_PER_SECOND, 0)])[at]
    run = (np.cumsum(raw[at] >> 24 & 0xFF < 64) + carry.side) & 1
    buys = np.where(raw[at] >> 32 & 0xFF < 110, rising, run == 1)[order]
    away = level * np.array([1, 1, 1, 1, 2, 2, 3, 5])[(raw[at] >> 40 & 7).astype(np.int64)][order]
    price = np.maximum(np.where(buys, bid + 1 + away, bid - away), 1)

    lots = _lots(fair.market, random.random_raw(rows))
    singles = trades_per_day // 2
    extra = (carry.rows + rows) * singles // trades_per_day - carry.rows * singles // trades_per_day
    member_after = carry.member + np.cumsum(
        1 + _spread(extra, np.minimum(lots - 1, 4_095) * (raw >> 45 & 7).astype(np.int64))
    )
    now_ms = fair.start_ms + time_ms
    event_ms = np.maximum(np.maximum.accumulate(now_ms + 1 + (raw >> 43 & 3).astype(np.int64)), carry.event_ms)
    local = arrivals(now_ms * 1_000_000, random.random_raw(rows), carry.local)

    frame = pl.DataFrame(
        {
            "local": local,
            "E": event_ms,
            "a": fair.day_number * trades_per_day + carry.rows + np.arange(rows),
            "p": price,
            "q": lots,
            "f": np.concatenate(([carry.member], member_after[:-1])),
            "l": member_after - 1,
            "T": now_ms,
            "m": ~buys,
        }
    )
    carry.rows += rows
    carry.member = int(member_after[-1])
    carry.side = int(run[-1])
    carry.event_ms = int(event_ms[-1])
    carry.local = int(local[-1])
    return frame


def _times(edges: Integers, counts: Integers, waits: Integers, random: PCG64) -> Integers:
    """Milliseconds of the day: in each cell the waits, and one more after the last, stretched to the cell's length."""
    passed = np.cumsum(waits)
    last = np.cumsum(counts) - 1
    before = np.concatenate((np.zeros(1, dtype=np.int64), passed[last[:-1]]))
    whole = passed[last] - before + _waits(random.random_raw(len(counts)))
    return np.repeat(edges[:-1], counts) + (passed - np.repeat(before, counts)) * np.repeat(
        np.diff(edges), counts
    ) // np.repeat(whole, counts)


def _waits(raw: "npt.NDArray[np.integer]") -> Integers:
    """Relative waits, 1 to 256, heavy-tailed, from the lower 16 bits."""
    return np.minimum(65_536 // ((raw & 0xFFFF).astype(np.int64) + 1), 256)


def _lots(market: Market, raw: Bits) -> Integers:
    """Sizes in lots: a power-law tail (exponent 4/3), and one in six a round number as people type it."""
    root = np.sqrt(uniform(raw))
    scale = 10.0 * market.typical_lots
    free = np.minimum(np.floor(scale / (root * np.sqrt(root)) - scale) + 1, scale * 10_000).astype(np.int64)
    typed = np.array([1, 2, 5, 10, 20, 50, 100, 500]) * 10 ** (len(str(market.typical_lots)) - 1)
    return np.where(raw & 0xFF < 43, typed[(raw >> 8 & 7).astype(np.int64)], free)


def _spread(total: int, weights: Integers) -> Integers:
    """Exactly ``total`` shared out by whole-number weights."""
    share = np.cumsum(weights if weights.any() else np.ones_like(weights))
    return np.diff(share * total // share[-1], prepend=0)
