"""Ids for rows that came without one: a hash of the row's content, ``-2``, ``-3`` behind it for rows that are alike."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

MARK: Final = "~"
"""In front of every made id; no venue writes one."""
_BASE: Final = r"^(~[0-9a-f]{24})"
_NOT_CONTENT: Final = frozenset({"raw_row"})
_SEEDS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_FACTORS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_NULL: Final = -(2**63)


def filled(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """The frame with an id for each row that has none: 96 bits of hash over all other columns but ``raw_row``.

    Equal rows get equal ids, on every machine and in every version; ``Ordinals`` tells them apart.
    """
    if not frame[column].null_count():
        return frame
    lanes = [
        lane
        for series in frame.get_columns()
        if series.name != column and series.name not in _NOT_CONTENT
        for lane in _lanes(series)
    ]
    high, low = (_mixed(lanes, seed) for seed in _SEEDS)
    words = np.stack([high >> np.uint64(32), high & np.uint64(0xFFFFFFFF), low >> np.uint64(32)], axis=1).astype(">u4")
    digests = pa.FixedSizeBinaryArray.from_buffers(pa.binary(12), len(frame), [None, pa.py_buffer(words.tobytes())])
    made = pl.Series("made", pl.from_arrow(digests.cast(pa.binary()))).bin.encode("hex")
    return frame.with_columns(pl.coalesce(column, pl.lit(MARK) + made).alias(column))


def are_made(ids: pl.Series) -> pl.Series:
    """Which ids were made here."""
    return ids.str.contains(_BASE)


class Ordinals:
    """Numbers made ids that are alike, in the order of the rows.

    Rows come sorted by ``ts_init``, a part of their hash, so that like rows are near each other, also across blocks.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self._at: int | None = None
        self._counts: dict[str, int] = {}

    def numbered(self, frame: pl.DataFrame, starts: Sequence[int] = ()) -> pl.DataFrame:
        """The frame with its ids numbered; rows from different files (``starts``: first raw rows) count apart.

        So the rows that two files share have the same ids, and can be told from trades that happened twice.
        """
        if not len(frame) or not are_made(frame[self._column]).any():
            return frame
        origin = np.searchsorted(np.asarray(starts, np.int64), frame["raw_row"].to_numpy(), "right")
        base = pl.col(self._column).str.extract(_BASE, 1)
        marked = frame.with_columns(base=base, origin=pl.Series(origin, dtype=pl.Int64))
        nth = pl.int_range(1, pl.len() + 1).over("base", "origin")
        carried = pl.col("base").replace_strict(self._counts, default=0, return_dtype=pl.Int64) if self._counts else 0
        numbered = marked.with_columns(
            nth=nth + pl.when(pl.col("ts_init") == pl.lit(self._at, pl.Int64)).then(carried).otherwise(0)
        )
        self._remember(numbered)
        named = (
            pl.when(pl.col("base").is_null())
            .then(self._column)
            .when(pl.col("nth") == 1)
            .then("base")
            .otherwise(pl.concat_str("base", pl.lit("-"), pl.col("nth").cast(pl.String)))
        )
        return numbered.with_columns(named.alias(self._column)).drop("base", "origin", "nth")

    def _remember(self, numbered: pl.DataFrame) -> None:
        """Counts of the ids of the last moment: only they can go on in the next block."""
        self._at = numbered["ts_init"][-1]
        last = numbered.filter((pl.col("ts_init") == self._at) & pl.col("base").is_not_null())
        self._counts = dict(last.group_by("base").agg(pl.col("nth").max()).iter_rows())


def _lanes(series: pl.Series) -> list[np.ndarray]:
    """A column as one or two 64-bit numbers a row."""
    if isinstance(series.dtype, pl.Decimal):
        array = series.cast(pl.Decimal(38, 16)).fill_null(0).rechunk().to_arrow()
        values = np.frombuffer(array.buffers()[1], np.uint64).reshape(-1, 2)[array.offset : array.offset + len(array)]
        return [values[:, 0], values[:, 1]]
    if isinstance(series.dtype, pl.Enum):
        series = series.to_physical()
    whole: Any = series.cast(pl.Int64).fill_null(_NULL).to_numpy()
    return [whole.view(np.uint64)]


def _mixed(lanes: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """splitmix64's finalizer, lane by lane."""
    state = np.full(len(lanes[0]), seed, np.uint64)
    for lane in lanes:
        state = (state ^ lane) + np.uint64(_SEEDS[0])
        state = (state ^ (state >> np.uint64(30))) * np.uint64(_FACTORS[0])
        state = (state ^ (state >> np.uint64(27))) * np.uint64(_FACTORS[1])
        state = state ^ (state >> np.uint64(31))
    return state
