"""What ``validate`` prints: days by status, then what there is to say of them; the same is said once of days alike."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from hedgegrid_assets.cli.output import STYLES, console, print_fitted
from hedgegrid_assets.inspect.spans import Range, alike, by_status, joined, told, whole
from hedgegrid_assets.timestamps import iso
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hedgegrid_assets.inspect.spans import Span
    from hedgegrid_assets.inspect.validation import DayReport, ValidationReport

_NOT_OK: Final = " !"
"""Behind the status of a day that is not as it was judged."""
_ERRORS_IN_FULL: Final = 5
_JOINS: Final = 10
_RANGES: Final = 6
_WORST: Final = 100
_INSTRUMENTS: Final = 20
"""Of more, those alike are told together."""
_OF_A_KIND: Final = 10
"""Lines that say the same of many instruments."""
_NAMED: Final = 2


def show_report(report: "ValidationReport", *, each_day: bool = False) -> None:
    """All that was found; ``each_day``: of each day by itself."""
    out = console()
    print_fitted(out, f"catalog {report.catalog}, for NautilusTrader {report.nautilus}.x")
    _show_days(out, report.days, each_day=each_day)
    for lines in (_findings(report.days, each_day=each_day), _books(report.days), _rules_off(report.days)):
        for line in lines if each_day else _of_each_kind(lines):
            print_fitted(out, line.text)
    for line in _beside_days(report):
        print_fitted(out, line)
    _show_joins(out, report.joins, each_day=each_day)
    if report.missing_days:
        missing = counted(len(report.missing_days), "day")
        print_fitted(out, f"{missing} missing inside the ranges, first {report.missing_days[0]['date']}")
    out.print(f"steps of more than a minute between trades: {report.large_gaps_over_60s}")
    _show_ids(out, report.joins)
    verdict = "[green]ok[/]" if report.ok else f"[bold red]not ok[/]: {_failed(report)}"
    out.print(f"{counted(len(report.days), 'day')} looked at: {verdict}")


def _failed(report: "ValidationReport") -> str:
    parts = [f"{counted(report.rules_failed, 'ERROR rule')} failed"]
    if report.days_damaged:
        parts.append(counted(report.days_damaged, "damaged day"))
    if report.files:
        parts.append(counted(len(report.files), "stray file"))
    if report.documents:
        parts.append(counted(len(report.documents), "damaged document"))
    if report.raw_days:
        parts.append(counted(len(report.raw_days), "damaged raw day"))
    if report.unfinished is not None:
        parts.append("a change is unfinished")
    if report.trades_twice:
        parts.append(f"{counted(report.trades_twice, 'trade')} stored on two days")
    return ", ".join(parts)


# ---------------------------------------------------------------- days by status


@dataclass(frozen=True, slots=True)
class _TableDays:
    """Of one (instrument, table), each day from the first to the last."""

    instrument_id: str
    table: str
    words: Mapping[date, str]
    rows: Mapping[date, int]

    @property
    def worst(self) -> int:
        return max(map(_rank, self.words.values()))


def _show_days(out: "Console", days: "Sequence[DayReport]", *, each_day: bool) -> None:
    """Instruments, and tables of each, worst first; tables of which the same is to be said are together.

    So are instruments, where there are many.
    """
    tables = sorted(map(_table_days, _by_table(days)), key=lambda each: -each.worst)
    instruments = alike(tables, lambda each: each.instrument_id)
    many = len(instruments) > _INSTRUMENTS and not each_day
    for same in alike(instruments, _said_of) if many else [[its] for its in instruments]:
        out.print(_named([its[0].instrument_id for its in same]), style="bold", markup=False)
        for of_tables in alike(same[0], lambda each: tuple(each.words.items())):
            names = {each.table for each in of_tables}
            _show_tables(out, [each for its in same for each in its if each.table in names], each_day=each_day)


def _said_of(tables: "Sequence[_TableDays]") -> frozenset[Any]:
    return frozenset((each.table, tuple(each.words.items())) for each in tables)


def _named(instruments: Sequence[str]) -> str:
    """The first of some instruments, and how many more there are."""
    left = len(instruments) - _NAMED
    return ", ".join(instruments[:_NAMED]) + (f" and {counted(left, 'instrument')} more" if left > 0 else "")


def _table_days(days: "Sequence[DayReport]") -> _TableDays:
    words = {day.date: day.status if day.ok else day.status + _NOT_OK for day in days}
    rows = {day.date: day.rows for day in days}
    return _TableDays(days[0].instrument_id, days[0].table, whole(words, "missing"), rows)


def _show_tables(out: "Console", same: "Sequence[_TableDays]", *, each_day: bool) -> None:
    words = same[0].words
    rows = sum(sum(each.rows.values()) for each in same)
    head = f"  {joined([each.table for each in same])}: {counted(rows, 'row')}"
    if each_day:
        print_fitted(out, head)
        for day, word in words.items():
            told_rows = ", ".join(f"{each.rows.get(day, 0):,}" for each in same)
            out.print(f"    {day}  {word}  {told_rows}", style=_style(word), markup=False)
        return
    found = by_status(words, _rank)
    width = max(len(_short(span)) for span in found)
    print_fitted(out, head)
    for span in found:
        print_fitted(out, f"    {_line(span, width)}", style=_style(span.said), later=" " * 8)


def _short(span: "Span[str]") -> str:
    return Range(span.first, span.last).short


def _line(span: "Span[str]", width: int) -> str:
    """``2024-02-01..29  29 days complete``, or ``25 of 29 days complete``."""
    between = (span.last - span.first).days + 1
    of = f"{span.days:,} of {counted(between, 'day')}" if span.days < between else counted(span.days, "day")
    return f"{_short(span):{width}}  {of:>7} {span.said}"


def _rank(word: str) -> int:
    plain = word.removesuffix(_NOT_OK)
    return list(STYLES).index(plain) + (_WORST if word != plain else 0)


def _style(word: str) -> str:
    return STYLES[word.removesuffix(_NOT_OK)]


def _by_table(days: "Sequence[DayReport]") -> "list[list[DayReport]]":
    return alike(days, lambda day: (day.instrument_id, day.table))


# ---------------------------------------------------------------- what there is to say


@dataclass(frozen=True, slots=True)
class _Line:
    """``kind``: what it says, of whichever instrument."""

    text: str
    kind: str


def _of_each_kind(lines: Iterable[_Line]) -> Iterator[_Line]:
    """The first lines of each kind, and how many more there are."""
    for same in alike(lines, lambda line: line.kind):
        yield from same[:_OF_A_KIND]
        if len(same) > _OF_A_KIND:
            yield _Line(f"{same[0].kind}: {len(same) - _OF_A_KIND:,} more such lines: --all", same[0].kind)


@dataclass(frozen=True, slots=True)
class _Finding:
    """``said`` is alike for days alike; ``numbers`` are those of the day."""

    day: "DayReport"
    said: str
    numbers: str = ""

    @property
    def is_error(self) -> bool:
        return not self.said.startswith("WARN")

    def line(self, tables: str) -> str:
        return f"{self.day.instrument_id} {tables} {self.day.date}: {self.said}{self.numbers}"


def _findings(days: "Sequence[DayReport]", *, each_day: bool) -> Iterator[_Line]:
    """Errors first; of many days alike one line, with the numbers of the first of them."""
    found = [finding for day in days for finding in _of_day(day)]
    by_table = alike(found, lambda each: (each.day.instrument_id, each.day.table, each.said))
    groups = alike(by_table, _same)
    for group in sorted(groups, key=lambda tables: (not tables[0][0].is_error, tables[0][0].day.instrument_id)):
        tables, first = joined([each[0].day.table for each in group]), group[0]
        said = first[0].said
        if each_day or len(first) <= (_ERRORS_IN_FULL if first[0].is_error else 1):
            yield from (_Line(each.line(tables), said) for each in first)
            continue
        on = f"on {counted(len(first), 'day')}, {told([each.day.date for each in first], _RANGES)}"
        of_first = f"; {first[0].day.date}{first[0].numbers}" if first[0].numbers else ""
        yield _Line(f"{first[0].day.instrument_id} {tables}: {said} {on}{of_first}", said)


def _same(findings: Sequence[_Finding]) -> object:
    """What is alike for tables of which the same is to be said."""
    return findings[0].day.instrument_id, findings[0].said, tuple((each.day.date, each.numbers) for each in findings)


def _of_day(day: "DayReport") -> Iterator[_Finding]:
    if day.error:
        yield _Finding(day, "error: ", day.error)
    if day.is_gone:
        yield _Finding(day, "ERROR the frame that was judged is gone: run again, it is made anew of its raw day")
    elif day.frame_matches_verdict is False:
        yield _Finding(day, "ERROR the frame is not the one that was judged (its content digest differs)")
    if day.catalog_matches_frame is False:
        told_file = (
            "ERROR the Nautilus file does not hold what the frame says"
            if day.in_catalog
            else "ERROR there is no Nautilus file of the day: run again, it is made from the frame"
        )
        yield _Finding(day, told_file)
    if not day.goes_on:
        yield _Finding(day, "WARN it goes on from the day before as that one was before: run over both days again")
    for rule in day.rules:
        if rule.failed:
            numbers = ", ".join(
                f"{name} {_plain(value)}" for name, value in rule.numbers.items() if value not in (None, {}, [])
            )
            failed = f" ({counted(rule.rows_failed, 'row')})" if rule.rows_failed else ""
            yield _Finding(day, f"{rule.severity} {rule.name}", f"{failed}: {numbers}")


def _plain(value: object) -> str:
    """``(bad_decimal 1, zero_price 3)`` of a mapping, ``(file a, line 2; file b, line 7)`` of several; without what is not known."""
    if isinstance(value, Mapping):
        return f"({_pairs(value)})"
    if isinstance(value, list):
        inner = [_pairs(each) if isinstance(each, Mapping) else _plain(each) for each in value]
        return f"({('; ' if isinstance(value[0], Mapping) else ', ').join(inner)})" if value else "()"
    return str(value)


def _pairs(value: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items() if inner is not None)


def _books(days: "Sequence[DayReport]") -> Iterator[_Line]:
    """What there is to say of books, good ones too: a line for all days of one."""
    for found in _by_table(days):
        books = [day.book for day in found if day.book is not None]
        if books:
            together = reduce(lambda one, other: one.with_more(other), books)
            yield _Line(f"{found[0].instrument_id} {found[0].table}: {together.words}", f"books of {found[0].table}")


def _rules_off(days: "Sequence[DayReport]") -> Iterator[_Line]:
    """Rules that said nothing: a line for those that are off on as many days of the same tables."""
    off: dict[tuple[str, str, int, int], list[str]] = {}
    for found in _by_table(days):
        for name, count in Counter(name for day in found for name in day.rules_off).items():
            off.setdefault((found[0].instrument_id, name, count, len(found)), []).append(found[0].table)
    lines: dict[tuple[str, int, int, str], list[str]] = {}
    for (instrument_id, name, count, of), tables in off.items():
        lines.setdefault((instrument_id, count, of, ", ".join(tables)), []).append(name)
    said = [
        (instrument_id, f"off: {', '.join(names)} ({count:,} of {counted(of, 'day')} of {tables})")
        for (instrument_id, count, of, tables), names in lines.items()
    ]
    many = len({instrument_id for instrument_id, _ in said}) > _INSTRUMENTS
    for same in alike(said, lambda each: each[1] if many else each):
        yield _Line(f"{_named([instrument_id for instrument_id, _ in same])}: {same[0][1]}", same[0][1])


def _beside_days(report: "ValidationReport") -> Iterator[str]:
    """Documents, raw days, files and outages."""
    for damaged in (*report.documents, *report.raw_days):
        yield f"ERROR {damaged['error']}; {damaged['hint']}"
    if report.unfinished is not None:
        yield f"ERROR unfinished: {report.unfinished}"
    for stray in report.files:
        yield f"{stray['instrument_id']} {stray['table']}: ERROR {_stray(stray)}"
    for outage in report.outages:
        yield f"{outage['instrument_id']} WARN outage without a gap ({outage['said_by']}): {outage['reason']}: {outage['error']}"


def _stray(stray: Mapping[str, str]) -> str:
    said = {"overlaps": "a file that overlaps another", "unknown": "an unknown file"}
    return f"{said.get(stray['trouble'], 'a file with ' + stray['trouble'])}: {stray['path']} ({stray['why']})"


# ---------------------------------------------------------------- between days


def _show_joins(out: "Console", joins: Sequence[Mapping[str, Any]], *, each_day: bool) -> None:
    lines = [
        f"{join['instrument_id']} {join['table']} {join['from']} -> {join['to']}: {line}"
        for join in joins
        for line in _between(join)
    ]
    shown = lines if each_day else [*sorted(lines, key=lambda line: ": ERROR " not in line)[:_JOINS]]
    for line in shown:
        print_fitted(out, line)
    if len(lines) > len(shown):
        out.print(f"{len(lines) - len(shown):,} more between days: --all")


def _between(join: Mapping[str, Any]) -> list[str]:
    """What is to be said of two neighbouring days."""
    missing, shared = join["ids_missing"], 0 if join["ids_begin_again"] else join["ids_shared"] or 0
    lines = [f"{missing:,} ids missing"] if missing and missing > 0 else []
    for each in join["shared"]:
        what = "ERROR one trade is stored on both days" if each["same_trade"] else "WARN two trades have one id"
        rows = [f"{iso(each[f'{side}_ts_init'])}{_row(each[f'{side}_raw_row'])}" for side in ("from", "to")]
        lines.append(f"{what}: id {each['id']} at {rows[0]} and at {rows[1]}")
    if shared > len(join["shared"]):
        told_twice = f", {join['trades_twice']:,} of them one trade stored twice" if join["trades_twice"] else ""
        lines.append(f"{shared:,} ids in all are on both days{told_twice}")
    return lines


def _row(number: int | None) -> str:
    return "" if number is None else f" (raw row {number:,})"


def _show_ids(out: "Console", joins: Sequence[Mapping[str, Any]]) -> None:
    again = Counter((join["instrument_id"], join["table"]) for join in joins if join["ids_begin_again"])
    for (instrument_id, table), count in again.items():
        print_fitted(
            out, f"{instrument_id} {table}: ids begin anew on {count:,} days, so that they name no trade beyond its day"
        )
    uncompared = sum(join["ids_shared"] is None for join in joins)
    if uncompared:
        print_fitted(
            out, f"ids of {uncompared} neighbouring days not compared (shared by the venue, or many: see --deep)"
        )
