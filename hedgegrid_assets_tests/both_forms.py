"""A day of every table, as small as it can be, with what is hard in each: catalogs for both generations are made of it."""

import gzip
import json
from pathlib import Path
from typing import Final

from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.scenario import MIDNIGHT_MS

TOKENS: Final = "trades,mark,index,funding,quotes,deltas,depth,bars"
BOOK: Final = [f"{side}s[{n}].{what}" for n in range(5) for side in ("ask", "bid") for what in ("price", "amount")]
HEADS: Final = {
    "trades": "id,side,price,amount",
    "derivative_ticker": "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price",
    "quotes": "ask_amount,ask_price,bid_price,bid_amount",
    "incremental_book_L2": "is_snapshot,side,price,amount",
    "book_snapshot_5": ",".join(BOOK),
    "liquidations": "id,side,price,amount",
}
EIGHT: Final = str((MIDNIGHT_MS + 8 * 3_600_000) * 1000)


def level(number: int) -> str:
    return f"{42001 + number}.5,{number + 1}.125,{42000 - number}.5,{number + 1}.25"


ROWS: Final = {
    "trades": [
        "1,buy,42000.5,0.1",
        f"{'x' * 40},sell,42000.51,1",
        "3,unknown,0.01,0.001",
        f"{'a' * 36},sell,17014118346046,34028236692000",
    ],
    "derivative_ticker": [
        f"{EIGHT},0.0001,0.0002,1000,1,42000.12345678,42000.1",
        f"{EIGHT},-0.00000001,,1001.5,1,42000.2,42000.2",
        ",0,,1002,1,42000.3,42000.3",
        f"{EIGHT},0.0000000000000000000012345,,1002,1,42000.3,42000.3",
        f"{EIGHT},0.00010000,,1002,1,42000.3,42000.3",
    ],
    "quotes": [f"{n}.5,42000.5,42000.4,{n}" for n in range(4)],
    "incremental_book_L2": [
        "true,bid,42000,1",
        "true,ask,42001,2",
        "false,bid,42000,0",
        "false,ask,42000.5,3",
    ],
    "book_snapshot_5": [
        ",".join(map(level, range(5))),
        ",".join([*map(level, range(3)), "42004.5,4.125,,", ",,,"]),
        "42001.5,1,,,,,,,,,,,,,,,,,,",
        ",,42000.5,1,,,,,,,,,,,,,,,,",
        "," * 19,
    ],
    "liquidations": [f",sell,42000.{n + 1},0.0{n + 1}" for n in range(3)],
}
"""What is hard in each: ids that are too long, no side, the largest values, rates in exponents, books without levels."""


def stored(folder: Path) -> None:
    """A day of each data set of Tardis in the cache."""
    for kind, rows in ROWS.items():
        lines = [f"exchange,symbol,timestamp,local_timestamp,{HEADS[kind]}"]
        for number, row in enumerate(rows):
            at = MIDNIGHT_MS + (0 if row.startswith("true") else number) * 1000
            lines.append(f"binance-futures,BTCUSDT,{at}000,{at}500,{row}")
        path = folder / "cache/datasets" / f"binance-futures_{kind}_2024-01-01_BTCUSDT.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    decimals = {"price_precision": 2, "size_precision": 3, "mark_precision": 8}
    config = {"cache_dir": str(folder / "cache"), "depth_kind": "book_snapshot_5", "instruments": {"BTCUSDT": decimals}}
    (folder / "t.json").write_text(json.dumps(config))


def converted(folder: Path, output: str, *more: str, tokens: str = TOKENS) -> int:
    days = ["--start", "2024-01-01", "--end", "2024-01-02", "--data-types", tokens, "-q"]
    places = ["--output", str(folder / output), "--data", str(folder / f"{output}-data")]
    command = ["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", "--config", str(folder / "t.json")]
    return run([*command, *days, *places, *more])
