"""When two rows of a table are one: what they have in common then, and which rows cannot be, as they stand."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from hedgegrid_assets.model import Identity, Table
from hedgegrid_assets.sources.formats import synthetic_ids
from hedgegrid_assets.stages.frames import frame_schema
from hedgegrid_assets.stages.normalize.buckets import Buckets
from hedgegrid_assets.stages.normalize.recipe import Recipe

_ORDINAL: Final = r"-[0-9]+$"
_HASHES_AT_ONCE: Final = 1 << 21
REMEMBERED_ROWS: Final = 1 << 13
"""Of a table without ids: rows of the latest exchange times with which the next ones are compared."""


class Likeness:
    """What tells rows of one table apart.

    ``content``: the columns that two rows have in common if they are one; empty where each row is its own.
    """

    def __init__(self, table: Table, recipe: Recipe) -> None:
        self.identity = recipe.identity_of(table)
        self.id_column = table.id_column
        arrival = {"raw_row"} if self.identity is Identity.MOMENT else {"ts_init", "raw_row"}
        columns = frame_schema(table, recipe.precisions).names()
        self.content = [] if self.identity is Identity.EVERY_ROW else [name for name in columns if name not in arrival]

    @property
    def by_id(self) -> bool:
        """An id names one row."""
        return self.identity is Identity.ID and self.id_column is not None

    @property
    def telling(self) -> list[str]:
        """The columns that are enough to know that rows are not one."""
        return [self.id_column] if self.by_id and self.id_column else self.content

    def hashes(self, frame: pl.DataFrame) -> pl.Series:
        """Equal for rows that may be one, or have ids that are counted together."""
        if self.id_column is not None:
            ids = frame[self.id_column]
            return (ids.str.replace(_ORDINAL, "") if ids.str.contains("-", literal=True).any() else ids).hash()
        return frame.select(self.content).hash_rows() if self.content else frame["raw_row"].hash()


class Apart:
    """Proof, while rows pass in order of arrival, that none of them is there twice.

    Ids that rise prove it on the spot, and exchange times that hardly step back; else all rows are gone over once they
    are stored (``proved``), by hashes, which may be on disk.
    """

    def __init__(self, likeness: Likeness, *, several_files: bool) -> None:
        self._likeness, self._several_files = likeness, several_files
        self._ordinals = synthetic_ids.Ordinals(likeness.id_column) if likeness.id_column else None
        self._last_key: tuple[int, int] | None = None
        self._recent: pl.DataFrame | None = None
        self._forgotten = -(2**63)
        self._moments: set[int] = set()
        self._is_open = False

    def add(self, frame: pl.DataFrame) -> bool:
        """Take rows; False where some of them may be one, so that all must be compared."""
        if self._likeness.identity is Identity.EVERY_ROW:
            return True
        if len(self._moments) < 2:
            self._moments |= {frame["ts_init"][0], frame["ts_init"][-1]}
        if self._ordinals is None:
            return self._moments_differ(frame.select(self._likeness.content))
        if frame[synthetic_ids.MADE].any():
            if self._several_files or not self._ordinals.at_once(frame):
                return False
            frame = frame.filter(~pl.col(synthetic_ids.MADE))  # ids made for one file are unique by their ordinals
        self._is_open = self._is_open or not (not len(frame) or self._ids_rise(frame, self._likeness.id_column or ""))
        return not self._is_open or not _repeated(frame, self._likeness.telling)

    def numbered(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with numbers behind ids that were made."""
        return frame if self._ordinals is None else self._ordinals.numbered(frame)

    def proved(self, stored: Iterable[pl.DataFrame], folder: Path) -> bool:
        """No row is there twice; ``stored``: all of them."""
        if not self._is_open:
            return True
        if self._ordinals is not None and len(self._moments) < 2:  # nothing says which of them came first
            return False
        hashes = Buckets(folder, _HASHES_AT_ONCE)
        try:
            for block in stored:
                found = block.select(self._likeness.telling).hash_rows()
                hashes.add(found.alias("hash").to_frame(), found)
            return not any(_has_equal(part["hash"].to_numpy()) for part in hashes)
        finally:
            hashes.close()

    def _moments_differ(self, rows: pl.DataFrame) -> bool:
        """Rows that are one have one exchange time: so few of the latest need be remembered."""
        together = rows if self._recent is None else pl.concat([self._recent, rows])
        times = pl.col("ts_event")
        if rows.select(times.min() <= self._forgotten).item():
            self._is_open = True
        kept = together
        if len(together) > REMEMBERED_ROWS:
            self._forgotten = int(str(together["ts_event"].top_k(REMEMBERED_ROWS).min()))
            kept = together.filter(times > self._forgotten)
        self._recent = kept
        return not _repeated(together, rows.columns)

    def _ids_rise(self, frame: pl.DataFrame, column: str) -> bool:
        """Ids rise; those that rows share stand together in one message."""
        found = frame[column].cast(pl.Int64, strict=False)
        if found.null_count():
            return False
        ids, times = found.to_numpy(), frame["ts_init"].to_numpy()
        first, last = (int(ids[0]), int(times[0])), (int(ids[-1]), int(times[-1]))
        before, self._last_key = self._last_key, last
        steps = np.diff(ids)
        if bool((steps > 0).all()) and (before is None or first[0] > before[0]):
            return True
        if self._likeness.by_id or self._several_files:
            return False
        moved = (np.diff(times) != 0) & (steps == 0)
        goes_on = before is None or first[0] > before[0] or first == before
        return goes_on and bool((steps >= 0).all()) and not moved.any()


def _has_equal(numbers: np.ndarray) -> bool:
    numbers = np.sort(numbers)
    return bool((numbers[1:] == numbers[:-1]).any())


def _repeated(frame: pl.DataFrame, columns: list[str]) -> bool:
    """Some of the rows have the same in all these columns."""
    rows = frame.select(columns)
    if "ts_event" in columns:  # rows that are one have one exchange time
        rows = rows.filter(pl.col("ts_event").is_duplicated())
    if rows.width == 1:
        return rows.to_series().n_unique() < len(rows)
    # rows that are one have one hash: half the time where none are
    return rows.hash_rows().n_unique() < len(rows) and bool(rows.is_duplicated().any())
