"""Bitstamp: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import SPOT, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "BITSTAMP": Venue((form("{b}/?{q}", "USDT|USDC|USD|EUR|GBP|BTC|ETH", "spot"),)),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "bitstamp": SPOT,
}
