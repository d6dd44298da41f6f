"""Files of funding rates whose rows are settlements: what was paid, not an estimate of it."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from hedgegrid_assets.sources.csv.dialect import CsvView
from hedgegrid_assets.sources.csv.names import LOCAL, TIMESTAMP, squeezed
from hedgegrid_assets.sources.csv.times import ns_of
from hedgegrid_assets.sources.formats import csv_cells as cells

_SETTLED_AT: Final = frozenset(
    {"calctime", "fundingtime", "fundingratetimestamp", "settletime", "settlementtime", "timepoint"}
)
_RATE_PAID: Final = "realizedrate"
_OF_ESTIMATES: Final = frozenset({LOCAL, "next_funding_time", "predicted_funding_rate", "is_settlement"})
_HOUR_NS: Final = 3_600_000_000_000
_JITTER_NS: Final = 60_000_000_000
"""Venues stamp a settlement some milliseconds after the hour, and a few seconds where they are busy."""
_BY_HOURS: Final = (
    "rows of funding stand at whole hours, one each: taken as settlements; if they are estimates, say "
    '"settled": false beside file_path, in the file given with --config'
)


def settled(
    view: CsvView, names: Sequence[str], rows: pl.DataFrame, symbol: int | None, said: bool | None
) -> tuple[bool, list[str]]:
    """Whether funding rates are settlements, and what must be told of it.

    Rows are settlements where the user says so, where the time or the rate is named as that of one, or where the rows
    of a symbol stand at whole hours, one each. Two rows of one time, a receive time, the next funding time or a
    prediction speak against it: then they are estimates.
    """
    columns = view.columns
    if said is not None or columns.keys() & _OF_ESTIMATES:
        return bool(said), []
    one_each, hourly = _spread(view, rows, symbol)
    named = squeezed(names[columns[TIMESTAMP]]) in _SETTLED_AT or squeezed(names[columns["funding_rate"]]) == _RATE_PAID
    if named and not one_each:
        name = names[columns[TIMESTAMP]]
        return False, [f"several rows an hour in {name}: rates are taken as estimates, not as settlements"]
    return one_each and (named or hourly), [] if named or not hourly else [_BY_HOURS]


def _spread(view: CsvView, rows: pl.DataFrame, symbol: int | None) -> tuple[bool, bool]:
    """No two rows of a symbol are of one hour; and several there are, all of them just after a whole hour."""
    times = ns_of(rows[cells.name(view.columns[TIMESTAMP])], view.times[TIMESTAMP])
    found = rows.select(symbol=pl.lit("") if symbol is None else pl.col(cells.name(symbol)), time=times)
    found = found.filter(pl.col("time").is_not_null()).unique().with_columns(hour=pl.col("time") // _HOUR_NS)
    if not len(found):
        return True, False
    by_symbol = found.group_by("symbol").agg(pl.col("hour").n_unique().alias("hours"), pl.len().alias("rows"))
    one_each = bool((by_symbol["hours"] == by_symbol["rows"]).all())
    on_the_hour = bool((found["time"] % _HOUR_NS < _JITTER_NS).all())
    return one_each, one_each and on_the_hour and bool((by_symbol["rows"] > 1).any())
