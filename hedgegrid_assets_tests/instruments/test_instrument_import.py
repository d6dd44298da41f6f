"""Definitions: YAML goes before an import, an import before inference; a later one replaces the file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import Feed
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.instruments import Instrument, exchange_info, read_definitions
from hedgegrid_assets.pipeline.definitions import instrument_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.store import Places
from hedgegrid_assets_tests.archive_cases import QUICK, fresh_standin
from hedgegrid_assets_tests.csv_cases import FIXTURES, convert, write
from hedgegrid_assets_tests.standins.archive import Standin
from hedgegrid_assets_tests.standins.tardis import Fault

REAL = Path(__file__).parents[3] / "shared/data/binance/usdm_exchangeInfo_2021-07-21.json"
ID = "BTCUSDT-PERP.BINANCE"


def entry(tick: str = "0.10", step: str = "0.001", **changes: Any) -> dict[str, Any]:
    """A symbol of a USD-M exchangeInfo."""
    return {
        "symbol": "BTCUSDT",
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "stepSize": step, "maxQty": "1000", "minQty": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
    } | changes


def document(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An exchangeInfo."""
    return {"timezone": "UTC", "futuresType": "U_MARGINED", "symbols": list(entries or [entry()])} | changes


def imported(tmp_path: Path, *more: str, **changes: Any) -> int:
    """Run the import of one document."""
    path = write(tmp_path, "info.json", json.dumps(document(entry(**changes))))
    return run(["instruments", "import", str(path), "--catalog", str(tmp_path / "catalog"), "-q", *more])


def pinned(tmp_path: Path) -> Instrument:
    """The catalog's definition."""
    return read_definitions(tmp_path / "catalog")[ID]


def test_precisions_are_effective_ones_not_the_documents_fields(tmp_path: Path) -> None:
    assert imported(tmp_path) == 0
    found = pinned(tmp_path)
    assert (found.price_precision, found.price_increment) == (1, "0.1")
    assert (found.size_precision, found.mark_precision) == (3, 8)
    assert (found.origin, found.fees_known, found.min_notional) == ("imported", False, "100")


def test_coin_margined_spot_and_dated_contracts() -> None:
    dated = entry(symbol="BTCUSDT_240329", contractType="CURRENT_QUARTER", deliveryDate=1711699200000)
    found = exchange_info.read(document(dated, entry(contractType="")), "x")
    assert found.definitions["BTCUSDT_240329"].kind == "crypto_future"
    assert found.definitions["BTCUSDT_240329"].expiration_ns == 1711699200000 * 1_000_000
    assert list(found.passed_over) == ["BTCUSDT"]
    coin = entry("0.1", "1", symbol="BTCUSD_PERP", quoteAsset="USD", marginAsset="BTC", contractSize=100)
    found = exchange_info.read(document(coin, futuresType=None), "x")
    inverse = found.definitions["BTCUSD_PERP"]
    assert (found.market, inverse.is_inverse, inverse.settlement, inverse.multiplier) == ("coinm", True, "BTC", "100")
    spot = {
        key: value
        for key, value in entry("0.01000000", "0.00001000").items()
        if key not in {"contractType", "marginAsset"}
    }
    found = exchange_info.read({"symbols": [spot]}, "x")
    assert (found.market, found.definitions["BTCUSDT"].kind) == ("spot", "currency_pair")
    assert found.definitions["BTCUSDT"].size_precision == 5


@pytest.mark.parametrize("wrong", [[], {}, {"symbols": []}, {"symbols": "none"}, {"symbols": [1]}, {"symbols": [None]}])
def test_another_document_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="is no exchangeInfo of Binance"):
        exchange_info.read(wrong, "x.json")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"baseAsset": None, "deliveryDate": "soon"}, "not as Binance writes it"),
        ({"filters": ["PRICE_FILTER"]}, "not as Binance writes it"),
        ({"filters": None}, "not as Binance writes it"),
    ],
)
def test_an_entry_of_another_form_is_passed_over_and_stops_no_other(changes: dict[str, Any], why: str) -> None:
    broken = entry() | changes | {"symbol": "ODDUSDT"}
    listed = exchange_info.read(document(broken, entry()), "here")
    assert list(listed.definitions) == ["BTCUSDT"]
    assert why in listed.passed_over["ODDUSDT"]


def test_an_entry_that_lacks_a_key_is_passed_over_by_its_name() -> None:
    lacking = {key: value for key, value in entry(symbol="ODDUSDT").items() if key != "quoteAsset"}
    assert exchange_info.read(document(lacking, entry()), "here").passed_over == {"ODDUSDT": "it has no quoteAsset"}


def test_a_document_that_is_nested_too_deep_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "info.json", "[" * 100_000)
    assert run(["instruments", "import", str(path), "--catalog", str(tmp_path / "catalog")]) == 2
    assert "nested too deep" in capsys.readouterr().err


def test_an_import_goes_before_inference(tmp_path: Path) -> None:
    assert imported(tmp_path) == 0
    assert convert(tmp_path, FIXTURES / "guide.csv").ok
    assert pinned(tmp_path).origin == "imported"
    assert pinned(tmp_path).price_increment == "0.1"


def test_a_later_import_replaces_the_file_and_never_shrinks_a_precision(tmp_path: Path) -> None:
    assert imported(tmp_path, tick="0.01") == 0
    assert convert(tmp_path, write(tmp_path, "t.csv", "time,price,size,id\n1704067200,42500.25,0.1,1\n")).ok
    assert imported(tmp_path, tick="0.10") == 0
    found = pinned(tmp_path)
    assert (found.price_precision, found.price_increment) == (2, "0.10")
    instruments = ParquetDataCatalog(str(tmp_path / "catalog")).instruments()
    assert [(str(each.id), each.price_precision, str(each.price_increment)) for each in instruments] == [
        (ID, 2, "0.10")
    ]


def test_an_import_finer_than_the_days_at_hand_names_the_command_that_widens_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(tmp_path, tick="0.1") == 0
    assert convert(tmp_path, FIXTURES / "guide.csv").ok
    assert imported(tmp_path, tick="0.01") == 1
    assert f"hedgegrid instruments widen {ID} --price-precision 2" in capsys.readouterr().err
    assert pinned(tmp_path).price_precision == 1
    catalog = ["--catalog", str(tmp_path / "catalog")]
    assert run(["instruments", "widen", ID, "--price-precision", "2", *catalog, "-q"]) == 0
    assert imported(tmp_path, tick="0.01") == 0
    ticks = ParquetDataCatalog(str(tmp_path / "catalog")).trade_ticks(instrument_ids=[ID])
    assert [str(tick.price) for tick in ticks] == ["42500.50", "42501.00"]


def test_yaml_goes_before_an_import_and_leaves_the_rest_of_it(tmp_path: Path) -> None:
    assert imported(tmp_path) == 0
    feed = Feed.model_validate(
        {
            "name": "mine",
            "source": "csv",
            "venue": "BINANCE",
            "symbols": ["BTCUSDT"],
            "start": "2024-01-01",
            "landing": ["csv/*.csv"],
            "instruments": {"BTCUSDT": {"maker_fee": "0.0002", "taker_fee": "0.0004"}},
        }
    )
    found = instrument_of(FeedContext(feed, Places(tmp_path / "data", tmp_path / "catalog")), "BTCUSDT")
    assert (found.maker_fee, found.taker_fee, found.fees_known) == ("0.0002", "0.0004", True)
    assert (found.price_increment, found.min_notional, found.max_price) == ("0.1", "100", "4529764")
    assert pinned(tmp_path) == found


def test_only_the_symbols_asked_for_and_an_unknown_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(tmp_path, "--symbol", "btcusdt") == 0
    assert list(read_definitions(tmp_path / "catalog")) == [ID]
    assert imported(tmp_path, "--symbol", "BTCUSD", "--symbol", "btcusdt") == 2
    assert "found BTCUSD" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_file(), reason="the real document is not here")
def test_the_real_document_becomes_definitions_that_nautilus_reads(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    assert run(["instruments", "import", str(REAL), "--catalog", str(catalog), "-q"]) == 0
    found = {str(each.id): each for each in ParquetDataCatalog(str(catalog)).instruments()}
    assert len(found) == 121
    assert str(found[ID].price_increment) == "0.01"
    assert str(found["BTCUSDT_210924.BINANCE"].price_increment) == "0.1"


@pytest.mark.slow
def test_three_processes_write_three_symbols_into_one_catalog(tmp_path: Path) -> None:
    rows = "".join(
        f"{1704067200 + n},{('BTCUSDT', 'ETHUSDT', 'SOLUSDT')[n % 3]},{100 + n},1,buy,{n}\n" for n in range(300)
    )
    path = write(tmp_path, "t.csv", f"time,symbol,price,size,side,id\n{rows}")
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    command = [
        sys.executable,
        "-m",
        "hedgegrid_assets",
        "replay-to-parquet",
        "--source",
        "csv",
        "--input",
        str(path),
        "-q",
    ]
    places = ["--output", str(tmp_path / "catalog"), "--data", str(tmp_path / "data")]
    running = [
        subprocess.Popen([*command, *places, "--symbol", symbol], stderr=subprocess.DEVNULL) for symbol in symbols
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    catalog = ParquetDataCatalog(str(tmp_path / "catalog"))
    assert sorted(str(each.id) for each in catalog.instruments()) == [f"{symbol}-PERP.BINANCE" for symbol in symbols]
    for symbol in symbols:
        assert len(catalog.trade_ticks(instrument_ids=[f"{symbol}-PERP.BINANCE"])) == 100


# ---------------------------------------------------------------- fetched from the exchange


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    made = fresh_standin()
    made.library.bodies["/fapi/v1/exchangeInfo"] = json.dumps(document()).encode()
    return made


def fetched(tmp_path: Path, server: Standin, exchange: str = "binance-futures") -> int:
    places = ["--catalog", str(tmp_path / "catalog"), "--data", str(tmp_path / "data")]
    return run(["instruments", "import", "--from", exchange, "--endpoint", server.endpoint, *places])


def test_definitions_are_fetched_and_the_document_is_kept_under_its_date(server: Standin, tmp_path: Path) -> None:
    assert fetched(tmp_path, server) == 0
    assert (pinned(tmp_path).price_increment, pinned(tmp_path).origin) == ("0.1", "imported")
    (kept,) = (tmp_path / "data/instruments").iterdir()
    assert kept.name.startswith("binance-futures_20")
    assert json.loads(kept.read_bytes()) == document()


def test_a_country_that_is_refused_is_told_with_the_way_without_the_network(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.inject(Fault("status", path="exchangeInfo", status=451, times=None))
    assert fetched(tmp_path, server) == 1
    err = " ".join(capsys.readouterr().err.split())
    assert "451" in err
    assert "curl https://fapi.binance.com/fapi/v1/exchangeInfo > exchangeInfo.json" in err
    assert not (tmp_path / "data/instruments").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><p>Sign in</p>", "a web page came in its place, which says: Sign in"),
        (b"no document", "3 attempts failed, the last one with: the answer is no JSON"),
    ],
)
def test_an_answer_that_is_no_document_is_told_as_what_it_is(
    body: bytes, words: str, server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.library.bodies["/fapi/v1/exchangeInfo"] = body
    assert fetched(tmp_path, server) == 1
    err = capsys.readouterr().err
    assert f"cannot fetch the instruments of binance-futures: {words}" in err
    assert "check the network" not in err
    assert not (tmp_path / "data/instruments").exists()


def test_an_exchange_without_a_document_is_told_with_those_that_have_one(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetched(tmp_path, server, "bybit") == 2
    assert "binance-futures, binance-delivery, binance" in capsys.readouterr().err


def test_a_file_and_an_exchange_are_not_given_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["instruments", "import", "--catalog", str(tmp_path)]) == 2
    assert run(["instruments", "import", "x.json", "--from", "binance", "--catalog", str(tmp_path)]) == 2
    assert "found both" in capsys.readouterr().err
