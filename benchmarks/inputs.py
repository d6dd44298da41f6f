"""Input files, seeded: the same bytes on every machine. Made once, kept in ``.bench/inputs``."""

import gzip
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks import DAY, SYMBOL
from benchmarks.captured import captured
from benchmarks.published import PERIODS, published
from hedgegrid_assets.housekeeping.converting import convert_catalog
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets.sources import synthetic
from hedgegrid_assets.store import Places, stored
from hedgegrid_assets.timestamps import NS_PER_DAY, day_start

SEED: Final = 7
_DAYS: Final = {"catalog": 1, "week": 7, "year": 365}
"""Of a catalog."""
_OF_TWO: Final = "-for-2"
_CHUNK: Final = 500_000
_US_PER_DAY: Final = NS_PER_DAY // 1_000


def made(kind: str, rows: int, folder: Path) -> Path:
    """A gzip file of ``rows`` rows of one day: ``trades``, ``derivative_ticker``, ``quotes`` and ``incremental_book_L2`` as Tardis names its CSV, or ``aggTrade``.

    ``trades-spelled``, ``trades-uuids`` and ``trades-shuffled`` are the rows of ``trades`` as another tool writes them, with ids that do not
    rise, and in no order. ``aggTrade`` holds captured messages, one a line, with a receive time in front; ``depth`` those of a book (``captured``). ``catalog`` is no file but a folder:
    the catalog of a synthetic day of so many trades, with a mark price a second and funding rates; ``week``: of seven; ``year``: of 365, trades
    alone; ``catalog-for-2``, ``year-for-2``: the same for NautilusTrader 2.x.
    ``agg-day`` and ``agg-month`` are folders as well, see ``published``.
    """
    if kind in PERIODS:
        return published(kind, rows, folder)
    if kind.endswith(_OF_TWO):
        return _for_2(made(kind.removesuffix(_OF_TWO), rows, folder))
    if kind in _DAYS:
        return _catalog(kind, rows, folder)
    suffix = "jsonl" if kind in {"aggTrade", "depth"} else "csv"
    path = folder / f"{kind}-{rows}-{SEED}.{suffix}.gz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
            for data in _MAKERS[kind](rows):
                file.write(data)
        part.rename(path)
    return path


def _for_2(catalog: Path) -> Path:
    other = catalog.with_name(f"{catalog.name}-for-2")
    if not other.exists():
        part = catalog.with_name(f"{other.name}.part")
        convert_catalog(Places.of_catalog(catalog), stored(part), 2, lambda _, __: None)
        part.rename(other)
    return other


def _catalog(kind: str, rows: int, folder: Path) -> Path:
    catalog = folder / f"{kind}-{rows}-{SEED}"
    if not catalog.exists():
        settings = {"seed": SEED, "trades_per_day": rows}
        part = folder / f"{catalog.name}.part"
        days = (str(DAY), str(DAY + timedelta(days=_DAYS[kind])))
        asked = request(
            "synthetic",
            SYMBOL,
            *days,
            output_path=part,
            data_types="trades" if kind == "year" else "trades,mark,funding",
            source_config=settings,
            data=folder / "data",
        )
        if not run(asked).ok:
            raise RuntimeError(f"the catalog for backtests could not be made in {part}")
        part.rename(catalog)
    return catalog


def _agg_trades(rows: int) -> Iterator[bytes]:
    return synthetic.generate(SYMBOL, "aggTrade", DAY, seed=SEED, trades_per_day=rows)


def _times(random: np.random.Generator, first: int, count: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Exchange times (ms in us) and arrival times (us), both rising through the day."""
    step = _US_PER_DAY / rows
    start = day_start(DAY) // 1_000
    arrival = start + np.sort(((first + np.arange(count) + random.random(count)) * step).astype(np.int64))
    event = np.maximum.accumulate((arrival - 1_000 - random.integers(0, 4_000, count)) // 1_000 * 1_000)
    return event, arrival


def _chunks(
    rows: int, make: Callable[[np.random.Generator, int, int], pl.DataFrame], separator: str = ","
) -> Iterator[bytes]:
    for number, first in enumerate(range(0, rows, _CHUNK)):
        frame = make(np.random.default_rng([SEED, number]), first, min(_CHUNK, rows - first))
        yield frame.write_csv(include_header=first == 0, quote_style="never", separator=separator).encode()


def _units(name: str, decimals: int) -> pl.Expr:
    """Whole units as a decimal number, as JavaScript writes it: no zeros at its end."""
    whole, rest = pl.col(name) // 10**decimals, pl.col(name) % 10**decimals
    digits = rest.cast(pl.String).str.zfill(decimals).str.strip_chars_end("0")
    return pl.when(rest == 0).then(whole.cast(pl.String)).otherwise(pl.format("{}.{}", whole, digits)).alias(name)


def _trades(rows: int) -> Iterator[bytes]:
    return _chunks(rows, _trades_made(rows))


def _trades_made(rows: int) -> Callable[[np.random.Generator, int, int], pl.DataFrame]:
    def make(random: np.random.Generator, first: int, count: int) -> pl.DataFrame:
        event, arrival = _times(random, first, count, rows)
        frame = pl.DataFrame(
            {
                "timestamp": event,
                "local_timestamp": arrival,
                "id": np.arange(count) + 4_308_068_523 + first,
                "buyer": random.random(count) < 0.5,
                "price": 425_000 + np.cumsum(random.integers(-1, 2, count)),
                "amount": np.minimum(random.zipf(1.6, count), 10**8),
            }
        )
        return frame.select(
            pl.lit("binance-futures").alias("exchange"),
            pl.lit(SYMBOL).alias("symbol"),
            "timestamp",
            "local_timestamp",
            "id",
            pl.when("buyer").then(pl.lit("buy")).otherwise(pl.lit("sell")).alias("side"),
            _units("price", 1),
            _units("amount", 3),
        )

    return make


def _trades_spelled(rows: int) -> Iterator[bytes]:
    """Times as text, other names and words, quotes, another delimiter."""
    made = _trades_made(rows)

    def make(random: np.random.Generator, first: int, count: int) -> pl.DataFrame:
        time = pl.from_epoch(pl.col("timestamp").cast(pl.Int64), "us")
        return made(random, first, count).select(
            time.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias("Date"),
            pl.format('"{}"', "symbol").alias("Pair"),
            pl.col("price").alias("Price"),
            pl.col("amount").alias("Quantity"),
            pl.col("side").str.to_uppercase().alias("Side"),
            pl.col("id").alias("Trade ID"),
        )

    return _chunks(rows, make, ";")


def _trades_uuids(rows: int) -> Iterator[bytes]:
    made = _trades_made(rows)

    def make(random: np.random.Generator, first: int, count: int) -> pl.DataFrame:
        digits = pl.Series(np.frombuffer(random.bytes(16 * count), "V16").tolist(), dtype=pl.Binary).bin.encode("hex")
        parts = [digits.str.slice(start, length) for start, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
        return made(random, first, count).with_columns(id=pl.concat_str(parts, separator="-"))

    return _chunks(rows, make)


def _trades_shuffled(rows: int) -> Iterator[bytes]:
    made = _trades_made(rows)
    parts = [
        made(np.random.default_rng([SEED, number]), first, min(_CHUNK, rows - first))
        for number, first in enumerate(range(0, rows, _CHUNK))
    ]
    mixed = pl.concat(parts).sample(fraction=1, shuffle=True, seed=SEED)
    for first in range(0, rows, _CHUNK):
        yield mixed.slice(first, _CHUNK).write_csv(include_header=first == 0, quote_style="never").encode()


def _tickers(rows: int) -> Iterator[bytes]:
    funding = day_start(DAY) // 1_000 + 8 * 3_600_000_000

    def make(random: np.random.Generator, first: int, count: int) -> pl.DataFrame:
        event, arrival = _times(random, first, count, rows)
        mark = 4_250_000_000_000 + np.cumsum(random.integers(-30_000_000, 30_000_001, count))
        frame = pl.DataFrame(
            {
                "timestamp": event,
                "local_timestamp": arrival,
                "funding_timestamp": funding + (arrival - day_start(DAY) // 1_000) // 28_800_000_000 * 28_800_000_000,
                "funding_rate": 10_000 + np.cumsum(random.integers(-1, 2, count)),
                "open_interest": random.integers(70_000_000, 80_000_000, count),
                "last_price": mark // 10**7,
                "index_price": mark + random.integers(-(10**8), 10**8, count),
                "mark_price": mark,
            }
        )
        return frame.select(
            pl.lit("binance-futures").alias("exchange"),
            pl.lit(SYMBOL).alias("symbol"),
            "timestamp",
            "local_timestamp",
            "funding_timestamp",
            _units("funding_rate", 8),
            pl.lit("").alias("predicted_funding_rate"),
            _units("open_interest", 3),
            _units("last_price", 1),
            _units("index_price", 8),
            _units("mark_price", 8),
        )

    return _chunks(rows, make)


def _deltas(rows: int) -> Iterator[bytes]:
    """Changes of a book, some 13 a message, an eighth of them deletes, behind a snapshot."""
    snapshot = min(2_000, rows)

    def make(random: np.random.Generator, first: int, count: int) -> pl.DataFrame:
        number = np.arange(first, first + count)
        message = np.where(number < snapshot, 0, 1 + (number - snapshot) // 13)
        arrival = day_start(DAY) // 1_000 + 1 + message * (_US_PER_DAY - 2) // (1 + rows // 13)
        bid = random.random(count) < 0.5
        away = np.minimum(1 + random.exponential(40, count).astype(np.int64), 5_000)
        far = np.where(number < snapshot, 1 + number // 2, away)
        middle = 425_000 + (20 * np.sin(message / 997)).astype(np.int64)
        bid = np.where(number < snapshot, number % 2 == 0, bid)
        gone = (number >= snapshot) & (random.random(count) < 0.125)
        frame = pl.DataFrame(
            {
                "timestamp": arrival - 300,
                "local_timestamp": arrival,
                "snapshot": number < snapshot,
                "bid": bid,
                "price": middle + np.where(bid, -40 - far, 40 + far),
                "amount": np.where(gone, 0, random.integers(1, 99_999, count)),
            }
        )
        return frame.select(
            pl.lit("binance-futures").alias("exchange"),
            pl.lit(SYMBOL).alias("symbol"),
            "timestamp",
            "local_timestamp",
            pl.when("snapshot").then(pl.lit("true")).otherwise(pl.lit("false")).alias("is_snapshot"),
            pl.when("bid").then(pl.lit("bid")).otherwise(pl.lit("ask")).alias("side"),
            _units("price", 1),
            _units("amount", 3),
        )

    return _chunks(rows, make)


def _quotes(rows: int) -> Iterator[bytes]:
    def make(random: np.random.Generator, first: int, count: int) -> pl.DataFrame:
        event, arrival = _times(random, first, count, rows)
        bid = 425_000 + np.cumsum(random.integers(-1, 2, count))
        frame = pl.DataFrame(
            {
                "timestamp": event,
                "local_timestamp": arrival,
                "ask_amount": random.integers(1, 99_999, count),
                "ask_price": bid + random.integers(1, 4, count),
                "bid_price": bid,
                "bid_amount": random.integers(1, 99_999, count),
            }
        )
        return frame.select(
            pl.lit("binance-futures").alias("exchange"),
            pl.lit(SYMBOL).alias("symbol"),
            "timestamp",
            "local_timestamp",
            _units("ask_amount", 3),
            _units("ask_price", 1),
            _units("bid_price", 1),
            _units("bid_amount", 3),
        )

    return _chunks(rows, make)


_MAKERS: Final[dict[str, Callable[[int], Iterator[bytes]]]] = {
    "trades": _trades,
    "trades-spelled": _trades_spelled,
    "trades-uuids": _trades_uuids,
    "trades-shuffled": _trades_shuffled,
    "derivative_ticker": _tickers,
    "incremental_book_L2": _deltas,
    "quotes": _quotes,
    "aggTrade": _agg_trades,
    "depth": captured,
}
