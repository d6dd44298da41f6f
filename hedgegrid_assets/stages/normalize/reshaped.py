"""Rows of which others are made: they wait on disk until it is known how, and are read once more where they are asked for."""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from hedgegrid_assets.model import Shape
from hedgegrid_assets.store import Spool


class ReadsAgain(Protocol):
    """The blocks of rows of a day, each as it came the first time."""

    def __call__(self) -> Iterator[pl.DataFrame]:
        """All of them, from the first on."""
        ...


class Reshaped:
    """Rows in stored order, and what a shape makes of them: as they come, once it has seen enough.

    Memory holds a block. Who asks for the rows gets them by ``again``; without it, all of them stay on disk.
    """

    def __init__(self, folder: Path, shape: Shape, again: ReadsAgain | None) -> None:
        self._shape, self._spool, self._again = shape, Spool(folder), again
        self._begun = False
        self._blocks = 0

    def add(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Take rows; those that are made now."""
        self._shape.see(frame)
        self._blocks += 1
        if not self._begun or self._again is None:
            self._spool.append(frame)
        if self._begun:
            yield self._shape.add(frame)
        elif self._shape.decided:
            self._begun = True
            yield from map(self._shape.add, self._spool)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """All rows, as they came."""
        return iter(self._spool) if self._again is None else islice(self._again(), self._blocks)

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
            deque(made, maxlen=0)  # it is done with only when all was taken
            yield from self
        finally:
            self.close()

    def close(self) -> None:
        """Remove the file."""
        self._spool.close()
