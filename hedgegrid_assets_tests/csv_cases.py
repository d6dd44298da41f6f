"""CSV fixtures of every dialect that is known, with the rows that must come out of them, and how to run one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets.pipeline.summary import RunSummary
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES

FIXTURES: Final = Path(__file__).parent / "fixtures" / "csv"
MIDNIGHT: Final = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z in ns."""
SECOND: Final = 1_000_000_000

type Trade = tuple[int, str, str, str, str | None]
"""ts_event in ns, price, size, aggressor side, id (None: a made one)."""


def trades_at(start: int, *ids: str | None) -> tuple[Trade, ...]:
    """The guide's two trades, from another moment on and with other ids."""
    return (
        (start, "42500.5", "0.025", "BUYER", ids[0]),
        (start + SECOND, "42501", "0.1", "SELLER", ids[1]),
    )


@dataclass(frozen=True)
class Case:
    """One fixture: the symbol and venue asked for, what comes out, and what is said."""

    file: str
    trades: tuple[Trade, ...]
    symbol: str = "BTCUSDT"
    config: Mapping[str, Any] | None = None
    received: tuple[int, ...] | None = None
    series: str = "csv/trade"
    notes: tuple[str, ...] = field(default=())
    exchange: str | None = None


_BYBIT_IDS: Final = ("1c2d3e4f-0a1b-5c2d-9e3f-aabbccddeeff", "7f8a31d2-6d0c-5b9e-8a55-1a2b3c4d5e6f")
_MAPPING: Final = {
    "timestamp": "my_time_column",
    "price": "my_price_column",
    "size": "my_size_column",
    "aggressor_side": "my_side_column",
    "trade_id": "my_id_column",
}
CASES: Final = (
    Case("guide.csv", trades_at(MIDNIGHT, "1001", "1002"), notes=("1 row of 1 other symbol",)),
    Case("guide_mapped.csv", trades_at(MIDNIGHT, "1001", "1002"), config={"columns": _MAPPING}),
    Case(
        "tardis_trades.csv",
        (
            *trades_at(MIDNIGHT, "4308068523", "4308068524"),
            (MIDNIGHT + 2 * SECOND, "42501.1", "0.001", "NO_AGGRESSOR", "4308068525"),
        ),
        received=(MIDNIGHT + 5_123_000, MIDNIGHT + SECOND + 4_999_000, MIDNIGHT + 2 * SECOND + 4_999_000),
    ),
    Case("binance_um_trades.csv", trades_at(MIDNIGHT, "4411", "4412")),
    Case("binance_um_trades_headerless.csv", trades_at(MIDNIGHT, "4411", "4412"), notes=("read as Binance trades",)),
    Case("binance_um_aggtrades.csv", trades_at(MIDNIGHT, "98615", "98616"), series="csv/aggTrade"),
    Case("binance_um_aggtrades_headerless.csv", trades_at(MIDNIGHT, "98615", "98616"), series="csv/aggTrade"),
    Case("binance_spot_trades.csv", trades_at(1_735_689_600 * SECOND, "3735683259", "3735683260")),
    Case("binance_spot_aggtrades.csv", trades_at(MIDNIGHT, "98615", "98616"), series="csv/aggTrade"),
    Case(
        "bybit_derivatives.csv",
        (
            (MIDNIGHT + 123_400_000, "42500.5", "0.025", "BUYER", _BYBIT_IDS[0]),
            (MIDNIGHT + SECOND + 500_000, "42501", "0.1", "SELLER", _BYBIT_IDS[1]),
        ),
        exchange="BYBIT",
    ),
    Case("bybit_spot.csv", trades_at(MIDNIGHT, "1", "2"), exchange="BYBIT", notes=("taken as spot",)),
    Case(
        "bitmex.csv",
        (
            (MIDNIGHT + 733_633_000, "42500.5", "100", "BUYER", "00000000-006d-1000-0000-000d7a1b2c3d"),
            (MIDNIGHT + SECOND + 1, "42501", "25", "SELLER", "00000000-006d-1000-0000-000d7a1b2c3e"),
        ),
        symbol="XBTUSD",
        exchange="BITMEX",
    ),
    Case(
        "okx.csv",
        (
            (MIDNIGHT, "42500.5", "2.5", "BUYER", "991"),
            (MIDNIGHT + SECOND, "42501", "0.00001912", "SELLER", "992"),
        ),
        symbol="BTC-USDT-SWAP",
        exchange="OKX",
        notes=("1 row of 1 other symbol",),
    ),
    Case(
        "ccxt.csv", trades_at(MIDNIGHT, "1001", "1002"), notes=("timestamp is read from datetime, not from timestamp",)
    ),
    Case("freqtrade.csv", trades_at(MIDNIGHT, "1001", None)),
    Case(
        "deribit.csv",
        (
            (MIDNIGHT, "42500.5", "100", "BUYER", "BTC-301"),
            (MIDNIGHT + SECOND, "42501", "10", "SELLER", "BTC-302"),
        ),
        symbol="BTC-PERPETUAL",
        exchange="DERIBIT",
    ),
    Case(
        "kraken.csv",
        (
            (MIDNIGHT + 123_400_000, "42500.5", "0.025", "NO_AGGRESSOR", None),
            (MIDNIGHT + SECOND, "42501", "0.1", "NO_AGGRESSOR", None),
        ),
        notes=("no side column",),
    ),
    Case("bitfinex.csv", trades_at(MIDNIGHT, "1001", "1002"), notes=("the side is the sign of AMOUNT",)),
    Case("excel_semicolon.csv", trades_at(MIDNIGHT, "0001", "0002"), notes=("times are read as %m/%d/%Y",)),
    Case("tab.tsv", trades_at(MIDNIGHT, "1", "2")),
)


def convert(
    tmp_path: Path,
    *files: Path,
    symbol: str = "BTCUSDT",
    tokens: str | None = "trades",
    config: Mapping[str, Any] | None = None,
    catalog: str = "catalog",
    **more: Any,
) -> RunSummary:
    """Convert CSV files that are named, as ``--input`` does, or by a configuration."""
    settings: dict[str, Any] = dict(config or {}) or {"inputs": [str(file) for file in files]}
    asked = request(
        "csv",
        symbol,
        None,
        None,
        output_path=tmp_path / catalog,
        data_types=tokens,
        source_config=settings,
        data=tmp_path / "data",
        **more,
    )
    return run(asked)


def write(tmp_path: Path, name: str, text: str | bytes) -> Path:
    """A file of its own."""
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def frame(
    tmp_path: Path, table: str = "trade_tick", instrument: str = "BTCUSDT-PERP.BINANCE", catalog: str = "catalog"
) -> pl.DataFrame:
    """All days of a normalized table; times in ns."""
    folder = Places(tmp_path, tmp_path / catalog).frame_folder(instrument, TABLES[table].folder)
    rows = pl.concat([pl.read_parquet(path.local()) for path in folder.files(".parquet")])
    return rows.with_columns(pl.selectors.datetime().cast(pl.Int64), pl.selectors.categorical().cast(pl.String))


def rejects(
    tmp_path: Path, table: str = "trade_tick", instrument: str = "BTCUSDT-PERP.BINANCE"
) -> list[tuple[int, str]]:
    """(line, reason) of the rows that were rejected in their day."""
    folder = (
        Places(tmp_path, tmp_path / "catalog")
        .rejects(instrument, TABLES[table].folder, datetime(2024, 1, 1, tzinfo=UTC).date())
        .parent
    )
    parts = [pl.read_parquet(path.local()) for path in folder.files(".parquet")]
    return sorted((line, reason) for part in parts for line, reason in part.select("line", "reason").iter_rows())


def line_rejects(tmp_path: Path) -> list[tuple[int, str]]:
    """(line, reason) of the lines that belong to no day."""
    parts = [pl.read_parquet(path) for path in sorted((tmp_path / "data" / "rejects").rglob("*.parquet"))]
    return sorted((line, reason) for part in parts for line, reason in part.select("line", "reason").iter_rows())


def trades_of(rows: pl.DataFrame) -> list[Trade]:
    """Rows of a frame as (ts_event, price, size, side, id), decimals without zeros at the end, made ids as None."""
    return [
        (event, _plain(price), _plain(size), side, None if str(trade_id).startswith("~") else trade_id)
        for event, price, size, side, trade_id in rows.select(
            "ts_event", "price", "size", "aggressor_side", "trade_id"
        ).iter_rows()
    ]


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
