"""Files as an exchange publishes them, of a day or of a month: proved and cached, so that nobody is asked."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks import DAY, SYMBOL
from hedgegrid_assets.timestamps import NS_PER_DAY, day_start

SEED: Final = 7
PERIODS: Final = {"agg-day": ("daily", 1, f"{DAY}"), "agg-month": ("monthly", 31, f"{DAY:%Y-%m}")}
"""Kind -> folder, days, date in the name."""
_CHUNK: Final = 500_000
_HEADER: Final = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"


def published(kind: str, rows: int, folder: Path) -> Path:
    """A cache of the archives that holds one zip of aggregates."""
    period, days, written = PERIODS[kind]
    cache = folder / f"{kind}-{rows}-{SEED}"
    if not cache.exists():
        part = cache.with_name(f"{cache.name}.part")
        name = f"{SYMBOL}-aggTrades-{written}"
        file = part / f"data/futures/um/{period}/aggTrades/{SYMBOL}/{name}.zip"
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            member = zipfile.ZipInfo(f"{name}.csv")
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as out:
                out.write(_HEADER.encode())
                for data in _rows(rows, days):
                    out.write(data)
        with file.open("rb") as body:
            digest = hashlib.file_digest(body, "sha256").hexdigest()
        proof = {"url": f"https://data.binance.vision/{file.relative_to(part)}", "bytes": file.stat().st_size}
        proof |= {"sha256": digest, "checksum": digest, "etag": "", "last_modified": ""}
        file.with_name(f"{file.name}.proof.json").write_text(json.dumps(proof))
        part.rename(cache)
    return cache


def zip_of(cache: Path) -> Path:
    """The file in it."""
    return next(cache.rglob("*.zip"))


def _rows(rows: int, days: int) -> Iterator[bytes]:
    """Trades evenly over the days, each aggregate of two; as numbers of whole units, written as decimals."""
    start, step = day_start(DAY) // 1_000_000, days * NS_PER_DAY / 1e6 / rows
    price = 425_000
    for number, first in enumerate(range(0, rows, _CHUNK)):
        count = min(_CHUNK, rows - first)
        random = np.random.default_rng([SEED, number])
        ids = np.arange(first, first + count) + 2_000_000_000
        moves = price + np.cumsum(random.integers(-1, 2, count))
        price = int(moves[-1])
        sizes = np.minimum(random.zipf(1.6, count), 10**8)
        frame = pl.DataFrame({"id": ids, "price": moves, "size": sizes, "buyer": random.random(count) < 0.5})
        yield (
            frame.select(
                "id",
                pl.format("{}.{}", pl.col("price") // 10, pl.col("price") % 10).alias("price"),
                pl.format("{}.{}", pl.col("size") // 1_000, (pl.col("size") % 1_000).cast(pl.String).str.zfill(3)),
                (pl.col("id") * 2).alias("first"),
                (pl.col("id") * 2 + 1).alias("last"),
                pl.lit(pl.Series("time", start + np.floor(np.arange(first, first + count) * step).astype(np.int64))),
                pl.when("buyer").then(pl.lit("true")).otherwise(pl.lit("false")).alias("maker"),
            )
            .write_csv(include_header=False, quote_style="never")
            .encode()
        )
