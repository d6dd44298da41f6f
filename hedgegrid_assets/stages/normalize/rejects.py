"""The lines of a raw day that a table cannot hold: why, where they stand, and their text."""

from collections import Counter
from typing import Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages.raw import LINES_REMEDY, REJECT_SCHEMA, RawDay
from hedgegrid_assets.store import BlockReader, Places, atomic_write, reading

_NONE: Final = pl.DataFrame(schema=REJECT_SCHEMA)


class Rejects:
    """Rejects of one table as they come, block after block.

    ``id_key``: the raw field that holds ids, where they may count.
    """

    def __init__(self, raw: RawDay, id_key: str | None) -> None:
        self._raw, self._id_key = raw, id_key
        self._blocks: list[pl.DataFrame] = []
        self._excluded: list[np.ndarray] = []
        self._all: pl.DataFrame | None = None

    def add(self, rejects: pl.DataFrame) -> None:
        """Take rows of ``raw_row, reason, field, value, raw, ts_init``."""
        if not len(rejects):
            return
        self._blocks.append(rejects)
        if self._id_key is not None:
            numbers = rejects.filter(pl.col("reason").str.starts_with("excluded_"))["raw"].str.extract(
                rf'"{self._id_key}"\s*:\s*(\d+)', 1
            )
            self._excluded.append(numbers.cast(pl.Int64, strict=False).drop_nulls().to_numpy())

    def excluded_ids(self) -> np.ndarray:
        """Ids of what the venue itself marks as no trade, sorted."""
        return np.sort(np.concatenate([*self._excluded, np.empty(0, np.int64)]))

    def by_reason(self) -> Counter[str]:
        """How many there are of each reason."""
        return Counter(dict(self.all()["reason"].value_counts().iter_rows()) if self._blocks else {})

    def all(self) -> pl.DataFrame:
        """All of them, in the order of the raw file, with landing file and line."""
        if self._all is None:
            self._all = self._located()
        return self._all

    def _located(self) -> pl.DataFrame:
        if not self._blocks:
            return _NONE
        rejects = pl.concat(self._blocks).sort("raw_row")
        rows = rejects["raw_row"].to_list()
        if self._raw.lines is not None and self._raw.lines.exists():
            with reading(self._raw.lines, "the lines of a raw day", LINES_REMEDY):
                origins = pq.ParquetFile(self._raw.lines.local()).read().take(rejects["raw_row"].to_arrow())
            files, lines = origins.column("file").to_pylist(), origins.column("line").to_pylist()
        else:
            name = self._raw.manifest.origin[0].path or str(self._raw.path)
            files, lines = [name] * len(rows), [row + 1 for row in rows]
        return rejects.with_columns(
            file=pl.Series(files, dtype=pl.String),
            line=pl.Series(lines, dtype=pl.UInt64),
            stage=pl.lit("normalize"),
            ts_init=pl.col("ts_init").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"),
        ).select(REJECT_SCHEMA.names())

    def store(self, places: Places, day: InstrumentDay, table: Table) -> None:
        """Publish them, each with the text of its line; none: there is no file."""
        final = places.rejects(day.instrument_id, table.folder, day.date)
        rejects = self.all()
        if not len(rejects):
            final.unlink(missing_ok=True)
            return
        missing = rejects.filter(pl.col("raw").is_null())["raw_row"]
        if len(missing):
            rejects = rejects.with_columns(
                raw=pl.coalesce("raw", pl.col("raw_row").replace_strict(_raw_text(self._raw, missing), default=None))
            )
        with atomic_write(final, places.catalog_temp) as temporary:
            rejects.write_parquet(temporary, compression="zstd")


def _raw_text(raw: RawDay, rows: pl.Series) -> dict[int, str]:
    """The text of some raw rows, at most 4 kB each: read again, as rejects of this kind are rare."""
    wanted = set(rows.to_list())
    found: dict[int, str] = {}
    for block in BlockReader(raw.path):
        count = block.lines
        here = [row for row in wanted if block.first_line <= row < block.first_line + count + 1]
        if here:
            lines = block.data.split(b"\n")
            found |= {
                row: lines[row - block.first_line].decode(errors="backslashreplace").rstrip("\r")[:4096]
                for row in here
                if row - block.first_line < len(lines)
            }
    return found
