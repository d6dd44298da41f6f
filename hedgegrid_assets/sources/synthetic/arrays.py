"""Hashes and arrays: the same on every machine."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # types that are named are looked up by checkers alone
    import numpy.typing as npt

type Floats = npt.NDArray[np.float64]
type Integers = npt.NDArray[np.int64]
type Bits = npt.NDArray[np.uint64]


def stable_hash(*parts: object) -> int:
    """16 bytes of a hash, as a number."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:16])


def signed_hash(*parts: object) -> float:
    """A hash as a number between -1 and 1."""
    return (stable_hash(*parts) >> 75) / 2**52 - 1.0


def uniform(raw: Bits) -> Floats:
    """Above 0, up to 1, from the upper 48 bits; the lower 16 stay free for another use."""
    return ((raw >> 16) + 1).astype(np.float64) / 2.0**48


def from_zero(steps: Floats) -> Floats:
    """Running sums, and 0 before them."""
    return np.concatenate((np.zeros(1), np.cumsum(steps)))


def trailing_sum(values: Floats, width: int) -> Floats:
    """Sum over the last ``width`` values, fewer at the start."""
    total = from_zero(values)
    return total[1:] - total[np.maximum(np.arange(1, len(values) + 1) - width, 0)]


def arrivals(sent: Integers, raw: Bits, earliest: int) -> Integers:
    """Local times in ns: 5 to 80 ms after ``sent``, one in 4,096 about 300 ms; never back, queued messages 0.5 to 4 us apart."""
    u = uniform(raw)
    late = np.where(raw & 0xFFF == 0, 2.6e8 + 8e7 * u, 5e6 + 7.5e7 * u * u * u).astype(np.int64)
    queue = np.cumsum(500 + (raw >> 12 & 0xFFF).astype(np.int64) * 7 // 8)
    arrived = sent + late - queue
    arrived[0] = max(int(arrived[0]), earliest + 1 - int(queue[0]))
    return np.maximum.accumulate(arrived) + queue
