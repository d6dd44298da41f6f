"""All venues and exchanges: a new one is a file of its own, and its row here."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues import (
    binance,
    bitfinex,
    bitget,
    bitmex,
    bitstamp,
    bybit,
    coinbase,
    deribit,
    dydx,
    ftx,
    gate,
    gemini,
    huobi,
    hyperliquid,
    kraken,
    kucoin,
    mexc,
    okx,
    simulated,
    upbit,
)
from hedgegrid_assets.venues.forms import Exchange, Venue

_MODULES: Final = (
    binance,
    bitfinex,
    bitget,
    bitmex,
    bitstamp,
    bybit,
    coinbase,
    deribit,
    dydx,
    ftx,
    gate,
    gemini,
    huobi,
    hyperliquid,
    kraken,
    kucoin,
    mexc,
    okx,
    simulated,
    upbit,
)

VENUES: Final[Mapping[str, Venue]] = {name: venue for module in _MODULES for name, venue in module.VENUES.items()}
"""Nautilus venue -> how it writes symbols."""

EXCHANGES: Final[Mapping[str, Exchange]] = {
    name: exchange for module in _MODULES for name, exchange in module.EXCHANGES.items()
}
"""Tardis' exchange -> the part of a venue that it is, and how Nautilus' Tardis adapter names what it has."""
