"""What a validation has found: of one day, and of all."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from msgspec import Struct, field

from hedgegrid_assets.inspect.book_told import BookTold
from hedgegrid_assets.model import GENERATION, Contiguous, Counted, Gap, RuleResult, Severity, Table
from hedgegrid_assets.stages.verdict import RuleAnswer
from hedgegrid_assets.store import StorePath, plain
from hedgegrid_assets.tables.rules.gaps import Gaps


class DayIds(Struct, frozen=True):
    """What is known of a day's ids, to compare them with those of its neighbour.

    ``first`` and ``last``: the smallest and the largest of those that are integers; ``integers``: all are.
    ``unique``: an id names one row. ``contiguous`` as in ``GapsFound``.
    """

    first: int | None
    last: int | None
    integers: bool
    unique: bool
    contiguous: Contiguous

    @classmethod
    def of(cls, seen: Counted, table: Table) -> "DayIds | None":
        """As the counters of a day saw them; None for a table without ids."""
        if table.id_column is None:
            return None
        found = seen.of(Gaps)
        return cls(found.first_id, found.last_id, found.integer_ids, seen.known.unique_ids, found.contiguous)


class DayReport(Struct, frozen=True):
    """One (instrument, table, day). The two comparisons are None where there is nothing to compare with."""

    instrument_id: str
    table: str
    date: date
    status: str
    rows: int
    frame_matches_verdict: bool | None
    catalog_matches_frame: bool | None
    rules: tuple[RuleResult, ...]
    gaps: Sequence[Gap] = ()
    error: str | None = None
    ids: "DayIds | None" = None
    in_catalog: bool = True
    """Nautilus' file of the day is there."""
    is_gone: bool = False
    """The frame that was judged is not there."""
    book: BookTold | None = None
    """Of a table that is one."""
    goes_on: bool = True
    """What it was given by the day before is still what that one hands on."""

    @property
    def ok(self) -> bool:
        """No ERROR rule failed, and nothing differs from what was judged."""
        return not self.is_damaged and not self.failed_errors

    @property
    def is_damaged(self) -> bool:
        """Something differs from what was judged, or cannot be read."""
        return self.error is not None or self.frame_matches_verdict is False or self.catalog_matches_frame is False

    @property
    def failed_errors(self) -> list[str]:
        """Names of the ERROR rules that failed."""
        return [rule.name for rule in self.rules if rule.severity is Severity.ERROR and rule.failed]

    @property
    def rules_off(self) -> list[str]:
        """Names of the rules that are off, and so say nothing of the day."""
        return [rule.name for rule in self.rules if rule.off]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        found: dict[str, Any] = {
            "instrument_id": self.instrument_id,
            "table": self.table,
            "date": str(self.date),
            "status": self.status,
            "rows": self.rows,
            "frame_matches_verdict": self.frame_matches_verdict,
            "catalog_matches_frame": self.catalog_matches_frame,
            "in_catalog": self.in_catalog,
            "goes_on": self.goes_on,
            "rules": [plain(RuleAnswer.of(rule)) for rule in self.rules],
            "gaps": plain(self.gaps),
        }
        if self.book is not None:
            found["book"] = plain(self.book)
        return found | {"error": self.error} if self.error else found


class ValidationReport(Struct, frozen=True):
    """What ``validate`` found. ``large_gaps_over_60s`` counts steps of ``ts_event`` between trades, as the guide does."""

    catalog: StorePath
    days: list[DayReport]
    joins: list[dict[str, Any]] = field(default_factory=list)
    missing_days: list[dict[str, str]] = field(default_factory=list)
    large_gaps_over_60s: int = 0
    files: list[dict[str, str]] = field(default_factory=list)
    """Files in Nautilus' folders that do not belong there: unknown ones, and those that overlap."""
    unfinished: str | None = None
    """What a killed process has begun to change."""
    documents: list[dict[str, str]] = field(default_factory=list)
    """Documents of the catalog, and of the data root if one was given, that are damaged: what, and the way out."""
    outages: list[dict[str, str]] = field(default_factory=list)
    """Known outages that no gap lies in (any more): told, and nothing is wrong with the data."""
    nautilus: int = GENERATION
    """Generation of NautilusTrader that the catalog is for."""
    raw_days: list[dict[str, str]] = field(default_factory=list)
    """Raw days that are not what they were, where they were read: what, and the way out."""

    @property
    def ok(self) -> bool:
        """Every day and its raw day is as it was judged, no ERROR rule fails, Nautilus' folders hold nothing else,
        nothing is half done, and no trade is stored twice.

        An id on two days that names two trades is told, and no more: the venue gave it twice, and both rows are right.
        """
        whole = not (self.files or self.documents or self.raw_days or self.unfinished or self.trades_twice)
        return whole and all(day.ok for day in self.days)

    @property
    def trades_twice(self) -> int:
        """Trades that are stored on two neighbouring days: equal in id and content."""
        return sum(join["trades_twice"] or 0 for join in self.joins)

    @property
    def rules_failed(self) -> int:
        """ERROR rules that failed, over all days."""
        return sum(len(day.failed_errors) for day in self.days)

    @property
    def days_damaged(self) -> int:
        """Days that are not as they were judged."""
        return sum(day.is_damaged for day in self.days)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "catalog": str(self.catalog),
            "ok": self.ok,
            "rules_failed": self.rules_failed,
            "trades_twice": self.trades_twice,
            "days": [day.to_dict() for day in self.days],
            "joins": self.joins,
            "missing_days": self.missing_days,
            "large_gaps_over_60s": self.large_gaps_over_60s,
            "files": self.files,
            "unfinished": self.unfinished,
            "documents": self.documents,
            "raw_days": self.raw_days,
            "outages_without_a_gap": self.outages,
            "nautilus": self.nautilus,
        }
