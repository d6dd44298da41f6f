"""Flags that are known only when all rows of a day have been seen."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from hedgegrid_assets.model import LastRow
from hedgegrid_assets.store import Spool


class LastRows:
    """Rows of a day in stored order, on disk until the flags that need all of them are known."""

    def __init__(self, folder: Path, flags: Mapping[str, LastRow], end: int) -> None:
        self._folder, self._flags, self._end = folder, flags, end
        self._begin()

    def _begin(self) -> None:
        self._spool = Spool(self._folder)
        self._rows = 0
        self._last: dict[str, dict[Any, int]] = {name: {} for name in self._flags}

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows."""
        numbered = frame.with_row_index("number", offset=self._rows)
        for name, flag in self._flags.items():
            found = numbered.filter(flag.among(self._end)).group_by(flag.key).agg(pl.col("number").last())
            self._last[name] |= dict(found.iter_rows())
        self._rows += len(frame)
        self._spool.append(frame)

    def complete(self) -> Iterator[pl.DataFrame]:
        """All rows, with their flags."""
        number, first = pl.int_range(pl.len(), dtype=pl.UInt32), 0
        for frame in self._spool:
            yield frame.with_columns(
                (pl.col(name) | (number + first).is_in(list(last.values()))).alias(name)
                for name, last in self._last.items()
            )
            first += len(frame)

    def take_back(self) -> list[pl.DataFrame]:
        """Give back all rows, and begin anew."""
        rows = list(self._spool)
        self.close()
        self._begin()
        return rows

    def close(self) -> None:
        """Remove the file."""
        self._spool.close()
