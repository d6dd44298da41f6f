"""Days that are told together are the days that there are: none is left out, none is told twice."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.inspect.spans import MOST_SPANS, Range, by_status, ranges, spans, told, whole
from hedgegrid_assets.inspect.status import LOOKS

RANK: Final = list(LOOKS).index
DAYS: Final = st.integers(0, 800).map(lambda number: date(2023, 12, 1) + timedelta(days=number))
TABLES: Final = st.dictionaries(DAYS, st.sampled_from([*LOOKS]), min_size=1, max_size=60)


def each_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def read(text: str) -> list[date]:
    """The days of a text as ``told`` writes it."""
    days: list[date] = []
    for part in text.split(", ") if text else []:
        first, _, last = part.partition("..")
        days += each_day(date.fromisoformat(first), date.fromisoformat(first[: len(first) - len(last)] + last or first))
    return days


@given(TABLES)
def test_days_of_spans_are_the_days_of_the_table_each_with_what_is_said_of_it(table: Mapping[date, str]) -> None:
    found = spans(table)
    assert {day: span.said for span in found for day in each_day(span.first, span.last)} == table
    assert [span.days for span in found] == [len(each_day(span.first, span.last)) for span in found]
    assert all(a.said != b.said or (b.first - a.last).days > 1 for a, b in pairwise(found))


@given(st.lists(DAYS, max_size=40))
def test_ranges_told_in_short_can_be_read_again(days: Sequence[date]) -> None:
    assert read(told(days)) == sorted(set(days))


@given(st.lists(DAYS, max_size=40), st.integers(1, 4))
def test_days_that_are_not_told_are_counted(days: Sequence[date], most: int) -> None:
    shown, _, left = told(days, most).partition(" and ")
    assert len(read(shown)) + int((left or "0").split()[0]) == len(set(days))
    assert len(shown.split(", ")) <= most


@given(TABLES)
def test_a_table_by_status_counts_each_day_once_and_begins_with_the_worst(table: Mapping[date, str]) -> None:
    found = by_status(table, RANK)
    counts: Counter[str] = Counter()
    for each in found:
        counts[each.said] += each.days
        inside = [day for day in each_day(each.first, each.last) if table.get(day) == each.said]
        assert (len(inside), inside[0], inside[-1]) == (each.days, each.first, each.last)
    assert counts == Counter(table.values())
    assert found == sorted(found, key=lambda each: (-RANK(each.said), each.first))
    months = Counter((each.said, each.first.year, each.first.month) for each in found)
    assert all(count <= MOST_SPANS for count in months.values())


@given(TABLES)
def test_days_between_the_first_and_the_last_are_all_there(table: Mapping[date, str]) -> None:
    full = whole(table, "missing")
    assert list(full) == each_day(min(table), max(table))
    assert {day: full[day] for day in table} == table
    assert {full[day] for day in full.keys() - table.keys()} <= {"missing"}


def test_a_month_of_days_alike_is_one_line_and_a_year_is_told_in_full() -> None:
    assert Range(date(2024, 2, 1), date(2024, 2, 29)).short == "2024-02-01..29"
    assert Range(date(2024, 1, 30), date(2024, 2, 2)).short == "2024-01-30..02-02"
    assert Range(date(2023, 12, 31), date(2024, 1, 1)).short == "2023-12-31..2024-01-01"
    assert [each.days for each in ranges(each_day(date(2024, 2, 1), date(2024, 2, 29)))] == [29]
    assert re.fullmatch(r"2024-01-0[13], 2024-01-03 and 1 day more", told([date(2024, 1, n) for n in (1, 3, 5)], 2))
