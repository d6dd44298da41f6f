"""A frame that a new one takes the place of: are any of its rows lost?"""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from msgspec import Struct

from hedgegrid_assets.errors import RowsWouldBeLost
from hedgegrid_assets.model import InstrumentDay, Status, Table
from hedgegrid_assets.stages.frames import read_blocks
from hedgegrid_assets.stages.raw import RawDay, is_corrected
from hedgegrid_assets.stages.verdict import Verdict, read_verdict
from hedgegrid_assets.store import AnyFile, Places, StorePath
from hedgegrid_assets.wording import counted


class Earlier(Struct, frozen=True):
    """The stored frame of a day that is made anew from other raw bytes.

    ``corrected``: they are a later content of the same origin, which may have fewer rows.
    """

    day: InstrumentDay
    table: Table
    raw: RawDay
    frame: StorePath
    verdict: Verdict
    corrected: bool
    force: bool = False

    @classmethod
    def of(
        cls, places: Places, day: InstrumentDay, table: Table, raw: RawDay, *, force: bool = False
    ) -> "Earlier | None":
        """None where there is none, or none that is good, or it is of the same bytes."""
        verdict = read_verdict(places, table, day)
        frame = places.frame(day.instrument_id, table.folder, day.date)
        if verdict is None or verdict.status is Status.BLOCKED or not frame.exists():
            return None
        if verdict.raw_sha256 == [raw.sha256]:
            return None
        return cls(day, table, raw, frame, verdict, is_corrected(places, raw, verdict.raw_sha256), force)

    def compared(self, new: Path, rows: int) -> str | None:
        """What to say of a new frame of so many rows.

        Raises RowsWouldBeLost if it is of another origin and lacks some, unless that is forced.
        """
        held = self.verdict.rows.rows_out
        if self.corrected:
            if rows >= held:
                return None
            return f"{self.day} {self.table.name}: made anew from a corrected file: {counted(rows, 'row')}, {held:,} before"
        lost = self._lost(new)
        origin = self.raw.manifest.origin[0].path or str(self.raw.path)
        lost = max(lost, held - rows)
        if lost > 0 and not self.force:
            raise RowsWouldBeLost(str(self.day), self.table.name, lost, held, rows, origin)
        if lost > 0:
            return f"{self.day} {self.table.name}: replaced by force: {lost:,} of {held:,} rows are not in {origin}"
        return (
            f"{self.day} {self.table.name}: replaced by data of another origin, {origin}: all {held:,} rows are in them"
        )

    def _lost(self, new: Path) -> int:
        """Rows of the stored frame that the new one has not; when they arrived does not matter."""
        try:
            before, after = _hashes(self.frame, self.table), _hashes(new, self.table)
        except (pa.ArrowException, OSError):  # it cannot be read any more; then the counts decide
            return 0
        return int((~np.isin(before, after)).sum())


def _hashes(frame: AnyFile, table: Table) -> np.ndarray:
    """8 bytes a row: of all that it says but its place in a file and its arrival."""
    columns = ["ts_event", *(column.name for column in table.columns if column.name not in table.whole_day)]
    decimals = pl.selectors.decimal().cast(pl.Decimal(38, 16))
    blocks = [block.select(columns).with_columns(decimals).hash_rows() for block in read_blocks(frame, table, columns)]
    return np.concatenate([np.empty(0, np.uint64), *(block.to_numpy() for block in blocks)])
