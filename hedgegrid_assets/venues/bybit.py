"""Bybit: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import CONTRACTS, Exchange, Venue, form

VENUES: Final[Mapping[str, Venue]] = {
    "BYBIT": Venue(
        (
            form("{b}{q}-{dmy}", "USDT", "usdm", "{symbol}-LINEAR"),
            form("{b}-{dmy}", "", "usdm", "{symbol}-LINEAR", quote="USDC"),
            form("{b}{q}", "USDT|USDC", "usdm", "{symbol}-LINEAR"),
            form("{b}PERP", "", "usdm", "{symbol}-LINEAR", quote="USDC"),
            form("{b}{q}", "USD", "coinm", "{symbol}-INVERSE"),
            form("{b}{q}{code}", "USD", "coinm", "{symbol}-INVERSE"),
            form("{b}{q}", "USDT|USDC|USDE|DAI|BTC|ETH|EUR|BRL|TRY|PLN", "spot", "{symbol}-SPOT"),
        )
    ),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "bybit": Exchange(markets=CONTRACTS, made="{symbol}-LINEAR"),
    "bybit-spot": Exchange(("BYBIT",), ("spot",), "{symbol}-SPOT"),
    "bybit-options": Exchange(("BYBIT",), (), "{symbol}-OPTION"),
}
