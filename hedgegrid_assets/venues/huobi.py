"""HTX, once Huobi: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import SPOT, UNKNOWN, USD_CONTRACT, Exchange, Venue, form

_HUOBI: Final = Venue(
    (
        form("{b}-{q}", "USDT", "usdm", "{symbol}-PERP", contract=UNKNOWN),
        form("{b}-{q}", "USD", "coinm", contract=USD_CONTRACT),
        form("{b}{q}", "USDT|USDC|USDD|HUSD|EUR|BTC|ETH|TRX|HT", "spot"),
    )
)

VENUES: Final[Mapping[str, Venue]] = {
    "HTX": _HUOBI,
    "HUOBI": _HUOBI,
    "HUOBI_DELIVERY": Venue((form("{b}-{q}", "USD", "coinm", contract=USD_CONTRACT),)),
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "huobi": SPOT,
    "huobi-dm": Exchange(("HUOBI",), as_it_is=True),
    "huobi-dm-linear-swap": Exchange(("HUOBI",), ("usdm",), as_it_is=True),
    "huobi-dm-options": Exchange(("HUOBI",), as_it_is=True),
    "huobi-dm-swap": Exchange(("HUOBI_DELIVERY",)),
}
