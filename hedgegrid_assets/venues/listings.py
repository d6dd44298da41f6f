"""What a symbol of a venue says of its instrument, and how a venue writes what others spell."""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from hedgegrid_assets.errors import InstrumentUnknown
from hedgegrid_assets.venues.elsewhere import ELSEWHERE
from hedgegrid_assets.venues.forms import ALL_MARKETS, Form, Listing, Market, compiled, fitted
from hedgegrid_assets.venues.registry import VENUES

_CCXT: Final = re.compile(r"([A-Z0-9]+)/([A-Z0-9]+)(?::([A-Z0-9]+)(?:-([0-9]{6}))?)?", re.ASCII)
_CRYPTOFEED: Final = re.compile(r"([A-Z0-9]+)-([A-Z0-9]+?)(-PERP)?", re.ASCII)


class Spelled(Struct, frozen=True):
    """What ccxt and cryptofeed write for every venue: ``BTC/USDT``, ``BTC/USDT:USDT-240329``, ``BTC-USDT-PERP``.

    Attributes:
        markets: Those that it can be of.
        is_marked: It says them itself: no other market can be meant.
    """

    base: str
    quote: str
    markets: tuple[Market, ...]
    settlement: str = ""
    day: str = ""
    is_marked: bool = False


# ---------------------------------------------------------------- asking


def listing_of(venue: str, symbol: str, market: Market | None = None) -> Listing | None:
    """What a symbol of a venue says of its instrument; ``market`` if it is said. None: nothing that is known.

    Raises InstrumentUnknown where the symbol has a date that does not exist.
    """
    return next(_listings(venue, symbol, market), None)


def markets_of(venue: str, symbol: str) -> list[Market]:
    """The markets of a venue that write a symbol so, the usual one first."""
    return list(dict.fromkeys(listing.market for listing in _listings(venue, symbol, None)))


def spelled(venue: str, symbol: str) -> Spelled | None:
    """What a spelling of ccxt's or cryptofeed's says; None: it is none, or the venue itself may write so."""
    if not is_known(venue) or _is_own(venue, symbol):
        return None
    match = _CRYPTOFEED.fullmatch(symbol)
    if match is not None:
        base, quote, perpetual = match.groups()
        return Spelled(base, quote, ("usdm", "coinm") if perpetual else ALL_MARKETS, is_marked=bool(perpetual))
    match = _CCXT.fullmatch(symbol)
    if match is None:
        return None
    base, quote, settled, day = match.groups()
    if settled is None:
        return Spelled(base, quote, ALL_MARKETS)
    return Spelled(base, quote, ("coinm",) if settled == base else ("usdm",), settled, day or "", is_marked=True)


def own_symbols(venue: str, symbol: str, market: Market | None = None) -> list[tuple[str, Listing]]:
    """How the venue writes what is spelled so: one of each market in which that is beyond doubt."""
    said = spelled(venue, symbol)
    markets = () if said is None else [one for one in said.markets if market in (None, one)]
    found: list[tuple[str, Listing]] = []
    for one in markets:
        assert said is not None
        fits = _own_symbols(venue, said, one)
        if len({listing.symbol for listing in fits.values()}) == 1:
            found.append(next(iter(fits.items())))
    return found


def listing_of_id(venue: str, name: str) -> Listing | None:
    """What the symbol's part of an InstrumentId says, as the venue's adapter makes it."""
    for form in _forms(venue):
        ending = form.made.removeprefix("{symbol}") if form.made.startswith("{symbol}") else ""
        for symbol in dict.fromkeys((name.removesuffix(ending), name.replace("-", "_"))):
            found = fitted(form, symbol)
            if found is not None and found.symbol == name:
                return found
    return None


def is_known(venue: str) -> bool:
    """A row says how the venue writes symbols."""
    return venue in VENUES


def has_makers_side(venue: str) -> bool:
    """Some column of the venue's own trades holds the maker's side."""
    return is_known(venue) and bool(VENUES[venue].maker_side)


def is_makers(venue: str, column: str) -> bool:
    """A column of the venue's own trades holds the maker's side."""
    return is_known(venue) and column.strip().lower() in VENUES[venue].maker_side


# ---------------------------------------------------------------- steps


def _forms(venue: str) -> tuple[Form, ...]:
    return VENUES.get(venue, ELSEWHERE).forms


def _listings(venue: str, symbol: str, market: Market | None) -> Iterator[Listing]:
    for form in _forms(venue):
        if market == form.market or (market is None and not form.if_said):
            found = fitted(form, symbol)
            if found is not None:
                yield found


def _is_own(venue: str, symbol: str) -> bool:
    return any(compiled(form.pattern).fullmatch(symbol) for form in _forms(venue))


def _own_symbols(venue: str, said: Spelled, market: Market) -> dict[str, Listing]:
    heads = [f"{said.base}{mark}{said.quote}" for mark in ("", "-", "_")]
    ends = [f"{mark}{said.day}" for mark in "_-"] if said.day else [""] if market == "spot" else ["_PERP", "-SWAP", ""]
    found: dict[str, Listing] = {}
    for symbol in (head + end for end in ends for head in heads):
        listing = _listing_if_any(venue, symbol, market)
        if listing is None or listing.needs or ("expiration_ns" in listing.said) != bool(said.day):
            continue
        by_id = listing_of_id(venue, listing.symbol)
        same = (listing.said["base"], listing.said["quote"]) == (said.base, said.quote)
        settled = not said.settlement or said.settlement == listing.said["settlement"]
        if same and settled and by_id is not None and by_id.market == market:
            found[symbol] = listing
    return found


def _listing_if_any(venue: str, symbol: str, market: Market) -> Listing | None:
    try:
        return listing_of(venue, symbol, market)
    except InstrumentUnknown:  # a date that is none
        return None
