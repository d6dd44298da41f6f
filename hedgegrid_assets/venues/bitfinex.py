"""Bitfinex: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "BITFINEX": Venue((form("{b}F0:{q}F0", "UST", "usdm"), form("{b}:?{q}", "USD|UST|EUR|GBP|JPY|BTC|ETH", "spot"))),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "bitfinex": Exchange(markets=("spot",), as_it_is=True),
    "bitfinex-derivatives": Exchange(("BITFINEX",), ("usdm",)),
}
