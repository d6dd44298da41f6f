"""Frames read by users: lazily, over days of several forms, and only what a query asks for."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from hedgegrid_assets import read_frame, scan_frame
from hedgegrid_assets.cli import run
from hedgegrid_assets.errors import NoDataFetched, UsageError
from hedgegrid_assets.stages.readers import BlockedDays

ID = "BTCUSDT-PERP.SIM"


def write(catalog: Path, day: str, price: str, kind: pl.Decimal) -> Path:
    """A day of one row, as a frame stores it."""
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    frame = pl.DataFrame(
        {"instrument_id": ID, "ts_event": [at], "ts_init": [at], "price": [Decimal(price)], "size": [Decimal("0.1")]}
        | {"aggressor_side": "BUYER", "trade_id": "1", "first_trade_id": 1, "last_trade_id": 1, "raw_row": 0},
        schema_overrides={"ts_event": pl.Datetime("ns", "UTC"), "ts_init": pl.Datetime("ns", "UTC"), "price": kind},
    )
    path = catalog / ID / "trade_tick.parquet" / f"{day}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return path


def test_days_of_coarse_fine_and_earlier_forms_are_one_query_with_every_digit(tmp_path: Path) -> None:
    write(tmp_path, "2024-01-01", "42000.5", pl.Decimal(38, 1))
    write(tmp_path, "2024-01-02", "42000.5", pl.Decimal(18, 1))
    write(tmp_path, "2024-01-03", "42000.55", pl.Decimal(18, 2))
    scan = scan_frame(ID, "trades", catalog=tmp_path)
    assert scan.collect_schema()["price"] == pl.Decimal(38, 2)
    assert scan.collect()["price"].to_list() == [Decimal("42000.50"), Decimal("42000.50"), Decimal("42000.55")]
    assert scan.filter(pl.col("price") > Decimal("42000.5")).select(pl.len()).collect().item() == 1
    exact = read_frame(ID, "trades", catalog=tmp_path, decimals="exact")
    assert scan.collect()["price"].to_list() == exact["price"].tolist()


def test_days_outside_the_range_are_not_even_opened(tmp_path: Path) -> None:
    write(tmp_path, "2024-01-01", "42000.5", pl.Decimal(18, 1))
    write(tmp_path, "2024-01-02", "42000.6", pl.Decimal(18, 1)).write_bytes(b"not a frame")
    scan = scan_frame(ID, "trade_tick", "2024-01-01", "2024-01-02", catalog=tmp_path)
    assert scan.collect()["price"].to_list() == [Decimal("42000.5")]


def test_an_unknown_table_and_an_empty_range_are_named_before_any_query(tmp_path: Path) -> None:
    write(tmp_path, "2024-01-01", "42000.5", pl.Decimal(18, 1))
    with pytest.raises(UsageError, match="expected one of"):
        scan_frame(ID, "candles", catalog=tmp_path)
    with pytest.raises(NoDataFetched):
        scan_frame(ID, "trades", "2024-01-02", catalog=tmp_path)


def test_days_that_are_blocked_are_read_with_a_warning_that_names_them(tmp_path: Path) -> None:
    """Half of the lines have no price: the frame holds the rest, no Nautilus table does."""
    lines = [f"{1_704_067_200_000 + n},{'' if n % 2 else 42000 + n},1,buy,{n}" for n in range(40)]
    raw = tmp_path / "a.csv"
    raw.write_text("\n".join(["timestamp,price,size,side,trade_id", *lines, "1704153600000,42000,1,buy,99", ""]))
    places = ["--data", str(tmp_path / "data"), "--output", str(tmp_path / "catalog")]
    assert run(["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--input", str(raw), *places]) == 1
    name = "BTCUSDT-PERP.BINANCE"
    with pytest.warns(BlockedDays, match=r"1 of 2 days blocked \(2024-01-01\).*hedgegrid validate"):
        assert len(read_frame(name, "trades", catalog=tmp_path / "catalog")) == 21
    with pytest.warns(BlockedDays):
        scan_frame(name, "trades", catalog=tmp_path / "catalog")
    assert len(read_frame(name, "trades", "2024-01-02", catalog=tmp_path / "catalog")) == 1  # and warns of nothing
