"""The market behind all channels: activity by second, price by tenth of a second."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Final

import numpy as np
from numpy.random import PCG64

from hedgegrid_assets.sources.synthetic.arrays import (
    Floats,
    Integers,
    from_zero,
    signed_hash,
    stable_hash,
    trailing_sum,
    uniform,
)
from hedgegrid_assets.sources.synthetic.markets import market_of
from hedgegrid_assets.timestamps import day_start

_REFERENCE_DAY: Final = date(2024, 1, 1)
"""The day that opens at exactly the symbol's level."""

_EPOCH: Final = date(1970, 1, 1)
SECONDS: Final = 86_400
STEPS_PER_SECOND: Final = 10


class Fair:
    """One day of a symbol before anyone trades: activity by second, price path by tenth of a second."""

    def __init__(self, symbol: str, day: date, seed: int) -> None:
        self.market = market_of(symbol)
        self.day_number = (day - _EPOCH).days
        self.start_ms = day_start(day) // 1_000_000
        self.symbol = symbol
        self.seed = seed
        self.activity = self._activity()
        self.path = self._path()

    def random(self, name: str, number: int | None = None) -> PCG64:
        """The random numbers of one purpose and day."""
        return PCG64(stable_hash(self.symbol, self.seed, name, self.day_number if number is None else number))

    def smooth(self, name: str, positions: Integers, octaves: Mapping[int, float]) -> Floats:
        """Value noise at absolute integer positions: hashed nodes every ``period``, weighted, smoothly joined."""
        total = np.zeros(len(positions))
        for period, weight in octaves.items():
            node, rest = np.divmod(positions, period)
            first = int(node[0])
            heights = np.array(
                [signed_hash(self.symbol, self.seed, name, period, n) for n in range(first, int(node[-1]) + 2)]
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

    def _activity(self) -> Floats:
        """Relative activity in each second: high around midnight and 14:30 UTC, with bursts that fade by a power law."""
        reach = (2, 8, 32, 128, 512, 2_048)
        shots = np.concatenate([_shots(self.random("shots", n)) for n in (self.day_number - 1, self.day_number)])[
            -SECONDS - reach[-1] :
        ]
        excited = sum((trailing_sum(shots, width) / width for width in reach), np.zeros(len(shots)))[-SECONDS:]
        hour = np.arange(SECONDS) / 3_600
        from_noon = hour / 12.0 - 1.0
        from_open = (hour - 14.5) / 1.2
        profile = 0.55 + 0.85 * from_noon * from_noon + 0.9 / (1.0 + from_open * from_open)
        return profile * (0.35 + 3.5 * excited)

    def _path(self) -> Floats:
        """Mid price in ticks: a Brownian bridge in activity time, 2 to 4 % a day, from midnight to midnight."""
        raw = self.random("path").random_raw(SECONDS * STEPS_PER_SECOND)
        lanes = (raw & 0xFFFF) + (raw >> 16 & 0xFFFF) + (raw >> 32 & 0xFFFF) + (raw >> 48)
        normal = (lanes.astype(np.float64) - 131_070.0) / (65_536.0 * math.sqrt(1 / 3))
        variance = np.repeat(self.activity, STEPS_PER_SECOND)
        walk = from_zero(normal * np.sqrt(variance))
        clock = from_zero(variance)
        elapsed = clock / clock[-1]
        opening, closing = self.levels()
        volatility = opening * (0.03 + 0.01 * signed_hash(self.symbol, self.seed, "volatility", self.day_number))
        bridge = (walk - walk[-1] * elapsed) / math.sqrt(clock[-1])
        return np.maximum(opening + (closing - opening) * elapsed + volatility * bridge, 1.0)


def _shots(random: PCG64) -> Floats:
    """News by second: one second in 64, its strength heavy-tailed and capped at 40."""
    raw = random.random_raw(SECONDS)
    strength = np.minimum(1.0 / np.sqrt(uniform(raw)), 40.0)
    return np.where(raw & 63 == 0, strength, 0.0)
