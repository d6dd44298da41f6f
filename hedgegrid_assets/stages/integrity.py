"""Stage 3: the rules of a table, evaluated as counters over the blocks as they pass, and the verdict of a day."""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import NoneType
from typing import Any, Final

import polars as pl

from hedgegrid_assets.errors import DataError, EnvironmentFault
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.model import (
    Cause,
    Counted,
    Counter,
    DayContext,
    Effect,
    Gap,
    Held,
    Identity,
    InstrumentDay,
    RowCounts,
    Rows,
    Rule,
    RuleResult,
    Severity,
    Status,
    Table,
    Thresholds,
)
from hedgegrid_assets.store import Places, Shape, folder_of, read_json, write_json
from hedgegrid_assets.tables import RULES
from hedgegrid_assets.tables.rules.counters import Extent, FailingRows
from hedgegrid_assets.tables.rules.gaps import Gaps

GAPS_STORED: Final = 1_000


class DayRules:
    """Takes the blocks of one (instrument-day, table) in stored order; then judges.

    Works on what is stored, so that a tampered frame is found by giving it in again. ``before``: what the counters of
    the day before have handed on.
    """

    def __init__(
        self, table: Table, day: date, thresholds: Thresholds, before: Mapping[str, Any] | None = None
    ) -> None:
        self._held = Held(table, day, thresholds)
        self._counters = {kind: kind(self._held) for kind in counters_of(table)}
        for kind, counter in self._counters.items():
            if before and kind.__name__ in before:
                counter.resume(before[kind.__name__])
        self._carry: pl.DataFrame | None = None

    def add(self, block: pl.DataFrame) -> None:
        """Add rows (memory form of a frame, see ``frames``)."""
        if not len(block):
            return
        carried = 0 if self._carry is None else 1
        rows = Rows(block, block if self._carry is None else pl.concat([self._carry, block]), carried)
        self._carry = block.tail(1)
        for counter in self._counters.values():
            counter.add(rows)

    @property
    def ids_rise(self) -> bool:
        """Ids are integers and each is above the one before: none can be there twice."""
        gaps = self._counters[Gaps]
        assert isinstance(gaps, Gaps)
        return gaps.ids_rise

    def hand_on(self) -> dict[str, Any]:
        """What the counters of the next day begin with."""
        states = {kind.__name__: counter.hand_on() for kind, counter in self._counters.items()}
        return {name: state for name, state in states.items() if state is not None}

    def judge(self, known: DayContext) -> tuple[Counted, tuple[RuleResult, ...]]:
        """All that was counted, and the answer of every rule."""
        day = _Day(self._held, known, self._counters)
        return day, tuple(_answer(rule, day) for rule in self._held.table.rules)


def counters_of(table: Table) -> tuple[type[Counter[Any]], ...]:
    """The counters that a table's rules name, those that these are made with, and what every verdict tells; each once."""
    found: dict[type[Counter[Any]], None] = {}

    def take(kinds: Sequence[type[Counter[Any]]]) -> None:
        for kind in kinds:
            take(kind.needs)
            found.setdefault(kind)

    take(_OF_EVERY_VERDICT)
    for rule in table.rules:
        take(rule.counters)
    return tuple(found)


_OF_EVERY_VERDICT: Final[tuple[type[Counter[Any]], ...]] = (Extent, FailingRows, Gaps)


class _Day:
    """A day all of whose rows have passed: each counter is asked once."""

    def __init__(self, held: Held, known: DayContext, counters: Mapping[type[Counter[Any]], Counter[Any]]) -> None:
        self.held, self.known, self._counters = held, known, counters
        self._found: dict[type[Counter[Any]], Any] = {}

    def of[R](self, counter: type[Counter[R]]) -> R:
        """What a counter found."""
        if counter not in self._found:
            self._found[counter] = self._counters[counter].result(self)
        found: R = self._found[counter]
        return found


def _answer(rule: Rule, day: Counted) -> RuleResult:
    failing = day.of(FailingRows)
    first = failing.first_raw_rows.get(rule.name)
    bad_rows = {"first_bad_raw_rows": first} if first else {}
    if rule.judge is None:
        failed = failing.counts[rule.name]
        return RuleResult(rule, failed == 0, failed, bad_rows)
    answer = rule.judge(day)
    return RuleResult(rule, answer.passed, answer.rows_failed, dict(answer.numbers) | bad_rows)


# ---------------------------------------------------------------- verdict


def status_of(results: Sequence[RuleResult], rows: int) -> Status:
    """The day's status: the first that fits."""
    failed = [result.rule for result in results if result.failed]
    if any(rule.severity is Severity.ERROR for rule in failed):
        return Status.BLOCKED
    if rows == 0:
        return Status.EMPTY
    effects = {rule.effect for rule in failed}
    if Effect.PARTIAL in effects:
        return Status.PARTIAL
    return Status.DEGRADED if Effect.DEGRADES in effects else Status.COMPLETE


def failed_errors(verdict: Mapping[str, Any]) -> list[str]:
    """Names of the ERROR rules that failed."""
    return [
        rule["name"] for rule in verdict["rules"] if rule["severity"] == Severity.ERROR and passed_of(rule) is False
    ]


def passed_of(rule: Mapping[str, Any]) -> bool | None:
    """The answer of a rule in a verdict of any age; None: it was off."""
    known = RULES.get(rule["name"])
    was_off = known.was_off if known is not None else None
    if rule["passed"] is None or (rule["passed"] and was_off is not None and was_off(rule["numbers"])):
        return None
    return bool(rule["passed"])


def ids_missing(verdict: Mapping[str, Any]) -> int:
    """Ids missing inside the day, also in gaps that the verdict counts but does not list."""
    listed = sum(int(gap["ids_missing"]) for gap in verdict["gaps"])
    return max(listed, *_numbers(verdict, "ids_missing"), 0)


def _numbers(verdict: Mapping[str, Any], name: str) -> list[Any]:
    """A number by its name, of each rule that tells it."""
    return [rule["numbers"][name] for rule in verdict["rules"] if name in rule["numbers"]]


def rules_off(verdict: Mapping[str, Any]) -> list[str]:
    """Names of the rules that were off, and so say nothing of the day."""
    return [rule["name"] for rule in verdict["rules"] if passed_of(rule) is None]


def blamed_files(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The files of the day of which too many lines have no place (the first of them)."""
    return [file for files in _numbers(verdict, "files") for file in files]


def ids_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> int | None:
    """Ids missing between the verdicts of two days (negative: ids that are in both); None where ids do not count."""
    ends = before["last_id"], after["first_id"]
    told = [said for day in (before, after) for said in _numbers(day, "contiguous")]
    contiguous = all(said not in {False, "no"} for said in told)
    if not contiguous or not all(str(end).isdigit() for end in ends):
        return None
    return int(ends[1]) - int(ends[0]) - 1


def make_verdict(
    day: InstrumentDay,
    table: Table,
    seen: Counted,
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
    span, found = seen.of(Extent), seen.of(Gaps)
    counts = seen.known.counts or RowCounts(rows_in=span.rows, rows_out=span.rows)
    verdict: dict[str, Any] = {
        "verdict": 1,
        "instrument_id": day.instrument_id,
        "table": table.name,
        "date": str(day.date),
        "series": series,
        "status": str(status_of(results, span.rows)),
        "frame_sha256": frame_sha256,
        "content_digest": content_digest,
        "raw_sha256": list(raw_sha256),
        "code_version": code_version,
        "precision": dict(precisions),
        "thresholds": thresholds.to_dict(),
        "rows": counts.to_dict(),
        "first_ts_init": span.first,
        "last_ts_init": span.last,
        "first_id": None if found.first_id is None else str(found.first_id),
        "last_id": None if found.last_id is None else str(found.last_id),
        "rules": [result.to_dict() for result in results],
        "gaps": [gap.to_dict() for gap in _worst(found.gaps)],
        "rejects_by_reason": dict(sorted(seen.known.rejects_by_reason.items())),
    }
    if len(found.gaps) > GAPS_STORED:
        verdict["gaps_total"] = len(found.gaps)
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
    worst = sorted(gaps, key=lambda gap: (not gap.cause.is_loss, gap.start - gap.end, -gap.ids_missing))[:GAPS_STORED]
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
    "gaps": [{"start": int, "end": int, "seconds": _NUMBER, "ids_missing": int, "cause": frozenset(map(str, Cause))}],
    "rejects_by_reason": dict,
    "gaps_total?": int,
    "identity?": frozenset(map(str, Identity)),
}
"""What every reader of a verdict counts on."""
