"""Gemini: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import SPOT, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "GEMINI": Venue((form("{b}{q}", "USDT|USDC|(?<!G)USD|EUR|GBP|SGD|DAI|BTC|ETH", "spot"),)),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "gemini": SPOT,
}
