"""Neighbouring days: whether ids go on from one to the next, and whether one is on both."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import polars as pl
import polars.selectors as cs

from hedgegrid_assets.inspect.validation.reports import DayIds, DayReport
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.catalog.files import days_in, folder_in
from hedgegrid_assets.stages.frames import SharedIds
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_end, day_start

_COMPARED_ROWS: Final = 1_000_000
"""Ids of two days that are no integers, or far apart, are compared up to so many rows; beyond, if asked to look deep."""

_FIRST_NUMBERS: Final = (0, 1)
"""Where rows of a file begin to be counted."""


def joins_of(places: Places, days: Sequence[DayReport], *, deep: bool) -> Iterator[dict[str, Any]]:
    """Neighbouring days: do ids go on from one to the next, and is one of them on both?"""
    for before, after in pairwise(days):
        if (before.instrument_id, before.table, before.date + timedelta(days=1)) != (
            after.instrument_id,
            after.table,
            after.date,
        ) or TABLES[after.table].id_column is None:
            continue
        shared = _shared(places, before, after, deep=deep)
        begin_again = shared is not None and _begin_again(before, after, shared)
        yield {
            "instrument_id": before.instrument_id,
            "table": before.table,
            "from": str(before.date),
            "to": str(after.date),
            "ids_missing": None if begin_again else _ids_missing(places, before, after),
            "ids_begin_again": begin_again,
            "ids_shared": None if shared is None else shared.total,
            "trades_twice": None if shared is None else shared.same_trade,
            "shared": [] if shared is None or begin_again else list(shared.first),
        }


def _begin_again(before: DayReport, after: DayReport, shared: SharedIds) -> bool:
    """The ids are numbers of rows, which begin anew each day (as in Bybit's files of spot): one on both days tells nothing."""
    if before.ids is None or after.ids is None or not shared.total or shared.same_trade:
        return False
    integers = before.ids.integers and after.ids.integers
    return integers and before.ids.first == after.ids.first and after.ids.first in _FIRST_NUMBERS


def _ids_missing(places: Places, before: DayReport, after: DayReport) -> int | None:
    if before.error or after.error:
        return None
    table = TABLES[before.table]
    verdicts = [read_verdict(places, table, InstrumentDay(day.instrument_id, day.date)) for day in (before, after)]
    if verdicts[0] is not None and verdicts[1] is not None:
        return verdicts[0].ids_until(verdicts[1])
    if before.ids is None or after.ids is None or before.ids.last is None or after.ids.first is None:
        return None
    return None if "no" in (before.ids.contiguous, after.ids.contiguous) else after.ids.first - before.ids.last - 1


def _shared(places: Places, before: DayReport, after: DayReport, *, deep: bool) -> SharedIds | None:
    """None: not compared, as ids are shared on this venue, a day is not readable, or it would take long."""
    if before.ids is None or after.ids is None or not (before.ids.unique and after.ids.unique):
        return None
    rows, within = before.rows + after.rows, None
    if before.ids.integers and after.ids.integers:
        within = _overlap(before.ids, after.ids)
        rows = min(rows, 2 * max(within[1] - within[0] + 1, 0))
    if not rows or not before.rows or not after.rows:
        return SharedIds()
    if rows > _COMPARED_ROWS and not deep:
        return None
    column = str(TABLES[after.table].id_column)
    return frames.shared_ids(_rows_of(places, before), _rows_of(places, after), column, rows=rows, within=within)


def _overlap(before: DayIds, after: DayIds) -> tuple[int, int]:
    """The integers that may be on both days: from the larger start to the smaller end."""
    firsts = [first for first in (before.first, after.first) if first is not None]
    lasts = [last for last in (before.last, after.last) if last is not None]
    return max(firsts), min(lasts)


def _rows_of(places: Places, report: DayReport) -> pl.LazyFrame:
    """A day as it is stored: our frame, or what Nautilus' files have of it."""
    table = TABLES[report.table]
    frame = places.frame(report.instrument_id, table.folder, report.date)
    if frame.exists():
        words, decimals = cs.by_dtype(pl.Categorical, pl.Enum), cs.decimal()
        return (
            pl.scan_parquet(frame.local())
            .drop("instrument_id")
            .with_columns(words.cast(pl.String), decimals.cast(pl.Decimal(38, 16)))
        )
    folder = folder_in(places, table, report.instrument_id)
    files = [path.local() for path in folder.files(".parquet") if report.date in days_in(path.name)]
    arrived = pl.col("ts_init").cast(pl.Int64)
    return pl.scan_parquet(files).filter(arrived >= day_start(report.date), arrived < day_end(report.date))
