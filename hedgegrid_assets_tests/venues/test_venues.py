"""What a venue's symbol says: id as Nautilus' adapter makes it, currencies, inverse, value of one unit of size."""

from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.core import nautilus_pyo3

from hedgegrid_assets.errors import InstrumentUnknown
from hedgegrid_assets.instruments import define
from hedgegrid_assets.timestamps import NS_PER_SECOND
from hedgegrid_assets.venues import VENUES, Market, is_makers, listing_of, listing_of_id, markets_of

PYO3: Any = nautilus_pyo3  # its stubs have no submodules
MARCH_29 = 1_711_670_400 * NS_PER_SECOND
HOUR = 3600 * NS_PER_SECOND


@pytest.mark.parametrize(
    ("venue", "symbol", "made", "market", "currencies", "multiplier"),
    [
        ("BINANCE", "BTCUSDT", "BTCUSDT-PERP", "usdm", "BTC USDT USDT", "1"),
        ("BINANCE", "1000SHIBUSDT", "1000SHIBUSDT-PERP", "usdm", "1000SHIB USDT USDT", "1"),
        ("BINANCE", "4USDT", "4USDT-PERP", "usdm", "4 USDT USDT", "1"),
        ("BINANCE", "币安人生USDT", "币安人生USDT-PERP", "usdm", "币安人生 USDT USDT", "1"),
        ("BINANCE", "BTCBUSD", "BTCBUSD-PERP", "usdm", "BTC BUSD BUSD", "1"),
        ("BINANCE", "BTCFDUSD", "BTCFDUSD-PERP", "usdm", "BTC FDUSD FDUSD", "1"),
        ("BINANCE", "ETHBTC", "ETHBTC-PERP", "usdm", "ETH BTC BTC", "1"),
        ("BINANCE", "BTCUSD_PERP", "BTCUSD-PERP", "coinm", "BTC USD BTC", "100"),
        ("BINANCE", "BNBUSD_PERP", "BNBUSD-PERP", "coinm", "BNB USD BNB", "10"),
        ("BINANCE", "DOTUSD_PERP", "DOTUSD-PERP", "coinm", "DOT USD DOT", "10"),
        ("BITMEX", "XBTUSD", "XBTUSD", "coinm", "XBT USD XBT", "1"),
        ("BITMEX", "XBTUSDT", "XBTUSDT", "usdm", "XBT USDT USDT", None),
        ("BYBIT", "BTCUSDT", "BTCUSDT-LINEAR", "usdm", "BTC USDT USDT", "1"),
        ("BYBIT", "BTCPERP", "BTCPERP-LINEAR", "usdm", "BTC USDC USDC", "1"),
        ("BYBIT", "BTCUSD", "BTCUSD-INVERSE", "coinm", "BTC USD BTC", "1"),
        ("BYBIT", "DOTUSD", "DOTUSD-INVERSE", "coinm", "DOT USD DOT", "1"),
        ("OKX", "BTC-USDT-SWAP", "BTC-USDT-SWAP", "usdm", "BTC USDT USDT", "0.01"),
        ("OKX", "BTC-USD-SWAP", "BTC-USD-SWAP", "coinm", "BTC USD BTC", "100"),
        ("OKX", "SUI-USDT-SWAP", "SUI-USDT-SWAP", "usdm", "SUI USDT USDT", None),
        ("OKX", "BTC-USDT", "BTC-USDT", "spot", "BTC USDT USDT", "1"),
        ("DERIBIT", "BTC-PERPETUAL", "BTC-PERPETUAL", "coinm", "BTC USD BTC", "1"),
        ("DERIBIT", "SOL_USDC-PERPETUAL", "SOL_USDC-PERPETUAL", "usdm", "SOL USDC USDC", "1"),
        ("KRAKEN", "PF_XBTUSD", "PF_XBTUSD", "usdm", "XBT USD USD", "1"),
        ("KRAKEN", "PI_XBTUSD", "PI_XBTUSD", "coinm", "XBT USD XBT", "1"),
        ("KRAKEN", "XBTUSD", "BTC/USD", "spot", "BTC USD USD", "1"),
        ("KRAKEN", "DOTUSD", "DOT/USD", "spot", "DOT USD USD", "1"),
        ("HYPERLIQUID", "BTC", "BTC-USD-PERP", "usdm", "BTC USD USDC", "1"),
        ("COINBASE", "BTC-USD", "BTC-USD", "spot", "BTC USD USD", "1"),
        ("BITSTAMP", "ARBUSD", "ARBUSD", "spot", "ARB USD USD", "1"),
        ("KUCOIN", "XBTUSDTM", "XBTUSDTM", "usdm", "XBT USDT USDT", None),
        ("UPBIT", "KRW-BTC", "KRW-BTC", "spot", "BTC KRW KRW", "1"),
        ("DYDX", "ETH-USD", "ETH-USD-PERP", "usdm", "ETH USD USDC", "1"),
        ("SOMEWHERE", "BTC-USDT-SWAP", "BTC-USDT-SWAP", "usdm", "BTC USDT USDT", "1"),
        ("SOMEWHERE", "BTC_USD", "BTC_USD-PERP", "usdm", "BTC USD USD", "1"),
    ],
)
def test_a_symbol_says_what_its_venue_means(
    venue: str, symbol: str, made: str, market: Market, currencies: str, multiplier: str | None
) -> None:
    listing = listing_of(venue, symbol)
    assert listing is not None
    assert (listing.symbol, listing.market) == (made, market)
    assert " ".join(listing.said[name] for name in ("base", "quote", "settlement")) == currencies
    assert listing.said.get("multiplier") == multiplier
    assert listing.needs == (() if multiplier else ("multiplier",))


@pytest.mark.parametrize(
    ("venue", "symbol"),
    [
        *(
            ("BINANCE", symbol)
            for symbol in ("ARBUSD", "BNBUSD", "DOTUSD", "XBTUSD", "BTCUSD", "BTC-USDT-SWAP", "USDT", "")
        ),
        *(("SOMEWHERE", symbol) for symbol in ("ARBUSD", "DOTUSD", "BTCBUSD", "BTCXYZ", "BTC-PERPETUAL", "BTC/USDT/X")),
        *(("BITMEX", symbol) for symbol in ("ETHUSD", "SOLUSD", "XBT_USDT")),  # quanto; spot in units of its own
        *(("DERIBIT", symbol) for symbol in ("BTC-29MAR24-50000-C", "BTC-29XYZ24")),
        ("KRAKEN", "XXBTZUSD"),
        ("HYPERLIQUID", "@107"),
        ("OKX", "BTCUSDT"),
    ],
)
def test_what_could_be_read_in_two_ways_or_in_none_is_not_known(venue: str, symbol: str) -> None:
    assert listing_of(venue, symbol) is None


@pytest.mark.parametrize(
    ("venue", "symbol", "expires"),
    [
        ("BINANCE", "BTCUSDT_240329", MARCH_29 + 8 * HOUR),
        ("BINANCE", "BTCUSD_240329", MARCH_29 + 8 * HOUR),
        ("OKX", "BTC-USD-240329", MARCH_29 + 8 * HOUR),
        ("DERIBIT", "BTC-29MAR24", MARCH_29 + 8 * HOUR),
        ("BYBIT", "BTC-29MAR24", MARCH_29 + 8 * HOUR),
        ("BYBIT", "BTCUSDH24", MARCH_29 + 8 * HOUR),
        ("BITMEX", "XBTH24", MARCH_29 + 12 * HOUR),
    ],
)
def test_a_dated_contract_says_when_it_is_settled(venue: str, symbol: str, expires: int) -> None:
    listing = listing_of(venue, symbol)
    assert listing is not None
    made = define(f"{listing.symbol}.{venue}", symbol, listing.market, listing.said, {"price": 1, "size": 0})
    assert (made.kind, made.expiration_ns) == ("crypto_future", expires)


def test_a_date_that_does_not_exist_is_told() -> None:
    with pytest.raises(InstrumentUnknown, match="no date"):
        listing_of("BINANCE", "BTCUSDT_241399")


@pytest.mark.parametrize(
    ("venue", "symbol", "market", "made"),
    [
        ("BINANCE", "BTCUSDT", "spot", "BTCUSDT"),
        ("BINANCE", "BTCUSDT", "usdm", "BTCUSDT-PERP"),
        ("BINANCE", "ARBUSD", "coinm", "ARBUSD-PERP"),  # the index of a pair
        ("BINANCE", "BTCUSDT", "coinm", None),
        ("BINANCE", "BTCUSD_PERP", "usdm", None),
        ("BINANCE", "BTCUSDT_240329", "spot", None),
        ("BYBIT", "BTCUSDT", "spot", "BTCUSDT-SPOT"),
        ("GATE_IO", "BTC_USDT", "spot", "BTC_USDT"),
        ("SOMEWHERE", "BTC-USD", "coinm", "BTC-USD-PERP"),
    ],
)
def test_the_market_that_is_said_decides(venue: str, symbol: str, market: Market, made: str | None) -> None:
    listing = listing_of(venue, symbol, market)
    assert (listing.symbol if listing else None) == made


@pytest.mark.parametrize(
    ("venue", "name", "market"),
    [
        ("BINANCE", "BTCUSDT-PERP", "usdm"),
        ("BINANCE", "BTCUSD-PERP", "coinm"),
        ("BINANCE", "BTCUSDT", "spot"),
        ("BYBIT", "BTCUSD-INVERSE", "coinm"),
        ("BYBIT", "BTCUSDT-SPOT", "spot"),
        ("OKX", "BTC-USDT-SWAP", "usdm"),
        ("HYPERLIQUID", "BTC-USD-PERP", "usdm"),
    ],
)
def test_an_id_of_nautilus_says_its_market(venue: str, name: str, market: Market) -> None:
    listing = listing_of_id(venue, name)
    assert listing is not None
    assert (listing.symbol, listing.market) == (name, market)


def test_ids_are_those_that_nautilus_own_adapters_take_apart() -> None:
    for symbol in ("BTCUSDT", "BTCUSD", "BTCPERP", "BTCUSDH24"):
        listing = listing_of("BYBIT", symbol)
        assert listing is not None
        kind = PYO3.bybit.bybit_product_type_from_symbol(listing.symbol)
        assert PYO3.bybit.bybit_extract_raw_symbol(listing.symbol) == symbol
        assert str(kind).upper().endswith("INVERSE" if listing.market == "coinm" else "LINEAR")
    for symbol, kind in (("PF_XBTUSD", "FUTURES"), ("PI_XBTUSD", "FUTURES"), ("XBTUSD", "SPOT")):
        listing = listing_of("KRAKEN", symbol)
        assert listing is not None
        assert str(PYO3.kraken.kraken_product_type_from_symbol(listing.symbol)).upper().endswith(kind)
    listing = listing_of("HYPERLIQUID", "BTC")
    assert listing is not None
    found = PYO3.hyperliquid.hyperliquid_product_type_from_symbol(listing.symbol)
    assert str(found).upper().endswith("PERP")


@pytest.mark.parametrize(
    ("symbol", "account"),
    [("BTCUSDT", "usdm"), ("BTCUSD_PERP", "coinm"), ("BTCUSDT_240329", "usdm"), ("BTCUSDT", "spot")],
)
def test_binance_ids_are_those_of_nautilus_binance_adapter(symbol: str, account: Any) -> None:
    from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
    from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol

    kinds = {"usdm": "USDT_FUTURES", "coinm": "COIN_FUTURES", "spot": "SPOT"}
    listing = listing_of("BINANCE", symbol, account)
    assert listing is not None
    assert listing.symbol == BinanceSymbol(symbol).parse_as_nautilus(BinanceAccountType[kinds[account]])


def test_of_several_markets_the_usual_one_comes_first() -> None:
    assert markets_of("BINANCE", "BTCUSDT") == ["usdm", "spot"]
    assert markets_of("OKX", "BTC-USDT") == ["spot"]


def test_a_form_of_every_venue_can_be_fitted() -> None:
    for name, venue in VENUES.items():
        assert venue.forms, name
        for form in venue.forms:
            assert "(?P<base>" in form.pattern
            assert ("(?P<quote>" in form.pattern) != bool(form.quote), (name, form.pattern)


def test_the_side_of_coinbase_is_the_makers() -> None:
    assert is_makers("COINBASE", "side")
    assert not is_makers("COINBASE", "taker_side")
    assert not is_makers("BINANCE", "side")
    assert not is_makers("SOMEWHERE", "side")


def test_every_symbol_of_the_exchange_document_is_split_as_the_exchange_says() -> None:
    import json

    document = Path(__file__).parents[3] / "shared/data/binance/usdm_exchangeInfo_2021-07-21.json"
    if not document.exists():
        pytest.skip("the shared documents are not here")
    for entry in json.loads(document.read_text())["symbols"]:
        listing = listing_of("BINANCE", entry["symbol"], "usdm")
        assert listing is not None
        told = tuple(listing.said[name] for name in ("base", "quote", "settlement"))
        assert told == (entry["baseAsset"], entry["quoteAsset"], entry["marginAsset"])
        if entry["contractType"] == "CURRENT_QUARTER":
            assert listing.said["expiration_ns"] == str(entry["deliveryDate"] * 1_000_000)
