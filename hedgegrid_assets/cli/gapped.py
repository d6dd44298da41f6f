"""What ``gaps`` prints: losses first, days alike together, and sums."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hedgegrid_assets.cli.output import cell, console, print_fitted
from hedgegrid_assets.inspect.gaps import ABSENT, JOIN, Hole, Sum
from hedgegrid_assets.inspect.spans import Range, alike, joined, ranges
from hedgegrid_assets.model import Cause
from hedgegrid_assets.timestamps import day_end, iso
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from hedgegrid_assets.inspect.gaps import GapReport

_SHOWN: Final = 200


def show_gaps(report: "GapReport", catalog: "Path", *, each_gap: bool = False) -> None:
    """Gaps, worst first, then the sums; ``each_gap``: quiet ones and missing days too on a line of their own."""
    out = console()
    if report.holes:
        out.print(f"gaps of {catalog}", style="italic", markup=False)
        _show_holes(out, report.holes, each_gap=each_gap)
    _show_sums(out, report)
    for (instrument_id, name), found in report.by_table.items():
        for rule, days in found.off.items():
            print_fitted(out, f"{instrument_id} {name}: {rule} is off on {days:,} of {counted(found.days, 'day')}")
    unlisted = sum(found.unlisted for found in report.by_table.values())
    if unlisted:
        out.print(f"{unlisted:,} more gaps are counted in verdicts that list the worst thousand only")


# ---------------------------------------------------------------- gaps


@dataclass(frozen=True, slots=True)
class Told:
    """A line, of how many gaps; ``days`` that it is about. ``is_loss``: data are missing, and nobody knows why."""

    days: Range
    text: str
    gaps: int
    is_loss: bool


def lines(holes: Sequence[Hole], *, each_gap: bool = False) -> list[Told]:
    """What is to be said of the gaps of one (instrument, table), in order of time: losses first.

    Unless ``each_gap``: missing days as ranges, and quiet silences of days that follow each other together.
    """
    kinds = [list(holes)] if each_gap else alike(holes, _kind)
    found = [told for kind in kinds for told in (_each if each_gap else _FOLDED.get(_kind(kind[0]), _each))(kind)]
    return sorted(found, key=lambda told: (not told.is_loss, told.days.first))


def _kind(hole: Hole) -> str:
    if hole.kind == ABSENT and hole.outage is None:
        return ABSENT
    return "" if hole.is_loss or hole.outage is not None else hole.cause


def _each(holes: Sequence[Hole]) -> Iterator[Told]:
    return map(_single, holes)


def _absent(holes: Sequence[Hole]) -> Iterator[Told]:
    for found in ranges(hole.date for hole in holes):
        yield Told(found, f"{ABSENT}  {counted(found.days, 'day')}", found.days, is_loss=True)


def _silent(holes: Sequence[Hole]) -> Iterator[Told]:
    """Silences that are no loss, of days that follow each other."""
    for found in ranges(hole.date for hole in holes):
        mine = [hole for hole in holes if found.first <= hole.date <= found.last]
        if len(mine) == 1:
            yield _single(mine[0])
            continue
        longest = max(hole.seconds for hole in mine)
        text = f"{mine[0].cause}  {counted(len(mine), 'silence')}, the longest {longest:,.3f} s"
        yield Told(found, text, len(mine), is_loss=False)


_FOLDED: Final[Mapping[str, Callable[[Sequence[Hole]], Iterator[Told]]]] = {
    ABSENT: _absent,
    Cause.QUIET: _silent,
    Cause.EXCLUDED_ROWS: _silent,
}
"""What is told of several at once; all others one by one."""


def _single(hole: Hole) -> Told:
    from_character = 5 if hole.kind == JOIN else 11
    start, end = iso(hole.start)[from_character:23], iso(hole.end)[from_character:23]
    if hole.end == day_end(hole.date):
        end = "24:00:00.000"
    ids = f"  {counted(hole.ids_missing, 'id')}" if hole.ids_missing else ""
    known = f"; known: {hole.outage.told}" if hole.outage else ""
    text = f"{hole.kind}  {start}..{end}  {hole.seconds:,.3f} s{ids}  {hole.cause}{known}"
    return Told(Range(hole.date, hole.date), text, 1, hole.is_loss and hole.outage is None)


def _show_holes(out: "Console", holes: Sequence[Hole], *, each_gap: bool) -> None:
    """Instruments with losses first; tables of which the same is to be said together."""
    tables = [
        _TableGaps(mine, lines(mine, each_gap=each_gap))
        for mine in alike(holes, lambda hole: (hole.instrument_id, hole.table))
    ]
    left = _SHOWN if not each_gap else sum(len(each.told) for each in tables)
    passed = 0
    for its in sorted(alike(tables, lambda each: each.instrument_id), key=_without_loss):
        out.print(its[0].instrument_id, style="bold", markup=False)
        for same in alike(sorted(its, key=lambda each: not each.lost), lambda each: tuple(each.told)):
            shown = same[0].told[:left]
            left -= len(shown)
            passed += sum(told.gaps for told in same[0].told[len(shown) :]) * len(same)
            print_fitted(out, f"  {joined([each.table for each in same])}")
            width = max((len(told.days.short) for told in shown), default=0)
            for told in shown:
                line = f"    {told.days.short:{width}}  {told.text}"
                print_fitted(out, line, style="yellow" if told.is_loss else "dim", later=" " * 8)
    if passed:
        print_fitted(out, f"{passed:,} more: use --csv or --json, or narrow the range")


@dataclass(frozen=True, slots=True)
class _TableGaps:
    """Of one (instrument, table)."""

    holes: Sequence[Hole]
    told: Sequence[Told]

    @property
    def instrument_id(self) -> str:
        return self.holes[0].instrument_id

    @property
    def table(self) -> str:
        return self.holes[0].table

    @property
    def lost(self) -> bool:
        return any(told.is_loss for told in self.told)


def _without_loss(tables: Sequence[_TableGaps]) -> bool:
    return not any(each.lost for each in tables)


# ---------------------------------------------------------------- sums

type Cell = Callable[[Sum], str]


def _unless_off(kind: str, told: Cell) -> Cell:
    return lambda found: "off" if kind in found.not_looked_for else told(found)


_SUMS: Final[Mapping[str, Cell]] = {
    "days": lambda found: f"{found.days:,}",
    "gaps": lambda found: "off" if found.not_looked_for >= {"silences", "holes"} else f"{found.gaps:,}",
    "seconds": _unless_off("silences", lambda found: f"{found.seconds:,.1f}"),
    "ids missing": _unless_off("holes", lambda found: f"{found.ids_missing:,}"),
    "quiet": _unless_off("silences", lambda found: f"{found.quiet:,}"),
    "edges, s": lambda found: f"{found.edge_seconds:,.1f}",
    "ids missing between days": _unless_off("holes", lambda found: f"{found.ids_missing_between_days:,}"),
    "missing days": lambda found: f"{found.missing_days:,}",
    "known": lambda found: f"{found.known:,}",
}
"""Column -> what it says of an (instrument, table)."""
_ALWAYS: Final = {"days", "gaps"}
_NOTHING: Final = {"0", "0.0"}


def _show_sums(out: "Console", report: "GapReport") -> None:
    """A row an (instrument, table); columns that are zero everywhere are left out."""
    from rich.table import Table

    cells = {name: [told(found) for found in report.by_table.values()] for name, told in _SUMS.items()}
    shown = {name: column for name, column in cells.items() if name in _ALWAYS or not _NOTHING.issuperset(column)}
    table = Table(title="totals", title_justify="left")
    table.add_column("instrument")
    table.add_column("table")
    for name in shown:
        table.add_column(name, justify="right")
    for (instrument_id, name), *row in zip(report.by_table, *shown.values(), strict=True):
        table.add_row(cell(instrument_id), name, *row)
    out.print(table)
