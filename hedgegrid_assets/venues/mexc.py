"""MEXC: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import CONTRACTS, SPOT, UNKNOWN, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "MEXC": Venue(
        (
            form("{b}_{q}", "USDT|USDC", "usdm", "{symbol}-PERP", contract=UNKNOWN),
            form("{b}_{q}", "USD", "coinm", "{symbol}-PERP", contract=UNKNOWN),
            form("{b}{q}", "USDT|USDC|BTC|ETH|EUR|BRL", "spot"),
        )
    ),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "mexc": SPOT,
    "mexc-futures": Exchange(("MEXC",), CONTRACTS, "{symbol}-PERP"),
}
