"""Sorted runs become one: block by block, so that memory holds a block of each."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from hedgegrid_assets.store import Spool


def merged(runs: Sequence[Spool], key: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows of all runs in rising order of ``key`` (integers), in which each run rises; no two rows share one.

    A run is closed as soon as all of it is in memory.
    """
    heads = [_Head(run, key) for run in runs]
    while heads := [head for head in heads if head.filled()]:
        limits = [head.last for head in heads if not head.is_end]
        limit = min(limits) if limits else None
        taken = [frame for head in heads if len(frame := head.take(limit))]
        yield taken[0] if len(taken) == 1 else pl.concat(taken).sort(*key)


class _Head:
    """What is in memory of a run, and not handed on yet."""

    def __init__(self, run: Spool, key: Sequence[str]) -> None:
        self._run, self._key, self._read, self._blocks = run, key, 0, len(run)
        self._frame: pl.DataFrame | None = None

    @property
    def is_end(self) -> bool:
        """Nothing follows."""
        return self._read == self._blocks

    def filled(self) -> bool:
        """False where the run has no more rows."""
        while (self._frame is None or not len(self._frame)) and not self.is_end:
            self._frame = self._run[self._read]
            self._read += 1
        if self.is_end:
            self._run.close()
        return self._frame is not None and len(self._frame) > 0

    @property
    def last(self) -> tuple[int, ...]:
        """The key of the last row in memory."""
        assert self._frame is not None
        return tuple(self._frame.select(self._key).row(-1))

    def take(self, limit: tuple[int, ...] | None) -> pl.DataFrame:
        """The rows up to a key; None: all that are in memory."""
        assert self._frame is not None
        frame = self._frame
        count = len(frame) if limit is None else _up_to(frame, self._key, limit)
        self._frame = frame.slice(count)
        return frame.head(count)


def _up_to(frame: pl.DataFrame, key: Sequence[str], limit: tuple[int, ...]) -> int:
    """How many of the first rows of a sorted frame are not above a key."""
    first, end = 0, len(frame)
    for name, value in zip(key, limit, strict=True):
        alike = frame[name].to_numpy()[first:end]
        first, end = (first + int(np.searchsorted(alike, value, side)) for side in ("left", "right"))
    return end
