"""Synthetic data, with symbols as Binance writes them."""

from collections.abc import Mapping
from typing import Final

from hedgegrid_assets.venues.binance import BINANCE
from hedgegrid_assets.venues.forms import Exchange, Venue

VENUES: Final[Mapping[str, Venue]] = {
    "SIM": BINANCE,
}

EXCHANGES: Final[Mapping[str, Exchange]] = {}
