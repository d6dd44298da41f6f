"""Venues in Nautilus' words: how each writes its symbols, and what a symbol says of its instrument. A file a venue.

A venue is a list of forms, the most special first. The first form that a symbol fits, of the market asked for, says its
part of the InstrumentId (as Nautilus' own adapter of the venue makes it), its currencies, whether it is inverse, and
what one unit of ``size`` in the venue's data is worth.
"""

from hedgegrid_assets.venues.forms import BASE_UNITS, Form, Listing, Market, Venue
from hedgegrid_assets.venues.listings import (
    Spelled,
    has_makers_side,
    is_known,
    is_makers,
    listing_of,
    listing_of_id,
    markets_of,
    own_symbols,
    spelled,
)
from hedgegrid_assets.venues.registry import EXCHANGES, VENUES

__all__ = [
    "BASE_UNITS",
    "EXCHANGES",
    "VENUES",
    "Form",
    "Listing",
    "Market",
    "Spelled",
    "Venue",
    "has_makers_side",
    "is_known",
    "is_makers",
    "listing_of",
    "listing_of_id",
    "markets_of",
    "own_symbols",
    "spelled",
]
