"""OKX, once OKEx: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import CONTRACTS, UNKNOWN, USD_CONTRACT, Exchange, Venue, form

_CONTRACT: Final[Mapping[str, str]] = {"BTC": "0.01", "ETH": "0.1"}
_NAMES: Final = ("OKEX", "OKX")
_OKX: Final = Venue(
    (
        form("{b}-{q}-SWAP", "USD", "coinm", contract=USD_CONTRACT),
        form("{b}-{q}-SWAP", "USDT", "usdm", contract=_CONTRACT),
        form("{b}-{q}-SWAP", "USDC", "usdm", contract=UNKNOWN),
        form("{b}-{q}-{ymd}", "USD", "coinm", contract=USD_CONTRACT),
        form("{b}-{q}-{ymd}", "USDT", "usdm", contract=_CONTRACT),
        form("{b}-{q}-{ymd}", "USDC", "usdm", contract=UNKNOWN),
        form("{b}-{q}", "[^-]+", "spot"),
    )
)


VENUES: Final[Mapping[str, Venue]] = {
    "OKCOIN": _OKX,
    "OKEX": _OKX,
    "OKX": _OKX,
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "okex": Exchange(_NAMES, ("spot",)),
    "okex-futures": Exchange(_NAMES, CONTRACTS),
    "okex-options": Exchange(_NAMES, ()),
    "okex-spreads": Exchange(_NAMES, ()),
    "okex-swap": Exchange(_NAMES, CONTRACTS),
}
