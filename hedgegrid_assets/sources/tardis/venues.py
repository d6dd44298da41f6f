"""Tardis' exchanges in Nautilus' words: venue, symbol part of the InstrumentId, market."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hedgegrid_assets import venues
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.venues import Listing, Market

DEFAULT_EXCHANGE: Final = "binance-futures"

_ALL: Final[tuple[Market, ...]] = ("usdm", "coinm", "spot")
_CONTRACTS: Final[tuple[Market, ...]] = ("usdm", "coinm")


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One of Tardis' exchanges.

    Attributes:
        venues: Nautilus venues, its Tardis adapter's own first; none: the exchange's name in capitals, ``-`` as ``_``.
        markets: What it has of the venue.
        made: Symbol part of the InstrumentId of what the venue's row does not know.
        as_it_is: The Tardis adapter leaves symbols alone, whatever the venue's own adapter makes of them.
    """

    venues: tuple[str, ...] = ()
    markets: tuple[Market, ...] = _ALL
    made: str = "{symbol}"
    as_it_is: bool = False


_SPOT: Final = _Exchange(markets=("spot",))
_OTHER: Final = _Exchange(as_it_is=True)
_OKX: Final = ("OKEX", "OKX")
_EXCHANGES: Final[Mapping[str, _Exchange]] = {
    "binance": _SPOT,
    "binance-us": _SPOT,
    "binance-futures": _Exchange(("BINANCE",), ("usdm",), "{symbol}-PERP"),
    "binance-delivery": _Exchange(markets=("coinm",)),
    "binance-options": _Exchange(("BINANCE",), as_it_is=True),
    "binance-european-options": _Exchange(("BINANCE",), as_it_is=True),
    "binance-dex": _Exchange(("BINANCE",), as_it_is=True),
    "binance-jersey": _Exchange(("BINANCE",), as_it_is=True),
    "bitfinex": _Exchange(markets=("spot",), as_it_is=True),
    "bitfinex-derivatives": _Exchange(("BITFINEX",), ("usdm",)),
    "bitget-futures": _Exchange(("BITGET",), _CONTRACTS, as_it_is=True),
    "bitmex": _Exchange(markets=_CONTRACTS),
    "bitstamp": _SPOT,
    "bybit": _Exchange(markets=_CONTRACTS, made="{symbol}-LINEAR"),
    "bybit-spot": _Exchange(("BYBIT",), ("spot",), "{symbol}-SPOT"),
    "bybit-options": _Exchange(("BYBIT",), (), "{symbol}-OPTION"),
    "coinbase": _SPOT,
    "coinbase-international": _Exchange(("COINBASE_INTX",)),
    "dydx": _Exchange(made="{symbol}-PERP"),
    "dydx-v4": _Exchange(made="{symbol}-PERP"),
    "ftx-us": _Exchange(("FTX",), as_it_is=True),
    "gate-io": _SPOT,
    "gate-io-futures": _Exchange(("GATE_IO",), _CONTRACTS, "{symbol}-PERP"),
    "gemini": _SPOT,
    "huobi": _SPOT,
    "huobi-dm": _Exchange(("HUOBI",), as_it_is=True),
    "huobi-dm-linear-swap": _Exchange(("HUOBI",), ("usdm",), as_it_is=True),
    "huobi-dm-options": _Exchange(("HUOBI",), as_it_is=True),
    "huobi-dm-swap": _Exchange(("HUOBI_DELIVERY",)),
    "hyperliquid": _OTHER,
    "kraken": _Exchange(markets=("spot",), as_it_is=True),
    "kucoin-futures": _Exchange(("KUCOIN",), _CONTRACTS),
    "mexc": _SPOT,
    "mexc-futures": _Exchange(("MEXC",), _CONTRACTS, "{symbol}-PERP"),
    "okex": _Exchange(_OKX, ("spot",)),
    "okex-futures": _Exchange(_OKX, _CONTRACTS),
    "okex-options": _Exchange(_OKX, ()),
    "okex-spreads": _Exchange(_OKX, ()),
    "okex-swap": _Exchange(_OKX, _CONTRACTS),
    "upbit": _SPOT,
}
"""Tardis' exchange -> how Nautilus' Tardis adapter names what it has; any other is ``_OTHER``."""

_EXCHANGE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_DATED: Final = re.compile(r"[-_]\d{6,8}$", re.ASCII)


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
    return _exchange(exchange).venues or (exchange.upper().replace("-", "_"),)


def is_spot(exchange: str) -> bool:
    """Spot has neither mark prices nor funding."""
    return _exchange(exchange).markets == ("spot",)


def listing_of(exchange: str, symbol: str) -> Listing:
    """How an exchange lists a symbol, as far as the names say it; normalised as Nautilus' Tardis adapter does.

    A symbol that the venue's row does not know has no currencies in it: the provider has to say them, or the user.
    """
    row = _exchange(exchange)
    for market in row.markets:
        found = venues.listing_of(venues_of(exchange)[0], symbol, market)
        if found is not None:
            return replace(found, symbol=symbol) if row.as_it_is else found
    made = symbol if _DATED.search(symbol) else row.made.format(symbol=symbol)
    needs = () if row.markets != _ALL or venues.is_known(venues_of(exchange)[0]) else ("market",)
    return Listing(made, "spot" if is_spot(exchange) else "usdm", needs=needs)


def file_symbol(symbol: str) -> str:
    """A symbol as datasets are named."""
    return symbol.replace(":", "-").replace("/", "-").upper()


def _exchange(name: str) -> _Exchange:
    return _EXCHANGES.get(name, _OTHER)
