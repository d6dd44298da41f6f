"""The verdict of an instrument-day: what the rules of a table said of its frame, bound to the frame's content."""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from operator import attrgetter
from typing import Any, ClassVar, Final

import msgspec
from msgspec.structs import replace

from hedgegrid_assets.errors import DataError, EnvironmentFault
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.model import (
    NO_LOSS,
    Counted,
    Effect,
    Gap,
    Identity,
    InstrumentDay,
    RowCounts,
    RuleResult,
    Severity,
    Status,
    Table,
    Thresholds,
)
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.integrity import HandedOn, begins_with, hands_on
from hedgegrid_assets.store import Document, Places, StorePath, folder_of, read_document, write_document
from hedgegrid_assets.tables import RULES
from hedgegrid_assets.tables.rules.counters import Extent
from hedgegrid_assets.tables.rules.gaps import Gaps

GAPS_STORED: Final = 1_000
_IDS_MISSING: Final = attrgetter("ids_missing")


class RuleAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The answer of a rule as a verdict holds it.

    Verdicts of before call some rules passed that were off (``off`` is new): the rule knows them by their numbers.
    """

    name: str
    severity: Severity
    passed: bool | None
    rows_failed: int
    numbers: dict[str, Any]
    off: bool = False

    @classmethod
    def of(cls, result: RuleResult) -> "RuleAnswer":
        """What is stored of an answer."""
        return cls(result.name, result.severity, result.passed, result.rows_failed, dict(result.numbers), result.off)

    @property
    def answer(self) -> bool | None:
        """Passed or failed; None: it was off."""
        known = RULES.get(self.name)
        was_off = known.was_off if known is not None else None
        return None if self.passed and was_off is not None and was_off(self.numbers) else self.passed

    @property
    def failed(self) -> bool:
        """It was held to, and does not hold."""
        return self.answer is False


class Verdict(Document, frozen=True, kw_only=True):
    """The verdict of an instrument-day. Keys sorted, no wall-clock, times in ns.

    Attributes:
        frame_sha256: Of the bytes of the frame that was judged; None: no frame could hold the rows.
        content_digest: Of its values.
        raw_sha256: Of the raw days that it was made from.
        gaps: At most ``GAPS_STORED``; ``gaps_total`` is how many there are, where there are more.
        identity: When two rows were taken for one, where it is not by the id (if there are ids) or by the content.
        read_as: Digest of what was said of how to read its files, where something was said.
        state: Counter -> what it hands on to the next day, where it has something to say.
        began_with: Content digest of the day before, where counters have begun with what it hands on.
    """

    kind: ClassVar[str] = "verdict"
    newest: ClassVar[int] = 2
    told: ClassVar[str] = "a verdict"
    verdict: int = 1
    instrument_id: str
    table: str
    date: date
    series: str
    status: Status
    frame_sha256: str | None
    content_digest: str | None
    raw_sha256: list[str]
    code_version: str
    precision: Precisions
    thresholds: Thresholds
    rows: RowCounts
    first_ts_init: int | None
    last_ts_init: int | None
    first_id: str | None
    last_id: str | None
    rules: list[RuleAnswer]
    gaps: list[Gap]
    rejects_by_reason: dict[str, int]
    gaps_total: int | None = None
    identity: Identity | None = None
    read_as: str | None = None
    state: dict[str, Any] = msgspec.field(default_factory=dict)
    began_with: str | None = None

    @property
    def number_of_gaps(self) -> int:
        """Those that are not listed included."""
        return len(self.gaps) if self.gaps_total is None else self.gaps_total

    @property
    def gaps_unlisted(self) -> int:
        """Gaps that are counted, but not listed."""
        return self.number_of_gaps - len(self.gaps)

    @property
    def quiet(self) -> int:
        """Gaps that are no loss: nothing happened, or the venue used the ids up itself.

        Those that lose something are listed first, so that of the rest nothing is lost where a listed one loses nothing.
        Else as many of the rest are quiet as a rule has counted; of a day without that rule none is said to be.
        """
        no_loss = sum(gap.cause in NO_LOSS for gap in self.gaps)  # not by a property: a year has a quarter of a million
        if no_loss:
            return no_loss + self.gaps_unlisted
        return min(self.gaps_unlisted, max(self.told_of("quiet"), default=0))

    @property
    def failed(self) -> list[RuleAnswer]:
        """The rules that failed; those that were off did neither."""
        return [rule for rule in self.rules if rule.failed]

    @property
    def failed_errors(self) -> list[str]:
        """Names of the ERROR rules that failed."""
        return [rule.name for rule in self.failed if rule.severity is Severity.ERROR]

    @property
    def rules_off(self) -> list[str]:
        """Names of the rules that were off, and so say nothing of the day."""
        return [rule.name for rule in self.rules if rule.answer is None]

    @property
    def ids_missing(self) -> int:
        """Ids missing inside the day, also in gaps that are counted but not listed."""
        return max(sum(map(_IDS_MISSING, self.gaps)), *self.told_of("ids_missing"), 0)

    @property
    def reshaped(self) -> dict[str, int]:
        """What a shape has made of how many rows more than it took; below zero: fewer."""
        return next(iter(self.told_of("reshaped")), {})

    @property
    def ways_out(self) -> list[str]:
        """What may be done where ERROR rules have failed, as they say it."""
        return [RULES[name].hint for name in self.failed_errors if name in RULES and RULES[name].hint]

    @property
    def blamed_files(self) -> list[dict[str, Any]]:
        """The files of the day of which too many lines have no place (the first of them)."""
        return [file for files in self.told_of("files") for file in files]

    def told_of(self, number: str) -> list[Any]:
        """A number by its name, of each rule that tells it."""
        return [answer.numbers[number] for answer in self.rules if number in answer.numbers]

    def numbers_of(self, rule: str) -> dict[str, Any]:
        """What a rule counted; nothing where the day was not held to it."""
        return next((answer.numbers for answer in self.rules if answer.name == rule), {})

    def identity_in(self, table: Table) -> Identity:
        """When two rows of the day were taken for one."""
        return self.identity or _usual_identity(table)

    def ids_until(self, after: "Verdict") -> int | None:
        """Ids missing between this day and another (negative: ids that are in both); None where ids do not count."""
        told = [contiguous for day in (self, after) for contiguous in day.told_of("contiguous")]
        if any(contiguous in {False, "no"} for contiguous in told):
            return None
        last, first = str(self.last_id), str(after.first_id)
        return int(first) - int(last) - 1 if last.isdigit() and first.isdigit() else None


def _usual_identity(table: Table) -> Identity:
    return Identity.ID if table.id_column else Identity.CONTENT


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
    precisions: Precisions,
    thresholds: Thresholds,
    identity: Identity = Identity.ID,
    read_as: str | None = None,
    state: Mapping[str, Any] | None = None,
    began_with: str | None = None,
) -> Verdict:
    """The verdict of an instrument-day."""
    span, found = seen.of(Extent), seen.of(Gaps)
    return Verdict(
        verdict=Verdict.newest,
        instrument_id=day.instrument_id,
        table=table.name,
        date=day.date,
        series=series,
        status=status_of(results, span.rows),
        frame_sha256=frame_sha256,
        content_digest=content_digest,
        raw_sha256=list(raw_sha256),
        code_version=code_version,
        precision=precisions,
        thresholds=thresholds,
        rows=seen.known.counts or RowCounts(rows_in=span.rows, rows_out=span.rows),
        first_ts_init=span.first,
        last_ts_init=span.last,
        first_id=None if found.first_id is None else str(found.first_id),
        last_id=None if found.last_id is None else str(found.last_id),
        rules=[RuleAnswer.of(result) for result in results],
        gaps=list(found.gaps.worst(GAPS_STORED)),
        rejects_by_reason=dict(sorted(seen.known.rejects_by_reason.items())),
        gaps_total=len(found.gaps) if len(found.gaps) > GAPS_STORED else None,
        identity=None if identity is _usual_identity(table) else identity,
        read_as=read_as,
        state=dict(state or {}),
        began_with=began_with,
    )


def store_verdict(places: Places, table: Table, day: InstrumentDay, verdict: Verdict) -> None:
    """Publish a verdict."""
    write_document(places.verdict(day.instrument_id, table.folder, day.date), places.catalog_temp, verdict)


def read_verdict(places: Places, table: Table, day: InstrumentDay) -> Verdict | None:
    """The stored verdict, or None. Raises DocumentDamaged."""
    return read_document(places.verdict(day.instrument_id, table.folder, day.date), Verdict)


def handed_on(places: Places, table: Table, day: InstrumentDay, series: str) -> HandedOn | None:
    """What the counters of the day before hand on, if it is there, of the same series, and good.

    ``began_with`` tells which one a day has seen (see ``goes_on``).
    """
    if not hands_on(table):
        return None
    before: Verdict | None = None
    with contextlib.suppress(EnvironmentFault):  # whoever looks at that day is told
        before = read_verdict(places, table, replace(day, date=day.date - timedelta(days=1)))
    if before is None or before.status is Status.BLOCKED or before.series != series or not before.state:
        return None
    return HandedOn(before.state, before.content_digest)


def goes_on(places: Places, table: Table, day: InstrumentDay, verdict: Verdict) -> bool:
    """Rows that a day was given by the day before are still those that this one hands on.

    Where it is not there any more, or hands on nothing, the day stays as it is; and so do tables whose rows are their own.
    """
    if table.made_up is None:
        return True
    now = begins_with(table, handed_on(places, table, day, verdict.series))
    return now is None or now == verdict.began_with


def instrument_ids(places: Places) -> dict[str, str]:
    """Folder -> InstrumentId of all that a catalog has verdicts or frames of; a folder's name has no slash, an id may.

    Definitions that are damaged tell nothing here.
    """
    known: dict[str, str] = {}
    with contextlib.suppress(DataError):  # whoever needs a definition is told
        known = {folder_of(instrument_id): instrument_id for instrument_id in read_definitions(places.catalog)}
    folders = [folder for folder in places.catalog.folders() if _holds_days(folder)]
    return {folder.name: known.get(folder.name) or _judged_as(folder) or folder.name for folder in folders}


def _holds_days(folder: StorePath) -> bool:
    return any(below.name.endswith((".verdict", ".parquet")) for below in folder.folders())


def _judged_as(folder: StorePath) -> str | None:
    """The id that a verdict of the folder names."""
    for path in folder.glob("*.verdict/*.json"):
        with contextlib.suppress(EnvironmentFault):  # whoever looks at its day is told
            found = read_document(path, Verdict)
            if found is not None and folder_of(found.instrument_id) == folder.name:
                return found.instrument_id
    return None
