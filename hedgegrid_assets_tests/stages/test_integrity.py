"""Rules, gaps, verdicts: each rule can fail, a tampered frame is found, and how the rows are cut changes nothing."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, override

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.model import (
    Counted,
    Counter,
    DayContext,
    Held,
    Judgement,
    RowCounts,
    Rows,
    Rule,
    RuleResult,
    Severity,
    Status,
    Table,
    Thresholds,
)
from hedgegrid_assets.stages.frames import frame_schema
from hedgegrid_assets.stages.integrity import DayRules, HandedOn, counters_of
from hedgegrid_assets.stages.verdict import RuleAnswer, Verdict, make_verdict, status_of, store_verdict
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import RULES, TABLES
from hedgegrid_assets.tables.rules.counters import Extent, FailingRows
from hedgegrid_assets.tables.rules.gaps import Gaps
from hedgegrid_assets.timestamps import NS_PER_DAY, NS_PER_SECOND, day_end, day_start
from hedgegrid_assets_tests.scenario import CLEAN, DAY, agg_trade, line, received
from hedgegrid_assets_tests.yard import ALIKE, PRECISIONS, USUAL, Yard, instrument_day

TRADES = TABLES["trade_tick"]
MARK = TABLES["mark_price_update"]
BAR = TABLES["bar_1_minute"]
DELTAS = TABLES["order_book_deltas"]
START = day_start(DAY)


# ---------------------------------------------------------------- days


def clean(table: Table) -> pl.DataFrame:
    """A day that every rule passes: trades every 22 minutes with contiguous ids, other tables every second."""
    step = 1_329 if table is TRADES else 1
    seconds = pl.int_range(5, 86_400, step, eager=True)
    times = (seconds * NS_PER_SECOND + START).alias("ts_event")
    if table is BAR:
        times = (pl.int_range(1, 1_441, eager=True) * 60 * NS_PER_SECOND + START - 1_000_000).alias("ts_event")
    numbers = pl.int_range(len(times), eager=True)
    values = {
        "ts_event": times,
        "ts_init": times + (500_000 if table is BAR else 20_000_000),
        "price": pl.lit("42000.10"),
        "size": pl.lit("0.012"),
        "aggressor_side": pl.lit("BUYER"),
        "trade_id": (numbers + 1000).cast(pl.String),
        "mark_price": pl.lit("42000.12345678"),
        "index_price": pl.lit("42000.5"),
        "funding_rate": pl.lit("0.0001"),
        **{name: pl.lit("42000.10") for name in ("open", "close", "low")},
        "high": pl.lit("42000.20"),
        "volume": pl.lit("1.5"),
        "open_interest": pl.lit("81250.125"),
        **{f"bid_price_{n}": pl.lit("42000.10" if not n else "0") for n in range(10)},
        **{f"ask_price_{n}": pl.lit(f"4200{n + 1}.00") for n in range(10)},
        **{f"bid_size_{n}": pl.lit("1" if not n else "0") for n in range(10)},
        **{f"ask_size_{n}": pl.lit("2") for n in range(10)},
        **{f"bid_count_{n}": pl.lit(int(not n)) for n in range(10)},
        **{f"ask_count_{n}": pl.lit(1) for n in range(10)},
        "flags": pl.lit(160),
        "sequence": pl.lit(0),
        "side": pl.lit("BUY"),
        "bid_price": pl.lit("42000.10"),
        "ask_price": pl.lit("42000.20"),
        "bid_size": pl.lit("1.5"),
        "ask_size": pl.lit("0"),
        "next_funding_time": pl.lit(START + NS_PER_DAY),
        "is_settlement": pl.lit(value=False),
        "update_id": numbers,
        "raw_row": numbers,
    }
    if table is DELTAS:
        values |= _deltas(numbers, times)
    schema = frame_schema(table, PRECISIONS)
    return pl.select(numbers).select(
        (pl.lit(values[name]) if isinstance(values.get(name), pl.Series) else values.get(name, pl.lit(None)))
        .cast(dtype)
        .alias(name)
        for name, dtype in schema.items()
    )


def _deltas(numbers: pl.Series, times: pl.Series) -> dict[str, Any]:
    """A book of one bid, which is told every second, and twice by a snapshot of two rows before."""
    clears, levels = numbers.is_in([0, 2]), numbers.is_in([1, 3])
    told = times.shift(-1).zip_with(clears, times)
    return {
        "ts_event": told,
        "ts_init": told + 20_000_000,
        "action": pl.select(pl.when(clears).then(pl.lit("CLEAR")).otherwise(pl.lit("UPDATE"))).to_series(),
        "side": pl.select(pl.when(clears).then(pl.lit("NO_ORDER_SIDE")).otherwise(pl.lit("BUY"))).to_series(),
        "price": pl.select(pl.when(clears).then(pl.lit("0")).otherwise(pl.lit("42000.10"))).to_series(),
        "size": pl.select(pl.when(clears).then(pl.lit("0")).otherwise(pl.lit("0.012"))).to_series(),
        "order_id": pl.lit(0),
        "flags": pl.select(pl.when(clears).then(32).when(levels).then(160).otherwise(128)).to_series(),
        "sequence": (numbers + 1).zip_with(clears, numbers),
        "previous": (numbers * 0).zip_with(clears, numbers - 1),
    }


def counted(frame: pl.DataFrame) -> DayContext:
    return DayContext(counts=RowCounts(rows_in=len(frame), rows_out=len(frame)))


class Day(Struct, frozen=True):
    """What rules are asked about."""

    table: Table
    frame: pl.DataFrame
    known: DayContext
    thresholds: Thresholds = USUAL

    def with_frame(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> "Day":
        changed = change(self.frame)
        return replace(self, frame=changed, known=replace(self.known, counts=RowCounts(len(changed), len(changed))))

    def knowing(self, **facts: Any) -> "Day":
        return replace(self, known=replace(self.known, **facts))

    def counting(self, **counts: int) -> "Day":
        assert self.known.counts is not None
        return self.knowing(counts=replace(self.known.counts, **counts))

    def judged(self, *cuts: int) -> tuple[Counted, dict[str, RuleResult]]:
        rules = DayRules(self.table, DAY, self.thresholds)
        for start, end in pairwise([0, *cuts, len(self.frame)]):
            rules.add(self.frame.slice(start, end - start))
        seen, results = rules.judge(self.known)
        return seen, {result.name: result for result in results}

    def failing(self) -> set[str]:
        return {name for name, result in self.judged()[1].items() if not result.passed}


def day_of(table: Table) -> Day:
    frame = clean(table)
    known = counted(frame)
    return Day(table, frame, replace(known, **BESIDE.get(table.name, {})))


AGAINST_TRADES: dict[str, Any] = {
    "made_of": {
        "day_covered": (True, {"start_missing_s": 5.0, "end_missing_s": 0.0, "allowed_s": 60.0}),
        "no_sequence_gaps": (True, {"ids_missing": 0, "holes": 0}),
    },
    "beside": {"trade_tick": {"compared": 1_438, "differ": 0}},
}
"""What is known of the trades of a clean day of bars."""
BESIDE: dict[str, dict[str, Any]] = {
    BAR.name: AGAINST_TRADES,
    DELTAS.name: {"beside": {"quote_tick": {"compared": 1_438, "differ": 0}}},
}


def at(row: int, column: str, value: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """One cell replaced."""
    is_there = pl.int_range(pl.len()) == row
    return lambda frame: frame.with_columns(
        pl.when(is_there).then(value.cast(frame.schema[column])).otherwise(pl.col(column)).alias(column)
    )


def without(first: int, count: int = 1) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: pl.concat([frame.head(first), frame.slice(first + count)])


# ---------------------------------------------------------------- every rule can fail


def later(column: str) -> pl.Expr:
    return pl.col(column) + 3_600 * NS_PER_SECOND


def price_of(table: Table) -> str:
    return next(column.name for column in table.columns if column.positive)


BROKEN: dict[str, Callable[[Day], Day]] = {
    "trade_ids_unique": lambda day: day.knowing(conflicting_ids=2),
    "prices_positive": lambda day: day.with_frame(at(7, price_of(day.table), pl.lit("0"))),
    "sizes_positive": lambda day: day.with_frame(at(7, "size", pl.lit("-0.001"))),
    "ts_init_sorted": lambda day: day.with_frame(at(7, "ts_init", later("ts_init"))),
    "day_bounds": lambda day: day.with_frame(at(-1 + len(day.frame), "ts_init", pl.lit(day_end(DAY)))),
    "rows_conserved": lambda day: day.counting(rows_in=len(day.frame) + 1),
    "precision_fits": lambda day: day.knowing(too_fine=1),
    "rejected_share": lambda day: day.counting(rows_in=len(day.frame) + 400, rejected=400).knowing(
        rejects_by_reason={"bad_decimal": 400}
    ),
    "levels_possible": lambda day: day.with_frame(at(7, "size", pl.lit("0"))),
    "levels_whole": lambda day: day.with_frame(at(7, "ask_size_3", pl.lit("0"))),
    "levels_sorted": lambda day: day.with_frame(at(7, "ask_price_3", pl.lit("42003.00"))),
    "depth_not_crossed": lambda day: day.with_frame(at(7, "bid_price_0", pl.lit("42001.50"))),
    "events_end": lambda day: day.with_frame(at(7, "flags", pl.lit(0))),
    "sequence_continuous": lambda day: day.with_frame(at(7, "previous", pl.lit(3))),
    "starts_with_snapshot": lambda day: day.with_frame(without(0)),
    "book_not_crossed": lambda day: day.with_frame(at(7, "side", pl.lit("SELL"))).with_frame(
        at(7, "price", pl.lit("41999"))
    ),
    "snapshots_agree": lambda day: day.with_frame(at(3, "price", pl.lit("42000.20"))),
    "open_interest_not_negative": lambda day: day.with_frame(at(7, "open_interest", pl.lit("-1"))),
    "ohlc_in_order": lambda day: day.with_frame(at(7, "high", pl.lit("42000.09"))),
    "volume_possible": lambda day: day.with_frame(at(7, "volume", pl.lit("-0.001"))),
    "one_bar_a_period": lambda day: day.with_frame(at(7, "ts_event", pl.col("ts_event").shift(1))),
    "bars_whole": lambda day: day.knowing(
        made_of={"day_covered": (False, {"start_missing_s": 3_605.0, "end_missing_s": 0.0, "allowed_s": 60.0})}
    ),
    "bars_of_all_trades": lambda day: day.knowing(
        made_of={"no_sequence_gaps": (False, {"ids_missing": 7, "holes": 1})}
    ),
    "volume_as_traded": lambda day: day.knowing(beside={"trade_tick": {"compared": 1_438, "differ": 2}}),
    "updates_in_order": lambda day: day.with_frame(at(7, "update_id", pl.lit(3))),
    "top_as_quoted": lambda day: day.knowing(beside={"quote_tick": {"compared": 1_438, "differ": 2}}),
    "known_at_its_close": lambda day: day.with_frame(at(7, "ts_init", pl.col("ts_event") - 1)),
    "sizes_not_negative": lambda day: day.with_frame(at(7, "ask_size", pl.lit("-0.001"))),
    "bid_not_above_ask": lambda day: day.with_frame(at(7, "bid_price", pl.lit("42000.21"))),
    "no_time_gaps": lambda day: day.with_frame(without(20, min(100, len(day.frame) // 6))),
    "no_sequence_gaps": lambda day: day.with_frame(without(20)),
    "day_covered": lambda day: day.with_frame(lambda frame: frame.slice(len(frame) // 2)),
    "cadence_as_expected": lambda day: day.with_frame(lambda frame: frame.filter(pl.col("raw_row") % 50 > 0)),
    "settlements_follow": lambda day: day.with_frame(
        lambda frame: without(20, len(frame) // 3)(
            frame.with_columns(
                is_settlement=pl.lit(value=True),
                next_funding_time=pl.lit(None, frame.schema["next_funding_time"]),
                interval_minutes=pl.lit(1, frame.schema["interval_minutes"]),
            )
        )
    ),
    "aggressor_sides_mixed": lambda day: day.with_frame(lambda frame: pl.concat([frame] * 20)),
    "prices_on_tick": lambda day: replace(day, thresholds=Thresholds(price_increment="0.25")),
    "ts_event_sorted": lambda day: day.with_frame(at(7, "ts_event", later("ts_event"))),
    "latency_plausible": lambda day: day.with_frame(
        lambda frame: frame.with_columns(
            pl.col("ts_event") - pl.when(pl.col("raw_row") > 20).then(2 * NS_PER_SECOND).otherwise(0)
        )
    ),
    "nothing_cleaned": lambda day: day.knowing(out_of_order=1),
}
"""Rule -> what makes a clean day fail it; every rule of every table must be here."""

EVERY = {name: table for name, table in TABLES.items() if name not in ALIKE}
CASES = [(table, rule) for table in EVERY.values() for rule in table.rules]


@pytest.mark.parametrize("table", EVERY.values(), ids=list(EVERY))
def test_a_clean_day_passes_every_rule(table: Table) -> None:
    seen, results = day_of(table).judged()
    assert [name for name, result in results.items() if not result.passed] == []
    assert status_of(tuple(results.values()), seen.of(Extent).rows) is Status.COMPLETE


@pytest.mark.parametrize("table", EVERY.values(), ids=list(EVERY))
def test_a_day_in_blocks_is_judged_as_in_one(table: Table) -> None:
    day = day_of(table)
    assert day.judged(2, len(day.frame) // 2)[1] == day.judged()[1]


@pytest.mark.parametrize(("table", "rule"), CASES, ids=[f"{table.name}-{rule.name}" for table, rule in CASES])
def test_each_rule_can_fail_and_then_decides_the_status_by_its_severity(table: Table, rule: Rule) -> None:
    name = rule.name
    seen, results = BROKEN[name](day_of(table)).judged()
    assert results[name].failed
    status = status_of(tuple(results.values()), seen.of(Extent).rows)
    failed = {result.severity for result in results.values() if result.failed}
    assert (status is Status.BLOCKED) == (Severity.ERROR in failed)
    assert (results[name].severity is Severity.ERROR) <= (status is Status.BLOCKED)


@pytest.mark.parametrize("value", ["0", "-1", None])
@pytest.mark.parametrize(
    "table",
    [table for table in EVERY.values() if any(rule.name == "prices_positive" for rule in table.rules)],
    ids=lambda table: table.name,
)
def test_a_price_of_zero_below_or_none_at_all_is_found_in_a_tampered_frame(table: Table, value: str | None) -> None:
    day = day_of(table).with_frame(at(40, price_of(table), pl.lit(value)))
    result = day.judged()[1]["prices_positive"]
    assert (result.passed, result.rows_failed, dict(result.numbers)) == (False, 1, {"first_bad_raw_rows": [40]})


def test_a_negative_funding_rate_is_none_of_our_business() -> None:
    assert day_of(TABLES["funding_rate_update"]).with_frame(at(7, "funding_rate", pl.lit("-0.0075"))).failing() == set()


def test_rows_taken_out_or_put_in_after_the_count_are_found() -> None:
    day = day_of(TRADES)
    for changed in (without(5)(day.frame), pl.concat([day.frame, day.frame.tail(1)])):
        result = replace(day, frame=changed).judged()[1]["rows_conserved"]
        assert (result.passed, result.rows_failed) == (False, 1)


def test_repeated_ids_show_as_ids_that_do_not_rise() -> None:
    rules = DayRules(TRADES, DAY, USUAL)
    rules.add(clean(TRADES))
    assert rules.ids_rise
    rules.add(clean(TRADES).tail(1))
    assert not rules.ids_rise


def test_the_first_ten_bad_rows_are_named() -> None:
    day = day_of(TRADES).with_frame(lambda frame: frame.with_columns(price=pl.lit("0").cast(frame.schema["price"])))
    result = day.judged(30, 60)[1]["prices_positive"]
    assert (result.rows_failed, result.numbers["first_bad_raw_rows"]) == (66, list(range(10)))


# ---------------------------------------------------------------- rejects


@pytest.mark.parametrize(
    ("rejects", "passed"),
    [
        ({}, True),
        ({"bad_decimal": 9}, True),
        ({"bad_decimal": 10}, False),
        ({"bad_decimal": 5, "zero_price": 5}, False),
        ({"excluded_kind_na": 5_000}, True),
        ({"excluded_kind_na": 5_000, "negative": 9}, True),
    ],
)
def test_a_few_rejects_and_what_the_venue_excludes_are_no_reason_to_block(
    rejects: dict[str, int], passed: bool
) -> None:
    day = day_of(TRADES)
    total = sum(rejects.values())
    assert (
        day.counting(rows_in=66 + total, rejected=total)
        .knowing(rejects_by_reason=rejects)
        .judged()[1]["rejected_share"]
        .passed
        is passed
    )


def test_ten_rejects_are_few_in_a_large_day() -> None:
    day = day_of(MARK).counting(rows_in=86_405, rejected=10).knowing(rejects_by_reason={"bad_decimal": 10})
    assert day.judged()[1]["rejected_share"].passed
    strict = replace(day, thresholds=Thresholds(max_rejected=0.0001))
    assert not strict.judged()[1]["rejected_share"].passed


@pytest.mark.parametrize(("reason", "status"), [("bad_decimal", Status.BLOCKED), ("excluded_kind_na", Status.EMPTY)])
def test_a_day_of_which_only_rejects_are_left_is_not_empty(reason: str, status: Status) -> None:
    counts = RowCounts(rows_in=2, rejected=2)
    day = Day(TRADES, clean(TRADES).head(0), DayContext(counts=counts, rejects_by_reason={reason: 2}))
    seen, results = day.judged()
    assert status_of(tuple(results.values()), seen.of(Extent).rows) is status


# ---------------------------------------------------------------- gaps


def seconds(*rows: tuple[int, int]) -> pl.DataFrame:
    """Trades: (id, second of the day)."""
    base = clean(TRADES).head(len(rows))
    times = pl.Series([START + second * NS_PER_SECOND for _, second in rows], dtype=pl.Int64)
    return base.with_columns(ts_init=times, ts_event=times, trade_id=pl.Series([str(number) for number, _ in rows]))


def gaps_of(
    frame: pl.DataFrame, table: Table = TRADES, thresholds: Thresholds = USUAL, **known: object
) -> list[tuple[int, int, str]]:
    """(second where it starts, ids missing, cause) of each gap."""
    day = Day(table, frame, counted(frame), thresholds).knowing(**known)
    return [((gap.start - START) // NS_PER_SECOND, gap.ids_missing, gap.cause) for gap in day.judged()[0].of(Gaps).gaps]


def ns(second: int) -> int:
    return START + second * NS_PER_SECOND


def test_a_silence_across_contiguous_ids_is_quiet_and_fails_nothing() -> None:
    frame = seconds((1, 0), (2, 61), (3, 62))
    assert gaps_of(frame) == [(0, 0, "quiet")]
    result = Day(TRADES, frame, counted(frame)).judged()[1]["no_time_gaps"]
    assert result.passed
    assert (result.numbers["gaps"], result.numbers["quiet"]) == (0, 1)


def test_a_silence_of_exactly_the_threshold_is_no_gap() -> None:
    assert gaps_of(seconds((1, 0), (2, 60))) == []


def test_missing_ids_are_a_gap_however_short_the_time() -> None:
    assert gaps_of(seconds((1, 0), (5, 0), (6, 1))) == [(0, 3, "unknown")]


def test_a_gap_after_a_disconnect_is_laid_to_it() -> None:
    frame = seconds((1, 0), (2, 10), (5, 100), (6, 101), (9, 102))
    assert gaps_of(frame, disconnects=[ns(10)]) == [(10, 2, "disconnect"), (101, 2, "unknown")]
    assert gaps_of(frame, disconnects=[ns(50)]) == [(10, 2, "disconnect"), (101, 2, "unknown")]


def test_a_disconnect_at_the_end_of_a_gap_belongs_to_the_next_one() -> None:
    assert gaps_of(seconds((1, 0), (5, 100), (9, 200)), disconnects=[ns(100)]) == [
        (0, 3, "unknown"),
        (100, 3, "disconnect"),
    ]


def test_a_gap_where_one_landing_file_ends_and_the_next_begins_is_a_capture_edge() -> None:
    assert gaps_of(seconds((1, 0), (2, 1), (9, 100)), capture_edges=[2]) == [(1, 6, "capture_edge")]


def test_ids_that_the_venue_excluded_are_not_missing() -> None:
    frame = seconds((1, 0), (4, 1), (9, 2))
    assert gaps_of(frame, excluded_ids=np.array([2, 3])) == [(1, 4, "unknown")]
    assert gaps_of(frame, excluded_ids=np.array([2, 3, 3, 5, 6])) == [(1, 2, "unknown")]


def test_a_silence_with_nothing_but_excluded_ids_in_it_is_explained() -> None:
    frame = seconds((1, 0), (3, 100))
    assert gaps_of(frame, excluded_ids=np.array([2])) == [(0, 0, "excluded_rows")]
    day = Day(TRADES, frame, counted(frame)).knowing(excluded_ids=np.array([2]))
    assert not day.failing() & {"no_time_gaps", "no_sequence_gaps"}


def test_ids_that_come_late_fill_the_hole_that_they_left() -> None:
    assert gaps_of(seconds((1, 0), (4, 1), (3, 1), (2, 1), (5, 2))) == []
    assert gaps_of(seconds((1, 0), (5, 1), (3, 1), (6, 2))) == [(0, 2, "unknown")]
    assert gaps_of(seconds((2, 0), (5, 1), (3, 1), (1, 1), (4, 2), (6, 3))) == []


def test_where_ids_do_not_count_a_hole_in_them_is_none() -> None:
    assert gaps_of(seconds((1, 0), (500, 1), (900, 100)), contiguous_ids=False) == [(1, 0, "unknown")]


def test_marks_are_silent_after_five_of_their_own_steps() -> None:
    frame = clean(MARK)
    assert gaps_of(without(100, 5)(frame), MARK) == [(104, 0, "unknown")]
    assert gaps_of(without(100, 4)(frame), MARK) == []
    slow = frame.filter(pl.col("raw_row") % 3 == 0)
    assert gaps_of(without(100, 4)(slow), MARK) == []
    assert gaps_of(without(100, 5)(slow), MARK) == [(302, 0, "unknown")]
    assert gaps_of(without(100, 5)(frame), MARK, Thresholds(gap_seconds=0)) == []
    assert len(gaps_of(frame, MARK, Thresholds(gap_seconds=0.5))) == 86_394


def test_disconnects_come_from_the_connection_lines_of_the_landing_file(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    lines = [
        line(agg_trade(n, ms), received(ms))
        for n, ms in ((1, START // 10**6), (2, START // 10**6 + 9), (7, START // 10**6 + 90_000))
    ]
    yard.drop("capture.jsonl", b"wss://x <-> 1\n" + lines[0] + lines[1] + b"wss://x <-> 1\n" + lines[2])
    yard.bring_in()
    (gap,) = yard.normalize()["trade_tick"].verdict.gaps
    assert (gap.cause, gap.ids_missing, gap.seconds) == ("disconnect", 4, 89.991)


# ---------------------------------------------------------------- latency, cadence, cover


def test_an_exchange_clock_that_runs_ahead_is_a_number_not_a_failure() -> None:
    frame = clean(TRADES).with_columns(pl.col("ts_event") + 1_289_000_000)
    result = Day(TRADES, frame, counted(frame)).judged()[1]["latency_plausible"]
    assert result.passed
    assert (result.numbers["median_ms"], result.numbers["negative_share"]) == (-1269.0, 1.0)


@pytest.mark.parametrize(("every", "passed"), [(1, True), (3, True), (2, False)])
def test_updates_every_second_or_every_third_are_as_the_stream_promises(every: int, passed: bool) -> None:
    frame = clean(MARK).filter(pl.col("raw_row") % every == 0)
    assert Day(MARK, frame, counted(frame)).judged()[1]["cadence_as_expected"].passed is passed


@pytest.mark.parametrize(("first", "last", "covered"), [(60, 86_340, True), (61, 86_399, False), (0, 86_339, False)])
def test_a_day_is_covered_from_its_first_minute_to_its_last(first: int, last: int, covered: bool) -> None:
    frame = seconds((1, first), (2, last))
    assert Day(TRADES, frame, counted(frame)).judged()[1]["day_covered"].passed is covered


# ---------------------------------------------------------------- status and verdict


@pytest.mark.parametrize(
    ("broken", "rows", "status"),
    [
        ((), 10, Status.COMPLETE),
        ((), 0, Status.EMPTY),
        (("nothing_cleaned", "latency_plausible", "ts_event_sorted"), 10, Status.COMPLETE),
        (("no_sequence_gaps",), 10, Status.DEGRADED),
        (("no_time_gaps",), 10, Status.DEGRADED),
        (("cadence_as_expected",), 10, Status.DEGRADED),
        (("aggressor_sides_mixed",), 10, Status.DEGRADED),
        (("day_covered", "no_sequence_gaps"), 10, Status.PARTIAL),
        (("prices_positive", "day_covered"), 10, Status.BLOCKED),
        (("rows_conserved",), 0, Status.BLOCKED),
    ],
)
def test_a_status_is_the_first_that_fits(broken: Sequence[str], rows: int, status: Status) -> None:
    results = [RuleResult(rule, name not in broken, 0, {}) for name, rule in RULES.items()]
    assert status_of(results, rows) is status


def verdict_of(day: Day) -> Verdict:
    rules = DayRules(day.table, DAY, day.thresholds)
    rules.add(day.frame)
    seen, results = rules.judge(day.known)
    return make_verdict(
        instrument_day(),
        day.table,
        seen,
        results,
        series="binance/aggTrade",
        frame_sha256="a",
        content_digest="b",
        raw_sha256=["c"],
        code_version="1",
        precisions=PRECISIONS,
        thresholds=day.thresholds,
    )


def test_a_verdict_lists_a_thousand_gaps_and_counts_the_rest() -> None:
    frame = clean(MARK).filter(pl.col("raw_row") % 8 == 0)
    verdict = verdict_of(Day(MARK, frame, counted(frame), Thresholds(gap_seconds=5)))
    assert (len(verdict.gaps), verdict.gaps_total) == (1_000, len(frame) - 1)


def test_a_verdict_is_sorted_json_without_a_clock(tmp_path: Path) -> None:
    day = day_of(TRADES)
    places = Places(tmp_path, tmp_path / "catalog")
    texts = []
    for _ in range(2):
        store_verdict(places, TRADES, instrument_day(), verdict_of(day))
        texts.append(places.verdict("BTCUSDT-PERP.BINANCE", "trade_tick", DAY).local().read_text())
    assert texts[0] == texts[1]
    stored = json.loads(texts[0])
    assert list(stored) == sorted(stored)
    assert (stored["first_id"], stored["last_id"], stored["status"]) == ("1000", "1065", "complete")
    assert stored["first_ts_init"] == START + 5 * NS_PER_SECOND + 20_000_000


# ---------------------------------------------------------------- counters


class Crossings(Counter[int]):
    """Rows above the one before, which may be the last of the day before."""

    state = Decimal

    def __init__(self, held: Held) -> None:
        del held
        self._found, self._last = 0, None

    @override
    def add(self, rows: Rows) -> None:
        for price in rows.new["price"]:
            self._found += self._last is not None and price > self._last
            self._last = price

    @override
    def result(self, day: Counted) -> int:
        return self._found

    @override
    def resume(self, state: Any) -> None:
        self._last = state

    @override
    def hand_on(self) -> Any:
        return self._last


def counting(counter: type[Counter[Any]]) -> Table:
    def judge(day: Counted) -> Judgement:
        return Judgement(True, 0, {"found": day.of(counter)})

    return replace(TRADES, rules=(Rule("of_its_own", Severity.WARN, "quality", "", judge=judge, counters=(counter,)),))


def test_a_counter_begins_with_what_it_has_handed_on_the_day_before() -> None:
    prices = [pl.Series([price], dtype=pl.String) for price in ("1.00", "2.00")]
    frames = [clean(TRADES).head(1).with_columns(price=price.cast(pl.Decimal(38, 2))) for price in prices]
    table = counting(Crossings)
    first = DayRules(table, DAY, USUAL)
    first.add(frames[0])
    for before, found in ((None, 0), (HandedOn(first.hand_on(), "of the day before"), 1)):
        second = DayRules(table, DAY, USUAL, before)
        second.add(frames[1])
        assert second.judge(DayContext())[1][0].numbers == {"found": found}


def test_counters_that_hand_nothing_on_are_not_named() -> None:
    rules = DayRules(TRADES, DAY, USUAL)
    rules.add(clean(TRADES))
    assert rules.hand_on() == {}


def test_a_counter_that_several_rules_name_is_there_once() -> None:
    for table in TABLES.values():
        found = counters_of(table)
        assert len(found) == len(set(found))
        named = {counter for rule in table.rules for counter in rule.counters}
        assert named <= set(found)


class Asked:
    """A day that tells which counters a rule has asked for."""

    def __init__(self, seen: Counted) -> None:
        self.held, self.known, self._seen = seen.held, seen.known, seen
        self.asked: set[type[Counter[Any]]] = set()

    def of[R](self, counter: type[Counter[R]]) -> R:
        self.asked.add(counter)
        return self._seen.of(counter)


@pytest.mark.parametrize(("table", "rule"), CASES, ids=[f"{table.name}-{rule.name}" for table, rule in CASES])
def test_a_rule_asks_for_the_counters_that_it_names_and_for_no_others(table: Table, rule: Rule) -> None:
    if rule.judge is None:
        assert rule.counters == ()
        return
    day = Asked(day_of(table).judged()[0])
    rule.judge(day)
    assert day.asked - {FailingRows} == set(rule.counters)


# ---------------------------------------------------------------- cuts


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 600)), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5).map(sorted),
    price=st.sampled_from(["1.00", "0.00"]),
)
def test_how_the_rows_are_cut_changes_no_answer(rows: list[tuple[int, int]], cuts: list[int], price: str) -> None:
    frame = seconds(*sorted(rows, key=lambda row: row[1]))
    frame = frame.with_columns(
        price=pl.when(pl.int_range(pl.len()) == len(frame) // 2)
        .then(pl.lit(Decimal(price)))
        .otherwise("price")
        .cast(frame.schema["price"])
    )
    day = Day(TRADES, frame, counted(frame)).knowing(disconnects=[ns(100)], excluded_ids=np.array([7, 8, 20]))
    (seen, results), (whole, all_at_once) = day.judged(*(min(cut, len(frame)) for cut in cuts)), day.judged()
    assert results == all_at_once
    for counter in counters_of(TRADES):
        assert seen.of(counter) == whole.of(counter)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sets(st.integers(1, 80), min_size=1), st.randoms(use_true_random=False), st.sets(st.integers(1, 80)))
def test_missing_ids_add_up_whatever_the_order_within_a_second(
    ids: set[int], random: Random, excluded: set[int]
) -> None:
    order = [(number, number // 10) for number in ids]
    random.shuffle(order)
    frame = seconds(*sorted(order, key=lambda row: (row[1], row[0] != min(ids))))
    day = Day(TRADES, frame, counted(frame)).knowing(excluded_ids=np.array(sorted(excluded - ids), np.int64))
    expected = set(range(min(ids), max(ids))) - ids - excluded
    assert sum(gap.ids_missing for gap in day.judged()[0].of(Gaps).gaps) == len(expected)


def test_the_verdict_of_a_real_run_is_found_again_in_the_stored_frame(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.drop("capture.jsonl", CLEAN)
    yard.bring_in()
    verdict = yard.normalize()["trade_tick"].verdict
    day = Day(TRADES, yard.frame(), counted(yard.frame()))
    assert [RuleAnswer.of(result) for result in day.judged()[1].values()] == verdict.rules
