"""What a run did, day by day."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from hedgegrid_assets.errors import DataError, HedgegridError, NotPublished, PrecisionTooFine, Refused
from hedgegrid_assets.model import InstrumentDay, Severity, Status, Table
from hedgegrid_assets.pipeline.days import TableDay
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages.outages import read_outages, with_outages
from hedgegrid_assets.stages.verdict import Verdict, read_verdict
from hedgegrid_assets.store import Places, plain


class DaySummary(Struct, frozen=True):
    """One (instrument, table, day) of a run.

    ``skipped``: it was there already, made from the same bytes. ``off``: rules that say nothing of the day.
    ``warned``: WARN rules that it failed.
    """

    instrument_id: str
    table: str
    date: date
    status: str
    rows: Mapping[str, int]
    rejects_by_reason: Mapping[str, int]
    gaps: int
    ids_missing: int
    bytes: int
    skipped: bool = False
    error: str | None = None
    off: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    note: str | None = None
    """What a person should know of what the day has replaced."""
    reshaped: Mapping[str, int] = field(default_factory=dict)
    """Why rows out are not rows in, where they were made into others: see ``Table.reshapes``."""
    finer: Mapping[str, int] = field(default_factory=dict)
    """Precision of the instrument (``price``, ``size``, ``mark``) -> the decimals that the day needs, where it has fewer."""
    quiet: int = 0
    """How many of the gaps are silences in which nothing is lost."""
    because: str | None = None
    """Why it was made again, where it had been made before."""

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            name: str(value) if isinstance(value, date) else dict(value) if isinstance(value, Mapping) else value
            for name in self.__struct_fields__
            for value in [getattr(self, name)]
        }


class RunSummary(Struct, frozen=True):
    """What a run did. ``ok`` is false if anything failed; good days have landed all the same.

    Attributes:
        days: One for each (instrument, table, day).
        lines: Lines of the landing files; ``counts`` say where they went, ``files`` for each file.
        counts: ``lines, placed, header, other, unplaced``: the first is the sum of the others.
        files: The same for each landing file, with its name and the reasons of the lines without a place.
        by_stream: Lines by what they call themselves.
        unplaced: Lines without a place, by reason.
        notes: What a person should know.
        errors: What failed besides single days: files that are refused, symbols that are not there.
        seconds: Wall clock.
    """

    days: list[DaySummary]
    lines: int = 0
    by_stream: Mapping[str, int] = field(default_factory=dict)
    unplaced: Mapping[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    errors: list[HedgegridError] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Every day has landed, and all that was asked for is there."""
        return not self.errors and all(day.error is None for day in self.days)

    @property
    def rows(self) -> int:
        """Rows in the frames of this run's days."""
        return sum(day.rows.get("out", 0) for day in self.days)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.ok,
            "rows": self.rows,
            "lines": self.lines,
            "counts": dict(self.counts),
            "files": self.files,
            "errors": [error.to_dict()["error"] for error in self.errors],
            "by_stream": dict(self.by_stream),
            "unplaced": dict(self.unplaced),
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
            "days": [day.to_dict() for day in self.days],
        }


class Watch(Protocol):
    """Who shows how far a run is."""

    def begin(self, what: str, of: int) -> None:
        """So many raw days are to be ``what``: ``fetched``, then ``made``."""

    def fetched(self, told: str) -> None:
        """A raw day is there; ``told``: a line on one that was fetched now, else empty. Called from all threads."""

    def finished(self, days: Sequence[DaySummary]) -> None:
        """A raw day is done; ``days``: what was made of it, a row a table. Called from all threads."""


def _summary(
    places: Places,
    day: InstrumentDay,
    table: Table,
    size: int,
    *,
    skipped: bool = False,
    error: HedgegridError | None = None,
    made: Verdict | None = None,
) -> DaySummary:
    stored = made or (None if isinstance(error, Refused) else read_verdict(places, table, day))
    verdict = None if stored is None else with_outages(stored, read_outages(places))
    if verdict is None:
        return failed_day(day, table, error or DataError("no verdict"))
    return DaySummary(
        instrument_id=day.instrument_id,
        table=table.name,
        date=day.date,
        status=verdict.status,
        rows=plain(verdict.rows),
        rejects_by_reason=verdict.rejects_by_reason,
        gaps=verdict.number_of_gaps,
        ids_missing=verdict.ids_missing,
        bytes=size,
        skipped=skipped,
        error=str(error) if error else None,
        off=tuple(verdict.rules_off),
        warned=tuple(rule.name for rule in verdict.failed if rule.severity is Severity.WARN),
        reshaped=verdict.reshaped,
        quiet=verdict.quiet,
        finer=_finer(error),
    )


def _finer(error: HedgegridError | None) -> Mapping[str, int]:
    return error.needed if isinstance(error, PrecisionTooFine) else {}


_STATUS_OF: Final[Mapping[type[HedgegridError], Status]] = {Refused: Status.REFUSED, NotPublished: Status.MISSING}
"""Of a day without a verdict, where it is not blocked: what cannot be had yet is only missing."""


def failed_day(day: InstrumentDay, table: Table, error: HedgegridError) -> DaySummary:
    """A day that has no verdict, and why."""
    status = next((status for kind, status in _STATUS_OF.items() if isinstance(error, kind)), Status.BLOCKED)
    return DaySummary(
        day.instrument_id, table.name, day.date, str(status), {}, {}, 0, 0, 0, error=str(error), finer=_finer(error)
    )


def day_summary(places: Places, done: TableDay) -> DaySummary:
    """What became of one table of an instrument-day, in numbers."""
    if isinstance(done.error, Refused):
        return failed_day(done.day, done.table, done.error)
    if done.error is not None:
        return _summary(places, done.day, done.table, 0, error=done.error)
    size = done.written.bytes if done.written else catalog.file_of(places, done.day, done.table).size
    made = done.made
    summary = _summary(places, done.day, done.table, size, skipped=done.current, made=made.verdict if made else None)
    return summary if made is None else replace(summary, note=made.note, because=done.because)
