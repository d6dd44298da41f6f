"""Stage 3: the rules of a table, evaluated as counters over the blocks as they pass, and the verdict of a day."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any, Final

import numpy as np
import polars as pl

from hedgegrid_assets.errors import DataError, EnvironmentFault
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.model import (
    Contiguous,
    DayFacts,
    Gap,
    Identity,
    InstrumentDay,
    RowCounts,
    Rule,
    RuleResult,
    Severity,
    Spread,
    Status,
    Table,
)
from hedgegrid_assets.store import Places, Shape, folder_of, read_json, write_json
from hedgegrid_assets.tables.rules import cadence_seconds
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_end, day_start

GAPS_STORED: Final = 1_000
CONTIGUOUS_SHARE: Final = 0.99
"""Ids of which so many have their predecessor are held to rise by one ..."""
CONTIGUOUS_STEPS: Final = 100
"""... where there are at least so many steps."""
_FIRST_BAD: Final = 10
_MOST_LATE_IDS: Final = 4_000_000
_CANDIDATES: Final = 200_000
_LOW_MS: Final = -60_000
_HIGH_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a day is held to: longest usual silence (s; None: the table's own; 0: off), share of rejected rows, and the
    instrument's price increment (None: none that is coarser than the last decimal).
    """

    gap_seconds: float | None = None
    max_rejected: float = 0.001
    price_increment: str | None = None

    def to_dict(self) -> dict[str, float | str | None]:
        """The shape stored in a verdict."""
        return {
            "gap_s": self.gap_seconds,
            "max_rejected": self.max_rejected,
            "price_increment": self.price_increment,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Thresholds":
        """Back from a verdict."""
        return cls(stored["gap_s"], stored["max_rejected"], stored.get("price_increment"))


@dataclass(slots=True)
class Circumstances:
    """What is known of a day besides its rows."""

    counts: RowCounts | None = None
    rejects_by_reason: Mapping[str, int] = field(default_factory=dict)
    out_of_order: int = 0
    conflicting_ids: int | None = None
    too_fine: int = 0
    excluded_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    disconnects: Sequence[int] = ()
    capture_edges: Sequence[int] = ()
    contiguous_ids: bool = True
    unique_ids: bool = True
    unplaced_files: Sequence[Mapping[str, Any]] = ()
    left_empty: Mapping[str, int] = field(default_factory=dict)


class _Histogram:
    """Milliseconds in bins of 1 ms between -60 s and +600 s; mergeable, of fixed size."""

    def __init__(self) -> None:
        self._bins: np.ndarray = np.zeros(_HIGH_MS - _LOW_MS + 1, np.int64)
        self._used = (len(self._bins), 0)
        self.minimum: int | None = None
        self.maximum: int | None = None
        self.negative = 0
        self.jump = 0
        self._last: int | None = None

    def add(self, ns: np.ndarray) -> None:
        if not len(ns):
            return
        bins = np.clip(ns // 1_000_000, _LOW_MS, _HIGH_MS) - _LOW_MS
        low, high = int(bins.min()), int(bins.max())
        self._bins[low : high + 1] += np.bincount(bins - low)
        self._used = min(low, self._used[0]), max(high, self._used[1])
        self.minimum = min(int(ns.min()), self.minimum if self.minimum is not None else int(ns.min()))
        self.maximum = max(int(ns.max()), self.maximum if self.maximum is not None else int(ns.max()))
        self.negative += int((ns < 0).sum())
        steps = np.diff(ns, prepend=ns[:1] if self._last is None else self._last)
        self.jump = max(self.jump, int(np.abs(steps).max()))
        self._last = int(ns[-1])

    def spread(self) -> Spread:
        low, high = self._used
        used = self._bins[low : high + 1]
        count = int(used.sum())
        if not count or self.minimum is None or self.maximum is None:
            return Spread()
        ranks = np.searchsorted(np.cumsum(used), [count * 0.5, count * 0.99]) + low + _LOW_MS
        return Spread(
            count=count,
            minimum_ms=round(self.minimum / 1e6, 3),
            median_ms=float(ranks[0]),
            p99_ms=float(ranks[1]),
            maximum_ms=round(self.maximum / 1e6, 3),
            negative_share=self.negative / count,
            largest_jump_ms=round(self.jump / 1e6, 3),
        )


class DayRules:
    """Takes the blocks of one (instrument-day, table) in stored order; then judges.

    Works on what is stored, so that a tampered frame is found by giving it in again.
    """

    def __init__(self, table: Table, day: date, thresholds: Thresholds) -> None:
        self._table = table
        self._day = day
        self._thresholds = thresholds
        self._rows = 0
        self._first: int | None = None
        self._last: int | None = None
        self._ids: list[int | None] = [None, None]
        self._late_ids: list[np.ndarray] = []
        self._late = 0
        self._higher = 0
        self._all_integers = True
        self._first_id: int | None = None
        self._failing: dict[str, int] = {rule.name: 0 for rule in table.rules if rule.fails is not None}
        self._first_bad: dict[str, list[int]] = {}
        self._candidates: list[pl.DataFrame] = []
        self._jumps = 0
        self._holes_unlisted = 0
        self._member_breaks = 0
        self._members_missing = 0
        self._last_member: int | None = None
        self._sided = "aggressor_side" in {column.name for column in table.columns}
        self._buyers = 0
        self._sellers = 0
        self._latency = _Histogram()
        self._steps = _Histogram()
        self._carry: pl.DataFrame | None = None
        self._rising = True
        self._shortest_gap = self._gap_seconds(5.0)

    def add(self, block: pl.DataFrame) -> None:
        """Add rows (memory form of a frame, see ``frames``)."""
        if not len(block):
            return
        carried = 0 if self._carry is None else 1
        frame = block if self._carry is None else pl.concat([self._carry, block])
        self._carry = block.tail(1)
        self._rows += len(block)
        first, last = block["ts_init"][0], block["ts_init"][-1]
        self._first = first if self._first is None else self._first
        self._last = last
        self._count_failing(frame, carried)
        self._latency.add((block["ts_init"] - block["ts_event"]).to_numpy())
        if self._table.gap_seconds is None:
            self._steps.add(frame["ts_init"].diff().drop_nulls().to_numpy())
        self._collect_gaps(frame, carried)
        self._follow_members(block)
        if self._sided:
            self._buyers += int((block["aggressor_side"] == "BUYER").sum())
            self._sellers += int((block["aggressor_side"] == "SELLER").sum())

    def _count_failing(self, frame: pl.DataFrame, carried: int) -> None:
        bounds = [
            pl.lit(day_start(self._day)).alias("day_start"),
            pl.lit(day_end(self._day)).alias("day_end"),
            pl.lit(self._tick_in(frame), pl.Int128).alias("price_tick"),
        ]
        fails = [
            rule.fails.fill_null(value=False).alias(rule.name) for rule in self._table.rules if rule.fails is not None
        ]
        flags = frame.with_columns(bounds).select(fails).slice(carried)
        for name, count in flags.sum().row(0, named=True).items():
            if not count:
                continue
            self._failing[name] += int(count)
            bad = self._first_bad.setdefault(name, [])
            rows = frame.slice(carried).filter(flags[name]).get_column("raw_row").head(_FIRST_BAD - len(bad))
            bad.extend(rows.to_list())

    def _tick_in(self, frame: pl.DataFrame) -> int | None:
        """The price increment in units of the last decimal of the frame's prices."""
        kind = frame.schema.get("price")
        if self._thresholds.price_increment is None or not isinstance(kind, pl.Decimal):
            return None
        units = Decimal(self._thresholds.price_increment).scaleb(kind.scale)
        return int(units) if units == int(units) and units > 1 else None

    def _follow_members(self, block: pl.DataFrame) -> None:
        """Does the first member of each row follow the last one of the row before?"""
        if self._table.members is None:
            return
        first, last = (block[name] for name in self._table.members)
        if first.null_count() == len(first):
            return
        steps = first - last.shift(1, fill_value=self._last_member) - 1
        self._member_breaks += int((steps != 0).sum())
        self._members_missing += int(steps.clip(lower_bound=0).sum())
        self._last_member = last[-1]

    def _collect_gaps(self, frame: pl.DataFrame, carried: int) -> None:
        numeric = (
            pl.col(self._table.id_column).cast(pl.Int64, strict=False)
            if self._table.id_column
            else pl.lit(None, pl.Int64)
        )
        pairs = frame.select(
            start=pl.col("ts_init").shift(1),
            end="ts_init",
            id_before=pl.max_horizontal(numeric.cum_max().shift(1), pl.lit(self._ids[1], pl.Int64)),
            id=numeric,
            row_before=pl.col("raw_row").shift(1),
            row="raw_row",
        )
        if self._table.id_column:
            ids = pairs["id"]
            self._first_id = self._first_id if carried else ids[0]
            self._all_integers = self._all_integers and ids.null_count() == 0
            self._rising = self._rising and self._all_integers and bool((ids.diff().drop_nulls() > 0).all())
            if not self._rising and self._late <= _MOST_LATE_IDS:
                # rows of one time may come in any order: they fill the holes that they left
                late = pairs.slice(carried).filter(pl.col("id") < pl.col("id_before"))["id"]
                self._late_ids.append(late.to_numpy())
                self._late += len(late)
            self._higher += len(ids) - 1 if self._rising else int((ids > pairs["id_before"]).sum())
            self._ids = [_of(min, self._ids[0], ids.min()), _of(max, self._ids[1], ids.max())]
        silent = (
            (pl.col("end") - pl.col("start")) > int(self._shortest_gap * NS_PER_SECOND)
            if self._shortest_gap
            else pl.lit(value=False)
        )
        found = pairs.filter(silent | ((pl.col("id") - pl.col("id_before")) > 1))
        if not len(found):
            return
        if self._jumps >= _CANDIDATES:  # silences are always kept: a day has room for few of them
            kept = found.filter(silent)
            self._holes_unlisted += len(found) - len(kept)
            found = kept
        self._jumps += len(found)
        self._candidates.append(found)

    def _gap_seconds(self, unknown: float) -> float:
        if self._thresholds.gap_seconds is not None:
            return self._thresholds.gap_seconds
        return self._table.gap_seconds if self._table.gap_seconds is not None else unknown

    def facts(self, known: Circumstances) -> DayFacts:
        """All that the rules are judged by."""
        steps = self._steps.spread()
        late_ids = _distinct(np.concatenate([*self._late_ids, np.empty(0, np.int64)]))
        rising_by_one, ids_after_first = self._rising_by_one(late_ids)
        contiguous = self._contiguous(known, ids_after_first, rising_by_one)
        gap_seconds = self._gap_seconds(5.0 * cadence_seconds(steps.median_ms))
        return DayFacts(
            table=self._table.name,
            day=self._day,
            rows=self._rows,
            first_ts_init=self._first,
            last_ts_init=self._last,
            first_id=self._ids[0],
            last_id=self._ids[1],
            failing=self._failing,
            counts=known.counts,
            rejects_by_reason=known.rejects_by_reason,
            out_of_order=known.out_of_order,
            gap_seconds=gap_seconds or None,
            gaps=tuple(self._gaps(gap_seconds, known, late_ids, contiguous=contiguous != "no")),
            latency=self._latency.spread(),
            steps=steps,
            max_rejected=self._thresholds.max_rejected,
            conflicting_ids=known.conflicting_ids or 0,
            too_fine=known.too_fine,
            contiguous_ids=contiguous,
            rising_by_one=rising_by_one,
            integer_ids=self._all_integers and self._first_id is not None,
            buyers=self._buyers,
            sellers=self._sellers,
            price_increment=self._thresholds.price_increment,
            member_breaks=self._member_breaks,
            members_missing=self._members_missing,
            holes_unlisted=self._holes_unlisted if contiguous != "no" else 0,
            unique_ids=known.unique_ids,
            unplaced_files=known.unplaced_files,
            left_empty=known.left_empty,
        )

    def _contiguous(self, known: Circumstances, ids_after_first: int, rising_by_one: float | None) -> Contiguous:
        if not self._rows and known.contiguous_ids:
            return "declared"
        if self._ids[1] is None or self._late > _MOST_LATE_IDS:
            return "no"
        if known.contiguous_ids:
            return "declared"
        enough = ids_after_first >= CONTIGUOUS_STEPS
        return "found" if enough and rising_by_one is not None and rising_by_one >= CONTIGUOUS_SHARE else "no"

    def _rising_by_one(self, late_ids: np.ndarray) -> tuple[float | None, int]:
        """Share of the ids after the first whose predecessor is there, and how many they are.

        None where they are no integers, one id only, or in a disorder that would take too much memory.
        """
        if self._first_id is None or not self._all_integers or self._rows < 2 or self._late > _MOST_LATE_IDS:
            return None, 0
        jumps = [found.filter(pl.col("id") - pl.col("id_before") > 1) for found in self._candidates]
        starts, ends = (
            np.concatenate([np.empty(0, np.int64), *(found[name].to_numpy() for found in jumps)])
            for name in ("id_before", "id")
        )
        holes, filled = _holes(self._first_id, starts, ends, late_ids)
        after_first = self._higher + filled
        return (round(1 - (holes + self._holes_unlisted) / after_first, 6) if after_first else None), after_first

    @property
    def ids_rise(self) -> bool:
        """Ids are integers and each is above the one before: none can be there twice."""
        return self._rising

    def _gaps(
        self, gap_seconds: float, known: Circumstances, late_ids: np.ndarray, *, contiguous: bool
    ) -> Iterator[Gap]:
        disconnects = np.sort(np.asarray(known.disconnects, np.int64))
        edges = np.sort(np.asarray(known.capture_edges, np.int64))
        excluded_ids = _distinct(known.excluded_ids)
        silent = (pl.col("end") - pl.col("start")) > int(gap_seconds * NS_PER_SECOND)
        for candidates in self._candidates:
            found = candidates if contiguous else candidates.filter(silent if gap_seconds else pl.lit(value=False))
            for start, end, id_before, this, row_before, row in found.iter_rows():
                missing = excluded = 0
                if contiguous and id_before is not None and this is not None and this > id_before:
                    low, high = np.searchsorted(excluded_ids, [id_before + 1, this])
                    excluded = int(high - low)
                    low, high = np.searchsorted(late_ids, [id_before + 1, this])
                    missing = this - id_before - 1 - excluded - int(high - low)
                too_long = gap_seconds > 0 and end - start > gap_seconds * NS_PER_SECOND
                if not too_long and missing <= 0 and not excluded:
                    continue
                if excluded and not missing:
                    cause = "excluded_rows"
                elif np.searchsorted(disconnects, end, "left") > np.searchsorted(disconnects, start, "left"):
                    cause = "disconnect"
                elif np.searchsorted(edges, row, "right") > np.searchsorted(edges, row_before, "right"):
                    cause = "capture_edge"
                elif too_long and not missing and this is not None and (contiguous or this - 1 == id_before):
                    cause = "quiet"
                else:
                    cause = "unknown"
                if too_long or missing:
                    yield Gap(start, end, max(missing, 0), cause)

    def judge(self, known: Circumstances) -> tuple[DayFacts, tuple[RuleResult, ...]]:
        """The facts of the day and the answer of every rule."""
        facts = self.facts(known)
        return facts, tuple(self._answer(facts))

    def _answer(self, facts: DayFacts) -> Iterator[RuleResult]:
        for rule in self._table.rules:
            if rule.judge is not None:
                answer = rule.judge(facts)
                numbers = dict(answer.numbers) | self._bad_rows(rule)
                yield RuleResult(rule.name, rule.severity, rule.check, answer.passed, answer.rows_failed, numbers)
            else:
                failed = facts.failing[rule.name]
                numbers = self._bad_rows(rule)
                yield RuleResult(rule.name, rule.severity, rule.check, failed == 0, failed, numbers)

    def _bad_rows(self, rule: Rule) -> dict[str, Any]:
        rows = self._first_bad.get(rule.name)
        return {"first_bad_raw_rows": rows} if rows else {}


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


# ---------------------------------------------------------------- verdict

_PARTIAL: Final = ("day_covered",)
_DEGRADED: Final = ("aggressor_sides_mixed", "no_sequence_gaps", "no_time_gaps", "cadence_as_expected")


def status_of(results: Sequence[RuleResult], rows: int) -> Status:
    """The day's status: the first that fits."""
    failed = {result.name for result in results if result.failed}
    if any(result.severity is Severity.ERROR and result.failed for result in results):
        return Status.BLOCKED
    if rows == 0:
        return Status.EMPTY
    if failed.intersection(_PARTIAL):
        return Status.PARTIAL
    return Status.DEGRADED if failed.intersection(_DEGRADED) else Status.COMPLETE


def failed_errors(verdict: Mapping[str, Any]) -> list[str]:
    """Names of the ERROR rules that failed."""
    return [
        rule["name"] for rule in verdict["rules"] if rule["severity"] == Severity.ERROR and passed_of(rule) is False
    ]


_WAS_OFF: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "no_time_gaps": lambda numbers: numbers.get("threshold_s", 0) is None,
    "no_sequence_gaps": lambda numbers: numbers.get("contiguous") is False,
    "cadence_as_expected": lambda numbers: not numbers,
    "latency_plausible": lambda numbers: numbers.get("min_ms", 1) == numbers.get("max_ms", 1) == 0,
}
"""How verdicts that call a rule passed which was off show it by their numbers."""


def passed_of(rule: Mapping[str, Any]) -> bool | None:
    """The answer of a rule in a verdict of any age; None: it was off."""
    was_off = _WAS_OFF.get(rule["name"])
    if rule["passed"] is None or (rule["passed"] and was_off is not None and was_off(rule["numbers"])):
        return None
    return bool(rule["passed"])


def ids_missing(verdict: Mapping[str, Any]) -> int:
    """Ids missing inside the day, also in gaps that the verdict counts but does not list."""
    listed = sum(int(gap["ids_missing"]) for gap in verdict["gaps"])
    told = (rule["numbers"].get("ids_missing", 0) for rule in verdict["rules"] if rule["name"] == "no_sequence_gaps")
    return max(listed, *told, 0)


def rules_off(verdict: Mapping[str, Any]) -> list[str]:
    """Names of the rules that were off, and so say nothing of the day."""
    return [rule["name"] for rule in verdict["rules"] if passed_of(rule) is None]


def blamed_files(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The files of the day of which too many lines have no place (the first of them)."""
    found: list[dict[str, Any]] = []
    for rule in verdict["rules"]:
        if rule["name"] == "rejected_share":
            found = rule["numbers"].get("files", [])
    return found


def ids_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> int | None:
    """Ids missing between the verdicts of two days (negative: ids that are in both); None where ids do not count."""
    ends = before["last_id"], after["first_id"]
    told = [rule["numbers"] for day in (before, after) for rule in day["rules"] if rule["name"] == "no_sequence_gaps"]
    contiguous = all(numbers.get("contiguous", True) not in {False, "no"} for numbers in told)
    if not contiguous or not all(str(end).isdigit() for end in ends):
        return None
    return int(ends[1]) - int(ends[0]) - 1


def make_verdict(
    day: InstrumentDay,
    table: Table,
    facts: DayFacts,
    results: Sequence[RuleResult],
    *,
    series: str,
    frame_sha256: str | None,
    content_digest: str | None,
    raw_sha256: Sequence[str],
    code_version: str,
    precisions: Mapping[str, int],
    thresholds: Thresholds,
    identity: Identity = Identity.ID,
) -> dict[str, Any]:
    """The verdict of an instrument-day: JSON, keys sorted, no wall-clock, times in ns."""
    counts = facts.counts or RowCounts(rows_in=facts.rows, rows_out=facts.rows)
    verdict: dict[str, Any] = {
        "verdict": 1,
        "instrument_id": day.instrument_id,
        "table": table.name,
        "date": str(day.date),
        "series": series,
        "status": str(status_of(results, facts.rows)),
        "frame_sha256": frame_sha256,
        "content_digest": content_digest,
        "raw_sha256": list(raw_sha256),
        "code_version": code_version,
        "precision": dict(precisions),
        "thresholds": thresholds.to_dict(),
        "rows": counts.to_dict(),
        "first_ts_init": facts.first_ts_init,
        "last_ts_init": facts.last_ts_init,
        "first_id": None if facts.first_id is None else str(facts.first_id),
        "last_id": None if facts.last_id is None else str(facts.last_id),
        "rules": [result.to_dict() for result in results],
        "gaps": [gap.to_dict() for gap in _worst(facts.gaps)],
        "rejects_by_reason": dict(sorted(facts.rejects_by_reason.items())),
    }
    if len(facts.gaps) > GAPS_STORED:
        verdict["gaps_total"] = len(facts.gaps)
    if identity is not identity_of({}, table):
        verdict["identity"] = str(identity)
    return verdict


def identity_of(verdict: Mapping[str, Any], table: Table) -> Identity:
    """When two rows of the day were taken for one; said in a verdict only where it is not by the id, if there are ids."""
    return Identity(verdict.get("identity", Identity.ID if table.id_column else Identity.CONTENT))


def _worst(gaps: Sequence[Gap]) -> Sequence[Gap]:
    """At most ``GAPS_STORED``, in order of time: losses before silences that are none, long before short."""
    if len(gaps) <= GAPS_STORED:
        return gaps
    quiet = {"quiet", "excluded_rows"}
    worst = sorted(gaps, key=lambda gap: (gap.cause in quiet, gap.start - gap.end, -gap.ids_missing))[:GAPS_STORED]
    return sorted(worst, key=lambda gap: gap.start)


def store_verdict(places: Places, table: Table, day: InstrumentDay, verdict: Mapping[str, Any]) -> None:
    """Publish a verdict."""
    write_json(places.verdict(day.instrument_id, table.folder, day.date), places.catalog_temp, verdict)


def read_verdict(places: Places, table: Table, day: InstrumentDay) -> dict[str, Any] | None:
    """The stored verdict, or None. Raises DocumentDamaged."""
    verdict: dict[str, Any] | None = read_json(
        places.verdict(day.instrument_id, table.folder, day.date), "a verdict", _VERDICT
    )
    return verdict


def instrument_ids(places: Places) -> dict[str, str]:
    """Folder -> InstrumentId of all that a catalog has verdicts or frames of; a folder's name has no slash, an id may."""
    known: dict[str, str] = {}
    with contextlib.suppress(DataError):  # whoever needs a definition is told
        known = {folder_of(instrument_id): instrument_id for instrument_id in read_definitions(places.catalog)}
    kinds = ("*/*.verdict", "*/*.parquet")
    folders = sorted({path.parent.name for kind in kinds for path in places.catalog.glob(kind) if path.is_dir()})
    return {folder: known.get(folder) or _judged_as(places.catalog / folder) or folder for folder in folders}


def _judged_as(folder: Path) -> str | None:
    """The id that a verdict of the folder names."""
    for path in folder.glob("*.verdict/*.json"):
        try:
            found = read_json(path)
        except EnvironmentFault:  # whoever looks at its day is told
            found = None
        if isinstance(found, dict) and isinstance(found.get("instrument_id"), str):
            return str(found["instrument_id"])
    return None


_NUMBER: Final = (int, float)
_MAYBE_NS: Final = (int, NoneType)
_MAYBE_TEXT: Final = (str, NoneType)
_VERDICT: Final[Shape] = {
    "instrument_id": str,
    "table": str,
    "date": str,
    "series": str,
    "status": frozenset(map(str, Status)),
    "frame_sha256": _MAYBE_TEXT,
    "content_digest": _MAYBE_TEXT,
    "raw_sha256": [str],
    "code_version": str,
    "precision": {"price": int, "size": int, "mark": int},
    "thresholds": {"gap_s": (int, float, NoneType), "max_rejected": _NUMBER, "price_increment?": _MAYBE_TEXT},
    "rows": dict.fromkeys(("in", "out", "rejected", "exact_duplicates", "other_symbols", "not_applicable"), int),
    "first_ts_init": _MAYBE_NS,
    "last_ts_init": _MAYBE_NS,
    "first_id": _MAYBE_TEXT,
    "last_id": _MAYBE_TEXT,
    "rules": [
        {
            "name": str,
            "severity": frozenset(map(str, Severity)),
            "passed": (bool, NoneType),
            "rows_failed": int,
            "numbers": dict,
        }
    ],
    "gaps": [{"start": int, "end": int, "seconds": _NUMBER, "ids_missing": int, "cause": str}],
    "rejects_by_reason": dict,
    "gaps_total?": int,
    "identity?": frozenset(map(str, Identity)),
}
"""What every reader of a verdict counts on."""
