"""A day that is out of order, or has repetitions: it waits on disk, is sorted in parts, and merged."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from hedgegrid_assets.model import Identity, Order
from hedgegrid_assets.sources.formats import synthetic_ids
from hedgegrid_assets.stages.normalize.buckets import Buckets
from hedgegrid_assets.stages.normalize.identity import Likeness
from hedgegrid_assets.stages.normalize.merge import merged
from hedgegrid_assets.stages.normalize.values import PART
from hedgegrid_assets.store import Spool

_PLACE: Final = "place"
_MESSAGE: Final = "message"
_COPY: Final = "copy"
_NUMBER: Final = "number"
_KEYS: Final = {Order.ARRIVAL: ("ts_init", _PLACE, PART)}
_SMALLEST_BLOCK: Final = 1 << 12
_CONFLICTS_TOLD: Final = 3
_ROWS_TOLD: Final = 4


class HeldDay:
    """Takes rows in file order, and gives them back in that of their channel, exact repetitions left out.

    A file that is newest first throughout has the later of two lines of one moment first. ``origins``: the first raw
    row of each landing file but the first. ``duplicates`` and ``conflicting_ids`` are known when all rows are out.
    """

    def __init__(self, folder: Path, likeness: Likeness, order: Order, origins: Sequence[int]) -> None:
        self._folder, self._likeness, self._key = folder, likeness, _KEYS[order]
        self._origins = np.asarray(origins, np.int64)
        self._rows = Buckets(folder)
        self._runs: list[Spool] = []
        self._newest_first = True
        self._last: int | None = None
        self._message: tuple[int, int, int] | None = None
        self.duplicates = self.conflicting_ids = 0
        self._conflicts: list[tuple[int, str, list[int]]] = []

    @property
    def newest_first(self) -> bool:
        """The times of the rows never rise."""
        return self._newest_first

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows."""
        if not len(frame):
            return
        times = frame["ts_init"]
        falls = bool((times.diff().drop_nulls() <= 0).all()) and (self._last is None or times[0] <= self._last)
        self._newest_first, self._last = self._newest_first and falls, times[-1]
        frame = _with_part(frame)
        frame = self._with_message(frame) if self._has_messages else self._without_inner(frame)
        self._rows.add(frame, self._likeness.hashes(frame))

    def _without_inner(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Of rows that are one, those that may be kept in the end; else a file of one line repeated would be held whole."""
        content = self._likeness.content
        if not content or (synthetic_ids.MADE in frame.columns and frame[synthetic_ids.MADE].any()):
            return frame
        if not self._likeness.hashes(frame).is_duplicated().any():
            return frame
        numbered, keys = frame.with_row_index(_NUMBER), ("ts_init", "raw_row", PART)
        kept = [
            numbered.sort(*keys, descending=[False, later, False]).unique(content, keep="first", maintain_order=True)
            for later in (False, True)
        ]
        wanted = pl.concat([rows[_NUMBER] for rows in kept]).unique().sort()
        self.duplicates += len(frame) - len(wanted)
        return frame[wanted]

    @property
    def _has_messages(self) -> bool:
        """Equal rows of one message are several rows."""
        return self._likeness.identity is Identity.CONTENT and self._likeness.id_column is not None

    def _origin_of(self, frame: pl.DataFrame) -> np.ndarray:
        return np.searchsorted(self._origins, frame["raw_row"].to_numpy(), "right")

    def _with_message(self, frame: pl.DataFrame) -> pl.DataFrame:
        """With the number of the message that a row stands in: what one landing file holds of one arrival, line after line."""
        times, origins = frame["ts_init"].to_numpy(), self._origin_of(frame)
        time, origin, number = self._message or (int(times[0]), int(origins[0]), 0)
        begins = (np.diff(times, prepend=time) != 0) | (np.diff(origins, prepend=origin) != 0)
        numbers = number + np.cumsum(begins)
        self._message = int(times[-1]), int(origins[-1]), int(numbers[-1])
        return frame.with_columns(pl.Series(_MESSAGE, numbers.astype(np.uint32)))

    def released(self) -> Iterator[pl.DataFrame]:
        """All rows, in order; they are forgotten on the way."""
        parts = len(self._rows.parts())
        if parts == 1:
            for part in self._rows:
                yield self._sorted(part)
            return
        size = max(_SMALLEST_BLOCK, self._rows.at_once // parts)
        for part in self._rows:
            rows, run = self._sorted(part), Spool(self._folder)
            self._runs.append(run)
            for start in range(0, len(rows), size):
                run.append(rows.slice(start, size))
        self._rows.close()
        yield from merged(self._runs, self._key)

    def _sorted(self, part: pl.DataFrame) -> pl.DataFrame:
        """A part in order, each row once; it holds all rows that are like one of it."""
        identity, ids = list(self._likeness.content), self._likeness.id_column
        if self._has_messages:
            part = _with_copies(part, identity)
            identity.append(_COPY)
        place = pl.col("raw_row").cast(pl.Int64)
        part = part.with_columns((-place if self._newest_first else place).alias(_PLACE)).sort(*self._key)
        if ids is not None:
            part = synthetic_ids.Ordinals(ids).numbered(part, self._origins.tolist())
        unique = part.unique(subset=identity, keep="first", maintain_order=True) if identity else part
        self.duplicates += len(part) - len(unique)
        if self._likeness.by_id and ids is not None:
            self._count_conflicts(unique, ids)
        return unique.drop(_COPY, _MESSAGE, strict=False)

    def _count_conflicts(self, unique: pl.DataFrame, ids: str) -> None:
        twice = unique[ids].is_duplicated()
        if count := int(twice.sum()):
            self.conflicting_ids += count
            rows = unique.filter(twice).group_by(ids).agg(pl.col("raw_row").sort())
            found = [(int(places[0]), str(name), places[:_ROWS_TOLD]) for name, places in rows.iter_rows()]
            self._conflicts = sorted([*self._conflicts, *found])[:_CONFLICTS_TOLD]

    @property
    def conflicts(self) -> str:
        """The first ids that stand for several rows, and the raw rows of each; known when all rows are out."""
        return "; ".join(f"{name} in raw rows {', '.join(map(str, rows))}" for _, name, rows in self._conflicts)

    def close(self) -> None:
        """Forget all rows."""
        self._rows.close()
        for run in self._runs:
            run.close()


def _with_part(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of one line are counted as they come, where that is not known any more; the column is the last one."""
    if PART in frame.columns:
        return frame.select(pl.exclude(PART), PART)
    rows = frame["raw_row"]
    alone = bool((rows.diff().drop_nulls() != 0).all())
    part = pl.lit(0, pl.UInt32) if alone else pl.int_range(pl.len(), dtype=pl.UInt32).over("raw_row")
    return frame.with_columns(part.alias(PART))


def _with_copies(part: pl.DataFrame, content: Sequence[str]) -> pl.DataFrame:
    """With which one of the equal rows of its message a row is; ids that are made say so themselves."""
    copies = pl.int_range(pl.len(), dtype=pl.UInt32).over(*content, _MESSAGE)
    return part.with_columns(pl.when(synthetic_ids.MADE).then(0).otherwise(copies).alias(_COPY))
