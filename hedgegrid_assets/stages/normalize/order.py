"""Rows in order of arrival, each once: sorted input passes as it comes, the rest is held for its day."""

from typing import Final

import numpy as np
import polars as pl

from hedgegrid_assets.model import Identity, Table
from hedgegrid_assets.sources.formats import synthetic_ids
from hedgegrid_assets.stages.frames import frame_schema
from hedgegrid_assets.stages.normalize.recipe import Recipe
from hedgegrid_assets.stages.normalize.sink import DayFrame
from hedgegrid_assets.stages.raw import RawDay

_COPY: Final = "copy"
_MESSAGE: Final = "message"
_PASSED_ON: Final = 1 << 20


class InOrder:
    """Hands the rows of one table on to its frame, sorted by (``ts_init``, ``raw_row``), exact repetitions left out.

    ``out_of_order``: rows that stand behind a later one; ``duplicates``: rows that were left out; ``conflicting_ids``:
    rows whose id stands for other rows too, known when all rows are in.
    """

    def __init__(self, raw: RawDay, table: Table, recipe: Recipe, frame: DayFrame) -> None:
        self._raw, self._table, self._frame = raw, table, frame
        self._identity = recipe.identity_of(table)
        self._repeats = recipe.channel.tables[table.name].repeats
        self._columns = frame_schema(table, recipe.precisions).names()
        self._ordinals = synthetic_ids.Ordinals(table.id_column) if table.id_column else None
        self._made = synthetic_ids.Flags()
        self._held: list[pl.DataFrame] | None = None
        self._latest = -(2**63)
        self._last_key: tuple[int, int] | None = None
        self._newest: int | None = None
        self._recent: pl.DataFrame | None = None
        self.out_of_order = self.duplicates = self.conflicting_ids = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Pass sorted rows on at once; hold the day from the first row that is out of order or may be a repetition."""
        if not len(frame):
            return
        latest = frame.select(
            pl.col("ts_init").cum_max().shift(1, fill_value=self._latest).clip(lower_bound=self._latest)
        )["ts_init"]
        late = int((frame["ts_init"] < latest).sum())
        self.out_of_order += late
        self._latest = max(self._latest, int(str(frame["ts_init"].max())))
        if self._held is None and (late or not self._differ(frame)):
            self._held = self._take_back()
        if self._held is not None:
            self._held.append(frame)
        else:
            self._frame.add(self._numbered(frame))

    def _numbered(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with numbers behind ids that were made, and a note of which they are."""
        if self._ordinals is None:
            return frame
        self._made.add(frame["raw_row"], frame[synthetic_ids.MADE])
        return self._ordinals.numbered(frame)

    def _differ(self, frame: pl.DataFrame) -> bool:
        """Proof that no row is there twice: ids rise; without ids, exchange times step back a minute at most, and rows of one differ."""
        if self._identity is Identity.EVERY_ROW:
            return True
        if self._ordinals is None:
            return self._moments_differ(frame)
        if frame[synthetic_ids.MADE].any():
            if self._raw.origin_starts() or not self._ordinals.at_once(frame):
                return False
            frame = frame.filter(~pl.col(synthetic_ids.MADE))  # ids made for one file are unique by their ordinals
        return not len(frame) or self._ids_rise(frame)

    def _ids_rise(self, frame: pl.DataFrame) -> bool:
        """Ids rise; those that rows share stand together in one message."""
        ids, times = frame[self._table.id_column or ""].cast(pl.Int64, strict=False), frame["ts_init"]
        if ids.null_count():
            return False
        before, self._last_key = self._last_key, (int(ids[-1]), int(times[-1]))
        steps = ids.diff().drop_nulls()
        if bool((steps > 0).all()) and (before is None or ids[0] > before[0]):
            return True
        if self._identity is Identity.ID or self._raw.origin_starts():
            return False
        moved = (times.diff().drop_nulls() != 0) & (steps == 0)
        first = before is None or ids[0] > before[0] or (ids[0], times[0]) == before
        return first and bool((steps >= 0).all()) and not moved.any()

    def _moments_differ(self, frame: pl.DataFrame) -> bool:
        """Rows that are one have one exchange time: so only those of the last minute of it need be remembered."""
        rows = frame.select("ts_event", *self._content())
        times = rows["ts_event"]
        least, most = int(str(times.min())), int(str(times.max()))
        if self._newest is not None and least < self._newest - synthetic_ids.REMEMBERED_NS:
            return False
        rise = (self._newest is None or times[0] > self._newest) and bool((times.diff().drop_nulls() > 0).all())
        together = rows if self._recent is None else pl.concat([self._recent, rows])
        self._newest = most if self._newest is None else max(most, self._newest)
        self._recent = together.filter(pl.col("ts_event") >= self._newest - synthetic_ids.REMEMBERED_NS)
        return rise or not together.filter(pl.col("ts_event").is_duplicated()).is_duplicated().any()

    def _content(self) -> list[str]:
        """The columns that two rows have in common if they are one."""
        arrival = {"raw_row"} if self._repeats else {"ts_init", "raw_row"}
        return [name for name in self._columns if name not in arrival and name != "ts_event"]

    def _take_back(self) -> list[pl.DataFrame]:
        rows = self._frame.take_back()
        if self._ordinals is None:
            return rows
        return [frame.with_columns(self._made.of(frame["raw_row"]).alias(synthetic_ids.MADE)) for frame in rows]

    def finish(self) -> None:
        """All rows are in: those that were held are sorted, and handed on."""
        if not self._held:
            return
        day = pl.concat(self._held)
        self._held.clear()
        identity = [] if self._identity is Identity.EVERY_ROW else ["ts_event", *self._content()]
        if self._identity is Identity.CONTENT and self._table.id_column:
            day = self._with_copies(day, identity)
            identity.append(_COPY)
        newest_first = bool((day["ts_init"].diff() <= 0).all())  # then the later of two lines of one moment came first
        # several messages of one line stay in their order
        day = day.sort("ts_init", "raw_row", descending=[False, newest_first], maintain_order=True)
        if self._table.id_column:
            day = synthetic_ids.Ordinals(self._table.id_column).numbered(day, self._raw.origin_starts())
        unique = day.unique(subset=identity, keep="first", maintain_order=True) if identity else day
        self.duplicates = len(day) - len(unique)
        if self._table.id_column and self._identity is Identity.ID:
            self.conflicting_ids = int(unique[self._table.id_column].is_duplicated().sum())
        for start in range(0, len(unique), _PASSED_ON):
            self._frame.add(unique.slice(start, _PASSED_ON))

    def _with_copies(self, day: pl.DataFrame, content: list[str]) -> pl.DataFrame:
        """With ``_COPY``: which one of the equal rows of its message a row is.

        A message is what one landing file holds of one arrival, line after line.
        """
        day = day.sort("raw_row", maintain_order=True)
        origin = np.searchsorted(np.asarray(self._raw.origin_starts(), np.int64), day["raw_row"].to_numpy(), "right")
        message = pl.struct("ts_init", pl.lit(pl.Series("origin", origin))).rle_id()
        copies = pl.int_range(pl.len(), dtype=pl.UInt32).over(*content, _MESSAGE) * (~pl.col(synthetic_ids.MADE)).cast(
            pl.UInt32
        )
        return day.with_columns(message.alias(_MESSAGE)).with_columns(copies.alias(_COPY)).drop(_MESSAGE)
