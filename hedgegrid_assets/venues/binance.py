"""Binance: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import COINS, FIAT, SPOT, STABLE, USD_CONTRACT, Exchange, Venue, form

_QUOTES: Final = f"(?<=...)(?:FDUSD|BUSD|TUSD)|{STABLE}|{FIAT}|{COINS}"
"""Binance has no pairs in USD; the base of BUSD, TUSD and FDUSD has three letters there, so that ARBUSD is no AR."""

BINANCE: Final = Venue(
    (
        form("{b}{q}_PERP", "USD", "coinm", "{base}{quote}-PERP", contract=USD_CONTRACT),
        form("{b}{q}_{ymd}", "USD", "coinm", contract=USD_CONTRACT),
        form("{b}{q}_{ymd}", _QUOTES, "usdm"),
        form("{b}{q}", _QUOTES, "usdm", "{symbol}-PERP"),
        form("{b}{q}", _QUOTES, "spot"),
        form("{b}{q}", "USD", "coinm", "{symbol}-PERP", contract=USD_CONTRACT, if_said=True),  # the index of a pair
    )
)

VENUES: Final[Mapping[str, Venue]] = {
    "BINANCE": BINANCE,
    "BINANCE_DELIVERY": Venue(  # as Nautilus' Tardis adapter names them
        (
            form("{b}{q}_PERP", "USD", "coinm", contract=USD_CONTRACT),
            form("{b}{q}_{ymd}", "USD", "coinm", contract=USD_CONTRACT),
        )
    ),
    "BINANCE_US": Venue((form("{b}{q}", "USDT|USDC|(?<!B)USD|DAI|BTC|ETH|BNB", "spot"),)),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "binance": SPOT,
    "binance-us": SPOT,
    "binance-futures": Exchange(("BINANCE",), ("usdm",), "{symbol}-PERP"),
    "binance-delivery": Exchange(markets=("coinm",)),
    "binance-options": Exchange(("BINANCE",), as_it_is=True),
    "binance-european-options": Exchange(("BINANCE",), as_it_is=True),
    "binance-dex": Exchange(("BINANCE",), as_it_is=True),
    "binance-jersey": Exchange(("BINANCE",), as_it_is=True),
}
