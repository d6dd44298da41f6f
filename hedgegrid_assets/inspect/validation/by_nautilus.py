"""What Nautilus' files hold: days of other writers judged by them alone, and rows counted by Nautilus' own reader."""

from collections.abc import Iterator
from itertools import islice

import polars as pl
import pyarrow.parquet as pq

from hedgegrid_assets.errors import CatalogDiffers
from hedgegrid_assets.inspect.validation.large_gaps import LargeGaps
from hedgegrid_assets.inspect.validation.reports import DayIds, DayReport
from hedgegrid_assets.model import DayContext, InstrumentDay, Table, Thresholds
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.catalog.files import days_in, folder_in
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.stages.verdict import GAPS_STORED, status_of
from hedgegrid_assets.store import Places, reading
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.rules.gaps import Gaps
from hedgegrid_assets.timestamps import day_end, day_start


def look_at_rows(places: Places, day: InstrumentDay, table: Table, steps: LargeGaps) -> DayReport:
    """Rules over the rows of Nautilus' files: nothing is known of how they came to be."""
    rules = DayRules(table, day.date, Thresholds())
    rows = 0
    ids: list[pl.Series] = []
    for block in _nautilus_blocks(places, day, table):
        rows += len(block)
        rules.add(block)
        if table.is_trades:
            steps.add(day.instrument_id, block)
            ids.append(block[str(table.id_column)])
    conflicts = 0 if not ids or rules.ids_rise else int(pl.concat(ids).is_duplicated().sum())
    seen, results = rules.judge(DayContext(conflicting_ids=conflicts, contiguous_ids=False))
    gaps = list(islice(seen.of(Gaps).gaps, GAPS_STORED))
    status = str(status_of(results, rows))
    return DayReport(
        day.instrument_id,
        table.name,
        day.date,
        status,
        rows,
        None,
        None,
        results,
        gaps,
        ids=DayIds.of(seen, table),
    )


def _nautilus_blocks(places: Places, day: InstrumentDay, table: Table) -> Iterator[pl.DataFrame]:
    first, last = day_start(day.date), day_end(day.date)
    row = 0
    for path in folder_in(places, table, day.instrument_id).files(".parquet"):
        if day.date not in days_in(path.name):
            continue
        with reading(path, "a Nautilus file", "its writer must make it anew"), pq.ParquetFile(path.local()) as file:
            for group in range(file.num_row_groups):
                found = nautilus.from_nautilus(table, file.read_row_group(group), catalog_stage.generation_of(places))
                unkept = {column.name: column.dtype for column in table.columns if column.name not in found.columns}
                found = found.with_columns(
                    *(pl.lit(None, dtype).alias(name) for name, dtype in unkept.items()),
                    raw_row=pl.int_range(row, row + len(found), dtype=pl.UInt32),
                )
                row += len(found)
                yield found.filter((pl.col("ts_init") >= first) & (pl.col("ts_init") < last))


def check_with_nautilus(places: Places, report: DayReport) -> None:
    """Nautilus' own reader gives as many objects as the file has rows. Raises CatalogDiffers."""
    day, table = InstrumentDay(report.instrument_id, report.date), TABLES[report.table]
    path = catalog_stage.file_of(places, day, table)
    foreign = report.frame_matches_verdict is None
    if not path.exists() and not foreign:
        return
    expected = pq.read_metadata(path.footer()).num_rows if path.exists() else report.rows
    found = catalog_stage.rows_by_nautilus(places, day, table)
    if found not in (None, expected):
        raise CatalogDiffers(str(day), table.name, f"Nautilus reads {found:,} rows, expected {expected:,}")
