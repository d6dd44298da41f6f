"""A user of the guide: an empty folder, the guide's commands, and what lies in the catalog afterwards."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
from nautilus_trader.model.data import TradeTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run

ID: Final = "BTCUSDT-PERP.BINANCE"
CSV: Final = (
    "time,symbol,price,amount,side,id\n"
    "2024-01-01 00:00:00,BTCUSDT,42500.50,0.025,BUY,1001\n"
    "2024-01-01 00:00:01,BTCUSDT,42501.00,0.100,SELL,1002\n"
)
"""The guide's own example."""
MESSAGE: Final = (
    '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1640995200000,"s":"BTCUSDT","a":123,"p":"47000.00",'
    '"q":"0.001","T":1640995200000,"m":true}}\n'
)
"""The guide's own line."""


def from_csv(folder: Path, text: str, *more: str, **config: Any) -> int:
    """The guide's CSV command for one file of trades, its config beside it; the exit code."""
    (folder / "trades.csv").write_text(text)
    trades = {"file_path": str(folder / "trades.csv")} | config
    (folder / "csv.json").write_text(json.dumps({"files": {"trades": trades}}))
    words = ["--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm", "--config", str(folder / "csv.json")]
    return run(["replay-to-parquet", *words, *places(folder), *more])


def from_messages(folder: Path, text: str, *more: str) -> int:
    """The guide's WebSocket command for one file; the exit code."""
    file = folder / "messages.jsonl"
    file.write_text(text)
    words = ["--source", "websocket", "--symbol", "BTCUSDT", "--input", str(file)]
    return run(["replay-to-parquet", *words, *places(folder), *more])


def places(folder: Path) -> list[str]:
    """Everything inside a folder."""
    return ["--data", str(folder / "data"), "--output", str(folder / "catalog")]


def catalog(folder: Path) -> ParquetDataCatalog:
    """As the guide opens it."""
    return ParquetDataCatalog(str(folder / "catalog"))


def trades(folder: Path) -> Sequence[TradeTick]:
    """All of them."""
    return catalog(folder).trade_ticks(instrument_ids=[ID])


def table(folder: Path, name: str) -> pd.DataFrame:
    """As the guide reads custom data."""
    return pd.read_parquet(folder / "catalog" / ID / f"{name}.parquet")
