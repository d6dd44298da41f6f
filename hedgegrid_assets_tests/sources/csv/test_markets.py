"""What a file says of its venue and market reaches the definition, or is refused; what is assumed is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.errors import FileContradicts, HedgegridError, InstrumentUnknown, UsageError
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.pipeline.days import normalize_tables
from hedgegrid_assets.pipeline.landing import import_landing
from hedgegrid_assets.pipeline.summary import RunSummary
from hedgegrid_assets_tests.csv_cases import convert, frame, trades_of, write

SPOT = "1,42500.5,0.025,1062.5125,1704067200000,False,True\n2,42501,0.1,4250.1,1704067201000,True,True\n"
FUTURES = "id,price,qty,quote_qty,time,is_buyer_maker\n1,42500.5,0.025,1062.5125,1704067200000,false\n"
NOTIONAL = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"
PLAIN = "time,price,size,side,id\n1704067200000,42500.5,1,buy,1\n"


def definition(tmp_path: Path, instrument: str) -> tuple[Any, ...]:
    made = read_definitions(tmp_path / "catalog")[instrument]
    return made.kind, made.base, made.quote, made.settlement, made.is_inverse, made.multiplier


def nautilus_of(tmp_path: Path) -> Any:
    """The one instrument of the catalog as Nautilus reads it."""
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    (found,) = ParquetDataCatalog(str(tmp_path / "catalog")).instruments()
    return found


def notes(done: RunSummary, text: str) -> list[str]:
    return [note for note in done.notes if text in note]


# ---------------------------------------------------------------- what the columns say


def test_the_columns_of_a_spot_dump_make_a_spot_pair(tmp_path: Path) -> None:
    done = convert(tmp_path, write(tmp_path, "BTCUSDT-trades-2024-01-01.csv", SPOT))
    assert definition(tmp_path, "BTCUSDT.BINANCE") == ("currency_pair", "BTC", "USDT", "USDT", False, "1")
    assert type(nautilus_of(tmp_path)).__name__ == "CurrencyPair"
    assert notes(done, "BTCUSDT is taken as spot, BTCUSDT.BINANCE; its files say so")


def test_a_spot_dump_is_no_perpetual_whatever_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", SPOT)
    ways: list[dict[str, Any]] = [{"market": "usdm"}, {"instrument": "BTCUSDT-PERP.BINANCE"}]
    for said in ways:
        with pytest.raises(FileContradicts, match=r"expected USD-M .* data, found trades of Binance spot") as caught:
            convert(tmp_path, path, **said)
        assert "--market spot" in caught.value.hint
    assert convert(tmp_path, path, market="spot").ok


@pytest.mark.parametrize(
    ("venue", "symbol", "size", "home", "foreign", "expected"),
    [
        ("BITMEX", "XBTUSD", "100", "0.00235291", "100", ("XBTUSD.BITMEX", "XBT", "USD", "XBT", True, "1")),
        ("BYBIT", "BTCUSD", "1000", "0.0235291", "1000", ("BTCUSD-INVERSE.BYBIT", "BTC", "USD", "BTC", True, "1")),
        ("BYBIT", "BTCUSDT", "0.5", "0.5", "21250.25", ("BTCUSDT-LINEAR.BYBIT", "BTC", "USDT", "USDT", False, "1")),
        (
            "BITMEX",
            "XBTUSDT",
            "3000",
            "0.003",
            "127.5015",
            ("XBTUSDT.BITMEX", "XBT", "USDT", "USDT", False, "0.000001"),
        ),
    ],
)
def test_what_size_is_worth_in_both_currencies_makes_the_contract(
    tmp_path: Path, venue: str, symbol: str, size: str, home: str, foreign: str, expected: tuple[Any, ...]
) -> None:
    row = f"1704067200.5,{symbol},Buy,{size},42500.5,PlusTick,a-1,235291,{home},{foreign}\n"
    convert(tmp_path, write(tmp_path, "t.csv", NOTIONAL + row), symbol=symbol, exchange=venue)
    instrument, *rest = expected
    assert definition(tmp_path, instrument) == ("crypto_perpetual", *rest)
    assert [row[2] for row in trades_of(frame(tmp_path, instrument=instrument))] == [size]
    read = nautilus_of(tmp_path)
    assert (str(read.id), read.is_inverse, str(read.multiplier)) == (instrument, expected[4], expected[5])


def test_a_notional_that_contradicts_the_symbol_is_refused(tmp_path: Path) -> None:
    row = "1704067200.5,BTCUSD,Buy,0.5,42500.5,PlusTick,a-1,235291,0.5,21250.25\n"
    with pytest.raises(FileContradicts, match="coin-margined"):
        convert(tmp_path, write(tmp_path, "t.csv", NOTIONAL + row), symbol="BTCUSD", exchange="BYBIT")


@pytest.mark.parametrize(
    ("text", "symbol", "exchange"),
    [
        (NOTIONAL + "1704067200.5,BTCUSDT,Buy,1,1.5,PlusTick,a,1,1,1.5\n", "BTCUSDT", "BYBIT"),
        (
            "instrument_name,trade_id,side,price,size,created_time\nBTC-USDT,1,buy,1.5,2,1704067200000\n",
            "BTC-USDT",
            "OKX",
        ),
        ("id,price,qty,base_qty,time,is_buyer_maker\n1,42500,2,0.0047,1704067200000,true\n", "BTCUSD_PERP", "BINANCE"),
    ],
)
def test_the_dump_of_one_venue_is_not_taken_for_anothers(tmp_path: Path, text: str, symbol: str, exchange: str) -> None:
    path = write(tmp_path, "t.csv", text)
    with pytest.raises((FileContradicts, InstrumentUnknown)):
        convert(tmp_path, path, symbol=symbol, exchange="KRAKEN")
    assert convert(tmp_path, path, symbol=symbol, exchange=exchange).ok


def test_a_spot_file_and_a_futures_file_never_make_one_day(tmp_path: Path) -> None:
    convert(tmp_path, write(tmp_path, "spot.csv", SPOT), catalog="spot")
    futures = write(tmp_path, "futures.csv", FUTURES)
    with pytest.raises(FileContradicts):
        convert(tmp_path, futures)
    assert convert(tmp_path, futures, market="usdm").ok
    assert len(frame(tmp_path)) == 1


# ---------------------------------------------------------------- what nobody says


def test_what_is_assumed_is_said_once_a_symbol(tmp_path: Path) -> None:
    done = convert(tmp_path, write(tmp_path, "t.csv", PLAIN))
    assert (
        len(notes(done, "BTCUSDT is taken as USD-M (linear), BTCUSDT-PERP.BINANCE; no market is said: --market spot"))
        == 1
    )
    assert not notes(convert(tmp_path, tmp_path / "t.csv", market="usdm"), "is taken as")
    sure = write(tmp_path, "c.csv", PLAIN)
    assert not notes(convert(tmp_path, sure, symbol="BTCUSD_PERP"), "is taken as")


@pytest.mark.parametrize("name", ["spot/BTCUSDT-trades.csv", "BTCUSDT_spot.csv", "binance-spot_btcusdt.csv"])
def test_a_name_that_contradicts_the_assumption_is_refused_until_it_is_said(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(PLAIN)
    with pytest.raises(FileContradicts, match=r"found spot \(by its name\)") as caught:
        convert(tmp_path, path)
    assert "--market spot, or --market usdm" in caught.value.hint
    assert convert(tmp_path, path, market="usdm").ok
    assert convert(tmp_path, path, market="spot").ok
    assert set(read_definitions(tmp_path / "catalog")) == {"BTCUSDT.BINANCE", "BTCUSDT-PERP.BINANCE"}


def test_the_name_of_the_usual_market_is_no_contradiction(tmp_path: Path) -> None:
    folder = tmp_path / "futures" / "um"
    folder.mkdir(parents=True)
    assert convert(tmp_path, write(folder, "t.csv", PLAIN)).ok


@pytest.mark.parametrize(
    ("venue", "symbol", "why"),
    [
        ("BINANCE", "ARBUSD", "BINANCE writes no symbol so"),
        ("BINANCE", "BTC-USDT-SWAP", "BINANCE writes no symbol so"),
        ("SOMEWHERE", "ARBUSD", "read in two ways"),
        ("BITMEX", "ETHUSD", "BITMEX writes no symbol so"),
        ("OKX", "SUI-USDT-SWAP", "counts contracts"),
    ],
)
def test_what_is_not_known_is_refused_and_the_advice_works(tmp_path: Path, venue: str, symbol: str, why: str) -> None:
    path = write(tmp_path, "t.csv", PLAIN)
    with pytest.raises(InstrumentUnknown, match=why) as caught:
        convert(tmp_path, path, symbol=symbol, exchange=venue)
    assert all(word in caught.value.hint for word in ("--market", "--instrument", "--config"))
    example = json.loads(caught.value.hint[caught.value.hint.index("{") :])
    assert list(example["instruments"]) == [symbol]
    example["market"] = "usdm"
    example["instruments"][symbol] = {"base": "ARB", "quote": "USD", "multiplier": "10"}
    assert convert(tmp_path, config={"inputs": [str(path)], **example}, symbol=symbol, exchange=venue).ok
    (made,) = read_definitions(tmp_path / "catalog").values()
    assert (made.base, made.quote, made.multiplier, made.is_inverse) == ("ARB", "USD", "10", False)


@pytest.mark.parametrize(
    ("symbol", "instrument", "kind", "inverse"),
    [
        ("BTCUSDT", "BTCUSDT.BINANCE", "currency_pair", False),
        ("XBTUSD", "BTCUSD-INVERSE.BYBIT", "crypto_perpetual", True),
        ("BTC", "BTC-USD-PERP.HYPERLIQUID", "crypto_perpetual", False),
    ],
)
def test_an_id_that_is_named_says_its_market(
    tmp_path: Path, symbol: str, instrument: str, kind: str, *, inverse: bool
) -> None:
    done = convert(tmp_path, write(tmp_path, "t.csv", PLAIN), symbol=symbol, instrument=instrument)
    made = read_definitions(tmp_path / "catalog")[instrument]
    assert (made.kind, made.is_inverse) == (kind, inverse)
    assert not notes(done, "is taken as")


def test_a_market_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--market.*expected one of usdm, coinm, spot"):
        convert(tmp_path, write(tmp_path, "t.csv", PLAIN), market="perp")


def test_the_market_of_a_configuration_and_of_the_command_line_are_one(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", PLAIN)
    for config, market in (("spot", None), ("usdm", "spot")):
        assert convert(tmp_path, config={"inputs": [str(path)], "market": config}, market=market).ok
    assert set(read_definitions(tmp_path / "catalog")) == {"BTCUSDT.BINANCE"}


@pytest.mark.parametrize(
    ("symbol", "venue", "instrument"),
    [
        ("BTC-PERPETUAL", "DERIBIT", "BTC-PERPETUAL.DERIBIT"),
        ("BTCPERP", "BYBIT", "BTCPERP-LINEAR.BYBIT"),
        ("PF_XBTUSD", "KRAKEN", "PF_XBTUSD.KRAKEN"),
        ("XBTUSD", "KRAKEN", "BTC/USD.KRAKEN"),
        ("BTC", "HYPERLIQUID", "BTC-USD-PERP.HYPERLIQUID"),
        ("BTC-USD", "COINBASE", "BTC-USD.COINBASE"),
    ],
)
def test_symbols_of_every_venue_make_the_ids_of_nautilus_adapters(
    tmp_path: Path, symbol: str, venue: str, instrument: str
) -> None:
    assert convert(tmp_path, write(tmp_path, "t.csv", PLAIN), symbol=symbol, exchange=venue).ok
    assert str(nautilus_of(tmp_path).id) == instrument


# ---------------------------------------------------------------- a feed


def test_a_feed_refuses_the_day_until_its_market_is_said(tmp_path: Path) -> None:
    from hedgegrid_assets.config.feeds import Feed
    from hedgegrid_assets.model import InstrumentDay
    from hedgegrid_assets.pipeline.feed_context import FeedContext
    from hedgegrid_assets.store import Places

    landing = tmp_path / "data/raw/csv"
    landing.mkdir(parents=True)
    write(landing, "BTCUSDT.csv", SPOT)

    def made(**more: Any) -> str:
        given = {"name": "spot", "source": "csv", "venue": "BINANCE", "symbols": ["BTCUSDT"], "start": "2024-01-01"}
        feed = Feed.model_validate({**given, "tables": ["trade_tick"], "landing": ["csv/*.csv"], **more})
        feed_context = FeedContext(feed, Places(tmp_path / "data", tmp_path / "catalog"))
        (key,) = import_landing(feed_context).days
        raw = feed_context.raw(key)
        assert raw is not None
        day = InstrumentDay(feed.instrument_id("BTCUSDT"), key.day)
        (done,) = normalize_tables(feed_context, day, raw, feed_context.tables)
        assert done.error is None
        return day.instrument_id

    with pytest.raises(HedgegridError, match="trades of Binance spot"):
        made()
    assert made(market="spot") == "BTCUSDT.BINANCE"


# ---------------------------------------------------------------- captures

FUTURES_TRADE = '{"e":"trade","E":1704067200001,"T":1704067200000,"s":"BTCUSDT","t":1,"p":"42500.5","q":"1","X":"MARKET","m":true}\n'
SPOT_TRADE = '{"stream":"btcusdt@trade","data":{"e":"trade","E":1704067200001,"s":"BTCUSDT","t":1,"p":"42500.5","q":"1","T":1704067200000,"m":true,"M":true}}\n'


@pytest.mark.parametrize(
    ("text", "instrument"), [(FUTURES_TRADE, "BTCUSDT-PERP.BINANCE"), (SPOT_TRADE * 2, "BTCUSDT.BINANCE")]
)
def test_captured_trades_say_whether_they_are_spot(tmp_path: Path, text: str, instrument: str) -> None:
    from hedgegrid_assets.pipeline.request import request
    from hedgegrid_assets.pipeline.run import run

    path = write(tmp_path, "t.jsonl", text)
    given: dict[str, Any] = {
        "output_path": tmp_path / "catalog",
        "data": tmp_path / "data",
        "data_types": "trades",
        "source_config": {"inputs": [str(path)]},
    }
    assert run(request("websocket", "BTCUSDT", None, None, **given)).ok
    assert set(read_definitions(tmp_path / "catalog")) == {instrument}
    if text != FUTURES_TRADE:
        with pytest.raises(FileContradicts, match="spot"):
            run(request("websocket", "BTCUSDT", None, None, market="usdm", **given))
