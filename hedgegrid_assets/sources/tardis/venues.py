"""Tardis' exchanges in Nautilus' words: venue, symbol part of the InstrumentId, market."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.model import Listing

DEFAULT_EXCHANGE: Final = "binance-futures"

_VENUES: Final[Mapping[str, tuple[str, ...]]] = {
    "binance-futures": ("BINANCE",),
    "binance-options": ("BINANCE",),
    "binance-european-options": ("BINANCE",),
    "binance-dex": ("BINANCE",),
    "binance-jersey": ("BINANCE",),
    "bitfinex-derivatives": ("BITFINEX",),
    "bitget-futures": ("BITGET",),
    "bybit-spot": ("BYBIT",),
    "bybit-options": ("BYBIT",),
    "coinbase-international": ("COINBASE_INTX",),
    "ftx-us": ("FTX",),
    "gate-io-futures": ("GATE_IO",),
    "huobi-dm": ("HUOBI",),
    "huobi-dm-linear-swap": ("HUOBI",),
    "huobi-dm-options": ("HUOBI",),
    "huobi-dm-swap": ("HUOBI_DELIVERY",),
    "kucoin-futures": ("KUCOIN",),
    "mexc-futures": ("MEXC",),
    "okex": ("OKEX", "OKX"),
    "okex-futures": ("OKEX", "OKX"),
    "okex-options": ("OKEX", "OKX"),
    "okex-spreads": ("OKEX", "OKX"),
    "okex-swap": ("OKEX", "OKX"),
}
"""Tardis' exchange -> Nautilus venues, its Tardis adapter's own first. Any other: its name in capitals, ``-`` as ``_``."""

_EXCHANGE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_DATED: Final = re.compile(r"[-_]\d{6,8}$", re.ASCII)
_SPOT: Final = (
    "binance",
    "binance-us",
    "bybit-spot",
    "okex",
    "gate-io",
    "coinbase",
    "kraken",
    "bitstamp",
    "bitfinex",
    "huobi",
)
_PERP_SUFFIX: Final = ("binance-futures", "gate-io-futures", "dydx", "dydx-v4", "mexc-futures")
_BYBIT_INVERSE: Final = re.compile(r"[A-Z0-9]+USD(?:[HMUZ]\d{2})?", re.ASCII)


def exchange_of(settings: Mapping[str, Any]) -> str:
    """Tardis' id of the exchange. Raises UsageError for what can be none."""
    name = str(settings.get("exchange", DEFAULT_EXCHANGE))
    if not _EXCHANGE.fullmatch(name):
        raise UsageError(
            f"no exchange of Tardis (exchange): expected its id such as binance-futures, bybit or okex-swap, found {name!r}",
            hint="the venue of the instrument ids, such as BINANCE, is the key venue or the flag --exchange",
        )
    return name


def venues_of(exchange: str) -> tuple[str, ...]:
    """Nautilus venues that an exchange's data can have, the usual one first."""
    return _VENUES.get(exchange, (exchange.upper().replace("-", "_"),))


def is_spot(exchange: str) -> bool:
    """Spot has neither mark prices nor funding."""
    return exchange in _SPOT


def listing_of(exchange: str, symbol: str) -> Listing:
    """How an exchange lists a symbol, as far as the names say it; normalised as Nautilus' Tardis adapter does."""
    if is_spot(exchange):
        return Listing(f"{symbol}-SPOT" if exchange == "bybit-spot" else symbol, "spot")
    match exchange:
        case "binance-delivery":
            return Listing(symbol, "coinm")
        case "bybit":
            inverse = _BYBIT_INVERSE.fullmatch(symbol) is not None
            return Listing(f"{symbol}-{'INVERSE' if inverse else 'LINEAR'}", *_contract(inverse))
        case "bybit-options":
            return Listing(f"{symbol}-OPTION", "usdm")
        case "deribit":
            return _deribit(symbol)
        case "bitmex" | "okex-swap" | "okex-futures":
            inverse = "USDT" not in symbol and "USDC" not in symbol
            multiplier = {"multiplier": "1"} if exchange == "bitmex" else {}
            return Listing(symbol, "coinm" if inverse else "usdm", multiplier)
        case _ if exchange in _PERP_SUFFIX and not _DATED.search(symbol):
            return Listing(f"{symbol}-PERP", "usdm")
    return Listing(symbol, "usdm")


def _contract(inverse: bool) -> tuple[Any, Mapping[str, str]]:
    return ("coinm", {"multiplier": "1"}) if inverse else ("usdm", {})


def _deribit(symbol: str) -> Listing:
    """``BTC-PERPETUAL`` is settled in BTC and sized in USD, ``SOL_USDC-PERPETUAL`` is linear."""
    base, _, quote = symbol.split("-")[0].partition("_")
    if quote:
        return Listing(symbol, "usdm", {"base": base, "quote": quote, "settlement": quote, "multiplier": "1"})
    return Listing(symbol, "coinm", {"base": base, "quote": "USD", "settlement": base, "multiplier": "1"})
