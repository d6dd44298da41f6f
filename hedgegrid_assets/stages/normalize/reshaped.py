"""Rows of which others are made: they wait on disk until the day's order is known."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from hedgegrid_assets.model import Shape
from hedgegrid_assets.store import Spool


class Reshaped:
    """Rows in stored order, and what a shape makes of them once all are there; memory holds a block."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self._folder, self._shape, self._spool = folder, shape, Spool(folder)

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows."""
        self._shape.see(frame)
        self._spool.append(frame)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """All rows, as they came."""
        return iter(self._spool)

    def complete(self) -> Iterator[pl.DataFrame]:
        """The rows that are made of all rows."""
        for frame in self._spool:
            yield self._shape.add(frame)
        rest = self._shape.rest()
        if rest is not None:
            yield rest

    def told(self) -> Mapping[str, int]:
        """What the shape has made more of than it has taken."""
        return self._shape.told()

    def take_back(self) -> Iterator[pl.DataFrame]:
        """Give back all rows, one block after the other, and begin anew."""
        spool, self._spool = self._spool, Spool(self._folder)
        try:
            yield from spool
        finally:
            spool.close()

    def close(self) -> None:
        """Remove the file."""
        self._spool.close()
