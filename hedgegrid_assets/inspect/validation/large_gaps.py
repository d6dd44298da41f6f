"""The guide's own measure of gaps: steps of more than a minute between trades."""

from typing import Final

import polars as pl

from hedgegrid_assets.timestamps import NS_PER_SECOND

LARGE_GAP_NS: Final = 60 * NS_PER_SECOND
"""The guide's own measure of a large gap between trades."""


class LargeGaps:
    """Counts steps of more than a minute between trades of one instrument, over all its days."""

    def __init__(self) -> None:
        self.count = 0
        self._instrument = ""
        self._last: int | None = None

    def add(self, instrument_id: str, block: pl.DataFrame) -> None:
        """Take rows of a day, in stored order; days of one instrument follow each other."""
        times = block["ts_event"]
        if not len(times):
            return
        if instrument_id != self._instrument:
            self._instrument, self._last = instrument_id, None
        self.count += int((times.diff().drop_nulls() > LARGE_GAP_NS).sum())
        self.count += self._last is not None and times[0] - self._last > LARGE_GAP_NS
        self._last = times[-1]
