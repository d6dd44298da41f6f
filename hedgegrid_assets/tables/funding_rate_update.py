"""Funding rates of perpetuals: estimates of the next settlement, as often as the venue sends them, or what was settled."""

from typing import Final

import polars as pl

from hedgegrid_assets.model import (
    Column,
    Effect,
    Encoding,
    LastRow,
    NautilusColumn,
    NautilusForm,
    RowFilter,
    Rule,
    Severity,
    Table,
)
from hedgegrid_assets.tables import rules

RATE_DECIMALS: Final = 28
"""People publish rates of up to 20 decimals, and computed ones with all digits of a double."""
_RATE: Final = pl.Decimal(38, RATE_DECIMALS)


def _is_due(day_end: int) -> pl.Expr:
    """Rows before their funding time, if that is not after the day."""
    return (pl.col("ts_init") < pl.col("next_funding_time")) & (pl.col("next_funding_time") <= day_end)


def _settled_or_changed() -> pl.Expr:
    """Each settlement, and of estimates the first of the day and each change of rate, funding time or interval."""
    keys = ("funding_rate", "next_funding_time", "interval_minutes")
    changed = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys)
    # the last estimate before a funding time is marked as well
    is_due = (pl.col("ts_init") < pl.col("next_funding_time")).fill_null(value=False)
    return changed | (pl.col("is_settlement") & ~is_due)


_LATE: Final = 60 * 10**9
"""Venues stamp a settlement some moments after it."""


def _lost_before() -> pl.Expr:
    """Settlements of a known interval with another one lost before them, or at the start of the day.

    Intervals divide a day and change at settlements, so of two that follow each other the longer one counts.
    """
    settled = pl.col("is_settlement") & pl.col("next_funding_time").is_null()
    interval = pl.col("interval_minutes").cast(pl.Int64) * (60 * 10**9)
    longer = pl.max_horizontal(interval, interval.shift(1))
    after = pl.col("ts_init") - pl.col("ts_init").shift(1) - longer > _LATE
    return settled & after.fill_null(pl.col("ts_init") - pl.col("day_start") - interval > -_LATE)


_SETTLEMENTS_FOLLOW: Final = Rule(
    "settlements_follow",
    Severity.WARN,
    "gap_report",
    "each settlement comes an interval after the one before, where the source says the interval",
    fails=_lost_before(),
    effect=Effect.DEGRADES,
)

_KEPT: Final = RowFilter(
    _settled_or_changed(), ("is_settlement",), "the catalog holds changes only: same rate as before"
)

FUNDING_RATE_UPDATE: Final = Table(
    name="funding_rate_update",
    token="funding",
    folder="funding_rate",
    nautilus={
        1: NautilusForm(
            cls="FundingRateUpdate",
            folder="funding_rate_update",
            columns=(
                NautilusColumn("rate", "funding_rate", Encoding.JSON_DECIMAL),
                NautilusColumn("interval", "interval_minutes", Encoding.UINT16, nullable=True),
                NautilusColumn("next_funding_ns", "next_funding_time", Encoding.NS, nullable=True),
            ),
            precisions={},
            kept=_KEPT,
        ),
        2: NautilusForm(
            cls="FundingRateUpdate",
            folder="funding_rates",
            columns=(
                NautilusColumn("rate", "funding_rate", Encoding.TEXT),
                NautilusColumn("interval", "interval_minutes", Encoding.UINT64, nullable=True),
                NautilusColumn("next_funding_ns", "next_funding_time", Encoding.TIMESTAMP, nullable=True),
            ),
            precisions={},
            kept=_KEPT,
            class_in="type_name",
            times=Encoding.TIMESTAMP,
        ),
    },
    doc="Funding rates, every observation; the catalog holds each settlement, and of estimates the first of the day and each change",
    columns=(
        Column("funding_rate", _RATE, "fraction per interval, usually within +-0.0075"),
        Column(
            "predicted_funding_rate",
            _RATE,
            "estimate for the interval after the next, same unit",
            nullable=True,
        ),
        Column("next_funding_time", pl.Int64(), "when the rate is settled, UTC", nullable=True, is_time=True),
        Column(
            "interval_minutes",
            pl.UInt16(),
            "length of the funding interval, only where the source says it",
            nullable=True,
        ),
        Column(
            "is_settlement",
            pl.Boolean(),
            "true on rows that are settlements, else on the last row before each funding time",
        ),
    ),
    whole_day={"is_settlement": LastRow("next_funding_time", among=_is_due)},
    rules=(
        *rules.STORED,
        rules.NO_TIME_GAPS,
        rules.DAY_COVERED,
        _SETTLEMENTS_FOLLOW,
        rules.CADENCE_AS_EXPECTED,
        *rules.OBSERVED,
    ),
    code_version=2,
    default=True,
)
