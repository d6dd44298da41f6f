"""Ten levels of the book from Tardis' snapshots of 5 and of 25 levels, equal to Nautilus' own loader."""

import gzip
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import MIDNIGHT_MS

pytestmark = pytest.mark.usefixtures("workdir")

ID: Final = "BTCUSDT-PERP.BINANCE"
REAL: Final = Path(__file__).parents[3] / "shared/data/tardis"

type Side = Sequence[tuple[str, str]]


def head(levels: int) -> str:
    cells = [f"{side}s[{n}].{what}" for n in range(levels) for side in ("ask", "bid") for what in ("price", "amount")]
    return ",".join(["exchange,symbol,timestamp,local_timestamp", *cells])


def row(at: int, bids: Side, asks: Side, levels: int = 5) -> str:
    cells: list[str] = []
    for number in range(levels):
        for side in (asks, bids):
            cells += side[number] if number < len(side) else ("", "")
    return ",".join([f"binance-futures,BTCUSDT,{MIDNIGHT_MS + at}000,{MIDNIGHT_MS + at}500", *cells])


def fetched(lines: Sequence[str], levels: int = 5) -> int:
    """What a data set of Tardis that is in the cache becomes."""
    path = Path(f"cache/datasets/binance-futures_book_snapshot_{levels}_2024-01-01_BTCUSDT.csv.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    defined = {"BTCUSDT": {"price_precision": 2, "size_precision": 3, "mark_precision": 8}}
    Path("t.json").write_text(
        json.dumps({"cache_dir": "cache", "instruments": defined, "depth_kind": f"book_snapshot_{levels}"})
    )
    days = ["--start", "2024-01-01", "--end", "2024-01-02", "--config", "t.json", "--data-types", "depth", "-q"]
    return run(["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", *days])


def loaded(levels: int) -> list[OrderBookDepth10]:
    (path,) = Path("cache/datasets").glob("*.gz")
    loader = TardisCSVDataLoader(price_precision=2, size_precision=3, instrument_id=InstrumentId.from_str(ID))
    return list(loader.load_depth10(path, levels=levels))


def ours() -> list[OrderBookDepth10]:
    return list(ParquetDataCatalog(str(Path("data/catalog").resolve())).order_book_depth10(instrument_ids=[ID]))


def values(depth: OrderBookDepth10) -> tuple[Any, ...]:
    sides = [
        [(order.price.as_decimal(), order.size.as_decimal()) for order in side] for side in (depth.bids, depth.asks)
    ]
    return (
        *sides,
        list(depth.bid_counts),
        list(depth.ask_counts),
        depth.flags,
        depth.sequence,
        depth.ts_event,
        depth.ts_init,
    )


def verdict() -> Any:
    places = Places(Path("data"), Path("data/catalog"))
    found = read_verdict(places, TABLES["order_book_depths"], InstrumentDay(ID, date(2024, 1, 1)))
    assert found is not None
    return plain(found)


def changes(depths: Sequence[OrderBookDepth10]) -> list[tuple[Any, ...]]:
    """Those whose ten levels are not the ones before."""
    told = list(map(values, depths))
    return [each for number, each in enumerate(told) if not number or each[:2] != told[number - 1][:2]]


BIDS: Final = (("99.5", "1"), ("99", "2.5"))
ASKS: Final = (("101", "1"), ("101.25", "2"), ("102", "3"))


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize("levels", [5, 25])
def test_a_real_file_is_read_as_nautilus_reads_it_rows_that_repeat_left_out(levels: int) -> None:
    text = (REAL / f"binance-futures_book_snapshot_{levels}_BTCUSDT.csv").read_text()
    assert fetched(text.replace(",15989184", ",17040672").splitlines(), levels) == 0
    assert [values(depth) for depth in ours()] == changes(loaded(levels))
    assert verdict()["rows"]["out"] == len(loaded(levels)) == 10
    assert validate_catalog("data/catalog", deep=True).ok


def test_levels_that_are_missing_are_none_in_the_book_of_nautilus() -> None:
    assert fetched([head(5), row(1, BIDS, ASKS)]) == 0
    (depth,) = ours()
    book = OrderBook(InstrumentId.from_str(ID), BookType.L2_MBP)
    book.apply_depth(depth)
    assert [(str(level.price), level.size()) for level in book.bids()] == [("99.50", 1.0), ("99.00", 2.5)]
    assert len(book.asks()) == 3


def test_a_side_that_is_empty_is_no_fault() -> None:
    assert fetched([head(5), row(1, BIDS, ASKS), row(2, BIDS, ()), row(3, (), ())]) == 0
    assert [len([order for order in depth.asks if order.size.as_decimal()]) for depth in ours()] == [3, 0, 0]


@pytest.mark.parametrize(
    ("bids", "rule"),
    [
        ((("99", "1"), ("99.5", "1")), "levels_sorted"),
        ((("99.5", "1"), ("99.5", "2")), "levels_sorted"),
        ((("99.5", ""), ("99", "1")), "levels_whole"),
        ((("", ""), ("99", "1")), "levels_whole"),
    ],
)
def test_a_day_with_levels_that_make_no_book_is_kept_out(bids: Side, rule: str) -> None:
    assert fetched([head(5), row(1, BIDS, ASKS), row(2, bids, ASKS)]) == 1
    assert rule in {answer["name"] for answer in verdict()["rules"] if answer["passed"] is False}
    assert not Path("data/catalog/data/order_book_depths").exists()


def test_a_crossed_book_is_kept_and_told() -> None:
    assert fetched([head(5), row(1, BIDS, ASKS), row(2, (("101.5", "1"),), ASKS)]) == 0
    assert len(ours()) == 2
    crossed = next(answer for answer in verdict()["rules"] if answer["name"] == "depth_not_crossed")
    assert (crossed["passed"], crossed["rows_failed"]) == (False, 1)


def test_every_command_that_shows_a_catalog_knows_depth() -> None:
    assert fetched([head(5), *(row(n, BIDS, (("101", f"{n}"),)) for n in range(1, 30))]) == 0
    assert run(["validate", "data/catalog", "--deep", "--table", "depth"]) == 0
    assert run(["report", "data/catalog", "--output", "r.html", "-q"]) == 0
