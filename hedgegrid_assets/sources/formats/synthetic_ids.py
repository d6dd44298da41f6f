"""Ids for rows that came without one: a hash of the row's content, ``-2``, ``-3`` behind it for rows that are alike.

A venue may write anything for an id, so that which ids were made stands beside them, in the column ``MADE``.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

MARK: Final = "~"
"""In front of the ids that are made here."""
MADE: Final = "made"
"""Column that is true where the id was made."""
LONGEST: Final = 36
"""Most characters of an id that Nautilus can hold."""
SHORTENED: Final = r"~[0-9a-f]{32}"
"""What stands for a longer one in its files."""
REMEMBERED_NS: Final = 60_000_000_000
"""How far exchange times step back at most in rows that are numbered as they come."""
_NUMBER: Final = r"-[0-9]+$"
_NOT_CONTENT: Final = frozenset({"raw_row", "part", MADE})
_SEEDS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_FACTORS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_NULL: Final = -(2**63)


def filled(frame: pl.DataFrame, column: str, base: pl.Series | None = None) -> pl.DataFrame:
    """The frame with an id for each row that has none, and ``MADE``.

    ``base`` is what a source's own rule makes of each row; None: 96 bits of hash over all other columns but
    ``raw_row``. Equal rows get equal ids, on every machine and in every version; ``Ordinals`` tells them apart.
    """
    if not frame[column].null_count():
        return frame.hstack([pl.Series(MADE, [False]).new_from_index(0, len(frame))])
    marked = frame.with_columns(pl.col(column).is_null().alias(MADE))
    made = _hashed(frame, column) if base is None else base
    return marked.with_columns(pl.coalesce(column, made.alias(MADE)).alias(column))


def _hashed(frame: pl.DataFrame, column: str) -> pl.Series:
    lanes = [
        lane
        for series in frame.get_columns()
        if series.name != column and series.name not in _NOT_CONTENT
        for lane in _lanes(series)
    ]
    high, low = (_mixed(lanes, seed) for seed in _SEEDS)
    return pl.select(pl.lit(MARK) + hexadecimal([high, low], 12)).to_series()


def shortened(ids: pl.Series) -> pl.Series:
    """Ids as Nautilus can hold them: for a longer one 128 bits of hash of its text, the same on every machine."""
    every = ids.str.len_bytes()
    if int(str(every.max() or 0)) <= LONGEST:
        return ids
    ids = ids.clone()  # scatter changes a series where it stands: whoever gave it keeps theirs
    lengths = every.filter(every > LONGEST)
    for length in lengths.unique():  # of one length, so that what stands beside a text has no part in its hash
        here = ids.str.len_bytes() == length
        texts = ids.filter(here).str.pad_end(-(-length // 8) * 8, "\0")
        words = np.frombuffer("".join(texts).encode(), "<u8").reshape(len(texts), -1).astype(np.uint64)
        lanes = [np.full(len(texts), length, np.uint64), *words.T]
        made = pl.select(pl.lit(MARK) + hexadecimal([_mixed(lanes, seed) for seed in _SEEDS], 16)).to_series()
        ids = ids.scatter(here.arg_true(), made)
    return ids


def hexadecimal(words: Sequence[np.ndarray], size: int) -> pl.Series:
    """The first ``size`` bytes of some 64-bit words a row, as hexadecimal digits."""
    data = np.ascontiguousarray(np.stack(words, axis=1).astype(">u8").view(np.uint8)[:, :size])
    digests = pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), len(data), [None, pa.py_buffer(data.tobytes())])
    return pl.Series("made", pl.from_arrow(digests.cast(pa.binary()))).bin.encode("hex")


class Ordinals:
    """Numbers made ids that are alike, in the order of the rows.

    Rows that are alike have one exchange time, so that those of the last minute of it are all that need be remembered
    from block to block; ``at_once`` says whether that is enough.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self._newest = _NULL
        self._seen: list[tuple[int, pl.DataFrame]] = []

    def at_once(self, frame: pl.DataFrame) -> bool:
        """No made id is so old that one like it may be forgotten: the frame can be numbered without all rows."""
        times = frame.filter(MADE)["ts_event"]
        return not len(times) or int(str(times.min())) >= self._newest - REMEMBERED_NS

    def numbered(self, frame: pl.DataFrame, starts: Sequence[int] = ()) -> pl.DataFrame:
        """The frame with its made ids numbered; rows from different files (``starts``: first raw rows) count apart.

        So the rows that two files share have the same ids, and can be told from trades that happened twice. Ids that
        are numbered already are numbered anew.
        """
        made = frame[MADE]
        if not made.any():
            return frame
        rows = frame if made.all() else frame.filter(made)
        origin = np.searchsorted(np.asarray(starts, np.int64), rows["raw_row"].to_numpy(), "right")
        rows = rows.select(
            "ts_event", pl.col(self._column).str.replace(_NUMBER, "").alias("base"), pl.Series("origin", origin)
        ).with_columns(nth=pl.int_range(1, pl.len() + 1).over("base", "origin"))
        before = self._before(rows)
        if len(before):
            seen = rows.join(before, on=["base", "origin"], how="left", maintain_order="left")["seen"]
            rows = rows.with_columns(nth=pl.col("nth") + seen.fill_null(0))
        self._remember(rows)
        ids = rows.select(
            pl.when(pl.col("nth") == 1)
            .then("base")
            .otherwise(pl.concat_str("base", pl.lit("-"), pl.col("nth").cast(pl.String)))
        )["base"]
        if len(rows) < len(frame):
            ids = frame[self._column].scatter(made.arg_true(), ids)
        return frame.with_columns(ids.alias(self._column))

    def _before(self, rows: pl.DataFrame) -> pl.DataFrame:
        """How often ids were seen before that may come again in these rows."""
        least = int(str(rows["ts_event"].min()))
        near = [seen.filter(pl.col("ts_event") >= least) for newest, seen in self._seen if newest >= least]
        empty = rows.clear().select("base", "origin", seen="nth")
        return pl.concat(near).group_by("base", "origin").agg(pl.col("nth").max().alias("seen")) if near else empty

    def _remember(self, rows: pl.DataFrame) -> None:
        newest = int(str(rows["ts_event"].max()))
        self._newest = max(newest, self._newest)
        self._seen = [kept for kept in self._seen if kept[0] >= self._newest - REMEMBERED_NS]
        self._seen.append((newest, rows))


class Flags:
    """Which raw rows have something, as ranges of raw rows: of a day of one kind they take no room."""

    def __init__(self) -> None:
        self._starts: list[np.ndarray] = []
        self._ends: list[np.ndarray] = []

    def add(self, rows: pl.Series, flags: pl.Series) -> None:
        """Rows in rising order, after all those before."""
        if not flags.any():
            return
        numbers, flagged = rows.to_numpy(), flags.to_numpy()
        edges = np.diff(flagged.astype(np.int8), prepend=0, append=0)
        self._starts.append(numbers[np.flatnonzero(edges == 1)])
        self._ends.append(numbers[np.flatnonzero(edges == -1) - 1])

    def of(self, rows: pl.Series) -> pl.Series:
        """The flags of some of the rows."""
        if not self._starts:
            return pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(rows))
        starts, ends = np.concatenate(self._starts), np.concatenate(self._ends)
        numbers = rows.to_numpy()
        place = np.searchsorted(starts, numbers, "right") - 1
        return pl.Series((place >= 0) & (numbers <= ends[place]))


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
