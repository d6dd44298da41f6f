"""Rows of which others are made: they wait on disk until the day's order is known."""

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from hedgegrid_assets.model import Shape, Undoes
from hedgegrid_assets.store import Spool


class Reshaped:
    """Rows in stored order, and what a shape makes of them: as they come, once it has seen enough.

    Memory holds a block. All rows stay on disk, to be asked for and given back, unless the shape itself takes back what it
    made and nobody asks for them (``unasked``).
    """

    def __init__(self, folder: Path, shape: Shape, *, unasked: bool = False) -> None:
        self._shape, self._spool, self._unasked = shape, Spool(folder), unasked
        self._begun = False
        self._undo: Undoes | None = None

    def add(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Take rows; those that are made now."""
        self._shape.see(frame)
        if self._undo is None:
            self._spool.append(frame)
        if self._begun:
            yield self._shape.add(frame)
        elif self._shape.decided:
            self._begun = True
            self._undo = self._shape.undo if self._unasked else None
            yield from map(self._shape.add, self._spool)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """All rows, as they came; not where they are ``unasked``."""
        return iter(self._spool)

    def complete(self) -> Iterator[pl.DataFrame]:
        """The rows that are left."""
        for frame in () if self._begun else self._spool:
            yield self._shape.add(frame)
        rest = self._shape.rest()
        if rest is not None:
            yield rest

    def told(self) -> Mapping[str, int]:
        """What the shape has made more of than it has taken."""
        return self._shape.told()

    def hand_on(self, states: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the counters of the day hand on, and the shape says besides."""
        return self._shape.hand_on(states)

    def take_back(self, made: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Give back all rows, one block after the other; ``made``: of which these were made. It is of no use any more."""
        try:
            if self._undo is not None:
                yield from self._undone(self._undo(made))
            else:
                deque(made, maxlen=0)  # it is done with only when all was taken
                yield from self._spool
        finally:
            self.close()

    def _undone(self, rows: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Behind those that were left out in front: they waited."""
        first = next(frame for frame in rows if len(frame))
        for frame in self._spool:
            yield frame.filter(pl.col("raw_row") < first["raw_row"][0])
        yield first
        yield from rows

    def close(self) -> None:
        """Remove the file."""
        self._spool.close()
