"""Bitget: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import CONTRACTS, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "BITGET": Venue(
        (
            form("{b}{q}", "USDT|USDC", "usdm", "{symbol}-PERP"),
            form("{b}PERP", "", "usdm", quote="USDC"),
            form("{b}{q}", "USDT|USDC|BTC|ETH|EUR", "spot"),
        )
    ),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "bitget-futures": Exchange(("BITGET",), CONTRACTS, as_it_is=True),
}
