"""KuCoin: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import CONTRACTS, UNKNOWN, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "KUCOIN": Venue(
        (
            form("{b}-{q}", "[^-]+", "spot"),
            form("{b}{q}M", "USDT|USDC", "usdm", contract=UNKNOWN),
            form("{b}{q}M", "USD", "coinm"),
        )
    ),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "kucoin-futures": Exchange(("KUCOIN",), CONTRACTS),
}
