"""BitMEX: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import CONTRACTS, UNKNOWN, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "BITMEX": Venue(  # ETHUSD and the like are quanto, settled in XBT: nothing here says what they are worth
        (
            form("(?P<base>XBT){q}", "USD", "coinm"),
            form("(?P<base>XBT){code}", "", "coinm", quote="USD", expires_at=12),
            form("{b}{q}", "USDT", "usdm", contract=UNKNOWN),
        )
    ),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "bitmex": Exchange(markets=CONTRACTS),
}
