"""FTX: how it writes its symbols, and what Tardis calls its parts."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.forms import Exchange, Venue

VENUES: Final[Mapping[str, Venue]] = {}

EXCHANGES: Final[Mapping[str, Exchange]] = {
    "ftx-us": Exchange(("FTX",), as_it_is=True),
}
