"""Tables, and the rules and counters that they are judged by."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import polars as pl
from msgspec import Struct, field

from hedgegrid_assets.errors import NoNautilusForm
from hedgegrid_assets.model.days import DayContext, Thresholds
from hedgegrid_assets.model.forms import GENERATION, Column, NautilusForm


class Severity(StrEnum):
    """What a failed rule does: ERROR keeps the day out of the catalog, WARN only tells."""

    ERROR = "ERROR"
    WARN = "WARN"


class Held(Struct, frozen=True):
    """A table's day, and what it is held to."""

    table: "Table"
    day: date
    thresholds: Thresholds


@dataclass(frozen=True)
class Rows:
    """Rows of a day in memory form, in stored order: ``new``, and the one row ``before`` them, if they are not the first."""

    new: pl.DataFrame
    before: pl.DataFrame | None = None

    @property
    def carried(self) -> int:
        """How many rows of ``joined`` are not new."""
        return 0 if self.before is None else 1

    @cached_property
    def joined(self) -> pl.DataFrame:
        """The new ones behind the one before them."""
        return self.new if self.before is None else pl.concat([self.before, self.new])

    def steps(self, column: str) -> np.ndarray:
        """From row to row of ``joined``, of a column of integers."""
        numbers = self.new[column].to_numpy()
        return np.diff(numbers) if self.before is None else np.diff(numbers, prepend=self.before[column].to_numpy())


class Counter[R](Protocol):
    """Counts something of the rows of one day of a table as they pass; rules are judged by what it finds.

    ``needs``: counters that its result is made with. ``state``: the type of what it hands on to the next day, small and
    known to msgspec, as a verdict keeps it; None: it hands nothing on.
    """

    needs: ClassVar[tuple["type[Counter[Any]]", ...]] = ()
    state: ClassVar[type[Any] | None] = None

    def __init__(self, held: Held) -> None: ...

    def add(self, rows: Rows) -> None:
        """Take the next rows; there is at least one."""

    def result(self, day: "Counted") -> R:
        """What it found."""
        ...

    def resume(self, state: Any) -> None:
        """Begin with what the counter of the day before has handed on; before any rows."""

    def hand_on(self) -> Any:
        """What the counter of the next day begins with, a ``state``; None: nothing."""
        return None


class Counted(Protocol):
    """A day all of whose rows have passed."""

    @property
    def held(self) -> Held:
        """The day."""
        ...

    @property
    def known(self) -> DayContext:
        """What is known besides its rows."""
        ...

    def of[R](self, counter: type[Counter[R]]) -> R:
        """What a counter found; only of those that a rule or another counter names."""
        ...


class Judgement(Struct, frozen=True):
    """A rule's answer for one day; ``numbers`` are what it reports, failed or not.

    ``passed`` is None where the rule is off: switched off, or there is nothing that it could be held to.
    """

    passed: bool | None
    rows_failed: int = 0
    numbers: Mapping[str, Any] = field(default_factory=dict)


class Judges(Protocol):
    """Gives the answer of a rule."""

    def __call__(self, day: Counted, /) -> Judgement:
        """The answer for a day."""
        ...


class Compares(Protocol):
    """Compares what two tables have of one day, block by block in memory form."""

    def __call__(self, mine: Iterator[pl.DataFrame], other: Iterator[pl.DataFrame], /) -> Mapping[str, Any]:
        """What a rule is judged by; small, and known to JSON."""
        ...


class TellsOff(Protocol):
    """Knows answers of a rule that was off."""

    def __call__(self, numbers: Mapping[str, Any], /) -> bool:
        """Was it off, by its numbers?"""
        ...


class Effect(StrEnum):
    """What a failed rule makes of a day that is in the catalog."""

    NONE = "none"
    DEGRADES = "degrades"
    PARTIAL = "partial"


class Shows(StrEnum):
    """What is shown of a day where a rule fails."""

    ROWS = "rows"
    REPEATED_IDS = "repeated ids"
    REJECTS = "rejects"
    GAPS = "gaps"


class Rule(Struct, frozen=True):
    """One integrity rule, declared once; checks, verdicts, validate and documentation read it from here.

    Attributes:
        name: As functions are named; unique within a table.
        severity: ERROR keeps the day out of the catalog.
        check: The asset check that it is reported under.
        description: What holds when it passes, in plain words.
        fails: For rules over rows: true for each row that breaks it. Rows are in stored order, ``shift(1)`` is the
            previous row, also across blocks; ``day_start``, ``day_end`` and ``price_tick`` (the increment in units of
            the last decimal) are columns as well; rules ``by_increment`` are not asked where there is none.
        judge: The answer for the day; None: it passes where no row fails.
        counters: What ``judge`` asks for.
        effect: What its failure makes of a day that it does not keep out.
        shows: What of the day is shown where it fails.
        looks_for: Kind of gap that it finds: nobody looked for them where it is off.
        seen_while_normalizing: Rows alone do not tell: who looks at them again takes the stored answer.
        by_increment: It holds prices to the instrument's increment.
        hint: What may be done where it fails.
        was_off: Tells by its numbers whether a rule that a verdict of before calls passed was off.
    """

    name: str
    severity: Severity
    check: str
    description: str
    fails: pl.Expr | None = None
    judge: Judges | None = None
    counters: tuple[type[Counter[Any]], ...] = ()
    effect: Effect = Effect.NONE
    shows: Shows = Shows.ROWS
    looks_for: str = ""
    seen_while_normalizing: bool = False
    by_increment: bool = False
    hint: str = ""
    was_off: TellsOff | None = None


class RuleResult(Struct, frozen=True):
    """A rule with its answer, as stored in a verdict. ``passed`` is None where the rule is off."""

    rule: Rule
    passed: bool | None
    rows_failed: int
    numbers: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the rule."""
        return self.rule.name

    @property
    def severity(self) -> Severity:
        """Of the rule."""
        return self.rule.severity

    @property
    def failed(self) -> bool:
        """It was held to, and does not hold: neither passed nor off."""
        return self.passed is False

    @property
    def off(self) -> bool:
        """It was held to nothing, so it says nothing."""
        return self.passed is None


class LastRow(Struct, frozen=True):
    """A flag that is set on the last row of a day for each value of the column ``key``, among the rows that count.

    ``among``: which rows count, from the day's exclusive end in ns.
    """

    key: str
    among: Callable[[int], pl.Expr]


class Table(Struct, frozen=True):
    """What we promise: one Nautilus data type.

    Attributes:
        name: The asset and the module; Nautilus' folder of generation 1.
        token: The guide's word in ``--data-types``.
        folder: Name of the frame's folder, without suffix.
        nautilus: Generation of NautilusTrader -> the form that it stores the table in.
        doc: One sentence.
        columns: Those between ``ts_init`` and ``raw_row``.
        id_column: Column that identifies a message, if the venue gives ids.
        gap_seconds: Longest usual silence; None: five times the cadence found (1 s or 3 s).
        tells_of_ns: How long a time before it each row tells of: a bar its period.
        rules: In the order they are reported.
        code_version: Raised by hand when the meaning of a column changes.
        whole_day: Flags that are known only when all rows of the day have been seen, unless the source sets them.
        members: Columns with the first and last id of what a row is an aggregate of.
        default: Made where nobody names the tables that are wanted.
        drawn: Column that a picture shows; empty: the first one.
        ceiling: Column whose highest values a picture shows above the first column's; empty: the first column itself.
        charted: A picture of each day is worth its place in Dagster.
        kind_setting: The setting that chooses between the channels of a source that give it.
        is_trades: Its rows are trades, whose large gaps are counted as the guide does.
        is_book: Its rows are changes of an order book, which is what a picture shows.
        made_up: Which rows are of our own making and so have not arrived; None: none.
        reshapes: What a shape makes of rows (``Shape.told``) -> as people are told of so many of them.
        beside: Table -> what compares its day with this one, where both are as the source sent them.
        beside_by: Table of ``beside`` -> its rule that is off where it has nothing to compare by.
    """

    name: str
    token: str
    folder: str
    nautilus: Mapping[int, NautilusForm]
    doc: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    code_version: int
    id_column: str | None = None
    gap_seconds: float | None = None
    tells_of_ns: int = 0
    whole_day: Mapping[str, LastRow] = field(default_factory=dict)
    members: tuple[str, str] | None = None
    default: bool = False
    drawn: str = ""
    ceiling: str = ""
    charted: bool = False
    is_trades: bool = False
    kind_setting: str = ""
    made_up: pl.Expr | None = None
    is_book: bool = False
    reshapes: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, Compares] = field(default_factory=dict)
    beside_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def value(self) -> str:
        """The column that stands for a row."""
        return self.drawn or self.columns[0].name

    def form(self, generation: int = GENERATION) -> NautilusForm:
        """How a generation of NautilusTrader stores it. Raises NoNautilusForm where none is declared."""
        form = self.nautilus.get(generation)
        if form is None:
            raise NoNautilusForm(self.name, generation, sorted(self.nautilus))
        return form
