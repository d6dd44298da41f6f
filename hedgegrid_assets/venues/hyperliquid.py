"""Hyperliquid: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "HYPERLIQUID": Venue(
        (
            form("{b}-{q}-PERP", "USD", "usdm", settlement="USDC"),
            form("{b}", "", "usdm", "{symbol}-USD-PERP", quote="USD", settlement="USDC"),
        )
    ),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "hyperliquid": Exchange(as_it_is=True),
}
