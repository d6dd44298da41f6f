"""Every gap of a range: inside the days, at their edges, between them, and days that are not there at all."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from hedgegrid_assets.inspect.days import Judged
from hedgegrid_assets.model import Cause
from hedgegrid_assets.stages.outages import Outage, explaining, slack_of
from hedgegrid_assets.stages.verdict import Verdict
from hedgegrid_assets.tables import RULES
from hedgegrid_assets.tables.rules import DAY_EDGE_SECONDS, uncovered
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_end, day_start, iso

INSIDE: Final = "gap"
"""Inside a day, as its verdict says."""
EDGE: Final = "edge"
"""From midnight to the first row, or from the last row to midnight."""
JOIN: Final = "join"
"""Between the last row of a day and the first of the next one."""
ABSENT: Final = "missing_day"
"""A day inside the range that has no verdict."""


_NO_EDGES: Final = (0, 0), (0, 0)
LOOKED_FOR: Final[Mapping[str, str]] = {name: rule.looks_for for name, rule in RULES.items() if rule.looks_for}
"""What is not looked for where a rule is off."""


class Hole(Struct, frozen=True):
    """One gap. Times in ns; ``ids_missing`` is None where ids are not counted (at edges, in missing days)."""

    instrument_id: str
    table: str
    date: date
    kind: str
    start: int
    end: int
    ids_missing: int | None
    cause: str
    outage: Outage | None = None
    """What is known of it."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return round((self.end - self.start) / NS_PER_SECOND, 3)

    @property
    def is_loss(self) -> bool:
        """Data are missing; a silence across contiguous ids is none, nor is one whose ids the venue used up itself."""
        return Cause(self.cause).is_loss

    def to_dict(self) -> dict[str, Any]:
        """For ``--json`` and ``--csv``."""
        return {
            "instrument_id": self.instrument_id,
            "table": self.table,
            "date": str(self.date),
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "start_utc": iso(self.start),
            "end_utc": iso(self.end),
            "seconds": self.seconds,
            "ids_missing": self.ids_missing,
            "cause": self.cause,
            "known": self.outage.told if self.outage else "",
        }


COLUMNS: Final = (
    "instrument_id",
    "table",
    "date",
    "kind",
    "start",
    "end",
    "start_utc",
    "end_utc",
    "seconds",
    "ids_missing",
    "cause",
    "known",
)


class Sum(Struct):
    """What the gaps of a day, or of a range, come to. ``seconds`` and ``gaps`` count losses inside days only; ``known``:
    how many of all are known outages.

    ``off``: rule -> days that it was off for, so that nobody looked for such gaps there.
    """

    days: int = 0
    gaps: int = 0
    seconds: float = 0.0
    ids_missing: int = 0
    quiet: int = 0
    edge_seconds: float = 0.0
    ids_missing_between_days: int = 0
    missing_days: int = 0
    unlisted: int = 0
    known: int = 0
    off: dict[str, int] = field(default_factory=dict)

    def watch(self, off: Sequence[str]) -> None:
        """Take one more day: which of its rules on gaps were off."""
        self.days += 1
        for name in off:
            if name in LOOKED_FOR:
                self.off[name] = self.off.get(name, 0) + 1

    @property
    def not_looked_for(self) -> set[str]:
        """``silences`` and ``holes``, where no day was looked at for them."""
        return {LOOKED_FOR[name] for name, days in self.off.items() if days == self.days}

    def add(self, hole: Hole) -> None:
        """Count one more."""
        self.known += hole.outage is not None
        if hole.kind == EDGE:
            self.edge_seconds = round(self.edge_seconds + hole.seconds, 3)
        elif hole.kind == JOIN:
            self.ids_missing_between_days += hole.ids_missing or 0
        elif hole.kind == ABSENT:
            self.missing_days += 1
        elif hole.is_loss:
            self.gaps += 1
            self.seconds = round(self.seconds + hole.seconds, 3)
            self.ids_missing += hole.ids_missing or 0
        else:
            self.quiet += 1

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class GapReport(Struct):
    """The gaps of a range, in order of instrument, table and time; sums by day and by (instrument, table)."""

    holes: list[Hole] = field(default_factory=list)
    by_day: dict[tuple[str, str, date], Sum] = field(default_factory=dict)
    by_table: dict[tuple[str, str], Sum] = field(default_factory=dict)
    statuses: dict[tuple[str, str, date], str] = field(default_factory=dict)
    joins: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "gaps": [hole.to_dict() for hole in self.holes],
            "days": [
                {"instrument_id": key[0], "table": key[1], "date": str(key[2]), "status": self.statuses[key]}
                | {name: value for name, value in found.to_dict().items() if name in _OF_A_DAY}
                | {"off": sorted(found.off)}
                for key, found in self.by_day.items()
            ],
            "joins": self.joins,
            "totals": [
                {"instrument_id": key[0], "table": key[1]} | found.to_dict() for key, found in self.by_table.items()
            ],
        }


_OF_A_DAY: Final = frozenset({"gaps", "seconds", "ids_missing", "quiet", "edge_seconds", "unlisted"})


def gap_report(days: Sequence[Judged]) -> GapReport:
    """All gaps of days that are sorted by instrument, table and date."""
    report = GapReport()
    before: Judged | None = None
    for judged in days:
        key = (judged.day.instrument_id, judged.table.name)
        total = report.by_table.setdefault(key, Sum())
        total.watch(judged.off)
        mine = report.by_day[*key, judged.day.date] = Sum(unlisted=judged.verdict.gaps_unlisted)
        mine.watch(judged.off)
        report.statuses[*key, judged.day.date] = judged.status
        total.unlisted += mine.unlisted
        if before is not None and (before.day.instrument_id, before.table.name) == key:
            for hole in map(partial(_known, judged), _between(before, judged, report.joins)):
                total.add(hole)
                report.holes.append(hole)
        for hole in day_holes(judged):
            mine.add(hole)
            total.add(hole)
            report.holes.append(hole)
        uncounted = judged.verdict.ids_missing - mine.ids_missing
        mine.ids_missing += uncounted
        total.ids_missing += uncounted
        before = judged
    return report


def day_holes(judged: Judged) -> Iterator[Hole]:
    """The gaps of one day, its edges included where they are longer than allowed."""
    verdict, day = judged.verdict, judged.day.date
    first, last = verdict.first_ts_init, verdict.last_ts_init
    allowed = edges_allowed(verdict)

    def hole(kind: str, start: int, end: int, ids: int | None, cause: str) -> Hole:
        return _known(judged, Hole(judged.day.instrument_id, judged.table.name, day, kind, start, end, ids, cause))

    def edge(start: int, end: int) -> Iterator[Hole]:
        if (end - start) / NS_PER_SECOND > allowed:
            yield hole(EDGE, start, end, None, "capture_edge")

    before, behind = _NO_EDGES if first is None or last is None else uncovered(judged.table, day, first, last)
    yield from edge(*before)
    for gap in verdict.gaps:
        yield hole(INSIDE, gap.start, gap.end, gap.ids_missing, gap.cause)
    yield from edge(*behind)


def _known(judged: Judged, hole: Hole) -> Hole:
    """A hole with the outage that it lies in, if there is one."""
    slack = slack_of(judged.verdict) if judged.outages and hole.is_loss else 0
    found = explaining(judged.outages, hole.start, hole.end, slack) if slack else None
    return replace(hole, outage=found) if found else hole


def edges_allowed(verdict: Verdict) -> float:
    """Seconds at the ends of the day that are allowed, as a rule of the day says."""
    return float(next(iter(verdict.told_of("allowed_s")), DAY_EDGE_SECONDS))


def _between(before: Judged, after: Judged, joins: list[dict[str, Any]]) -> Iterator[Hole]:
    """What lies between two days that follow each other in the list: missing days, or ids that do not go on."""
    instrument_id, table = after.day.instrument_id, after.table.name
    for number in range(1, (after.day.date - before.day.date).days):
        day = before.day.date + timedelta(days=number)
        yield Hole(instrument_id, table, day, ABSENT, day_start(day), day_end(day), None, "unknown")
    missing = before.verdict.ids_until(after.verdict)
    if missing is None:
        return
    if after.day.date - before.day.date == timedelta(days=1):
        joins.append(
            {
                "instrument_id": instrument_id,
                "table": table,
                "from": str(before.day.date),
                "to": str(after.day.date),
                "ids_missing": missing,
            }
        )
    start, end = before.verdict.last_ts_init, after.verdict.first_ts_init
    if missing and start is not None and end is not None:
        yield Hole(
            instrument_id, table, after.day.date, JOIN, start, end, missing, "unknown" if missing > 0 else "overlap"
        )
