"""Rows that wait on disk, put together with those that are like them, so that a day of any length is gone over in parts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from hedgegrid_assets.store import Spool

AT_ONCE: Final = 1 << 17
"""Rows in memory at a time."""
_BUCKETS: Final = 256


class Buckets:
    """Rows in as many parts as memory needs; rows of equal hash come back in one part, in the order that they came in.

    Few rows stay in memory. Its file has no name: it is gone with the object. Rows of one hash are in memory together,
    however many they are.
    """

    def __init__(self, folder: Path, at_once: int | None = None) -> None:
        self._folder, self.at_once = folder, at_once or AT_ONCE
        self._held: list[tuple[pl.DataFrame, pl.Series]] = []
        self._held_rows = 0
        self._spool: Spool | None = None
        self._pieces: list[list[int]] = [[] for _ in range(_BUCKETS)]
        self._sizes = np.zeros(_BUCKETS, np.int64)

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._held_rows + int(self._sizes.sum())

    def add(self, frame: pl.DataFrame, hashes: pl.Series) -> None:
        """Take rows, with an unsigned number for each."""
        self._held.append((frame, (hashes % _BUCKETS).cast(pl.UInt8)))
        self._held_rows += len(frame)
        if self._held_rows >= self.at_once:
            self._spill()

    def _spill(self) -> None:
        if not self._held_rows:
            return
        frame = pl.concat([frame for frame, _ in self._held])
        buckets = pl.concat([bucket for _, bucket in self._held]).to_numpy()
        self._held.clear()
        self._held_rows = 0
        self._spool = self._spool or Spool(self._folder)
        together = frame[np.argsort(buckets, kind="stable")]
        del frame
        sizes = np.bincount(buckets, minlength=_BUCKETS)
        first = 0
        for number in np.flatnonzero(sizes).tolist():
            self._pieces[number].append(len(self._spool))
            self._spool.append(together.slice(first, sizes[number]))
            first += int(sizes[number])
        self._sizes += sizes

    def parts(self) -> list[list[int]]:
        """The buckets of each part, neighbours together as long as there is room; then nothing more is taken."""
        if self._spool is not None:
            self._spill()
        found: list[list[int]] = [[]]
        room = self.at_once
        for number in np.flatnonzero(self._sizes).tolist():
            if found[-1] and self._sizes[number] > room:
                found.append([])
                room = self.at_once
            found[-1].append(number)
            room -= int(self._sizes[number])
        return found

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """The rows, part by part, each once: they are forgotten on the way."""
        parts = self.parts()
        if self._spool is None:
            if self._held:
                frame = pl.concat([frame for frame, _ in self._held])
                self._held.clear()
                yield frame
            return
        for part in parts:
            yield pl.concat([self._spool[piece] for number in part for piece in self._pieces[number]])

    def close(self) -> None:
        """Forget all rows."""
        self._held.clear()
        if self._spool is not None:
            self._spool.close()
