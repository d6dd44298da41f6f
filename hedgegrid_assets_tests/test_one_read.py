"""How often the bytes of a file are decompressed and parsed on their way into a catalog: counted where the libraries do it."""

import gzip
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import polars as pl
import pytest
from isal import isal_zlib

from benchmarks import DAY
from benchmarks.inputs import made
from benchmarks.published import zip_of
from benchmarks.sides import SIDES
from hedgegrid_assets.defs.keys import daily_keys
from hedgegrid_assets.defs.results import DayMaker
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.sources.formats import standing
from hedgegrid_assets_tests import dagster_feeds
from hedgegrid_assets_tests.yard import with_blocks_of

ROWS = 3_000


@dataclass
class Read:
    """Bytes of text that came out of gunzip, and that went into Polars' parser of cells or were read where they stand."""

    decompressed: int = 0
    parsed: int = 0


class _Counted:
    """A member of a gzip file; what it gives is counted."""

    def __init__(self, member: Any, read: Read) -> None:
        self._member, self._read = member, read

    def decompress(self, data: bytes, longest: int = 0) -> bytes:
        found = bytes(self._member.decompress(data, longest))
        self._read.decompressed += len(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._member, name)


@contextmanager
def counted() -> Iterator[Read]:
    """What is read while the block runs, by whoever reads it."""
    read, decompressobj, read_csv, read_standing = Read(), isal_zlib.decompressobj, pl.read_csv, standing.read

    def parse(data: bytes, **options: Any) -> pl.DataFrame:
        read.parsed += len(data)
        return read_csv(data, **options)

    def parse_standing(data: bytes, *options: Any) -> standing.Standing | None:
        found = read_standing(data, *options)
        read.parsed += len(data) if found is not None else 0
        return found

    def begin(**options: Any) -> _Counted:
        return _Counted(decompressobj(**options), read)

    with (
        patch.object(isal_zlib, "decompressobj", begin),
        patch.object(pl, "read_csv", parse),
        patch.object(standing, "read", parse_standing),
    ):
        yield read


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@pytest.mark.parametrize("block", [8 << 20, 64 << 10])
@pytest.mark.parametrize(
    ("side", "kind"),
    [
        ("ours_csv", "trades"),
        ("ours_trades", "trades"),
        ("ours_tickers", "derivative_ticker"),
        ("ours_messages", "aggTrade"),
    ],
)
def test_a_day_is_decompressed_at_most_twice_and_parsed_once(
    side: str, kind: str, block: int, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made(kind, ROWS, inputs)
    size = len(gzip.decompress(source.read_bytes()))
    with_blocks_of(block, monkeypatch)
    with counted() as read:
        SIDES[side](source, tmp_path)
    assert size <= read.decompressed <= 2 * size, read
    assert 0.99 * size <= read.parsed <= size, read  # a byte order mark or a header may be cut off before


def test_a_file_of_two_days_is_not_begun_again(inputs: Path, tmp_path: Path) -> None:
    """Its raw days are copies, which are read once more: the file itself is not."""
    lines = gzip.decompress(made("trades", ROWS, inputs).read_bytes()).splitlines(keepends=True)
    later = [line.replace(b",17040", b",17041") for line in lines[1:]]
    source = tmp_path / "BTCUSDT.csv.gz"
    text = b"".join(lines + later)
    source.write_bytes(gzip.compress(text))
    with counted() as read:
        SIDES["ours_csv"](source, tmp_path / "work")
    assert len(list((tmp_path / "work").glob("catalog/data/trade_tick/*/*.parquet"))) == 2
    assert read.decompressed == len(text)
    assert read.parsed <= 2 * len(text)


def test_a_published_month_is_unpacked_once_and_parsed_once(inputs: Path, tmp_path: Path) -> None:
    """Its days are kept as files of their own, which nobody has to read."""
    source = made("agg-month", ROWS, inputs)
    with zipfile.ZipFile(zip_of(source)) as archive:
        (member,) = archive.infolist()
    with counted() as read:
        SIDES["ours_archive_month"](source, tmp_path)
    assert len(list(tmp_path.glob("catalog/data/trade_tick/*/*.parquet"))) == 31
    assert read.decompressed == member.file_size
    assert 0.99 * member.file_size <= read.parsed <= member.file_size, read


MONTH = """
  free:
    source: archive
    venue: BINANCE
    symbols: [BTCUSDT]
    start: {day}
    tables: [trade_tick]
    settings: {{cache_dir: "{cache}"}}
    instruments:
      BTCUSDT: {{price_precision: 1, size_precision: 3, mark_precision: 8}}
"""


def test_a_published_month_is_unpacked_once_and_parsed_once_by_a_block_of_dagster(inputs: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(made("agg-month", ROWS, inputs), cache)
    with zipfile.ZipFile(zip_of(cache)) as archive:
        (member,) = archive.infolist()
    context = dagster_feeds.feed_context_of(tmp_path, MONTH.format(day=DAY, cache=cache))
    instrument = dagster_feeds.BTC_DAY.partition("|")[2]
    days = [InstrumentDay(instrument, DAY + timedelta(days=number)) for number in range(16)]
    with counted() as read, closing(DayMaker(context, set(daily_keys(context)), days)) as maker:
        assert not [result.error for day in days for result in maker.make(day) if result.error]
    assert len(list(tmp_path.glob("data/catalog/data/trade_tick/*/*.parquet"))) == 16
    assert read.decompressed == member.file_size
    assert 0.99 * member.file_size <= read.parsed <= member.file_size, read


FEED = f"""
  captures:
    source: {{source}}
    venue: BINANCE
    symbols: [BTCUSDT]
    start: {DAY}
    tables: [trade_tick]
    landing: ["{{source}}/**/*"]
    instruments:
      BTCUSDT: {{{{price_precision: 2, size_precision: 3, mark_precision: 8}}}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("source", "kind"), [("csv", "trades"), ("websocket", "aggTrade")])
def test_a_landing_file_is_unpacked_once_in_dagster_and_parsed_once_by_each_step(
    source: str, kind: str, inputs: Path, tmp_path: Path
) -> None:
    """The import makes a copy of it, a day's raw file: that is what the day is made from, in the same run or another."""
    packed = made(kind, ROWS, inputs)
    size = len(gzip.decompress(packed.read_bytes()))
    context = dagster_feeds.feed_context_of(tmp_path, FEED.format(source=source))
    landed = context.places.landing / source / f"BTCUSDT{''.join(packed.suffixes)}"
    landed.parent.mkdir(parents=True)
    landed.write_bytes(packed.read_bytes())
    with dg.DagsterInstance.ephemeral() as instance, counted() as read:
        assert dagster_feeds.run(context, instance, f"{DAY}|{dagster_feeds.BTC_DAY.partition('|')[2]}").success
    assert read.decompressed == size, read
    assert 1.98 * size <= read.parsed <= 2 * size, read
