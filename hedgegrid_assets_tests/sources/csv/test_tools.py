"""Files as spreadsheets and data frames write them: read, or refused with advice that works to the letter."""

import json
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.config.settings import check_settings
from hedgegrid_assets.errors import DecimalComma, InstrumentUnknown, MissingColumns, UsageError
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets_tests.csv_cases import MIDNIGHT, SECOND, convert, frame, rejects, trades_of, write

TRADES = [
    (MIDNIGHT + 123_000_000, "42324.15", "0.001", "BUYER", None),
    (MIDNIGHT + SECOND, "42324.25", "0.002", "SELLER", None),
]


# ---------------------------------------------------------------- an index without a name


@pytest.mark.parametrize("zone", ["", "+00:00"])
def test_an_index_of_times_without_a_name_is_the_timestamp(tmp_path: Path, zone: str) -> None:
    text = (
        f",price,qty,side\n2024-01-01 00:00:00.123000{zone},42324.15,0.001,buy\n"
        f"2024-01-01 00:00:01.000000{zone},42324.25,0.002,sell\n"
    )
    done = convert(tmp_path, write(tmp_path, "t.csv", text + text))
    assert any("the first column, which has no name" in note for note in done.notes)
    assert trades_of(frame(tmp_path)) == [TRADES[0], TRADES[0], TRADES[1], TRADES[1]]


@pytest.mark.parametrize("values", [("0", "1"), ("1704067200", "1704067201"), ("2024-01-01", "2024-01-02")])
def test_an_index_of_numbers_or_days_is_no_timestamp_and_the_hint_counts_columns(
    tmp_path: Path, values: tuple[str, str]
) -> None:
    path = write(tmp_path, "t.csv", f",price,qty,side\n{values[0]},1.5,2,buy\n{values[1]},1.5,2,buy\n")
    with pytest.raises(MissingColumns) as caught:
        convert(tmp_path, path)
    assert 'by its position, here 0, as in "timestamp": 0' in caught.value.hint


def test_a_position_given_as_the_hint_says_is_taken(tmp_path: Path) -> None:
    path = write(
        tmp_path, "t.csv", ",price,qty,side\n1704067200123,42324.15,0.001,buy\n1704067201000,42324.25,0.002,sell\n"
    )
    with pytest.raises(MissingColumns) as caught:
        convert(tmp_path, path)
    example, _, _ = caught.value.hint.partition("; a column without a name")
    config = json.loads(example[example.index("{") :])
    config["files"]["trades"]["columns"]["timestamp"] = 0
    config["files"]["trades"]["file_path"] = str(path)
    assert convert(tmp_path, config=config).ok
    assert trades_of(frame(tmp_path)) == TRADES


def test_a_counted_index_stays_out_of_a_file_with_a_time(tmp_path: Path) -> None:
    text = ",time,price,qty,side\n0,2024-01-01 00:00:00.123,42324.15,0.001,buy\n1,2024-01-01 00:00:01,42324.25,0.002,sell\n"
    assert convert(tmp_path, write(tmp_path, "t.csv", text)).ok
    assert trades_of(frame(tmp_path)) == TRADES


@pytest.mark.parametrize("place", ["", "\0", -1, 1.5, None, True, [0]])
def test_a_column_that_cannot_be_is_told_in_our_words(place: Any) -> None:
    files = {"trades": {"file_path": "t.csv", "columns": {"timestamp": place}}}
    with pytest.raises(UsageError) as caught:
        check_settings("csv", {"files": files})
    assert "files.trades.columns.timestamp: expected the name of a column, or its position" in caught.value.message
    assert not any(word in caught.value.message for word in ("function-", "constrained", "_filled"))


# ---------------------------------------------------------------- numbers of a spreadsheet


@pytest.mark.parametrize("price", ["42324,15", "42.324,15", "42,324.15", "42 324,15", "42\u202f324,15", "1.042.324"])
def test_numbers_with_a_comma_refuse_the_file_and_name_the_first(tmp_path: Path, price: str) -> None:
    text = "timestamp;price;qty;side\n" + "".join(f"2024-01-01 00:00:0{n};{price};1;buy\n" for n in range(3))
    with pytest.raises(DecimalComma, match=r"t\.csv, line 2, column price") as caught:
        convert(tmp_path, write(tmp_path, "t.csv", text))
    assert repr(price) in caught.value.message
    assert "decimal point" in caught.value.hint
    assert convert(tmp_path, write(tmp_path, "t.csv", text.replace(price, "42324.15"))).ok


def test_a_quoted_number_with_a_comma_refuses_the_file_too(tmp_path: Path) -> None:
    text = 'timestamp,price,qty,side\n2024-01-01 00:00:00,1.5,"0,001",buy\n'
    with pytest.raises(DecimalComma, match="column qty"):
        convert(tmp_path, write(tmp_path, "t.csv", text))


def test_a_single_number_with_a_comma_is_one_rejected_row(tmp_path: Path) -> None:
    rows = ["2024-01-01 00:00:00;42324,15;1;buy\n", *(f"2024-01-01 00:00:0{n};1.5;1;buy\n" for n in (1, 2, 3))]
    convert(tmp_path, write(tmp_path, "t.csv", "timestamp;price;qty;side\n" + "".join(rows)))
    assert rejects(tmp_path) == [(2, "bad_decimal")]
    assert len(frame(tmp_path)) == 3


# ---------------------------------------------------------------- symbols as ccxt and cryptofeed write them

ROW = "1704067200123,{},buy,42324.15,0.001\n"


def spelled_file(tmp_path: Path, *symbols: str, name: str = "t.csv") -> Path:
    return write(tmp_path, name, "timestamp,symbol,side,price,amount\n" + "".join(map(ROW.format, symbols)))


@pytest.mark.parametrize(
    ("symbol", "market", "venue", "instrument", "kind", "inverse"),
    [
        ("BTC/USDT:USDT", None, "BINANCE", "BTCUSDT-PERP.BINANCE", "crypto_perpetual", False),
        ("BTC/USDT:USDT", "usdm", "BINANCE", "BTCUSDT-PERP.BINANCE", "crypto_perpetual", False),
        ("BTC/USDT", None, "BINANCE", "BTCUSDT.BINANCE", "currency_pair", False),
        ("BTC/USDT", "usdm", "BINANCE", "BTCUSDT-PERP.BINANCE", "crypto_perpetual", False),
        ("BTC-USDT-PERP", None, "BINANCE", "BTCUSDT-PERP.BINANCE", "crypto_perpetual", False),
        ("BTC-USDT", "spot", "BINANCE", "BTCUSDT.BINANCE", "currency_pair", False),
        ("BTC/USD:BTC", None, "BINANCE", "BTCUSD-PERP.BINANCE", "crypto_perpetual", True),
        ("BTC/USDT:USDT-240329", None, "BINANCE", "BTCUSDT_240329.BINANCE", "crypto_future", False),
        ("BTC/USDT:USDT", None, "BYBIT", "BTCUSDT-LINEAR.BYBIT", "crypto_perpetual", False),
        ("BTC/USDT:USDT", None, "OKX", "BTC-USDT-SWAP.OKX", "crypto_perpetual", False),
        ("BTC/USD", None, "GEMINI", "BTCUSD.GEMINI", "currency_pair", False),
    ],
)
def test_the_spelling_of_a_tool_is_the_venues_own_instrument(
    tmp_path: Path, symbol: str, market: str | None, venue: str, instrument: str, kind: str, *, inverse: bool
) -> None:
    path = spelled_file(tmp_path, symbol, "ETH/USDT:USDT")
    done = convert(tmp_path, path, symbol=symbol, market=market, exchange=venue)
    assert done.ok
    assert [note for note in done.notes if note.startswith(f"{symbol} is read as ") and instrument in note]
    made = read_definitions(tmp_path / "catalog")[instrument]
    assert (made.base, made.kind, made.is_inverse) == ("BTC", kind, inverse)
    assert trades_of(frame(tmp_path, instrument=instrument)) == TRADES[:1]


def test_only_the_spelling_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    path = spelled_file(tmp_path, "BTCUSDT", "BTC/USDT", "BTC/USDT:USDT", "BTC-USDT-PERP")
    assert convert(tmp_path, path, symbol="BTC/USDT:USDT,BTC/USDT").ok
    for instrument in ("BTCUSDT-PERP.BINANCE", "BTCUSDT.BINANCE"):
        assert len(frame(tmp_path, instrument=instrument)) == 1


@pytest.mark.parametrize(
    ("symbol", "market"), [("BTC/USDT:USDT", "spot"), ("BTC-USDT-PERP", "spot"), ("BTC/USD:BTC", "usdm")]
)
def test_a_market_in_the_spelling_goes_with_no_other(tmp_path: Path, symbol: str, market: str) -> None:
    with pytest.raises(UsageError, match="contradict each other") as caught:
        convert(tmp_path, spelled_file(tmp_path, symbol), symbol=symbol, market=market)
    assert "leave out --market" in caught.value.hint
    assert convert(tmp_path, tmp_path / "t.csv", symbol=symbol).ok


def test_two_spellings_of_one_instrument_are_not_mixed(tmp_path: Path) -> None:
    symbols = "BTC/USDT:USDT", "BTCUSDT"
    with pytest.raises(UsageError, match=r"one instrument.*BTCUSDT-PERP\.BINANCE"):
        convert(tmp_path, spelled_file(tmp_path, *symbols), symbol=",".join(symbols))


def test_a_pair_that_says_no_market_is_refused_with_the_symbol_that_works(tmp_path: Path) -> None:
    path = spelled_file(tmp_path, "BTC-USDT")
    with pytest.raises(InstrumentUnknown, match="ask for --symbol BTCUSDT "):
        convert(tmp_path, path, symbol="BTC-USDT")
    assert convert(tmp_path, path, symbol="BTCUSDT").ok
    assert convert(tmp_path, path, symbol="BTC-USDT", market="spot").ok


def test_a_tools_symbol_of_a_venue_with_the_makers_side_is_refused_as_nobody_says_whose_it_is(tmp_path: Path) -> None:
    with pytest.raises(InstrumentUnknown, match="ask for --symbol BTC-USD "):
        convert(tmp_path, spelled_file(tmp_path, "BTC/USD"), symbol="BTC/USD", exchange="COINBASE")


def test_a_symbol_beside_a_spelled_one_still_says_what_is_assumed(tmp_path: Path) -> None:
    done = convert(tmp_path, spelled_file(tmp_path, "BTC/USDT:USDT", "ETHUSDT"), symbol="BTC/USDT:USDT,ETHUSDT")
    assert any(note.startswith("ETHUSDT is taken as USD-M") for note in done.notes)
    assert not any(note.startswith("BTC/USDT:USDT is taken as") for note in done.notes)


@pytest.mark.parametrize(
    ("symbol", "venue", "name", "instrument"),
    [
        ("XBT/USD", "KRAKEN", "XBTUSD.csv", "BTC/USD.KRAKEN"),
        ("BTC/USDT:USDT", "BINANCE", "BTCUSDT-trades.csv", "BTCUSDT-PERP.BINANCE"),
        ("BTC-USDT-PERP", "BINANCE", "BTCUSDT.csv", "BTCUSDT-PERP.BINANCE"),
    ],
)
def test_a_file_named_without_signs_is_of_the_pair(
    tmp_path: Path, symbol: str, venue: str, name: str, instrument: str
) -> None:
    landing = tmp_path / "data/raw/csv"
    landing.mkdir(parents=True)
    write(landing, name, "timestamp,price,size\n1704067200123,42324.15,0.001\n")
    write(landing, name.replace("USD", "USD_240329_USD", 1), "timestamp,price,size\n1704067200123,1,1\n")
    done = run(
        request("csv", symbol, None, None, output_path=tmp_path / "catalog", data=tmp_path / "data", exchange=venue)
    )
    assert done.ok
    assert [row[1] for row in trades_of(frame(tmp_path, instrument=instrument))] == ["42324.15"]
