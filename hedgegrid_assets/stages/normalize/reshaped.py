"""Rows of which others are made: they wait on disk until the day's order is known."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from hedgegrid_assets.model import Shape
from hedgegrid_assets.store import Spool


class Reshaped:
    """Rows in stored order, and what a shape makes of them: once all are there, or at once if the shape needs no later ones.

    Memory holds a block. ``at_once``: it may do so.
    """

    def __init__(self, folder: Path, shape: Shape, *, at_once: bool = False) -> None:
        self._shape, self._spool, self._at_once = shape, Spool(folder), at_once
        self._begun = False

    def add(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Take rows; those that are made now."""
        self._shape.see(frame)
        if self._begun:
            yield self._shape.add(frame)
            return
        self._spool.append(frame)
        if self._at_once and self._shape.undo is not None:
            self._begun = True
            yield from map(self._shape.add, self._spool)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """All rows, as they came; not where they are made at once."""
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

    def take_back(self, made: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Give back all rows, one block after the other; ``made``: of which these were made. It is of no use any more."""
        undo = self._shape.undo if self._begun else None
        try:
            yield from self._spool if undo is None else self._undone(undo(made))
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
