"""Gaps as columns are those that a loop over the rows finds."""

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgegrid_assets.model import Cause, DayContext, Gap, Thresholds
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.rules.gaps import CAUSES, GapRows, Gaps, seconds_of
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_start

_DAY = date(2024, 1, 1)
_TABLE = TABLES["trade_tick"]
_SILENCE = 60


def _frame(steps: Sequence[tuple[int, int]]) -> pl.DataFrame:
    """Trades so many seconds and ids after the one before."""
    times = day_start(_DAY) + np.cumsum([seconds for seconds, _ in steps]) * NS_PER_SECOND
    ids = 1_000 + np.cumsum([ids for _, ids in steps])
    price = pl.Series([1] * len(steps), dtype=pl.Decimal(38, 2))
    return pl.DataFrame(
        {
            "ts_event": times,
            "ts_init": times,
            "price": price,
            "size": price,
            "aggressor_side": pl.Series(["BUYER"] * len(steps), dtype=_TABLE.columns[2].dtype),
            "trade_id": [str(each) for each in ids],
            "first_trade_id": pl.Series([None] * len(steps), dtype=pl.Int64),
            "last_trade_id": pl.Series([None] * len(steps), dtype=pl.Int64),
            "raw_row": pl.Series(range(len(steps)), dtype=pl.UInt32),
        }
    )


def _one_by_one(frame: pl.DataFrame, known: DayContext) -> Iterator[Gap]:
    """What a gap is, said row by row, of ids that rise by one."""
    times, ids = frame["ts_init"].to_list(), [int(each) for each in frame["trade_id"]]
    highest = ids[0]
    for row in range(1, len(frame)):
        start, end = times[row - 1], times[row]
        between = range(highest + 1, ids[row])
        excluded = sum(each in between for each in set(known.excluded_ids.tolist()))
        late = {each for at, each in enumerate(ids) if at and each < max(ids[:at]) and each in between}
        missing = len(between) - excluded - len(late)
        too_long = end - start > _SILENCE * NS_PER_SECOND
        if excluded and not missing:
            cause = Cause.EXCLUDED_ROWS
        elif any(start <= at < end for at in known.disconnects):
            cause = Cause.DISCONNECT
        elif any(row - 1 < edge <= row for edge in known.capture_edges):
            cause = Cause.CAPTURE_EDGE
        elif too_long and not missing:
            cause = Cause.QUIET
        else:
            cause = Cause.UNKNOWN
        if too_long or missing:
            yield Gap(start, end, max(missing, 0), cause, _seconds(start, end))
        highest = max(highest, ids[row])


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 200), st.integers(-3, 6).filter(bool)), min_size=2, max_size=40),
    excluded=st.lists(st.integers(990, 1_100), max_size=5),
    disconnects=st.lists(st.integers(0, 4_000), max_size=4),
    edges=st.lists(st.integers(1, 40), max_size=3, unique=True),
    cut=st.integers(1, 40),
)
def test_gaps_are_those_of_a_loop_over_the_rows(
    steps: list[tuple[int, int]], excluded: list[int], disconnects: list[int], edges: list[int], cut: int
) -> None:
    """Silences, holes, late ids, excluded ids, disconnects and edges of captures, wherever the rows are cut."""
    frame = _frame(steps)
    known = DayContext(
        excluded_ids=np.array(sorted(set(excluded) - {int(each) for each in frame["trade_id"]}), np.int64),
        disconnects=tuple(day_start(_DAY) + each * NS_PER_SECOND for each in disconnects),
        capture_edges=edges,
        contiguous_ids=True,
    )
    rules = DayRules(_TABLE, _DAY, Thresholds(gap_seconds=_SILENCE))
    for block in (frame.head(cut), frame.slice(cut)):
        rules.add(block)
    seen, _ = rules.judge(known)
    assert list(seen.of(Gaps).gaps) == list(_one_by_one(frame, known))


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5), st.integers(0, 3), st.integers(0, 5)), max_size=30),
    most=st.integers(1, 10),
)
def test_the_worst_gaps_are_losses_first_and_long_before_short(
    gaps: list[tuple[int, int, int, int]], most: int
) -> None:
    """As sorting the gaps themselves says, and given back in order of time."""
    each = [
        Gap(start, start + length, missing, CAUSES[cause], _seconds(0, length))
        for start, length, missing, cause in sorted(gaps)
    ]
    start, end, missing = (
        np.array([getattr(gap, name) for gap in each], np.int64) for name in ("start", "end", "ids_missing")
    )
    rows = GapRows(start, end, missing, np.array([CAUSES.index(gap.cause) for gap in each], np.int8))
    worst = sorted(each, key=lambda gap: (not gap.cause.is_loss, gap.start - gap.end, -gap.ids_missing))[:most]
    expected = each if len(each) <= most else sorted(worst, key=lambda gap: gap.start)
    assert list(rows.worst(most)) == expected


def _seconds(start: int, end: int) -> float:
    return round((end - start) / 1e9, 3)


@given(
    st.lists(
        st.one_of(st.integers(0, 90_000 * 10**9), st.integers(0, 90_000_000).map(lambda ms: ms * 1_000_000 + 500_000))
    )
)
def test_lengths_are_rounded_as_python_rounds_them(lengths: list[int]) -> None:
    """Also those in the middle between two thousandths."""
    assert seconds_of(np.array(lengths, np.int64)) == [_seconds(0, length) for length in lengths]
