"""What is missing in a day: silences, and holes in the ids, where ids rise by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, override

import numpy as np
import polars as pl
from msgspec import Struct

from hedgegrid_assets.model import Cause, Contiguous, Counted, Counter, DayContext, Gap, Held, Rows
from hedgegrid_assets.tables.rules.counters import Steps
from hedgegrid_assets.timestamps import NS_PER_SECOND

CONTIGUOUS_SHARE: Final = 0.99
"""Ids of which so many have their predecessor are held to rise by one ..."""
CONTIGUOUS_STEPS: Final = 100
"""... where there are at least so many steps."""
MOST_LATE_IDS: Final = 4_000_000
_CANDIDATES: Final = 200_000
_THREE_SECONDS_FROM_MS: Final = 2_500


def cadence_seconds(median_ms: float) -> int:
    """The stream that steps of this median belong to: 1 s (also with every second update lost) or 3 s."""
    return 1 if median_ms < _THREE_SECONDS_FROM_MS else 3


CAUSES: Final = tuple(Cause)
_UNKNOWN: Final = CAUSES.index(Cause.UNKNOWN)
_LOSSES: Final = np.array([cause.is_loss for cause in CAUSES])


@dataclass(frozen=True, slots=True, eq=False)
class GapRows:
    """Gaps as columns, in order of time: a quiet day of few trades has one behind nearly every row.

    ``start`` and ``end`` in ns; ``cause``: its place in ``CAUSES``.
    """

    start: np.ndarray
    end: np.ndarray
    ids_missing: np.ndarray
    cause: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GapRows) and list(self) == list(other)

    def __iter__(self) -> Iterator[Gap]:
        columns = (self.start, self.end, self.ids_missing)
        causes = map(CAUSES.__getitem__, self.cause.tolist())
        return map(Gap, *(column.tolist() for column in columns), causes, seconds_of(self.length))

    @property
    def length(self) -> np.ndarray:
        """Of each, in ns."""
        return self.end - self.start

    @property
    def is_loss(self) -> np.ndarray:
        """Of each: data are missing."""
        return _LOSSES[self.cause]

    def worst(self, most: int) -> "GapRows":
        """At most so many, in order of time: losses before silences that are none, long before short."""
        if len(self) <= most:
            return self
        order = np.lexsort((-self.ids_missing, -self.length, ~self.is_loss))[:most]
        order = order[np.argsort(self.start[order], kind="stable")]
        return GapRows(self.start[order], self.end[order], self.ids_missing[order], self.cause[order])


def seconds_of(ns: np.ndarray) -> list[float]:
    """Lengths in seconds, each rounded to a thousandth of one as ``round`` does it."""
    thousandths, rest = np.divmod(ns, 1_000_000)
    seconds: list[float] = ((thousandths + (rest > _HALF)) / 1e3).tolist()
    for place in np.flatnonzero(rest == _HALF).tolist():  # the float decides which way it goes
        seconds[place] = round(int(ns[place]) / 1e9, 3)
    return seconds


_HALF: Final = 500_000
_NO_PAIRS: Final = pl.DataFrame()
NO_GAPS: Final = GapRows(*(np.empty(0, np.int64),) * 3, np.empty(0, np.int8))


class GapsFound(Struct, frozen=True):
    """The gaps of a day, and what its ids are.

    Attributes:
        gap_seconds: The longest silence that is none; None: silences are not looked for.
        gaps: In order of time.
        holes_unlisted: Holes in the ids beyond those in ``gaps``.
        first_id: The smallest of the ids that are integers; ``last_id`` the largest.
        integer_ids: All ids are integers.
        contiguous: Each id is the one before plus one.
        rising_by_one: Share of ids whose predecessor is there as well; None where that cannot be told.
    """

    gap_seconds: float | None
    gaps: GapRows
    holes_unlisted: int
    first_id: int | None
    last_id: int | None
    integer_ids: bool
    contiguous: Contiguous
    rising_by_one: float | None


class Gaps(Counter[GapsFound]):
    """Follows times and ids."""

    needs: ClassVar[tuple[type[Counter[Any]], ...]] = (Steps,)

    def __init__(self, held: Held) -> None:
        self._held, self._id_column = held, held.table.id_column
        self._shortest_gap = self._gap_seconds(5.0)
        self._rows = 0
        self._candidates: list[pl.DataFrame] = []
        self._jumps = 0
        self._holes_unlisted = 0
        self._first_id: int | None = None
        self._ends: list[int | None] = [None, None]
        self._late_ids: list[np.ndarray] = []
        self._late = 0
        self._higher = 0
        self._all_integers = True
        self._rising = True

    @property
    def ids_rise(self) -> bool:
        """Ids are integers and each is above the one before: none can be there twice."""
        return self._rising

    @override
    def add(self, rows: Rows) -> None:
        self._rows += len(rows.new)
        found = self._behind_rising(rows)
        if found is None:
            found = self._behind_any(rows)
        if not len(found):
            return
        if self._jumps >= _CANDIDATES:  # silences are always kept: a day has room for few of them
            kept = found.filter(self._silent)
            self._holes_unlisted += len(found) - len(kept)
            found = kept
        self._jumps += len(found)
        self._candidates.append(found)

    @property
    def _numeric(self) -> pl.Expr:
        return pl.col(self._id_column).cast(pl.Int64, strict=False) if self._id_column else pl.lit(None, pl.Int64)

    @property
    def _silent(self) -> pl.Expr:
        if not self._shortest_gap:
            return pl.lit(value=False)
        return (pl.col("end") - pl.col("start")) > int(self._shortest_gap * NS_PER_SECOND)

    def _behind_rising(self, rows: Rows) -> pl.DataFrame | None:
        """The rows behind a silence or a hole, where ids rise, as they nearly always do; None where they do not."""
        found = np.zeros(len(rows.new) - 1 + rows.carried, np.bool_)
        if self._id_column:
            numbers = rows.new[self._id_column].cast(pl.Int64, strict=False)
            if not self._rising or numbers.null_count():
                return None
            ids, last = numbers.to_numpy(), self._ends[1]
            steps = np.diff(ids) if last is None else np.diff(ids, prepend=last)
            if len(steps) and steps.min() <= 0:
                return None
            self._first_id = int(ids[0]) if self._first_id is None else self._first_id
            self._ends = [self._first_id, int(ids[-1])]
            self._higher += len(steps)
            found |= steps > 1
        if self._shortest_gap:
            found |= rows.steps("ts_init") > int(self._shortest_gap * NS_PER_SECOND)
        return self._pairs_at(rows, np.flatnonzero(found))

    def _pairs_at(self, rows: Rows, before: np.ndarray) -> pl.DataFrame:
        """Rows of ``joined`` and those behind them."""
        if not len(before):
            return _NO_PAIRS
        every = rows.joined.select("ts_init", "raw_row", *([self._id_column] if self._id_column else []))
        first, second = (
            every[places.tolist()].select("ts_init", "raw_row", id=self._numeric)  # arrays would import ``numpy.ma``
            for places in (before, before + 1)
        )
        return pl.DataFrame(
            {
                "start": first["ts_init"],
                "end": second["ts_init"],
                "id_before": first["id"],
                "id": second["id"],
                "row_before": first["raw_row"],
                "row": second["raw_row"],
            }
        )

    def _behind_any(self, rows: Rows) -> pl.DataFrame:
        """The rows behind a silence or a hole, whatever the ids are."""
        pairs = rows.joined.select(
            start=pl.col("ts_init").shift(1),
            end="ts_init",
            id_before=pl.max_horizontal(self._numeric.cum_max().shift(1), pl.lit(self._ends[1], pl.Int64)),
            id=self._numeric,
            row_before=pl.col("raw_row").shift(1),
            row="raw_row",
        )
        self._follow_ids(pairs, rows.carried)
        return pairs.filter(self._silent | ((pl.col("id") - pl.col("id_before")) > 1))

    def _follow_ids(self, pairs: pl.DataFrame, carried: int) -> None:
        ids = pairs["id"]
        self._first_id = self._first_id if carried else ids[0]
        self._all_integers = self._all_integers and ids.null_count() == 0
        self._rising = self._rising and self._all_integers and bool((ids.diff().drop_nulls() > 0).all())
        if not self._rising and self._late <= MOST_LATE_IDS:
            # rows of one time may come in any order: they fill the holes that they left
            late = pairs.slice(carried).filter(pl.col("id") < pl.col("id_before"))["id"]
            self._late_ids.append(late.to_numpy())
            self._late += len(late)
        self._higher += len(ids) - 1 if self._rising else int((ids > pairs["id_before"]).sum())
        self._ends = [_of(min, self._ends[0], ids.min()), _of(max, self._ends[1], ids.max())]

    def _gap_seconds(self, unknown: float) -> float:
        if self._held.thresholds.gap_seconds is not None:
            return self._held.thresholds.gap_seconds
        return self._held.table.gap_seconds if self._held.table.gap_seconds is not None else unknown

    @override
    def result(self, day: Counted) -> GapsFound:
        late_ids = _distinct(np.concatenate([*self._late_ids, np.empty(0, np.int64)]))
        rising_by_one, ids_after_first = self._rising_by_one(late_ids)
        contiguous = self._contiguous(day.known, ids_after_first, rising_by_one)
        gap_seconds = self._gap_seconds(5.0 * cadence_seconds(day.of(Steps).median_ms))
        return GapsFound(
            gap_seconds=gap_seconds or None,
            gaps=self._gaps(gap_seconds, day.known, late_ids, contiguous=contiguous != "no"),
            holes_unlisted=self._holes_unlisted if contiguous != "no" else 0,
            first_id=self._ends[0],
            last_id=self._ends[1],
            integer_ids=self._all_integers and self._first_id is not None,
            contiguous=contiguous,
            rising_by_one=rising_by_one,
        )

    def _contiguous(self, known: DayContext, ids_after_first: int, rising_by_one: float | None) -> Contiguous:
        if not self._rows and known.contiguous_ids:
            return "declared"
        if self._ends[1] is None or self._late > MOST_LATE_IDS:
            return "no"
        if known.contiguous_ids:
            return "declared"
        enough = ids_after_first >= CONTIGUOUS_STEPS
        return "found" if enough and rising_by_one is not None and rising_by_one >= CONTIGUOUS_SHARE else "no"

    def _rising_by_one(self, late_ids: np.ndarray) -> tuple[float | None, int]:
        """Share of the ids after the first whose predecessor is there, and how many they are.

        None where they are no integers, one id only, or in a disorder that would take too much memory.
        """
        if self._first_id is None or not self._all_integers or self._rows < 2 or self._late > MOST_LATE_IDS:
            return None, 0
        jumps = [found.filter(pl.col("id") - pl.col("id_before") > 1) for found in self._candidates]
        starts, ends = (
            np.concatenate([np.empty(0, np.int64), *(found[name].to_numpy() for found in jumps)])
            for name in ("id_before", "id")
        )
        holes, filled = _holes(self._first_id, starts, ends, late_ids)
        after_first = self._higher + filled
        return (round(1 - (holes + self._holes_unlisted) / after_first, 6) if after_first else None), after_first

    def _gaps(self, gap_seconds: float, known: DayContext, late_ids: np.ndarray, *, contiguous: bool) -> GapRows:
        if not self._candidates:
            return NO_GAPS
        found = pl.concat(self._candidates)
        start, end, row_before, row = (found[name].to_numpy() for name in ("start", "end", "row_before", "row"))
        id_before, this = (found[name].fill_null(0).to_numpy() for name in ("id_before", "id"))
        has_id = found["id"].is_not_null().to_numpy()
        has_both = has_id & found["id_before"].is_not_null().to_numpy()
        steps_up = has_both & (this > id_before) if contiguous else np.zeros(len(found), np.bool_)
        excluded = np.where(steps_up, _between(_distinct(known.excluded_ids), id_before + 1, this), 0)
        late = np.where(steps_up, _between(late_ids, id_before + 1, this), 0)
        missing = np.where(steps_up, this - id_before - 1, 0) - excluded - late
        too_long = end - start > int(gap_seconds * NS_PER_SECOND) if gap_seconds else np.zeros(len(found), np.bool_)
        goes_on = has_id if contiguous else has_both & (this - 1 == id_before)
        causes = (
            (Cause.EXCLUDED_ROWS, (excluded > 0) & (missing == 0)),
            (Cause.DISCONNECT, _between(np.sort(np.asarray(known.disconnects, np.int64)), start, end) > 0),
            (
                Cause.CAPTURE_EDGE,
                _between(np.sort(np.asarray(known.capture_edges, np.int64)), row_before, row, "right") > 0,
            ),
            (Cause.QUIET, too_long & (missing == 0) & goes_on),
        )
        cause = np.select([holds for _, holds in causes], [CAUSES.index(name) for name, _ in causes], _UNKNOWN)
        kept = (too_long | (missing > 0) | (excluded > 0)) & (too_long | (missing != 0))
        return GapRows(start[kept], end[kept], missing[kept].clip(0), cause[kept].astype(np.int8))


def _between(
    sorted_numbers: np.ndarray, low: np.ndarray, high: np.ndarray, side: Literal["left", "right"] = "left"
) -> np.ndarray:
    """How many of some sorted numbers lie from ``low`` to before ``high`` (``right``: from behind ``low`` to ``high``)."""
    return np.searchsorted(sorted_numbers, high, side) - np.searchsorted(sorted_numbers, low, side)


def _distinct(ids: np.ndarray) -> np.ndarray:
    """Sorted, each once; ``np.unique`` would import ``numpy.ma``."""
    ids = np.sort(ids)
    return ids[np.diff(ids, prepend=ids[:1] - 1) != 0]


def _holes(first: int, starts: np.ndarray, ends: np.ndarray, late: np.ndarray) -> tuple[int, int]:
    """Places where ids are missing, once the late ones stand where they belong, and how many those are.

    ``starts`` and ``ends``: the id before and after each jump, in order; from ``first`` to the first jump, and between
    two jumps, all ids are there. ``late`` are sorted ids below some earlier one, each once.
    """
    into = np.searchsorted(starts, late, "left") - 1
    inside = (into >= 0) & (late < np.append(ends, first)[into])
    late = late[inside | (late < first)]
    points = np.concatenate([[first], ends, starts, late])
    solid = np.concatenate([np.ones(1 + len(ends)), np.zeros(len(starts) + len(late))])
    order = np.lexsort((-solid, points))
    return int(((np.diff(points[order]) > 1) & (solid[order][:-1] == 0)).sum()), len(late)


def _of(choose: Callable[[int, int], int], before: int | None, now: Any) -> int | None:
    """The smaller or larger of two, where one or both may not be there."""
    return before if now is None else now if before is None else choose(before, now)
