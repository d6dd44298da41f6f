"""Exchanges as Tardis calls them, in Nautilus' words: venue, symbol part of the InstrumentId, market."""

import re
from typing import Final

from msgspec.structs import replace

from hedgegrid_assets.venues import listings
from hedgegrid_assets.venues.forms import ALL_MARKETS, Exchange, Listing
from hedgegrid_assets.venues.registry import EXCHANGES

_OTHER: Final = Exchange(as_it_is=True)
_DATED: Final = re.compile(r"[-_]\d{6,8}$", re.ASCII)


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
        found = listings.listing_of(venues_of(exchange)[0], symbol, market)
        if found is not None:
            return replace(found, symbol=symbol) if row.as_it_is else found
    made = symbol if _DATED.search(symbol) else row.made.format(symbol=symbol)
    needs = () if row.markets != ALL_MARKETS or listings.is_known(venues_of(exchange)[0]) else ("market",)
    return Listing(made, "spot" if is_spot(exchange) else "usdm", needs=needs)


def _exchange(name: str) -> Exchange:
    return EXCHANGES.get(name, _OTHER)
