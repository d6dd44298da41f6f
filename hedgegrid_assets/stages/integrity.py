"""Stage 3: the rules of a table, evaluated as counters over the blocks as they pass."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

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
