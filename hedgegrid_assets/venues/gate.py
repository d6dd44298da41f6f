"""Gate.io: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import CONTRACTS, SPOT, UNKNOWN, Exchange, Venue, form

_GATE_IO: Final = Venue(
    (
        form("{b}_{q}", "USDT", "usdm", "{symbol}-PERP", contract=UNKNOWN),
        form("{b}_{q}", "[^-_]+", "spot"),
        form("{b}_{q}", "USD", "coinm", "{symbol}-PERP", if_said=True),
    )
)

VENUES: Final[Mapping[str, Venue]] = {
    "GATE_IO": _GATE_IO,
    "GATE": _GATE_IO,
    "GATEIO": _GATE_IO,
}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "gate-io": SPOT,
    "gate-io-futures": Exchange(("GATE_IO",), CONTRACTS, "{symbol}-PERP"),
}
