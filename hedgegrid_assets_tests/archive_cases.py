"""What the tests of the archives share: short limits, one stand-in for all, and the paths of its files."""

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from hedgegrid_assets.cli import run
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.standins.archive import Standin

DAY: Final = date(2024, 1, 2)
QUICK: Final = limits.Limits(
    attempts=3,
    first_wait=0.01,
    longest_wait=0.02,
    longest_retry_after=5.0,
    connect=5.0,
    silence=40.0,
    slice_total=40.0,
    file_total=90.0,
    probe=5.0,
)
IMPATIENT: Final = replace(QUICK, silence=0.6)
UM: Final = "/data/futures/um"


@cache
def shared_standin() -> Standin:
    """One server for all tests: it makes each file once."""
    return Standin(trades_per_day=600).__enter__()


def fresh_standin() -> Standin:
    """The shared server without faults, changes and log."""
    server = shared_standin()
    server.clear()
    return server


def aggregates(day: date = DAY, symbol: str = "BTCUSDT", market: str = UM) -> str:
    """Path of a day of aggregates."""
    return f"{market}/daily/aggTrades/{symbol}/{symbol}-aggTrades-{day}.zip"


def candles(kind: str = "markPriceKlines", day: date = DAY, symbol: str = "BTCUSDT") -> str:
    """Path of a day of candles of one minute."""
    return f"{UM}/daily/{kind}/{symbol}/1m/{symbol}-1m-{day}.zip"


def month_of(kind: str, day: date = DAY, symbol: str = "BTCUSDT", market: str = UM) -> str:
    """Path of a month."""
    return f"{market}/monthly/{kind}/{symbol}/{symbol}-{kind}-{day:%Y-%m}.zip"


def convert(
    folder: Path,
    server: Standin,
    *more: str,
    symbol: str = "BTCUSDT",
    start: str = "2024-01-02",
    end: str = "2024-01-03",
    **settings: Any,
) -> int:
    """The command, its catalog and data in ``folder``; its exit code."""
    config = folder / "archive.json"
    config.write_text(json.dumps({"endpoint": server.endpoint} | settings))
    words = ["replay-to-parquet", "--source", "archive", "--symbol", symbol, "--start", start, "--end", end]
    return run(
        [*words, "--config", str(config), "--data", str(folder / "data"), "--output", str(folder / "catalog"), *more]
    )


def frame(folder: Path, table: str, instrument: str = "BTCUSDT-PERP.BINANCE", day: date = DAY) -> pl.DataFrame:
    """A stored frame."""
    return pl.read_parquet(folder / f"catalog/{instrument}/{table}.parquet/{day}.parquet")


def verdict(folder: Path, table: str, instrument: str = "BTCUSDT-PERP.BINANCE", day: date = DAY) -> dict[str, Any]:
    """A stored verdict."""
    path = folder / f"catalog/{instrument}/{table}.verdict/{day}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def manifest(folder: Path, channel: str, symbol: str = "BTCUSDT", day: date = DAY) -> dict[str, Any]:
    """The manifest of a raw day."""
    (path,) = folder.glob(f"data/raw/*/{channel}/{symbol}/{day}.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def cached(folder: Path) -> list[str]:
    """Files of the archive that are kept as proved."""
    root = folder / "data/cache/archive"
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.suffix in {".zip", ".gz"}
    )
