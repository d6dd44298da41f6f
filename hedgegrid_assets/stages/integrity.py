"""Stage 3: the rules of a table, evaluated as counters over the blocks as they pass."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
import polars as pl

from hedgegrid_assets.model import (
    Counted,
    Counter,
    DayContext,
    Held,
    Rows,
    Rule,
    RuleResult,
    Table,
    Thresholds,
)
from hedgegrid_assets.tables.rules.counters import Extent, FailingRows
from hedgegrid_assets.tables.rules.gaps import Gaps


class HandedOn(NamedTuple):
    """What the counters of a day have handed on to the next, by their names, and the digest of that day's content."""

    states: Mapping[str, Any]
    content_digest: str | None


class DayRules:
    """Takes the blocks of one (instrument-day, table) in stored order; then judges.

    Works on what is stored, so that a tampered frame is found by giving it in again. ``before``: what the counters of
    the day before have handed on; ``began_with``: the content digest of that day, where one was of use.
    """

    def __init__(self, table: Table, day: date, thresholds: Thresholds, before: HandedOn | None = None) -> None:
        self._held = Held(table, day, thresholds)
        self._counters = {kind: kind(self._held) for kind in counters_of(table)}
        self.began_with: str | None = None
        for kind, counter in self._counters.items() if before else ():
            state = _state_of(kind, before)
            if state is not None:
                counter.resume(state)
                self.began_with = before.content_digest if before else None
        self._carry: pl.DataFrame | None = None

    def add(self, block: pl.DataFrame) -> None:
        """Add rows (memory form of a frame, see ``frames``)."""
        if not len(block):
            return
        rows = Rows(block, self._carry)
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
        """What the counters of the next day begin with, as a verdict keeps it: by the names of the counters."""
        states = {kind.__name__: counter.hand_on() for kind, counter in self._counters.items() if kind.state}
        return {name: msgspec.to_builtins(state) for name, state in states.items() if state is not None}

    def judge(self, known: DayContext) -> tuple[Counted, tuple[RuleResult, ...]]:
        """All that was counted, and the answer of every rule."""
        day = _Day(self._held, known, self._counters)
        return day, tuple(_answer(rule, day) for rule in self._held.table.rules)


def begins_with(table: Table, before: HandedOn | None) -> str | None:
    """The content digest of the day before, where some counter of the table can begin with what it hands on."""
    known = any(_state_of(kind, before) is not None for kind in counters_of(table))
    return before.content_digest if known and before is not None else None


def hands_on(table: Table) -> bool:
    """Some counter of the table has something to say to the next day."""
    return any(kind.state is not None for kind in counters_of(table))


def _state_of(kind: type[Counter[Any]], before: HandedOn | None) -> Any:
    """What a counter begins with; None: nothing, or what this counter does not know any more."""
    if before is None or kind.state is None or kind.__name__ not in before.states:
        return None
    try:
        return msgspec.convert(before.states[kind.__name__], kind.state)
    except msgspec.ValidationError:
        return None


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
