"""Known outages: what a person says of gaps that the data prove.

They lie in the catalog beside the verdicts, which stay what the data say: ``with_outages`` is how a verdict reads with them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Final

import msgspec

from hedgegrid_assets.model import Effect, Gap, Status
from hedgegrid_assets.stages.verdict import RuleAnswer, Verdict
from hedgegrid_assets.store import Document, Places, change_document, exclusive_lock, read_document
from hedgegrid_assets.tables import RULES, TABLES
from hedgegrid_assets.tables.rules import (
    CADENCE_AS_EXPECTED,
    CADENCE_SHARE,
    DAY_COVERED,
    DAY_EDGE_SECONDS,
    NO_SEQUENCE_GAPS,
    NO_TIME_GAPS,
    uncovered,
)
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_of, days_between


class Outage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, order=True):
    """A time that is known to lack data.

    Attributes:
        instrument_id: Of which instrument.
        table: Of which table; empty: of all.
        start: In ns, inclusive; ``end`` exclusive.
        reason: In a person's words.
        link: Where it is told, such as the venue's page of incidents.
        feed: The feed of feeds.yaml that says so; empty: a person did with ``gaps acknowledge``.
    """

    instrument_id: str
    table: str
    start: int
    end: int
    reason: str
    link: str = ""
    feed: str = ""

    def concerns(self, instrument_id: str, table: str) -> bool:
        """It is said of this instrument and table."""
        return self.instrument_id == instrument_id and self.table in {"", table}

    def explains(self, start: int, end: int, slack_ns: int) -> bool:
        """A hole lies in it; rows come a little before and after, as far as a usual silence reaches."""
        return start < self.end and end > self.start and start >= self.start - slack_ns and end <= self.end + slack_ns

    @property
    def days(self) -> list[date]:
        """The UTC days that it touches."""
        return [*days_between(day_of(self.start), day_of(self.end - 1)), day_of(self.end - 1)]

    @property
    def told(self) -> str:
        """Reason and link."""
        return f"{self.reason} ({self.link})" if self.link else self.reason


class Outages(Document, frozen=True, kw_only=True):
    """The known outages of a catalog, in order: the same of them give the same bytes."""

    kind: ClassVar[str] = "outages"
    newest: ClassVar[int] = 1
    told: ClassVar[str] = "the known outages"
    remedy: ClassVar[str] = "remove it and say again what is known: hedgegrid gaps acknowledge"
    outages: int = 1
    known: list[Outage]


def read_outages(places: Places) -> tuple[Outage, ...]:
    """The known outages of a catalog. Raises DocumentDamaged."""
    found = read_document(places.outages, Outages)
    return tuple(found.known) if found else ()


def acknowledge(places: Places, outages: Iterable[Outage]) -> None:
    """Keep outages; one that says the same time of the same table is replaced."""
    new = {_what(outage): outage for outage in outages}
    _change(places, lambda known: [*(each for each in known if _what(each) not in new), *new.values()])


def withdraw(places: Places, outages: Iterable[Outage]) -> None:
    """Forget outages."""
    gone = set(outages)
    _change(places, lambda known: [each for each in known if each not in gone])


def take_over(places: Places, feed: str, outages: Sequence[Outage]) -> None:
    """Keep what a feed says now, in place of what it said before; nothing is written where that is the same."""
    if {each for each in read_outages(places) if each.feed == feed} != set(outages):
        _change(places, lambda known: [*(each for each in known if each.feed != feed), *outages])


def _what(outage: Outage) -> tuple[object, ...]:
    return outage.instrument_id, outage.table, outage.start, outage.end, outage.feed


def _change(places: Places, change: Callable[[Sequence[Outage]], Iterable[Outage]]) -> None:
    def changed(found: Outages | None) -> Outages:
        return Outages(known=sorted(set(change(found.known if found else []))))

    with exclusive_lock(places.catalog_lock):
        change_document(places.outages, places.catalog_temp, Outages, changed)


# ---------------------------------------------------------------- what they make of a verdict


def known_of(outages: Iterable[Outage], instrument_id: str, table: str) -> tuple[Outage, ...]:
    """Those of one (instrument, table)."""
    return tuple(outage for outage in outages if outage.concerns(instrument_id, table))


def slack_of(verdict: Verdict) -> int:
    """How far a hole may reach beyond an outage, in ns: the longest silence that is usual."""
    seconds = verdict.numbers_of(NO_TIME_GAPS.name).get("threshold_s") or DAY_EDGE_SECONDS
    return int(float(seconds) * NS_PER_SECOND)


def explaining(outages: Iterable[Outage], start: int, end: int, slack_ns: int) -> Outage | None:
    """The outage that a hole lies in."""
    return next((outage for outage in outages if outage.explains(start, end, slack_ns)), None)


def with_outages(verdict: Verdict, outages: Iterable[Outage]) -> Verdict:
    """A verdict as it reads with what is known: a rule all of whose gaps are known passes, and its numbers name them.

    Gaps stay listed. A day that is blocked stays so.
    """
    mine = known_of(outages, verdict.instrument_id, verdict.table)
    if not mine or verdict.status not in {Status.DEGRADED, Status.PARTIAL}:
        return verdict
    rules = [_answered(rule, verdict, mine) for rule in verdict.rules]
    if rules == verdict.rules:
        return verdict
    return msgspec.structs.replace(verdict, rules=rules, status=_status(rules))


def known_reasons(verdict: Verdict) -> list[str]:
    """Why rules pass that would have failed, as ``with_outages`` has noted it."""
    return list(dict.fromkeys(reason for rule in verdict.rules for reason in rule.numbers.get("known_outages", [])))


def _status(rules: Iterable[RuleAnswer]) -> Status:
    effects = {RULES[rule.name].effect for rule in rules if rule.failed and rule.name in RULES}
    if Effect.PARTIAL in effects:
        return Status.PARTIAL
    return Status.DEGRADED if Effect.DEGRADES in effects else Status.COMPLETE


def _answered(rule: RuleAnswer, verdict: Verdict, outages: Sequence[Outage]) -> RuleAnswer:
    holes = _HOLES.get(rule.name)
    if holes is None or not rule.failed:
        return rule
    found = holes(verdict, rule.numbers)
    if found is None:
        return rule
    slack = slack_of(verdict)
    known = [explaining(outages, start, end, slack) for start, end in found]
    told = list(dict.fromkeys(outage.told for outage in known if outage is not None))
    inside = [hole for hole, outage in zip(found, known, strict=True) if outage is not None]
    if rule.name == CADENCE_AS_EXPECTED.name:
        whole = _keeps_pace(verdict, rule.numbers, inside)
    else:
        whole = len(inside) == len(found)
    if not told or not whole:
        return rule
    return msgspec.structs.replace(rule, passed=True, numbers=dict(rule.numbers) | {"known_outages": told})


type _Holes = list[tuple[int, int]]


def _silences(verdict: Verdict, numbers: Mapping[str, Any]) -> _Holes | None:
    """The silences that failed the rule; None where the verdict does not list them all."""
    threshold = int(float(numbers["threshold_s"]) * NS_PER_SECOND)
    found = [_ends(gap) for gap in _lost(verdict) if gap.end - gap.start > threshold]
    return found if len(found) == numbers.get("gaps") else None


def _id_holes(verdict: Verdict, numbers: Mapping[str, Any]) -> _Holes | None:
    found = [_ends(gap) for gap in verdict.gaps if gap.ids_missing]
    return found if len(found) == numbers.get("holes") else None


def _edges(verdict: Verdict, numbers: Mapping[str, Any]) -> _Holes:
    """From midnight to the first row, and from the last row to midnight, where that is longer than allowed."""
    first, last, allowed = verdict.first_ts_init, verdict.last_ts_init, float(numbers["allowed_s"])
    if first is None or last is None:
        return []
    holes = uncovered(TABLES[verdict.table], verdict.date, first, last)
    told = numbers["start_missing_s"], numbers["end_missing_s"]
    return [hole for hole, seconds in zip(holes, told, strict=True) if seconds > allowed]


def _losses(verdict: Verdict, numbers: Mapping[str, Any]) -> _Holes:  # noqa: ARG001 - as the others are asked
    return [_ends(gap) for gap in _lost(verdict)]


def _lost(verdict: Verdict) -> Iterator[Gap]:
    return (gap for gap in verdict.gaps if gap.cause.is_loss)


def _ends(gap: Gap) -> tuple[int, int]:
    return gap.start, gap.end


def _keeps_pace(verdict: Verdict, numbers: Mapping[str, Any], known: _Holes) -> bool:
    """Enough updates came in the time that is not known to lack them."""
    first, last = verdict.first_ts_init, verdict.last_ts_init
    if first is None or last is None:
        return False
    expected = float(numbers["expected_s"])
    due = (last - first - sum(end - start for start, end in known)) / NS_PER_SECOND / expected + 1
    return verdict.rows.rows_out >= CADENCE_SHARE * due


_HOLES: Final[Mapping[str, Callable[[Verdict, Mapping[str, Any]], _Holes | None]]] = {
    NO_TIME_GAPS.name: _silences,
    NO_SEQUENCE_GAPS.name: _id_holes,
    DAY_COVERED.name: _edges,
    CADENCE_AS_EXPECTED.name: _losses,
}
"""Rule -> the holes that it failed for."""
