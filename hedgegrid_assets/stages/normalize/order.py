"""Rows in order of arrival, each once: sorted input passes as it comes, the rest waits on disk for its day."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from hedgegrid_assets.model import Table
from hedgegrid_assets.sources.formats import synthetic_ids
from hedgegrid_assets.stages.normalize.held import HeldDay
from hedgegrid_assets.stages.normalize.identity import Apart, Likeness
from hedgegrid_assets.stages.normalize.recipe import Recipe
from hedgegrid_assets.stages.normalize.sink import DayFrame
from hedgegrid_assets.stages.raw import RawDay


class InOrder:
    """Hands the rows of one table on to its frame, sorted by (``ts_init``, ``raw_row``, ``part``), exact repetitions left out.

    ``folder``: for what waits on disk. ``out_of_order``: rows that stand behind a later one.
    """

    def __init__(self, folder: Path, raw: RawDay, table: Table, recipe: Recipe, frame: DayFrame) -> None:
        self._folder, self._origins, self._frame = folder, raw.origin_starts(), frame
        self._likeness, self._order = Likeness(table, recipe), recipe.channel.order
        self._apart = Apart(self._likeness, several_files=bool(self._origins))
        self._made = synthetic_ids.Flags() if table.id_column else None
        self._held: HeldDay | None = None
        self._latest = -(2**63)
        self.out_of_order = 0

    @property
    def duplicates(self) -> int:
        """Rows that were left out, known when all are in."""
        return 0 if self._held is None else self._held.duplicates

    @property
    def conflicting_ids(self) -> int:
        """Rows whose id stands for other rows too, known when all are in."""
        return 0 if self._held is None else self._held.conflicting_ids

    @property
    def conflicts(self) -> str:
        """The first of these ids, and their raw rows; known when all are in."""
        return "" if self._held is None else self._held.conflicts

    @property
    def newest_first(self) -> bool:
        """Rows had to be sorted, and stood in falling order, all of them: known when all are in."""
        return self._held is not None and self.out_of_order > 0 and self._held.newest_first

    def add(self, frame: pl.DataFrame) -> None:
        """Pass sorted rows on at once; hold the day from the first row that is out of order or may be a repetition."""
        if not len(frame):
            return
        late = self._late(frame)
        self.out_of_order += late
        if self._held is None and (late or not self._apart.add(frame)):
            self._held = self._hold()
        if self._held is not None:
            self._held.add(frame)
            return
        if self._made is not None:
            self._made.add(frame["raw_row"], frame[synthetic_ids.MADE])
        self._frame.add(self._apart.numbered(frame))

    def _late(self, frame: pl.DataFrame) -> int:
        times = frame["ts_init"].to_numpy()
        if times[0] >= self._latest and bool((times[1:] >= times[:-1]).all()):
            self._latest = int(times[-1])
            return 0
        latest = np.maximum.accumulate(np.append(self._latest, times))
        self._latest = int(latest[-1])
        return int((times < latest[:-1]).sum())

    def _hold(self) -> HeldDay:
        held = HeldDay(self._folder, self._likeness, self._order, self._origins)
        for frame in self._taken_back():
            held.add(frame)
        return held

    def _taken_back(self) -> Iterator[pl.DataFrame]:
        for frame in self._frame.take_back():
            if self._made is None:
                yield frame
            else:
                yield frame.with_columns(self._made.of(frame["raw_row"]).alias(synthetic_ids.MADE))

    def finish(self) -> None:
        """All rows are in: those that are held are sorted, and handed on."""
        if self._held is None and not self._apart.proved(self._frame.stored(self._likeness.telling), self._folder):
            self._held = self._hold()
        if self._held is not None:
            for frame in self._held.released():
                self._frame.add(frame)

    def close(self) -> None:
        """Forget what waits on disk."""
        if self._held is not None:
            self._held.close()
