"""Days told together: as ranges, as spans of days alike, and by month where there are many of them."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final

MOST_SPANS: Final = 8
"""Of one status; of more, months are told."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Range:
    """Days without one left out; both ends belong to it."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def short(self) -> str:
        """``2024-02-01..29``: of the last day, what differs from the first."""
        first, last = str(self.first), str(self.last)
        if first == last:
            return first
        alike = 8 if first[:8] == last[:8] else 5 if first[:5] == last[:5] else 0
        return f"{first}..{last[alike:]}"

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} .. {self.last}"


def ranges(days: Iterable[date]) -> list[Range]:
    """Days as ranges, in order."""
    return [Range(span.first, span.last) for span in spans(dict.fromkeys(days, ""))]


def told(days: Iterable[date], most: int | None = None) -> str:
    """Days as short ranges, in order, on one line; of more than ``most`` ranges how many days are left."""
    found = ranges(days)
    left = sum(each.days for each in found[most:]) if most is not None else 0
    more = f" and {left:,} day{'s' * (left != 1)} more" if left else ""
    return ", ".join(each.short for each in found[:most]) + more


@dataclass(frozen=True, slots=True)
class Span[T]:
    """Days of which the same is to be said; ``days``: how many there are from ``first`` to ``last``."""

    first: date
    last: date
    days: int
    said: T


def spans[T: Hashable](said: Mapping[date, T]) -> list[Span[T]]:
    """Neighbouring days of which the same is said, together, in order."""
    found: list[Span[T]] = []
    for day in sorted(said):
        last = found[-1] if found else None
        if last is not None and last.said == said[day] and day - last.last == _DAY:
            found[-1] = Span(last.first, day, last.days + 1, last.said)
        else:
            found.append(Span(day, day, 1, said[day]))
    return found


def whole[T](said: Mapping[date, T], absent: T) -> dict[date, T]:
    """The same with each day between the first and the last; of those that are not there, ``absent`` is said."""
    first, last = min(said), max(said)
    return {day: said.get(day, absent) for n in range((last - first).days + 1) for day in [first + n * _DAY]}


def by_status(statuses: Mapping[date, str], rank: Callable[[str], int]) -> list[Span[str]]:
    """Days by status, worst first, then in order: as ranges, or by month where a status has many ranges.

    Of a month's span not all days need be of its status: ``days`` counts those that are.
    """
    found: list[Span[str]] = []
    every = spans(statuses)
    for status in sorted(set(statuses.values()), key=rank, reverse=True):
        mine = [span for span in every if span.said == status]
        found += mine if len(mine) <= MOST_SPANS else _months(statuses, status)
    return found


def _months(statuses: Mapping[date, str], status: str) -> Iterator[Span[str]]:
    days = sorted(day for day, each in statuses.items() if each == status)
    for _, same in groupby(days, key=lambda day: (day.year, day.month)):
        of_month = list(same)
        yield Span(of_month[0], of_month[-1], len(of_month), status)


def alike[K, T: Hashable](items: Iterable[K], said: Callable[[K], T]) -> list[list[K]]:
    """Items of which the same is to be said, together, in order of the first of each."""
    groups: dict[T, list[K]] = {}
    for item in items:
        groups.setdefault(said(item), []).append(item)
    return list(groups.values())


def joined(names: Sequence[str]) -> str:
    """Names of which the same is said."""
    return ", ".join(dict.fromkeys(names))
