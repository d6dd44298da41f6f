"""Which spelling of a symbol, and of a venue, in a CSV file is the one asked for; every other one is another instrument.

``BTCUSDT``, ``BTC-USDT``, ``BTC/USDT``, ``BTC/USDT:USDT`` and ``BTC/USDT:USDT-240329`` beside each other are five
instruments. The text that was asked for goes first, then what says that it is of the market asked for, then what says
nothing of its market; the first of equals in the file.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from hedgegrid_assets.venues import VENUES, Market, markets_of

_CCXT: Final = re.compile(r"([^/:\s]+)/([^/:\s]+?)(?::([^/:\s-]+)(?:-([0-9]{6}))?(-.+)?)?")
_PERPETUAL: Final = re.compile(r"(.+)(?:[-_.](?:PERP|PERPETUAL)|\.P)", re.IGNORECASE)
_TOOLS: Final = re.compile(r"[A-Z0-9]+(?:/[A-Z0-9]+(?::[A-Z0-9]+)?|-[A-Z0-9]+-PERP)")
_EXACT, _MARKED, _PLAIN, _OTHERWISE = range(4)
_LINEAR: Final[tuple[Market, ...]] = ("usdm",)
_INVERSE: Final[tuple[Market, ...]] = ("coinm",)
_SPOT: Final[tuple[Market, ...]] = ("spot",)
_WORDS: Final[Mapping[str, tuple[Market, ...]]] = {
    **dict.fromkeys(("usdtm", "usdsm", "usdm", "um", "linear"), _LINEAR),
    **dict.fromkeys(("coinm", "cm", "inverse", "delivery"), _INVERSE),
    **dict.fromkeys(("futures", "future", "swap", "perp", "perpetual", "derivatives", "dm"), _LINEAR + _INVERSE),
    "spot": _SPOT,
}
"""Endings of a venue's name, and the markets that they mean."""
_SAME: Final[Mapping[str, str]] = {
    **dict.fromkeys(("okex", "okexv5"), "okx"),
    **dict.fromkeys(("gateio", "gate"), "gateio"),
    "htx": "huobi",
    "binancecom": "binance",
    "cryptofacilities": "kraken",
    **dict.fromkeys(("coinbasepro", "gdax", "coinbaseexchange"), "coinbase"),
}
_MORE_VENUES: Final = ("bitflyer", "bithumb", "coinbase", "cryptocom", "ftx", "hitbtc", "kraken", "phemex", "poloniex")


# ---------------------------------------------------------------- symbols


class _Written(Struct, frozen=True):
    """What a spelling says: the symbol without signs, and the markets that it can be of; none: it says nothing."""

    plain: str
    markets: tuple[Market, ...] = ()
    is_option: bool = False


@lru_cache(maxsize=65_536)
def _written(text: str) -> _Written:
    perpetual = _PERPETUAL.fullmatch(text)
    if perpetual is not None:  # BTC-USDT-PERP, BTCUSDT.P
        return _Written(_without_signs(perpetual[1]), _LINEAR + _INVERSE)
    match = _CCXT.fullmatch(text)
    if match is None:
        return _Written(_without_signs(text))
    base, quote, settled, day, strike = match.groups()
    markets = _SPOT if settled is None else _INVERSE if settled.upper() == base.upper() else _LINEAR
    return _Written(f"{base}{quote}{day or ''}".upper(), markets, strike is not None)


def _without_signs(text: str) -> str:
    return re.sub(r"[-_/ ]", "", text).upper()


class Asked(Struct, frozen=True):
    """What is asked for: ``market`` if it is said; else the usual one of the venue for a symbol."""

    symbols: Sequence[str]
    venue: str = "BINANCE"
    market: Market | None = None

    def market_of(self, symbol: str) -> Market:
        """The market that a symbol is wanted of."""
        return self.market or next(iter(markets_of(self.venue, symbol)), "usdm")


def rank_of(text: str, symbol: str, market: Market) -> int | None:
    """How well a spelling fits a symbol of a market, 0 the best; None: it is another instrument."""
    if text.casefold() == symbol.casefold():
        return _EXACT
    written = _written(text)
    fits = {_without_signs(symbol)} | ({_without_signs(symbol).removesuffix("PERP")} if market == "coinm" else set())
    if written.is_option or written.plain not in fits or "/" in symbol:
        return None
    if not written.markets:
        return _PLAIN if written.plain == _without_signs(symbol) else None
    if market in written.markets:
        return _MARKED
    return _OTHERWISE if "spot" in written.markets else None


def spellings_of(texts: Iterable[str], asked: Asked, before: Mapping[str, str] | None = None) -> dict[str, str]:
    """Symbol -> the spelling of it, without case; ``texts`` in the order of the file, ``before`` what held so far."""
    found = dict(before or {})
    for text in texts:
        for symbol in _candidates(text, asked):
            rank, market = rank_of(text, symbol, asked.market_of(symbol)), asked.market_of(symbol)
            held = rank_of(found[symbol], symbol, market) if symbol in found else None
            if rank is not None and (held is None or rank < held):
                found[symbol] = text.casefold()
    return found


def plain_of(symbol: str) -> str:
    """What is spelled as ccxt and cryptofeed do, without signs and without its market, as files are named; else empty."""
    return _written(symbol).plain if _TOOLS.fullmatch(symbol) else ""


def market_said(spelling: str) -> Market | None:
    """The market that a spelling says; None: none, or one of several."""
    markets = _written(spelling).markets
    return markets[0] if len(markets) == 1 else None


def _candidates(text: str, asked: Asked) -> Sequence[str]:
    return _by_plain(tuple(asked.symbols)).get(_written(text).plain, ())


@lru_cache(maxsize=64)
def _by_plain(symbols: tuple[str, ...]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for symbol in symbols:
        plain = _without_signs(symbol)
        for key in dict.fromkeys((plain, plain.removesuffix("PERP"), _written(symbol).plain)):
            found.setdefault(key, []).append(symbol)
    return found


# ---------------------------------------------------------------- venues


def _venue_words(text: str) -> tuple[str, tuple[Market, ...]]:
    """A venue's plain name, and the markets that its spelling means; none: it says nothing."""
    name = re.sub(r"[^a-z0-9]", "", text.casefold())
    markets: tuple[Market, ...] = ()
    while word := next((word for word in _WORDS if name.endswith(word) and name != word), None):
        name = name.removesuffix(word)
        markets = markets if len(markets) == 1 else _WORDS[word]
    return _SAME.get(name, name), markets


@lru_cache(maxsize=4_096)
def venue_rank(text: str, venue: str, market: Market | None) -> int | None:
    """How well a spelling fits the venue and market asked for, 0 the best; None: it is another venue."""
    name, markets = _venue_words(text)
    asked, said = _venue_words(venue)
    if name != asked:
        return None
    wanted = (market,) if market else said
    if not markets:
        return _PLAIN
    if not wanted:
        return _MARKED if "usdm" in markets else _OTHERWISE
    return _MARKED if set(wanted) & set(markets) else None


def venue_in(texts: Iterable[str], asked: Asked, before: str | None = None) -> str | None:
    """The spelling of the venue asked for, without case; None: it is none of these."""
    found = before
    for text in texts:
        rank = venue_rank(text, asked.venue, asked.market)
        held = venue_rank(found, asked.venue, asked.market) if found is not None else None
        if rank is not None and (held is None or rank < held):
            found = text.casefold()
    return found


def are_venues(texts: Iterable[str]) -> bool:
    """All of these are venues that are known by name."""
    names = [_venue_words(text)[0] for text in texts]
    return bool(names) and all(name in _known_venues() for name in names)


@lru_cache(maxsize=1)
def _known_venues() -> frozenset[str]:
    return frozenset({*(_venue_words(name)[0] for name in VENUES), *_SAME.values(), *_MORE_VENUES})


def shown_venue(text: str) -> str:
    """A venue as ``--exchange`` takes it."""
    return re.sub(
        r"[^A-Z0-9]+",
        "_",
        re.sub(r"[-_ .](?:futures?|swaps?|spot|perp\w*|linear|inverse)$", "", text, flags=re.I).upper(),
    ).strip("_")
