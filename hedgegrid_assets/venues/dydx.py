"""dYdX: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import Exchange, Venue, form

_DYDX: Final = Venue((form("{b}-{q}", "USD", "usdm", "{symbol}-PERP", settlement="USDC"),))

VENUES: Final[Mapping[str, Venue]] = {
    "DYDX": _DYDX,
    "DYDX_V4": _DYDX,
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "dydx": Exchange(made="{symbol}-PERP"),
    "dydx-v4": Exchange(made="{symbol}-PERP"),
}
