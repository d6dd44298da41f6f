"""Mark and index prices, and funding rates."""

from typing import Final

import numpy as np
import polars as pl

from hedgegrid_assets.sources.synthetic.arrays import Floats, Integers, arrivals, trailing_sum
from hedgegrid_assets.sources.synthetic.fair import SECONDS, STEPS_PER_SECOND, Fair
from hedgegrid_assets.sources.synthetic.markets import MARK_DECIMALS

_FUNDING_MS: Final = 8 * 3_600_000


def marks(fair: Fair) -> pl.DataFrame:
    """One message a second: mark is the path, index lies a smooth basis of a few bps beside it."""
    raw = fair.random("marks").random_raw(SECONDS)
    second = np.arange(SECONDS)
    absolute = fair.day_number * SECONDS + second
    event_ms = fair.start_ms + second * 1_000 + (raw & 3).astype(np.int64)
    to_price = 1.0 / 10**fair.market.tick_decimals
    mark = _trailing_mean(fair.path[:-1:STEPS_PER_SECOND], 3) * to_price
    premium = fair.smooth("premium", absolute, {7_200: 0.6, 28_800: 0.8})
    index = mark / (1.0 + 2.5e-4 * premium + 0.5e-4 * fair.smooth("basis", absolute, {60: 0.3, 600: 0.7}))
    rate = np.minimum(np.maximum(1e-4 + 2.2e-4 * premium, -3e-4), 3e-4)
    return pl.DataFrame(
        {
            "local": arrivals(event_ms * 1_000_000, fair.random("mark arrivals").random_raw(SECONDS), 0),
            "E": event_ms,
            "p": _units(mark),
            "i": _units(index),
            "P": _units(_trailing_mean(index, 10)),
            "r": _units(rate),
            "T": (event_ms // _FUNDING_MS + 1) * _FUNDING_MS,
        }
    )


def _trailing_mean(values: Floats, width: int) -> Floats:
    first = values[0]
    return first + trailing_sum(values - first, width) / np.minimum(np.arange(1, len(values) + 1), width)


def _units(values: Floats) -> Integers:
    return np.rint(values * 10**MARK_DECIMALS).astype(np.int64)
