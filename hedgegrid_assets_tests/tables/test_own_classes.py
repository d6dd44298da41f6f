"""Liquidations and open interest: frames, and classes of our own that Nautilus' catalog and node load by name."""

import gzip
import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import CustomData, DataType
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets import read_frame
from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages.catalog.classes import Liquidation, OpenInterest
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import DAY, MIDNIGHT_MS, line

pytestmark = pytest.mark.usefixtures("workdir")

ID: Final = "BTCUSDT-PERP.BINANCE"
DAYS: Final = ("--start", "2024-01-01", "--end", "2024-01-02")


def forced(second: int, side: str = "SELL", **changed: Any) -> bytes:
    at = MIDNIGHT_MS + second * 1_000
    order = {"s": "BTCUSDT", "S": side, "o": "LIMIT", "f": "IOC", "q": "0.020", "p": "42000.10", "ap": "42001.123"}
    order |= {"X": "FILLED", "l": "0.014", "z": "0.014", "T": at} | changed
    return line({"e": "forceOrder", "E": at + 5, "o": order}, (at + 20) * 1_000_000)


def captured(*lines: bytes) -> int:
    Path("f.jsonl").write_bytes(b"".join(lines))
    command = ["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", "--input", "f.jsonl"]
    return run([*command, "--data-types", "liquidations", "-q"])


def fetched(kind: str, rows: Sequence[str], token: str, symbol: str = "BTCUSDT") -> int:
    """What a data set of Tardis that is in the cache becomes."""
    path = Path(f"cache/datasets/binance-futures_{kind}_2024-01-01_{symbol}.csv.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(f"{row}\n" for row in rows).encode()))
    Path("t.json").write_text(json.dumps({"cache_dir": "cache"}))
    command = ["replay-to-parquet", "--source", "tardis", "--symbol", symbol, *DAYS, "--config", "t.json", "-q"]
    return run([*command, "--data-types", token])


def held[T: (Liquidation, OpenInterest)](kind: type[T]) -> list[T]:
    catalog = ParquetDataCatalog(str(Path("data/catalog").resolve()))
    return [each.data for each in catalog.query(kind, identifiers=[ID]) if isinstance(each, CustomData)]


def verdict(table: str) -> Any:
    places = Places(Path("data"), Path("data/catalog"))
    found = read_verdict(places, TABLES[table], InstrumentDay(ID, date(2024, 1, 1)))
    assert found is not None
    return plain(found)


# ---------------------------------------------------------------- liquidations


def test_a_forced_order_is_read_by_nautilus_as_an_object_of_our_class() -> None:
    assert captured(forced(1), forced(2, "BUY", p="42010.20", ap="42009")) == 0
    first, second = held(Liquidation)
    assert (first.side, Decimal(first.price), Decimal(first.size)) == ("SELL", Decimal("42000.1"), Decimal("0.014"))
    assert (second.side, second.price, second.average_price) == ("BUY", "42010.2", "42009")
    assert first.ts_event == (MIDNIGHT_MS + 1_000) * 1_000_000
    assert first.ts_init == first.ts_event + 20_000_000
    assert str(first.instrument_id) == ID
    assert validate_catalog("data/catalog", deep=True).ok


def test_a_file_is_as_nautilus_own_writer_makes_it() -> None:
    assert captured(*(forced(second) for second in range(9))) == 0
    ParquetDataCatalog(str(Path("own").resolve())).write_data(held(Liquidation))  # type: ignore[arg-type]
    (theirs,), (ours,) = (list(Path(root).rglob("custom_liquidation/*/*.parquet")) for root in ("own", "data/catalog"))
    assert pq.read_schema(ours).remove_metadata() == pq.read_schema(theirs).remove_metadata()
    assert pq.read_table(ours).to_pylist() == pq.read_table(theirs).to_pylist()


def test_orders_that_are_not_filled_yet_are_none() -> None:
    assert captured(forced(1, X="NEW"), forced(2), forced(3, X="PARTIALLY_FILLED")) == 0
    assert len(held(Liquidation)) == 1
    assert verdict("liquidation")["rows"]["not_applicable"] == 2


def test_what_can_be_no_liquidation_is_rejected_with_its_reason() -> None:
    assert captured(*(forced(n) for n in range(9)), forced(11, p="0"), forced(12, z="-1"), forced(13, p="x")) == 0
    assert verdict("liquidation")["rejects_by_reason"] == {"bad_decimal": 1, "negative": 1, "zero_price": 1}


@pytest.mark.parametrize("side", ["HOLD", "", "sell", "BOTH"])
def test_a_forced_order_of_neither_side_is_rejected_and_never_taken_for_a_buy(side: str) -> None:
    captured(forced(1), forced(2, side), forced(3, "BUY"))
    assert [each.side for each in held(Liquidation)] == ["SELL", "BUY"]
    assert verdict("liquidation")["rejects_by_reason"] == {"wrong_type": 1}


def test_liquidations_of_tardis_keep_the_side_of_the_order() -> None:
    head = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    at = f"{MIDNIGHT_MS}500"
    rows = [f"binance-futures,BTCUSDT,{at},{at[:-3]}900,,{side},42000.5,0.25" for side in ("buy", "sell", "sell")]
    assert fetched("liquidations", [head, *rows], "liquidations") == 0
    assert [(each.side, each.size, each.average_price) for each in held(Liquidation)] == [
        ("BUY", "0.25", None),
        ("SELL", "0.25", None),
        ("SELL", "0.25", None),
    ]


def test_a_frame_and_a_report_tell_liquidations() -> None:
    assert captured(forced(1)) == 0
    assert run(["report", "data/catalog", "--output", "r.html", "-q"]) == 0
    frame = read_frame(ID, "liquidations", catalog="data/catalog", decimals="exact")
    assert [str(size) for size in frame["size"]] == ["0.014"]


# ---------------------------------------------------------------- open interest

_TICKER: Final = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
    "last_price,index_price,mark_price"
)


def ticker(second: int, interest: str) -> str:
    at = MIDNIGHT_MS + second * 1_000
    return f"binance-futures,BTCUSDT,{at}000,{at + 40}000,,,,{interest},,,42000.1"


def test_the_catalog_holds_changes_of_open_interest_as_they_arrived_and_the_frame_every_row() -> None:
    told = ["81250.125", "81250.125", "", "81250.1250", "81250.126", "81250.125"]
    rows = [ticker(second, interest) for second, interest in enumerate(told)]
    assert fetched("derivative_ticker", [_TICKER, *rows], "open_interest") == 0
    assert [each.open_interest for each in held(OpenInterest)] == ["81250.125", "81250.126", "81250.125"]
    assert [each.ts_event == each.ts_init for each in held(OpenInterest)] == [True] * 3
    assert held(OpenInterest)[0].ts_init == (MIDNIGHT_MS + 40) * 1_000_000
    counts = verdict("open_interest")["rows"]
    assert (counts["in"], counts["out"], counts["not_applicable"]) == (6, 5, 1)
    assert validate_catalog("data/catalog", deep=True).ok


def test_open_interest_is_a_series_of_its_own_beside_the_prices_of_one_file() -> None:
    rows = [_TICKER, *(ticker(second, "81250.125") for second in range(30))]
    assert fetched("derivative_ticker", rows, "mark,open_interest") == 0
    assert verdict("open_interest")["series"] == "binance-futures/open_interest"
    assert verdict("mark_price_update")["series"] == "binance-futures/derivative_ticker"


def test_a_node_subscribes_to_our_classes_by_name() -> None:
    assert DataType(Liquidation).type.fully_qualified_name() == "hedgegrid_assets.stages.catalog.classes:Liquidation"
    assert date(2024, 1, 1) == DAY
