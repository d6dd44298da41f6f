"""Instrument-days: where they stand, what was counted of them, and what they are held to."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct, field


class Status(StrEnum):
    """Where an instrument-day stands; order = from best to worst."""

    COMPLETE = "complete"
    EMPTY = "empty"
    DEGRADED = "degraded"
    PARTIAL = "partial"
    MISSING = "missing"
    BLOCKED = "blocked"
    REFUSED = "refused"
    """Of a run only, never of a verdict: the catalog forbids the write."""


class Cause(StrEnum):
    """Why there is a gap."""

    DISCONNECT = "disconnect"
    CAPTURE_EDGE = "capture_edge"
    EXCLUDED_ROWS = "excluded_rows"
    """The venue used the ids up for what is no market trade."""
    QUIET = "quiet"
    """The ids go on: nothing happened."""
    OVERLAP = "overlap"
    """Between days: ids are in both."""
    UNKNOWN = "unknown"

    @property
    def is_loss(self) -> bool:
        """Data are missing."""
        return self not in NO_LOSS


NO_LOSS: Final = (Cause.QUIET, Cause.EXCLUDED_ROWS)


class Gap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hole in a day: times in ns, ``ids_missing`` where ids are counted, ``seconds`` its length."""

    start: int
    end: int
    ids_missing: int
    cause: Cause
    seconds: float


class RowCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"rows_in": "in", "rows_out": "out"}):
    """Where every row of a (table, day) went: ``rows_in`` is the sum of the others."""

    rows_in: int = 0
    rows_out: int = 0
    rejected: int = 0
    exact_duplicates: int = 0
    other_symbols: int = 0
    not_applicable: int = 0


class LineCounts(Struct, frozen=True):
    """Where every line of a (table, day) went, where lines give several rows or none.

    ``rejected``: lines of which no row is left when it is read, but for those that the venue marks as no market trade.
    """

    with_rows: int = 0
    rejected: int = 0
    excluded: int = 0
    without_rows: int = 0

    @property
    def lines_in(self) -> int:
        """All lines."""
        return self.with_rows + self.rejected + self.excluded + self.without_rows

    def to_dict(self) -> dict[str, int]:
        """The shape stored in a verdict."""
        return {
            "in": self.lines_in,
            "with_rows": self.with_rows,
            "rejected": self.rejected + self.excluded,
            "without_rows": self.without_rows,
        }


class Spread(Struct, frozen=True):
    """Distribution of a signed time in milliseconds (bins of 1 ms, clipped at -60 s and +600 s).

    ``largest_jump_ms`` is the largest change from one row to the next.
    """

    count: int = 0
    minimum_ms: float = 0.0
    median_ms: float = 0.0
    p99_ms: float = 0.0
    maximum_ms: float = 0.0
    negative_share: float = 0.0
    largest_jump_ms: float = 0.0


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"gap_seconds": "gap_s"}):
    """What a day is held to: longest usual silence (s; None: the table's own; 0: off), share of rejected rows, and the
    instrument's price increment (None: none that is coarser than the last decimal).
    """

    gap_seconds: float | None = None
    max_rejected: float = 0.001
    price_increment: str | None = None


class DayContext(Struct):
    """What is known of a day besides its rows: what normalizing saw, and what its source and raw day say.

    Attributes:
        counts: Where every row went; None where only a Nautilus file is at hand.
        lines: Where every line went; None where each gives one row.
        rejects_by_reason: Reason -> rows.
        out_of_order: Rows that had to be sorted.
        any_order: They stood newest first, or come from files that are in no order: to sort these is no cleaning.
        conflicting_ids: Rows whose id stands for another one as well.
        conflicts: The first of these ids, and their raw rows; empty: not known.
        too_fine: Rows with a value that is finer than the instrument's definition: nothing is stored.
        excluded_ids: Ids of rows that the venue itself marks as no market trade.
        disconnects: When the recorder lost its connection, in ns.
        capture_edges: Raw rows that a landing file begins with.
        contiguous_ids: The source says that each id is the one before plus one.
        unique_ids: An id names one row.
        unplaced_files: Files of the day of which too many lines have no place, each with ``file, lines, unplaced``.
        left_empty: Column -> values that it could not hold.
        reshaped: What -> how many rows more than the source has were made so; below zero: fewer.
        made_of: Rule of the table whose rows these were made of -> its answer for those: passed, and its numbers.
        beside: Table -> what comparing its day with this one has told (see ``Table.beside``).
    """

    counts: RowCounts | None = None
    lines: LineCounts | None = None
    rejects_by_reason: Mapping[str, int] = field(default_factory=dict)
    out_of_order: int = 0
    any_order: bool = False
    conflicting_ids: int | None = None
    conflicts: str = ""
    too_fine: int = 0
    excluded_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    disconnects: Sequence[int] = ()
    capture_edges: Sequence[int] = ()
    contiguous_ids: bool = True
    unique_ids: bool = True
    unplaced_files: Sequence[Mapping[str, Any]] = ()
    left_empty: Mapping[str, int] = field(default_factory=dict)
    reshaped: Mapping[str, int] = field(default_factory=dict)
    made_of: Mapping[str, tuple[bool | None, Mapping[str, Any]]] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class InstrumentDay(Struct, frozen=True, order=True):
    """The unit of everything: one InstrumentId x one UTC date, by ``ts_init``."""

    instrument_id: str
    date: date

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.date}"
