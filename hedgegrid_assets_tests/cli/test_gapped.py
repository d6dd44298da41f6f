"""Gaps that are told together are the gaps that there are, losses first."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.cli.gapped import lines
from hedgegrid_assets.inspect.gaps import ABSENT, EDGE, INSIDE, JOIN, Hole
from hedgegrid_assets.model import Cause
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_end, day_start

KINDS: Final = [(INSIDE, cause) for cause in Cause] + [(EDGE, Cause.CAPTURE_EDGE), (JOIN, Cause.UNKNOWN)]


@st.composite
def tables(draw: st.DrawFn) -> list[Hole]:
    """The gaps of some days of one table: a day without a verdict has no others."""
    holes: list[Hole] = []
    for number in sorted(draw(st.sets(st.integers(0, 70), max_size=30))):
        day = date(2024, 1, 1) + timedelta(days=number)
        if draw(st.booleans()):
            holes.append(hole(day, ABSENT, Cause.UNKNOWN))
        else:
            holes += [hole(day, *kind) for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))]
    return holes


def hole(day: date, kind: str, cause: Cause) -> Hole:
    start = day_start(day)
    end = day_end(day) if kind == ABSENT else start + 600 * NS_PER_SECOND
    return Hole("A.B", "trade_tick", day, kind, start, end, 7 if kind == INSIDE else None, cause)


@given(tables())
def test_every_gap_is_counted_once_and_losses_come_first(holes: Sequence[Hole]) -> None:
    found = lines(holes)
    assert sum(each.gaps for each in found) == len(holes) == len(lines(holes, each_gap=True))
    assert sum(each.gaps for each in found if each.is_loss) == sum(hole.is_loss for hole in holes)
    assert [each.is_loss for each in found] == sorted((each.is_loss for each in found), reverse=True)
    told = {each.days.first + timedelta(days=n) for each in found for n in range(each.days.days)}
    assert told == {hole.date for hole in holes}


@given(tables())
def test_a_loss_inside_a_day_is_told_by_itself(holes: Sequence[Hole]) -> None:
    single = [each for each in lines(holes) if each.is_loss and ABSENT not in each.text]
    assert len(single) == sum(hole.is_loss and hole.kind != ABSENT for hole in holes)


def test_missing_days_are_one_line_and_quiet_silences_of_a_week_another() -> None:
    days = [date(2024, 1, number) for number in range(1, 8)]
    holes = [hole(day, INSIDE, Cause.QUIET) for day in days] + [
        hole(date(2024, 2, n), ABSENT, Cause.UNKNOWN) for n in (1, 2)
    ]
    told = [f"{each.days.short}  {each.text}" for each in lines(holes)]
    assert told == ["2024-02-01..02  missing_day  2 days", "2024-01-01..07  quiet  7 silences, the longest 600.000 s"]
