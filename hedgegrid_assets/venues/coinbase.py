"""Coinbase: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import SPOT, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "COINBASE": Venue((form("{b}-{q}", "[^-]+", "spot"),), maker_side=("side",)),
    "COINBASE_INTX": Venue((form("{b}-PERP", "", "usdm", quote="USDC"), form("{b}-{q}", "USDC", "spot"))),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "coinbase": SPOT,
    "coinbase-international": Exchange(("COINBASE_INTX",)),
}
