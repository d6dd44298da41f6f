"""Upbit: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import SPOT, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "UPBIT": Venue((form("{q}-{b}", "KRW|USDT|BTC", "spot"),)),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "upbit": SPOT,
}
