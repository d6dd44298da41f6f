"""What is noted of a frame while it is copied tells a file that holds anything else."""

from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hedgegrid_assets.model import GENERATIONS, InstrumentDay
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages.catalog.proof import Noted
from hedgegrid_assets.stages.frames import Precisions, frame_schema
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.yard import ALIKE

DAY: Final = InstrumentDay("BTCUSDT-PERP.BINANCE", date(2024, 1, 1))
PRECISIONS: Final = Precisions(price=2, size=3, mark=8)
ROWS: Final = 5
BLOCKS: Final = 3


def rows_of(table: str, first: int = 0) -> pl.DataFrame:
    """Rows with another value in each column and row."""
    columns = {}
    for name, dtype in frame_schema(TABLES[table], PRECISIONS).items():
        numbers = pl.Series(range(first + 1, first + 1 + ROWS), dtype=pl.Int64)
        if isinstance(dtype, pl.Enum):
            columns[name] = (numbers % len(dtype.categories)).cast(pl.UInt8).cat.to(dtype)
        else:
            columns[name] = numbers.cast(dtype)
    return pl.DataFrame(columns)


def written(tmp_path: Path, table: str, generation: int) -> tuple[Path, Noted, pa.Schema]:
    """A file of some blocks, and what was noted of them."""
    places = Places.of_catalog(tmp_path)
    catalog.claim(places, generation)
    draft = catalog.Draft(places, DAY, TABLES[table], PRECISIONS)
    noted = draft.noting()
    for number in range(BLOCKS):
        draft.add(rows_of(table, number * ROWS))
    draft.finish("digest")
    path = draft.path.rename(tmp_path / "written.parquet")
    draft.close()
    return path, noted, catalog.schema_of(places, DAY, TABLES[table], PRECISIONS)


def with_others(data: pa.Table, name: str, *, first: bool) -> pa.Table:
    """Two values of a column changed places, in the first or in the last block."""
    one = 1 if first else len(data) - 3
    order = pa.array([*range(one), one + 1, one, *range(one + 2, len(data))])
    return data.set_column(data.column_names.index(name), data.schema.field(name), data[name].take(order))


def test_rows_are_what_their_file_holds_and_nothing_else(tmp_path: Path) -> None:
    for table, generation in ((name, number) for name in TABLES if name not in ALIKE for number in GENERATIONS):
        folder = tmp_path / f"{table}-{generation}"
        folder.mkdir()
        path, noted, target = written(folder, table, generation)
        assert noted.agrees_with(path, target), table
        whole = pq.read_table(path)
        form = TABLES[table].form(generation)
        judged = {*(column.name for column in form.columns), "ts_event", "ts_init"}
        lies = {(name, first): with_others(whole, name, first=first) for name in judged for first in (True, False)}
        lies |= {("fewer", True): whole.slice(1), ("more", True): pa.concat_tables([whole, whole.slice(0, 1)])}
        for lie, data in lies.items():
            pq.write_table(data, path, row_group_size=ROWS * form.blocks)
            assert whole.equals(data) or not noted.agrees_with(path, target), (table, lie)


@pytest.mark.parametrize("high", [2**62, 2**64, 10**30])
def test_a_hash_tells_decimals_apart_that_differ_in_their_high_digits_alone(high: int) -> None:
    kind = pl.Decimal(38, 0)
    one, other = (pl.DataFrame({"price": pl.Series([value], dtype=kind)}) for value in (7, 7 + high))
    assert one.hash_rows()[0] != other.hash_rows()[0]
