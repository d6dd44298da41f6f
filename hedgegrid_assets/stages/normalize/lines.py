"""Lines are counted beside rows, as one may give several rows or none."""

import polars as pl

from hedgegrid_assets.batch import Decoded
from hedgegrid_assets.model import LineCounts


class LineCounter:
    """Counts the lines of decoded blocks; no line is in two of them."""

    def __init__(self) -> None:
        self._with_rows = self._rejected = self._excluded = self._without_rows = 0
        self._each_one_row = True

    def add(self, decoded: Decoded) -> None:
        """Count the lines of a block."""
        rows, rejects = decoded.rows["raw_row"], decoded.rejects
        found = _distinct(rows)
        hollow = 0 if decoded.hollow is None else decoded.rows[decoded.hollow].null_count()
        without = decoded.without_rows + hollow
        self._with_rows += found - hollow
        self._without_rows += without
        self._each_one_row &= found == len(rows) and not without
        if len(rejects):
            self._add_rejects(rows, rejects)

    def _add_rejects(self, rows: pl.Series, rejects: pl.DataFrame) -> None:
        held = ~pl.col("reason").str.starts_with("excluded_")
        alone = (
            rejects.filter(~pl.col("raw_row").is_in(rows.implode())).group_by("raw_row").agg(held.any().alias("held"))
        )
        rejected = int(alone["held"].sum())
        self._rejected += rejected
        self._excluded += len(alone) - rejected
        self._each_one_row &= len(alone) == len(rejects)

    def counts(self) -> LineCounts | None:
        """All lines so far; None where each gave one row, or was rejected."""
        if self._each_one_row:
            return None
        return LineCounts(self._with_rows, self._rejected, self._excluded, self._without_rows)


def _distinct(rows: pl.Series) -> int:
    """How many lines the rows stand on, which come line after line."""
    numbers = rows.to_numpy()
    return int((numbers[1:] != numbers[:-1]).sum()) + 1 if len(numbers) else 0
