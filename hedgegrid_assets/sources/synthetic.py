"""Invented market data for the venue SIM only, in the words of Binance USD-M: any day of any symbol, made alone, always the same bytes.

A day hangs on functions of the absolute time, never on its neighbours: price levels at midnight, basis and funding rate
are value noise over hashed nodes, activity looks back into yesterday's shots, and ids count a fixed number a day.
Inside a day the price is a Brownian bridge between two levels; trades and mark messages read the same path. Only exactly
rounded operations are used (add, multiply, divide, square root, raw PCG64 draws), no exp, log or sin, whose last bit
depends on the machine.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from numpy.random import PCG64
from pydantic import Field

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.fields import Count, Settings
from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.sources.formats import binance
from hedgegrid_assets.timestamps import day_start

type _Floats = npt.NDArray[np.float64]
type _Integers = npt.NDArray[np.int64]
type _Raw = npt.NDArray[np.uint64]

CHANNELS: Final = ("aggTrade", "markPrice")
"""What can be made, in the exchange's own words."""

_MARK_DECIMALS: Final = 8
_FIRST_DAY: Final = date(2001, 9, 10)
_LAST_DAY: Final = date(2262, 4, 10)
"""Between them a time in nanoseconds has 19 digits and fits into 63 bits."""

_REFERENCE_DAY: Final = date(2024, 1, 1)
"""The day that opens at exactly the symbol's level."""

_EPOCH: Final = date(1970, 1, 1)
_SECONDS: Final = 86_400
_STEPS_PER_SECOND: Final = 10
_FUNDING_MS: Final = 8 * 3_600_000
_LAST_TRADE_MS: Final = 86_400_000 - 400
"""Exchange times end here, so that the slowest message still arrives within the day."""

_CHUNK_ROWS: Final = 65_536
_MOST_CELLS: Final = 9_600
"""Cells of a day (9 s at least): each holds one trade or more, which bounds every silence by two cells."""


@dataclass(frozen=True, slots=True)
class _Market:
    """How a symbol trades: price level, decimals of its tick, decimals as written, decimals of a lot."""

    level: float
    tick_decimals: int
    price_decimals: int
    size_decimals: int

    @property
    def typical_lots(self) -> int:
        """Lots worth about 40 quote units, the scale of sizes."""
        return max(1, round(40 * 10**self.size_decimals / self.level))


_MARKETS: Final[Mapping[str, _Market]] = {
    "BTCUSDT": _Market(42_500.0, tick_decimals=1, price_decimals=2, size_decimals=3),
    "ETHUSDT": _Market(2_300.0, tick_decimals=2, price_decimals=2, size_decimals=3),
    "BNBUSDT": _Market(310.0, tick_decimals=2, price_decimals=3, size_decimals=2),
    "SOLUSDT": _Market(101.0, tick_decimals=3, price_decimals=4, size_decimals=0),
    "XRPUSDT": _Market(0.62, tick_decimals=4, price_decimals=4, size_decimals=1),
    "DOGEUSDT": _Market(0.09, tick_decimals=6, price_decimals=6, size_decimals=0),
}
"""Any other symbol gets a level between 0.1 and 999.9 from its hash, a tick of four to five digits below the level."""


def precisions(symbol: str) -> tuple[int, int, int]:
    """Decimals of a symbol's tick, of its lot, and of its mark and index prices.

    Trade prices may be written with further zeros, as the exchange does: BTCUSDT ``42500.10`` on a tick of 0.1.
    """
    market = _market(symbol)
    return market.tick_decimals, market.size_decimals, _MARK_DECIMALS


def generate(
    symbol: str, channel: str, day: date, *, seed: int = 7, trades_per_day: int = 20_000, block_rows: int = 100_000
) -> Iterator[bytes]:
    """The lines of one symbol, channel and UTC day in arrival order, as blocks of complete lines.

    A line is ``<local time in ns> <message>``. The bytes depend on symbol, day, seed and (trades only)
    ``trades_per_day``; ``block_rows`` only cuts them. No silence is longer than 20 s from 20,000 trades a day on, 50 s
    from 5,000. Mark messages come once a second. Raises UsageError for what cannot be made, before the first block.

    Args:
        symbol: As the exchange writes it, ``BTCUSDT``.
        channel: One of ``CHANNELS``.
        day: UTC day of all local times.
        seed: Another seed, another market.
        trades_per_day: Exact number of aggregate trades, 1 or more; they stand for half as many again single trades.
        block_rows: Lines in a block, but for the last.
    """
    if channel not in CHANNELS:
        raise UsageError(
            f"synthetic data has no channel {channel!r}: expected {' or '.join(CHANNELS)}, found {channel!r}"
        )
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise UsageError(f"synthetic data has no such day: expected {_FIRST_DAY} to {_LAST_DAY}, found {day}")
    for name, number in (("trades_per_day", trades_per_day), ("block_rows", block_rows)):
        if number < 1:
            raise UsageError(f"{name} is too small: expected 1 or more, found {number}")
    fair = _Fair(symbol, day, seed)
    if channel == "aggTrade":
        return (_trade_lines(rows, symbol) for rows in _rebatched(_trades(fair, trades_per_day), block_rows))
    return (_mark_lines(rows, symbol) for rows in _rebatched(iter([_marks(fair)]), block_rows))


# --- The market behind both channels -----------------------------------------------------------------------------------


class _Fair:
    """One day of a symbol before anyone trades: activity by second, price path by tenth of a second."""

    def __init__(self, symbol: str, day: date, seed: int) -> None:
        self.market = _market(symbol)
        self.day_number = (day - _EPOCH).days
        self.start_ms = day_start(day) // 1_000_000
        self.symbol = symbol
        self.seed = seed
        self.activity = self._activity()
        self.path = self._path()

    def random(self, name: str, number: int | None = None) -> PCG64:
        """The random numbers of one purpose and day."""
        return PCG64(_hash(self.symbol, self.seed, name, self.day_number if number is None else number))

    def smooth(self, name: str, positions: _Integers, octaves: Mapping[int, float]) -> _Floats:
        """Value noise at absolute integer positions: hashed nodes every ``period``, weighted, smoothly joined."""
        total = np.zeros(len(positions))
        for period, weight in octaves.items():
            node, rest = np.divmod(positions, period)
            first = int(node[0])
            heights = np.array(
                [_signed(self.symbol, self.seed, name, period, n) for n in range(first, int(node[-1]) + 2)]
            )
            x = rest / period
            left = heights[node - first]
            total += weight * (left + (heights[node - first + 1] - left) * (x * x * (3.0 - 2.0 * x)))
        return total

    def levels(self) -> tuple[float, float]:
        """Price in ticks at both midnights; the reference day opens at the market's own level."""
        reference = (_REFERENCE_DAY - _EPOCH).days
        octaves = {2**k: 0.009 * math.sqrt(2**k) for k in range(8)}
        at = [
            float(self.smooth("level", np.array([n]), octaves)[0])
            for n in (reference, self.day_number, self.day_number + 1)
        ]
        ticks = self.market.level * 10**self.market.tick_decimals
        return ticks * (1.0 + at[1] - at[0]), ticks * (1.0 + at[2] - at[0])

    def _activity(self) -> _Floats:
        """Relative activity in each second: high around midnight and 14:30 UTC, with bursts that fade by a power law."""
        reach = (2, 8, 32, 128, 512, 2_048)
        shots = np.concatenate([_shots(self.random("shots", n)) for n in (self.day_number - 1, self.day_number)])[
            -_SECONDS - reach[-1] :
        ]
        excited = sum((_trailing_sum(shots, width) / width for width in reach), np.zeros(len(shots)))[-_SECONDS:]
        hour = np.arange(_SECONDS) / 3_600
        from_noon = hour / 12.0 - 1.0
        from_open = (hour - 14.5) / 1.2
        profile = 0.55 + 0.85 * from_noon * from_noon + 0.9 / (1.0 + from_open * from_open)
        return profile * (0.35 + 3.5 * excited)

    def _path(self) -> _Floats:
        """Mid price in ticks: a Brownian bridge in activity time, 2 to 4 % a day, from midnight to midnight."""
        raw = self.random("path").random_raw(_SECONDS * _STEPS_PER_SECOND)
        lanes = (raw & 0xFFFF) + (raw >> 16 & 0xFFFF) + (raw >> 32 & 0xFFFF) + (raw >> 48)
        normal = (lanes.astype(np.float64) - 131_070.0) / (65_536.0 * math.sqrt(1 / 3))
        variance = np.repeat(self.activity, _STEPS_PER_SECOND)
        walk = _from_zero(normal * np.sqrt(variance))
        clock = _from_zero(variance)
        elapsed = clock / clock[-1]
        opening, closing = self.levels()
        volatility = opening * (0.03 + 0.01 * _signed(self.symbol, self.seed, "volatility", self.day_number))
        bridge = (walk - walk[-1] * elapsed) / math.sqrt(clock[-1])
        return np.maximum(opening + (closing - opening) * elapsed + volatility * bridge, 1.0)


def _market(symbol: str) -> _Market:
    if symbol in _MARKETS:
        return _MARKETS[symbol]
    number = _hash("market", symbol)
    exponent = number % 4 - 1
    level = (1_000 + number // 4 % 9_000) * 10 ** (exponent + 1) / 10_000
    return _Market(level, 4 - exponent, 4 - exponent, max(exponent, 0))


def _hash(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:16])


def _signed(*parts: object) -> float:
    """A hash as a number between -1 and 1."""
    return (_hash(*parts) >> 75) / 2**52 - 1.0


def _shots(random: PCG64) -> _Floats:
    """News by second: one second in 64, its strength heavy-tailed and capped at 40."""
    raw = random.random_raw(_SECONDS)
    strength = np.minimum(1.0 / np.sqrt(_uniform(raw)), 40.0)
    return np.where(raw & 63 == 0, strength, 0.0)


def _uniform(raw: _Raw) -> _Floats:
    """Above 0, up to 1, from the upper 48 bits; the lower 16 stay free for another use."""
    return ((raw >> 16) + 1).astype(np.float64) / 2.0**48


def _from_zero(steps: _Floats) -> _Floats:
    return np.concatenate((np.zeros(1), np.cumsum(steps)))


def _trailing_sum(values: _Floats, width: int) -> _Floats:
    """Sum over the last ``width`` values, fewer at the start."""
    total = _from_zero(values)
    return total[1:] - total[np.maximum(np.arange(1, len(values) + 1) - width, 0)]


# --- Trades ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Carry:
    """What one chunk of trades hands to the next."""

    rows: int = 0
    member: int = 0
    side: int = 0
    event_ms: int = 0
    local: int = 0


def _trades(fair: _Fair, trades_per_day: int) -> Iterator[pl.DataFrame]:
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


def _cells(fair: _Fair, trades_per_day: int, random: PCG64) -> tuple[_Integers, _Integers]:
    """Edges of the cells in ms of the day, and trades in each: one, and a share of the others by activity."""
    cells = max(1, min(_MOST_CELLS, trades_per_day * 7 // 10))
    edges = np.arange(cells + 1) * _LAST_TRADE_MS // cells
    second, rest = np.divmod(edges, 1_000)
    busy = _from_zero(fair.activity)[second] + fair.activity[second] * (rest / 1_000)
    luck = np.minimum(1.0 / np.sqrt(_uniform(random.random_raw(cells))), 6.0)
    share = _from_zero(np.diff(busy) * luck)
    others = np.floor(share / share[-1] * (trades_per_day - cells)).astype(np.int64)
    return edges, 1 + np.diff(others)


def _chunk(
    fair: _Fair, trades_per_day: int, random: PCG64, edges: _Integers, counts: _Integers, carry: _Carry
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

    step = time_ms // (1_000 // _STEPS_PER_SECOND)
    bid = np.floor(fair.path[step]).astype(np.int64)
    rising = (fair.path[step] > fair.path[np.maximum(step - _STEPS_PER_SECOND, 0)])[at]
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
    local = _arrivals(now_ms * 1_000_000, random.random_raw(rows), carry.local)

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


def _times(edges: _Integers, counts: _Integers, waits: _Integers, random: PCG64) -> _Integers:
    """Milliseconds of the day: in each cell the waits, and one more after the last, stretched to the cell's length."""
    passed = np.cumsum(waits)
    last = np.cumsum(counts) - 1
    before = np.concatenate((np.zeros(1, dtype=np.int64), passed[last[:-1]]))
    whole = passed[last] - before + _waits(random.random_raw(len(counts)))
    return np.repeat(edges[:-1], counts) + (passed - np.repeat(before, counts)) * np.repeat(
        np.diff(edges), counts
    ) // np.repeat(whole, counts)


def _waits(raw: npt.NDArray[np.integer]) -> _Integers:
    """Relative waits, 1 to 256, heavy-tailed, from the lower 16 bits."""
    return np.minimum(65_536 // ((raw & 0xFFFF).astype(np.int64) + 1), 256)


def _lots(market: _Market, raw: _Raw) -> _Integers:
    """Sizes in lots: a power-law tail (exponent 4/3), and one in six a round number as people type it."""
    root = np.sqrt(_uniform(raw))
    scale = 10.0 * market.typical_lots
    free = np.minimum(np.floor(scale / (root * np.sqrt(root)) - scale) + 1, scale * 10_000).astype(np.int64)
    typed = np.array([1, 2, 5, 10, 20, 50, 100, 500]) * 10 ** (len(str(market.typical_lots)) - 1)
    return np.where(raw & 0xFF < 43, typed[(raw >> 8 & 7).astype(np.int64)], free)


def _spread(total: int, weights: _Integers) -> _Integers:
    """Exactly ``total`` shared out by whole-number weights."""
    share = np.cumsum(weights if weights.any() else np.ones_like(weights))
    return np.diff(share * total // share[-1], prepend=0)


def _arrivals(sent: _Integers, raw: _Raw, earliest: int) -> _Integers:
    """Local times in ns: 5 to 80 ms after ``sent``, one in 4,096 about 300 ms; never back, queued messages 0.5 to 4 us apart."""
    u = _uniform(raw)
    late = np.where(raw & 0xFFF == 0, 2.6e8 + 8e7 * u, 5e6 + 7.5e7 * u * u * u).astype(np.int64)
    queue = np.cumsum(500 + (raw >> 12 & 0xFFF).astype(np.int64) * 7 // 8)
    arrived = sent + late - queue
    arrived[0] = max(int(arrived[0]), earliest + 1 - int(queue[0]))
    return np.maximum.accumulate(arrived) + queue


# --- Mark, index, funding ----------------------------------------------------------------------------------------------


def _marks(fair: _Fair) -> pl.DataFrame:
    """One message a second: mark is the path, index lies a smooth basis of a few bps beside it."""
    raw = fair.random("marks").random_raw(_SECONDS)
    second = np.arange(_SECONDS)
    absolute = fair.day_number * _SECONDS + second
    event_ms = fair.start_ms + second * 1_000 + (raw & 3).astype(np.int64)
    to_price = 1.0 / 10**fair.market.tick_decimals
    mark = _trailing_mean(fair.path[:-1:_STEPS_PER_SECOND], 3) * to_price
    premium = fair.smooth("premium", absolute, {7_200: 0.6, 28_800: 0.8})
    index = mark / (1.0 + 2.5e-4 * premium + 0.5e-4 * fair.smooth("basis", absolute, {60: 0.3, 600: 0.7}))
    rate = np.minimum(np.maximum(1e-4 + 2.2e-4 * premium, -3e-4), 3e-4)
    return pl.DataFrame(
        {
            "local": _arrivals(event_ms * 1_000_000, fair.random("mark arrivals").random_raw(_SECONDS), 0),
            "E": event_ms,
            "p": _units(mark),
            "i": _units(index),
            "P": _units(_trailing_mean(index, 10)),
            "r": _units(rate),
            "T": (event_ms // _FUNDING_MS + 1) * _FUNDING_MS,
        }
    )


def _trailing_mean(values: _Floats, width: int) -> _Floats:
    first = values[0]
    return first + _trailing_sum(values - first, width) / np.minimum(np.arange(1, len(values) + 1), width)


def _units(values: _Floats) -> _Integers:
    return np.rint(values * 10**_MARK_DECIMALS).astype(np.int64)


# --- Text --------------------------------------------------------------------------------------------------------------


def _trade_lines(rows: pl.DataFrame, symbol: str) -> bytes:
    market = _market(symbol)
    zeros = "0" * (market.price_decimals - market.tick_decimals)
    return _lines(
        rows,
        *(
            "local",
            ' {"stream":'
            + json.dumps(f"{symbol.lower()}@aggTrade", ensure_ascii=False)
            + ',"data":{"e":"aggTrade","E":',
            "E",
        ),
        *(
            ',"s":' + json.dumps(symbol, ensure_ascii=False) + ',"a":',
            "a",
            ',"p":"',
            *_decimal("p", market.tick_decimals),
        ),
        *(
            zeros + '","q":"',
            *_decimal("q", market.size_decimals),
            '","f":',
            "f",
            ',"l":',
            "l",
            ',"T":',
            "T",
            ',"m":',
            "m",
            "}}\n",
        ),
    )


def _mark_lines(rows: pl.DataFrame, symbol: str) -> bytes:
    sign = pl.when(pl.col("r") < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    rows = rows.with_columns(sign.alias("-"), pl.col("r").abs())
    return _lines(
        rows,
        *("local", ' {"stream":' + json.dumps(f"{symbol.lower()}@markPrice@1s", ensure_ascii=False)),
        *(',"data":{"e":"markPriceUpdate","E":', "E", ',"s":' + json.dumps(symbol, ensure_ascii=False)),
        *(',"p":"', *_decimal("p", _MARK_DECIMALS), '","i":"', *_decimal("i", _MARK_DECIMALS)),
        *(
            '","P":"',
            *_decimal("P", _MARK_DECIMALS),
            '","r":"',
            "-",
            *_decimal("r", _MARK_DECIMALS),
            '","T":',
            "T",
            "}}\n",
        ),
    )


def _decimal(column: str, decimals: int) -> tuple[pl.Expr | str, ...]:
    """Scaled integers, not negative, as decimal text."""
    if not decimals:
        return (pl.col(column),)
    unit = 10**decimals
    return pl.col(column) // unit, ".", (pl.col(column) % unit + unit).cast(pl.String).str.slice(1)


def _lines(rows: pl.DataFrame, *parts: pl.Expr | str) -> bytes:
    """Columns (by name), expressions and literal text, put together row by row."""
    pieces = [
        part if isinstance(part, pl.Expr) else pl.col(part) if part in rows.columns else pl.lit(part) for part in parts
    ]
    text = rows.select(pl.concat_str(pieces)).to_series().to_arrow()
    return text.buffers()[2].to_pybytes()


def _rebatched(frames: Iterator[pl.DataFrame], block_rows: int) -> Iterator[pl.DataFrame]:
    """The same rows in frames of ``block_rows``, the last one shorter."""
    held: list[pl.DataFrame] = []
    rows = 0
    for frame in frames:
        held.append(frame)
        rows += frame.height
        while rows >= block_rows:
            whole = pl.concat(held)
            yield whole.head(block_rows)
            held = [whole.slice(block_rows)]
            rows -= block_rows
    if rows:
        yield pl.concat(held)


# --- The row -----------------------------------------------------------------------------------------------------------


class SyntheticSettings(Settings):
    """Of the source ``synthetic``."""

    seed: Annotated[int, Field(strict=True, description="equal seeds make equal days")] = 7
    trades_per_day: Annotated[Count, Field(description="of each symbol")] = 20_000
    days: Annotated[Count, Field(description="taken, and of no effect: start and end say which days are made")] = 1


def _fetch(settings: Mapping[str, Any], symbol: str, channel: Channel, day: date) -> Iterator[bytes]:
    wanted = SyntheticSettings.of(settings)
    return generate(symbol, channel.name, day, seed=wanted.seed, trades_per_day=wanted.trades_per_day)


_MESSAGES: Final = tuple(channel for channel in binance.channels("synthetic") if channel.name in CHANNELS)

SOURCE: Final = Source(
    name="synthetic",
    doc="made-up trades, mark prices and funding rates, in Binance's message format, for the venue SIM",
    extension="jsonl",
    channels=_MESSAGES,
    lands=False,
    open=partial(binance.open_messages, known=_MESSAGES),
    code_version=1,
    fetch=_fetch,
    settings=SyntheticSettings,
    precisions=precisions,
)
