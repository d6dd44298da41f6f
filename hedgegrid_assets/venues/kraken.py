"""Kraken: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "KRAKEN": Venue(
        (
            form("PF_{b}{q}", "USD|EUR|GBP", "usdm"),
            form("P[IV]_{b}{q}", "USD", "coinm"),
            form(
                "(?!X...Z){b}/?{q}",  # XXBTZUSD: another name of XBTUSD
                "USDT|USDC|USD|EUR|GBP|CAD|JPY|CHF|AUD|DAI|XBT|ETH",
                "spot",
                "{base}/{quote}",
                names={"XBT": "BTC", "XDG": "DOGE"},
            ),
        )
    ),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "kraken": Exchange(markets=("spot",), as_it_is=True),
}
