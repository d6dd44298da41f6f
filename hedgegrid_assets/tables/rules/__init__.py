"""The integrity rules that tables are made of: each one a row with its name, severity and plain words."""

from datetime import date
from typing import Any, Final

import msgspec
import polars as pl

from hedgegrid_assets.model import Counted, Effect, Judgement, Rule, Severity, Shows, Table
from hedgegrid_assets.tables.rules.counters import (
    LONGEST_MS,
    Extent,
    FailingRows,
    Latency,
    Members,
    Sides,
    Steps,
)
from hedgegrid_assets.tables.rules.gaps import Gaps, cadence_seconds
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_end, day_start

LATENCY_P99_MS: Final = 5_000
LATENCY_JUMP_MS: Final = 1_000
CADENCE_SHARE: Final = 0.99
REJECTS_THAT_COUNT: Final = 10
SIDES_THAT_COUNT: Final = 300
"""Trades with a side; a day of no more may well have one side only. Of up to a thousand, one on the other side is enough."""
ONE_SIDE_PER_MILLE: Final = 999
FILES_TOLD: Final = 10
DAY_EDGE_SECONDS: Final = 60.0
_ON_TICK: Final = "prices_on_tick"
_SLOWER_FROM_MS: Final = 30_000


# ---------------------------------------------------------------- judges


def _off(**numbers: Any) -> Judgement:
    """The rule says nothing of this day: it is switched off, or there is nothing to hold it to."""
    return Judgement(None, 0, numbers)


def _rows_conserved(day: Counted) -> Judgement:
    counts, stored = day.known.counts, day.of(Extent).rows
    if counts is None:
        return _off()
    accounted = (
        counts.rows_out + counts.rejected + counts.exact_duplicates + counts.other_symbols + counts.not_applicable
    )
    lost = abs(counts.rows_in + sum(day.known.reshaped.values()) - accounted) + abs(counts.rows_out - stored)
    refused = day.known.too_fine > 0  # precision_fits says why nothing was stored
    numbers: dict[str, Any] = msgspec.to_builtins(counts) | {"stored": stored}
    if day.known.reshaped:
        numbers["reshaped"] = dict(day.known.reshaped)
    if day.known.lines is not None:
        numbers["lines"] = day.known.lines.to_dict()
    return Judgement(refused or lost == 0, 0 if refused else lost, numbers)


def _rejected_share(day: Counted) -> Judgement:
    """Rows that the venue itself marks as no trade (``excluded_*``) are rejected, but not held against the day.

    A day of which nothing else is left is not empty: it could not be read. Nor is a day to be trusted that has lines of
    a file of which too many have no time, or no other place: nobody knows which days these belong to.
    """
    known, most = day.known, day.held.thresholds.max_rejected
    counts = known.counts
    if counts is None:
        return _off()
    held = {reason: n for reason, n in known.rejects_by_reason.items() if not reason.startswith("excluded_")}
    rejected = sum(held.values())
    share = rejected / counts.rows_in if counts.rows_in else 0.0
    if known.lines is not None:  # a line that is lost may have had as many rows as the others
        share = max(share, known.lines.rejected / max(known.lines.lines_in, 1))
    few = rejected < REJECTS_THAT_COUNT or share <= most
    files = known.unplaced_files
    passed = few and (counts.rows_out > 0 or not rejected or known.too_fine > 0) and not files
    numbers = {"rejected": rejected, "share": round(share, 6), "threshold": most, "by_reason": held}
    numbers |= {"files": [dict(file) for file in files[:FILES_TOLD]]} if files else {}
    return Judgement(passed, 0 if passed else rejected + sum(file["unplaced"] for file in files), numbers)


def _precision_fits(day: Counted) -> Judgement:
    return Judgement(day.known.too_fine == 0, day.known.too_fine, {"too_fine": day.known.too_fine})


def _trade_ids_unique(day: Counted) -> Judgement:
    """Off where the venue's ids never named one trade."""
    if not day.known.unique_ids:
        return _off(unique=False)
    conflicts = day.known.conflicting_ids or 0
    numbers = {"conflicting_rows": conflicts}
    return Judgement(
        conflicts == 0,
        conflicts,
        numbers | ({"conflicts": day.known.conflicts} if conflicts and day.known.conflicts else {}),
    )


def _no_time_gaps(day: Counted) -> Judgement:
    found = day.of(Gaps)
    if not found.gap_seconds:
        return _off(threshold_s=None)
    length = found.gaps.length
    long = length > int(found.gap_seconds * NS_PER_SECOND)
    bad = long & found.gaps.is_loss
    count = int(bad.sum())
    numbers = {
        "threshold_s": found.gap_seconds,
        "gaps": count,
        "quiet": int(long.sum()) - count,
        "longest_s": round(int(length[bad].max(initial=0)) / NS_PER_SECOND, 3),
        "total_s": round(int(length[bad].sum()) / NS_PER_SECOND, 3),
    }
    return Judgement(not count, count, numbers)


def _no_sequence_gaps(day: Counted) -> Judgement:
    """Off where ids do not rise by one: neither does the source say so, nor do the day's rows show it.

    Members of aggregates are a number only: the venue leaves out those that are no market trades.
    """
    found, of_members = day.of(Gaps), day.of(Members)
    members = {"member_breaks": of_members.breaks, "members_missing": of_members.missing}
    if found.contiguous == "no":
        return _off(contiguous="no", rising_by_one=found.rising_by_one, **members)
    missing = int(found.gaps.ids_missing.sum())
    holes = int((found.gaps.ids_missing > 0).sum()) + found.holes_unlisted
    numbers = {
        "contiguous": found.contiguous,
        "rising_by_one": found.rising_by_one,
        "ids_missing": missing,
        "holes": holes,
        "first": found.first_id,
        "last": found.last_id,
        **members,
    }
    return Judgement(not holes, holes, numbers)


def uncovered(table: Table, day: date, first: int, last: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The times of a day that its first and its last row leave out, as (start, end) in ns; none where it ends before it starts.

    Where the next row would arrive after midnight only, nothing is left out at the end.
    """
    end = day_end(day)
    return (day_start(day), first - table.tells_of_ns), (last if last + table.tells_of_ns < end else end, end)


def _day_covered(day: Counted) -> Judgement:
    span, table = day.of(Extent), day.held.table
    if span.first is None or span.last is None:
        return Judgement(True)
    usual, of_row = day.of(Gaps).gap_seconds or 0.0, table.tells_of_ns / NS_PER_SECOND
    allowed = max(usual - of_row, min(DAY_EDGE_SECONDS, of_row / 2 or DAY_EDGE_SECONDS))
    start, end = (
        max(end - start, 0) / NS_PER_SECOND for start, end in uncovered(table, day.held.day, span.first, span.last)
    )
    numbers = {"start_missing_s": round(start, 3), "end_missing_s": round(end, 3), "allowed_s": allowed}
    return Judgement(start <= allowed and end <= allowed, 0, numbers)


def _latency_plausible(day: Counted) -> Judgement:
    """A constant negative offset (an exchange clock that runs ahead) is a number here, not a failure.

    Off where no arrival was recorded: the exchange time stands for it in every row.
    """
    spread = day.of(Latency)
    if spread.count and spread.minimum_ms == spread.maximum_ms == 0:
        return _off(min_ms=0.0, max_ms=0.0)
    numbers = {
        "min_ms": spread.minimum_ms,
        "median_ms": spread.median_ms,
        "p99_ms": spread.p99_ms,
        "max_ms": spread.maximum_ms,
        "negative_share": round(spread.negative_share, 6),
        "largest_jump_ms": spread.largest_jump_ms,
    }
    return Judgement(spread.p99_ms <= LATENCY_P99_MS and spread.largest_jump_ms <= LATENCY_JUMP_MS, 0, numbers)


def _cadence_as_expected(day: Counted) -> Judgement:
    """The venue sends every 1 s or every 3 s; which one is read off the median step. What comes less often than any
    such stream with most updates lost (candles) has its own pace, the median.

    Off where gaps are not watched, where there are too few rows for a step, and where steps are longer than is measured.
    """
    span, steps = day.of(Extent), day.of(Steps)
    if day.of(Gaps).gap_seconds is None or steps.count < 2 or span.first is None or span.last is None:
        return _off()
    median_ms = steps.median_ms
    if median_ms >= LONGEST_MS:
        return _off(longest_ms=LONGEST_MS)
    expected_s = cadence_seconds(median_ms) if median_ms < _SLOWER_FROM_MS else round(median_ms / 1_000)
    due = (span.last - span.first) / NS_PER_SECOND / expected_s + 1
    share = span.rows / due
    numbers = {
        "expected_s": expected_s,
        "median_ms": steps.median_ms,
        "p99_ms": steps.p99_ms,
        "share": round(share, 4),
    }
    return Judgement(share >= CADENCE_SHARE, 0, numbers)


def _aggressor_sides_mixed(day: Counted) -> Judgement:
    """Takers are on both sides of any market: a day of one side has a wrong column. Off where trades have no side."""
    found, rows = day.of(Sides), day.of(Extent).rows
    sided = found.buyers + found.sellers
    if not sided:
        return _off(without_side=rows)
    most = max(found.buyers, found.sellers)
    mixed = sided <= SIDES_THAT_COUNT or most * 1_000 <= sided * ONE_SIDE_PER_MILLE
    numbers = {
        "buyers": found.buyers,
        "sellers": found.sellers,
        "without_side": rows - sided,
        "share": round(most / sided, 6),
        "threshold": ONE_SIDE_PER_MILLE / 1_000,
    }
    return Judgement(mixed, 0, numbers)


def _prices_on_tick(day: Counted) -> Judgement:
    """Off in files of others, where no increment is known; ours have none only where it is their last decimal."""
    increment = day.held.thresholds.price_increment
    if increment is None and day.known.counts is None:
        return _off(tick=None)
    off = day.of(FailingRows).counts[_ON_TICK]
    return Judgement(off == 0, off, {"tick": increment, "off_tick": off})


def _nothing_cleaned(day: Counted) -> Judgement:
    known = day.known
    if known.counts is None:
        return _off()
    numbers = {
        "out_of_order": known.out_of_order,
        "exact_duplicates": known.counts.exact_duplicates,
        "rejected": known.counts.rejected,
        "by_reason": dict(known.rejects_by_reason),
    }
    cleaned = known.counts.exact_duplicates + known.counts.rejected
    if known.any_order and known.out_of_order:
        numbers["any_order"] = True
    else:
        cleaned += known.out_of_order
    if known.left_empty:
        numbers["left_empty"] = dict(sorted(known.left_empty.items()))
        cleaned += sum(known.left_empty.values())
    return Judgement(cleaned == 0, cleaned, numbers)


# ---------------------------------------------------------------- rows

_ERROR: Final = Severity.ERROR
_WARN: Final = Severity.WARN


def positive(name: str, *columns: str) -> Rule:
    """Every value of some columns is above zero."""
    fails = [(pl.col(column) > 0).not_().fill_null(value=True) for column in columns]
    return Rule(
        name,
        _ERROR,
        "positive_prices",
        f"every {' and '.join(columns)} is above zero",
        fails=fails[0] if len(fails) == 1 else pl.any_horizontal(fails),
    )


def not_negative(name: str, column: str) -> Rule:
    """Every value of a column is zero or above."""
    fails = (pl.col(column) >= 0).not_().fill_null(value=True)
    return Rule(name, _ERROR, "positive_prices", f"every {column} is zero or above", fails=fails)


def on_tick(*columns: str) -> Rule:
    """Every price of some columns is a multiple of the instrument's increment."""
    off = (pl.col(column).to_physical() % pl.col("price_tick") != 0 for column in columns)
    return Rule(
        _ON_TICK,
        _WARN,
        "quality",
        "every price is a multiple of the instrument's price increment, where that is coarser than its last decimal",
        fails=pl.any_horizontal(off) if len(columns) > 1 else next(off),
        judge=_prices_on_tick,
        by_increment=True,
    )


TRADE_IDS_UNIQUE: Final = Rule(
    "trade_ids_unique",
    _ERROR,
    "no_duplicate_ids",
    "no trade id stands for two different trades",
    judge=_trade_ids_unique,
    shows=Shows.REPEATED_IDS,
    hint="where the venue gives one id to several trades, say ids: shared (in feeds.yaml under settings, or --config)",
)
TS_INIT_SORTED: Final = Rule(
    "ts_init_sorted",
    _ERROR,
    "sorted_timestamps",
    "rows are in order of ts_init",
    fails=pl.col("ts_init") < pl.col("ts_init").shift(1),
)
DAY_BOUNDS: Final = Rule(
    "day_bounds",
    _ERROR,
    "rows_accounted_for",
    "every ts_init lies in the day of the file",
    fails=(pl.col("ts_init") < pl.col("day_start")) | (pl.col("ts_init") >= pl.col("day_end")),
)
ROWS_CONSERVED: Final = Rule(
    "rows_conserved",
    _ERROR,
    "rows_accounted_for",
    "every raw row is stored, rejected with a reason, or counted",
    judge=_rows_conserved,
    counters=(Extent,),
)
PRECISION_FITS: Final = Rule(
    "precision_fits",
    _ERROR,
    "rows_accounted_for",
    "no value is finer than the instrument's definition",
    judge=_precision_fits,
    seen_while_normalizing=True,
)
REJECTED_SHARE: Final = Rule(
    "rejected_share",
    _ERROR,
    "rows_accounted_for",
    "the share of rejected rows, and of lines without a place in the files of the day, is within the feed's max_rejected, or they are fewer than 10",
    judge=_rejected_share,
    shows=Shows.REJECTS,
)
NO_TIME_GAPS: Final = Rule(
    "no_time_gaps",
    _WARN,
    "gap_report",
    "no silence longer than the threshold, but where the ids go on (quiet)",
    judge=_no_time_gaps,
    counters=(Gaps,),
    effect=Effect.DEGRADES,
    shows=Shows.GAPS,
    looks_for="silences",
    seen_while_normalizing=True,
    was_off=lambda numbers: numbers.get("threshold_s", 0) is None,
)
NO_SEQUENCE_GAPS: Final = Rule(
    "no_sequence_gaps",
    _WARN,
    "gap_report",
    "trade ids go on without holes, excluded rows apart, where each id is the one before plus one",
    judge=_no_sequence_gaps,
    counters=(
        Gaps,
        Members,
    ),
    effect=Effect.DEGRADES,
    shows=Shows.GAPS,
    looks_for="holes",
    seen_while_normalizing=True,
    was_off=lambda numbers: numbers.get("contiguous") is False,
)
DAY_COVERED: Final = Rule(
    "day_covered",
    _WARN,
    "gap_report",
    "the data reach from the start to the end of the UTC day",
    judge=_day_covered,
    counters=(Extent, Gaps),
    effect=Effect.PARTIAL,
)
CADENCE_AS_EXPECTED: Final = Rule(
    "cadence_as_expected",
    _WARN,
    "gap_report",
    "updates come every 1 s or 3 s, as the stream promises, or at the steady pace of candles",
    judge=_cadence_as_expected,
    counters=(
        Extent,
        Gaps,
        Steps,
    ),
    effect=Effect.DEGRADES,
    was_off=lambda numbers: not numbers,
)
AGGRESSOR_SIDES_MIXED: Final = Rule(
    "aggressor_sides_mixed",
    _WARN,
    "quality",
    "of more than 300 trades with a side, at most 99.9 % are on one side",
    judge=_aggressor_sides_mixed,
    counters=(
        Extent,
        Sides,
    ),
    effect=Effect.DEGRADES,
)
TS_EVENT_SORTED: Final = Rule(
    "ts_event_sorted",
    _WARN,
    "quality",
    "exchange times do not step back",
    fails=pl.col("ts_event") < pl.col("ts_event").shift(1),
)
LATENCY_PLAUSIBLE: Final = Rule(
    "latency_plausible",
    _WARN,
    "quality",
    "arrival follows the exchange time within 5 s (p99) and without jumps above 1 s",
    judge=_latency_plausible,
    counters=(Latency,),
    was_off=lambda numbers: numbers.get("min_ms", 1) == numbers.get("max_ms", 1) == 0,
)
NOTHING_CLEANED: Final = Rule(
    "nothing_cleaned",
    _WARN,
    "quality",
    "normalizing had nothing to sort (but for files that are written newest first, or in no order), to drop, to reject or to leave empty",
    judge=_nothing_cleaned,
    shows=Shows.REJECTS,
    seen_while_normalizing=True,
)

STORED: Final = (TS_INIT_SORTED, DAY_BOUNDS, ROWS_CONSERVED, PRECISION_FITS, REJECTED_SHARE)
OBSERVED: Final = (TS_EVENT_SORTED, LATENCY_PLAUSIBLE, NOTHING_CLEANED)
