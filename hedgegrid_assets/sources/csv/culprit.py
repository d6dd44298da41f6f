"""What to show of a line that has no place."""

from collections.abc import Iterator

import polars as pl

from hedgegrid_assets.dialect import Dialect
from hedgegrid_assets.sources.csv.dialect import CsvDialect
from hedgegrid_assets.sources.csv.names import LOCAL, TIMESTAMP
from hedgegrid_assets.sources.csv.times import ns_of
from hedgegrid_assets.sources.formats import csv_cells as cells


def culprit(text: str, dialect: Dialect, reason: str) -> tuple[str | None, str | None]:
    """(column, value) of the cell that is to blame: a time that cannot be read, or a symbol that is not there."""
    of_file = CsvDialect.of(dialect)
    row = cells.row_of(text, of_file.delimiter)
    if row is None:
        return None, None
    places = list(_times(row, of_file)) if reason == "unknown_time" else []
    if reason == "missing_field" and of_file.symbol_column is not None:
        places = [of_file.symbol_column]
    if not places:
        return None, None
    return of_file.names[places[0]], _cell(row, places[0])


def _times(row: list[str], dialect: CsvDialect) -> Iterator[int]:
    """Positions of the times that give no moment."""
    for view in dialect.views.values():
        for name in (TIMESTAMP, LOCAL):
            place = view.columns.get(name)
            if place is not None and ns_of(pl.Series([_cell(row, place)]), view.times[name])[0] is None:
                yield place


def _cell(row: list[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""
