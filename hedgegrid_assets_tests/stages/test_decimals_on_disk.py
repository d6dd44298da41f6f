"""Decimals of frames on disk: 18 digits as integers where all of a day fit, 38 where not, and alike for every reader."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hedgegrid_assets.stages.frames import FrameWriter, Precisions, arrow_schema, frame_schema, read_blocks
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.quote_tick import QUOTED

_TABLE = TABLES["quote_tick"]
_PRECISIONS = Precisions(3, 2, 8)
_SCHEMA = arrow_schema(_TABLE, _PRECISIONS, {"hedgegrid.series": "x/quote"})
_FEW = ["42500.125", "0.001", "999999999999999.999"]
_MANY = ["1000000000000000.001"]
"""One digit more than 18 hold."""


def _group(prices: list[str], first: int = 0) -> pl.DataFrame:
    count = len(prices)
    columns = {
        "ts_event": range(first, first + count),
        "ts_init": range(first, first + count),
        "bid_price": prices,
        "ask_price": prices,
        "bid_size": ["0.00"] * count,
        "ask_size": ["7.25"] * count,
        "update_id": range(first, first + count),
        "raw_row": range(first, first + count),
    }
    return pl.DataFrame(columns).cast(frame_schema(_TABLE, _PRECISIONS))


def _written(path: Path, groups: list[pl.DataFrame], schema: pa.Schema = _SCHEMA) -> Path:
    writer = FrameWriter(path, "BTCUSDT-PERP.BINANCE", _TABLE, schema)
    for group in groups:
        writer.write(group)
    writer.close()
    return path


def _of_38_digits() -> pa.Schema:
    fields = [
        field.with_type(pa.decimal128(38, field.type.scale)) if pa.types.is_decimal(field.type) else field
        for field in _SCHEMA
    ]
    return pa.schema(fields, metadata=_SCHEMA.metadata)


def _by_duckdb(path: Path) -> list[Decimal]:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    return [row[0] for row in duckdb.sql(f"select bid_price from '{path}' order by raw_row").fetchall()]


_READERS: dict[str, Callable[[Path], list[Decimal]]] = {
    "pandas": lambda path: pd.read_parquet(path)["bid_price"].tolist(),
    "polars": lambda path: pl.read_parquet(path)["bid_price"].to_list(),
    "pyarrow": lambda path: pq.read_table(path).column("bid_price").to_pylist(),
    "duckdb": _by_duckdb,
}


@pytest.mark.parametrize("reader", _READERS)
@pytest.mark.parametrize("prices", [_FEW, [*_FEW, *_MANY]], ids=["18 digits", "more digits"])
def test_every_reader_gives_the_digits_of_the_text(reader: str, prices: list[str], tmp_path: Path) -> None:
    path = _written(tmp_path / "day.parquet", [_group(prices)])
    assert [str(price) for price in _READERS[reader](path)] == prices


def test_decimals_that_fit_are_integers_on_disk(tmp_path: Path) -> None:
    few = pq.ParquetFile(_written(tmp_path / "few.parquet", [_group(_FEW)])).schema
    many = pq.ParquetFile(_written(tmp_path / "many.parquet", [_group(_FEW), _group(_MANY, 3)])).schema
    assert {few.column(number).physical_type for number in range(3, 7)} == {"INT64"}
    assert {many.column(number).physical_type for number in range(3, 7)} == {"FIXED_LEN_BYTE_ARRAY"}


def test_prices_and_sizes_of_quotes_that_fit_are_stored_as_differences(tmp_path: Path) -> None:
    with pq.ParquetFile(_written(tmp_path / "few.parquet", [_group(_FEW)])) as file:
        group = file.metadata.row_group(0)
        columns = {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}
    assert all("DELTA_BINARY_PACKED" in columns[name].encodings for name in QUOTED)


def test_a_value_that_does_not_fit_makes_the_bytes_that_the_whole_day_would_have_had(tmp_path: Path) -> None:
    groups = [_group(_FEW), _group(_FEW, 3), _group(_MANY, 6), _group(_FEW, 7)]
    late = _written(tmp_path / "late.parquet", groups)
    early = _written(tmp_path / "early.parquet", groups, _of_38_digits())
    assert late.read_bytes() == early.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["early.parquet", "late.parquet"]


@pytest.mark.parametrize("schema", [_SCHEMA, _of_38_digits()], ids=["of now", "of before"])
def test_rows_come_back_as_they_were_written_from_both_forms(schema: pa.Schema, tmp_path: Path) -> None:
    path = _written(tmp_path / "day.parquet", [_group(_FEW)], schema)
    (block,) = read_blocks(path, _TABLE)
    assert block.equals(_group(_FEW))
    assert block.schema == frame_schema(_TABLE, _PRECISIONS)


def test_days_of_both_forms_are_read_as_one_table(tmp_path: Path) -> None:
    """As a catalog holds them that was begun before; Polars is told the larger type."""
    _written(tmp_path / "1.parquet", [_group(_FEW)], _of_38_digits())
    _written(tmp_path / "2.parquet", [_group(_FEW)])
    assert [str(price) for price in pd.read_parquet(tmp_path)["bid_price"]] == _FEW * 2
    schema = pl.read_parquet_schema(tmp_path / "1.parquet")
    upcast = pl.ScanCastOptions(integer_cast="upcast")
    scanned = pl.scan_parquet(tmp_path / "*.parquet", schema=schema, cast_options=upcast)
    assert [str(price) for price in scanned.collect()["bid_price"]] == _FEW * 2
