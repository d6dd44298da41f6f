"""Deribit: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "DERIBIT": Venue(
        (
            form("{b}_{q}-PERPETUAL", "USDC|USDT", "usdm"),
            form("{b}-PERPETUAL", "", "coinm", quote="USD"),
            form("{b}_{q}-{dmy}", "USDC|USDT", "usdm"),
            form("{b}-{dmy}", "", "coinm", quote="USD"),
            form("{b}_{q}", "[^-_]+", "spot"),
        )
    ),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {}
