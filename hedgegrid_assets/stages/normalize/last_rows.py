"""Flags that are known only when all rows of a day have been seen."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from hedgegrid_assets.model import LastRow
from hedgegrid_assets.stages.normalize.buckets import Buckets
from hedgegrid_assets.store import Spool


class LastRows:
    """Rows of a day in stored order, on disk until the flags that need all of them are known.

    However many keys there are, memory holds some of them, and a bit a row.
    """

    def __init__(self, folder: Path, flags: Mapping[str, LastRow], end: int) -> None:
        self._folder, self._flags, self._end = folder, flags, end
        self._begin()

    def _begin(self) -> None:
        self._spool = Spool(self._folder)
        self._rows = 0
        self._last = {name: Buckets(self._folder) for name in self._flags}

    def add(self, frame: pl.DataFrame) -> tuple[()]:
        """Take rows; none is complete before the last one is in."""
        numbered = frame.with_row_index("number", offset=self._rows)
        for name, flag in self._flags.items():
            among = numbered.filter(flag.among(self._end)).select(key=flag.key, number="number")
            found = among.unique("key", keep="last")
            self._last[name].add(found, found["key"].hash())
        self._rows += len(frame)
        self._spool.append(frame)
        return ()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """All rows, as they came."""
        return iter(self._spool)

    def complete(self) -> Iterator[pl.DataFrame]:
        """All rows, with their flags."""
        flagged = {name: self._bits(last) for name, last in self._last.items()}
        first = 0
        for frame in self._spool:
            flags = [(pl.col(name) | _of(bits, first, len(frame))).alias(name) for name, bits in flagged.items()]
            yield frame.with_columns(flags)
            first += len(frame)

    def _bits(self, last: Buckets) -> np.ndarray:
        """A bit for each row, set where it is the last one of its key."""
        bits = np.zeros(self._rows // 8 + 1, np.uint8)
        for part in last:
            numbers = part.group_by("key").agg(pl.col("number").max())["number"].to_numpy()
            np.bitwise_or.at(bits, numbers >> 3, np.uint8(1) << (numbers & 7).astype(np.uint8))
        return bits

    def told(self) -> Mapping[str, int]:
        """Rows are as they came."""
        return {}

    def hand_on(self, states: Mapping[str, Any]) -> Mapping[str, Any]:
        """No row says more than the counters have seen."""
        return states

    def take_back(self) -> Iterator[pl.DataFrame]:
        """Give back all rows, one block after the other, and begin anew."""
        spool = self._spool
        self._forget()
        self._begin()
        try:
            yield from spool
        finally:
            spool.close()

    def _forget(self) -> None:
        for last in self._last.values():
            last.close()

    def close(self) -> None:
        """Remove the files."""
        self._forget()
        self._spool.close()


def _of(bits: np.ndarray, first: int, count: int) -> pl.Series:
    """The bits of so many rows. Handed over by Arrow, whose booleans are such bits: a NumPy array imports ``numpy.ma``."""
    return pl.Series(pa.Array.from_buffers(pa.bool_(), count, [None, pa.py_buffer(bits)], offset=first))
