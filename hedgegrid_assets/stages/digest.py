"""The digest of a frame's content: what a verdict is bound to, and Dagster's data version."""

import hashlib
from collections.abc import Collection
from typing import Any, Final, NamedTuple, Self

import numpy as np
import polars as pl

from hedgegrid_assets.store import from_arrow

_LEFT_OUT: Final = "raw_row"
_AT_ONCE: Final = 65_536
"""Rows that are null, of a column that came later and says something behind them."""


class ContentDigest:
    """sha256 per column over the value buffers, combined: the same for any codec and any cut into blocks.

    ``raw_row`` is left out: it tells where a row came from, not what it says, and differs between a file that is read
    in place and a copy of its lines. ``later``: columns that are as if they were not there where they say nothing.
    """

    def __init__(self, instrument_id: str, later: Collection[str] = ()) -> None:
        self._instrument, self._later = instrument_id, later
        self._columns: dict[str, tuple[str, _Hashes]] = {}
        self._unfilled: dict[str, str] = {}
        self._of_unfilled: dict[str, _Hashes] = {}
        self.rows = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows in stored order; columns that are null so far, as many are for good, are hashed as one a type, or not yet."""
        unfilled: dict[str, pl.Series] = {}
        for series in frame.get_columns():
            name, kind = series.name, _kind(series.dtype)
            if name == _LEFT_OUT:
                continue
            if name not in self._columns and series.null_count() == len(series):
                self._unfilled[name] = kind
                if name not in self._later:
                    unfilled[kind] = series
                continue
            if name not in self._columns:
                self._columns[name] = kind, self._so_far(series)
            self._columns[name][1].add(series, self.rows)
        for kind, series in unfilled.items():
            self._of_unfilled.setdefault(kind, _Hashes.begun()).add(series, self.rows)
        self.rows += len(frame)

    def _so_far(self, series: pl.Series) -> "_Hashes":
        """What a column is begun with of which all rows until now are null."""
        if series.name in self._unfilled and series.name not in self._later:
            return self._of_unfilled[_kind(series.dtype)].copied()
        hashes = _Hashes.begun()
        for first in range(0, self.rows, _AT_ONCE):
            nulls = series.clear().extend_constant(None, min(_AT_ONCE, self.rows - first))
            hashes.add(nulls, first)
        return hashes

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        silent = [(name, kind) for name, kind in self._unfilled.items() if name not in self._later]
        unfilled = {name: (kind, self._of_unfilled[kind]) for name, kind in silent}
        parts = [f"{self._instrument}|{self.rows}"]
        for name, (kind, hashes) in sorted({**unfilled, **self._columns}.items()):
            parts.append("|".join([name, kind, *(each.hexdigest() for each in hashes)]))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class _Hashes(NamedTuple):
    """Of a column: of its value bytes, of the lengths of its texts, and of the numbers of the rows that are null."""

    values: "hashlib._Hash"
    lengths: "hashlib._Hash"
    nulls: "hashlib._Hash"

    @classmethod
    def begun(cls) -> Self:
        """Of no row."""
        return cls(hashlib.sha256(), hashlib.sha256(), hashlib.sha256())

    def copied(self) -> "_Hashes":
        """The same, to go on by itself."""
        return _Hashes(*(each.copy() for each in self))

    def add(self, series: pl.Series, first_row: int) -> None:
        """Take the next rows, of which the first has this number."""
        for each, buffer in zip(self, _buffers(series, first_row), strict=True):
            each.update(buffer)


def _kind(dtype: pl.DataType) -> str:
    return f"decimal{dtype.scale}" if isinstance(dtype, pl.Decimal) else dtype.base_type().__name__


def _buffers(series: pl.Series, first_row: int) -> tuple[Any, Any, Any]:
    """Value bytes, lengths of texts, and the numbers of the rows that are null."""
    lengths: Any = b""
    nulls: Any = b""
    if isinstance(series.dtype, pl.Enum):
        series = from_arrow(series.name, series.to_arrow().indices).cast(pl.UInt8)
    elif series.dtype == pl.Boolean:
        series = series.cast(pl.UInt8)
    if series.null_count():
        nulls = _rows_without(series, first_row).data
        series = series.fill_null("" if series.dtype == pl.String else 0)
    series = series.rechunk()
    if series.dtype == pl.String:
        text = series.to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, data = text.buffers()
        ends = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
        lengths = np.diff(ends).astype(np.uint32).data
        values: Any = memoryview(data)[ends[0] : ends[-1]] if data else b""
    elif isinstance(series.dtype, pl.Decimal):
        array = series.to_arrow()
        values = memoryview(array.buffers()[1])[array.offset * 16 : (array.offset + len(array)) * 16]
    else:
        values = series.to_numpy().data
    return values, lengths, nulls


def _rows_without(series: pl.Series, first_row: int) -> np.ndarray:
    if series.null_count() == len(series):
        return np.arange(first_row, first_row + len(series), dtype=np.uint64)
    return (series.is_null().arg_true().cast(pl.UInt64) + first_row).to_numpy()
