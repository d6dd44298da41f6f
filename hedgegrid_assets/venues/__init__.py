"""Venues in Nautilus' words: how each writes its symbols, and what a symbol says of its instrument. A row a venue.

A row is a list of forms, the most special first. The first form that a symbol fits, of the market asked for, says its
part of the InstrumentId (as Nautilus' own adapter of the venue makes it), its currencies, whether it is inverse, and
what one unit of ``size`` in the venue's data is worth.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Any, Final, Literal

from hedgegrid_assets.errors import InstrumentUnknown
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_start

type Market = Literal["usdm", "coinm", "spot"]
"""Which of a venue's markets a symbol belongs to; ``coinm`` is inverse: settled in the base currency."""

BASE_UNITS: Final = "1"
"""Sizes are amounts of the base currency; for an inverse contract: of the quote currency."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How an exchange lists a symbol: what an InstrumentId and a definition are made of.

    Attributes:
        symbol: The symbol's part of the InstrumentId.
        market: Of the definition; ``coinm``: settled in the base currency.
        said: What the symbol itself says of its definition (``base``, ``quote``, ...), as in ``instruments:`` of a feed;
            ``expiration_ns`` of a dated contract.
        needs: What has to be said besides, as nobody can know it from the symbol.
    """

    symbol: str
    market: Market
    said: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spelled:
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


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a venue writes symbols.

    Attributes:
        pattern: Regular expression of the whole symbol, with the groups ``base``, ``quote`` and, if dated, one of ``ymd`` (240329), ``dmy``
            (29MAR24) or ``code`` (H24).
        market: ``coinm`` is inverse: settled in the base currency.
        made: The symbol's part of the InstrumentId; ``{symbol}`` and the groups can stand in it.
        quote: Quote currency, where the symbol does not say it.
        settlement: Settlement currency, where it is neither the base currency of ``coinm`` nor the quote currency.
        contract: Value of one unit of ``size``: one for all, or base currency -> its own; a base that is missing has to
            be told. In base currency, for ``coinm`` in quote currency.
        expires_at: Hour of the day, UTC, of a dated contract.
        names: Currency in the symbol -> as the adapter writes it.
        if_said: Tried only if the market is said.
    """

    pattern: str
    market: Market
    made: str = "{symbol}"
    quote: str = ""
    settlement: str = ""
    contract: str | Mapping[str, str] = BASE_UNITS
    expires_at: int = 8
    names: Mapping[str, str] = field(default_factory=dict)
    if_said: bool = False


@dataclass(frozen=True, slots=True)
class Venue:
    """One venue.

    Attributes:
        forms: In the order in which they are tried; of several markets, the first one's is taken if none is said.
        maker_side: Columns of its own trades in which the side is the maker's.
    """

    forms: tuple[Form, ...]
    maker_side: tuple[str, ...] = ()


# ---------------------------------------------------------------- the forms

_STABLE: Final = "USDT|USDC|USD1|USDP|DAI"
_FIAT: Final = "EUR|GBP|AUD|CAD|CHF|JPY|KRW|TRY|BRL|RUB|UAH|NGN|ZAR|PLN|RON|ARS|MXN|COP|CZK|IDRT?|BIDR|INR|SGD|HKD"
_COINS: Final = "BTC|XBT|ETH|BNB|XRP|TRX|DOGE|SOL"
_BINANCE_QUOTES: Final = f"(?<=...)(?:FDUSD|BUSD|TUSD)|{_STABLE}|{_FIAT}|{_COINS}"
"""Binance has no pairs in USD; the base of BUSD, TUSD and FDUSD has three letters there, so that ARBUSD is no AR."""
_ANY_QUOTE: Final = f"{_STABLE}|FDUSD|BUSD|TUSD|USD|{_FIAT}|{_COINS}"
_CLEAR_QUOTE: Final = f"{_STABLE}|(?<![BT])(?<!FD)USD|{_FIAT}|{_COINS}"
"""Where nobody says that there is no BUSD or no USD, ARBUSD can be AR in BUSD or ARB in USD."""

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_GROUPS: Final[Mapping[str, str]] = {
    "{b}": r"(?P<base>[^-_/:@]+?)",
    "{ymd}": r"(?P<ymd>\d{6})",
    "{dmy}": rf"(?P<dmy>\d{{1,2}}(?:{'|'.join(_MONTHS)})\d{{2}})",
    "{code}": r"(?P<code>[HMUZ]\d{2})",
}
_CODES: Final[Mapping[str, int]] = {"H": 3, "M": 6, "U": 9, "Z": 12}


def _form(text: str, quotes: str, market: Market, made: str = "{symbol}", **more: Any) -> Form:
    """A form: ``{b}`` and ``{q}`` in its text are base and quote currency, ``{ymd}``, ``{dmy}`` and ``{code}`` a date."""
    for mark, group in _GROUPS.items():
        text = text.replace(mark, group)
    return Form(text.replace("{q}", f"(?P<quote>{quotes})"), market, made, **more)


_UNKNOWN: Final[Mapping[str, str]] = {}
"""Contracts of which only the venue's own list says what they are worth."""
_USD_CONTRACT: Final[Mapping[str, str]] = defaultdict(lambda: "10", BTC="100")
_OKX_CONTRACT: Final[Mapping[str, str]] = {"BTC": "0.01", "ETH": "0.1"}
_PERPETUAL: Final = "[-_](?:PERP|PERPETUAL|SWAP)"

_BINANCE: Final = Venue(
    (
        _form("{b}{q}_PERP", "USD", "coinm", "{base}{quote}-PERP", contract=_USD_CONTRACT),
        _form("{b}{q}_{ymd}", "USD", "coinm", contract=_USD_CONTRACT),
        _form("{b}{q}_{ymd}", _BINANCE_QUOTES, "usdm"),
        _form("{b}{q}", _BINANCE_QUOTES, "usdm", "{symbol}-PERP"),
        _form("{b}{q}", _BINANCE_QUOTES, "spot"),
        _form("{b}{q}", "USD", "coinm", "{symbol}-PERP", contract=_USD_CONTRACT, if_said=True),  # the index of a pair
    )
)
_DYDX: Final = Venue((_form("{b}-{q}", "USD", "usdm", "{symbol}-PERP", settlement="USDC"),))
_GATE_IO: Final = Venue(
    (
        _form("{b}_{q}", "USDT", "usdm", "{symbol}-PERP", contract=_UNKNOWN),
        _form("{b}_{q}", "[^-_]+", "spot"),
        _form("{b}_{q}", "USD", "coinm", "{symbol}-PERP", if_said=True),
    )
)
_HUOBI: Final = Venue(
    (
        _form("{b}-{q}", "USDT", "usdm", "{symbol}-PERP", contract=_UNKNOWN),
        _form("{b}-{q}", "USD", "coinm", contract=_USD_CONTRACT),
        _form("{b}{q}", "USDT|USDC|USDD|HUSD|EUR|BTC|ETH|TRX|HT", "spot"),
    )
)
_OKX: Final = Venue(
    (
        _form("{b}-{q}-SWAP", "USD", "coinm", contract=_USD_CONTRACT),
        _form("{b}-{q}-SWAP", "USDT", "usdm", contract=_OKX_CONTRACT),
        _form("{b}-{q}-SWAP", "USDC", "usdm", contract=_UNKNOWN),
        _form("{b}-{q}-{ymd}", "USD", "coinm", contract=_USD_CONTRACT),
        _form("{b}-{q}-{ymd}", "USDT", "usdm", contract=_OKX_CONTRACT),
        _form("{b}-{q}-{ymd}", "USDC", "usdm", contract=_UNKNOWN),
        _form("{b}-{q}", "[^-]+", "spot"),
    )
)

VENUES: Final[Mapping[str, Venue]] = {
    "BINANCE": _BINANCE,
    "BINANCE_DELIVERY": Venue(  # as Nautilus' Tardis adapter names them
        (
            _form("{b}{q}_PERP", "USD", "coinm", contract=_USD_CONTRACT),
            _form("{b}{q}_{ymd}", "USD", "coinm", contract=_USD_CONTRACT),
        )
    ),
    "BINANCE_US": Venue((_form("{b}{q}", "USDT|USDC|(?<!B)USD|DAI|BTC|ETH|BNB", "spot"),)),
    "BITFINEX": Venue((_form("{b}F0:{q}F0", "UST", "usdm"), _form("{b}:?{q}", "USD|UST|EUR|GBP|JPY|BTC|ETH", "spot"))),
    "BITGET": Venue(
        (
            _form("{b}{q}", "USDT|USDC", "usdm", "{symbol}-PERP"),
            _form("{b}PERP", "", "usdm", quote="USDC"),
            _form("{b}{q}", "USDT|USDC|BTC|ETH|EUR", "spot"),
        )
    ),
    "BITMEX": Venue(  # ETHUSD and the like are quanto, settled in XBT: nothing here says what they are worth
        (
            _form("(?P<base>XBT){q}", "USD", "coinm"),
            _form("(?P<base>XBT){code}", "", "coinm", quote="USD", expires_at=12),
            _form("{b}{q}", "USDT", "usdm", contract=_UNKNOWN),
        )
    ),
    "BITSTAMP": Venue((_form("{b}/?{q}", "USDT|USDC|USD|EUR|GBP|BTC|ETH", "spot"),)),
    "BYBIT": Venue(
        (
            _form("{b}{q}-{dmy}", "USDT", "usdm", "{symbol}-LINEAR"),
            _form("{b}-{dmy}", "", "usdm", "{symbol}-LINEAR", quote="USDC"),
            _form("{b}{q}", "USDT|USDC", "usdm", "{symbol}-LINEAR"),
            _form("{b}PERP", "", "usdm", "{symbol}-LINEAR", quote="USDC"),
            _form("{b}{q}", "USD", "coinm", "{symbol}-INVERSE"),
            _form("{b}{q}{code}", "USD", "coinm", "{symbol}-INVERSE"),
            _form("{b}{q}", "USDT|USDC|USDE|DAI|BTC|ETH|EUR|BRL|TRY|PLN", "spot", "{symbol}-SPOT"),
        )
    ),
    "COINBASE": Venue((_form("{b}-{q}", "[^-]+", "spot"),), maker_side=("side",)),
    "COINBASE_INTX": Venue((_form("{b}-PERP", "", "usdm", quote="USDC"), _form("{b}-{q}", "USDC", "spot"))),
    "DERIBIT": Venue(
        (
            _form("{b}_{q}-PERPETUAL", "USDC|USDT", "usdm"),
            _form("{b}-PERPETUAL", "", "coinm", quote="USD"),
            _form("{b}_{q}-{dmy}", "USDC|USDT", "usdm"),
            _form("{b}-{dmy}", "", "coinm", quote="USD"),
            _form("{b}_{q}", "[^-_]+", "spot"),
        )
    ),
    "DYDX": _DYDX,
    "DYDX_V4": _DYDX,
    "GATE_IO": _GATE_IO,
    "GATE": _GATE_IO,
    "GATEIO": _GATE_IO,
    "GEMINI": Venue((_form("{b}{q}", "USDT|USDC|(?<!G)USD|EUR|GBP|SGD|DAI|BTC|ETH", "spot"),)),
    "HTX": _HUOBI,
    "HUOBI": _HUOBI,
    "HUOBI_DELIVERY": Venue((_form("{b}-{q}", "USD", "coinm", contract=_USD_CONTRACT),)),
    "HYPERLIQUID": Venue(
        (
            _form("{b}-{q}-PERP", "USD", "usdm", settlement="USDC"),
            _form("{b}", "", "usdm", "{symbol}-USD-PERP", quote="USD", settlement="USDC"),
        )
    ),
    "KRAKEN": Venue(
        (
            _form("PF_{b}{q}", "USD|EUR|GBP", "usdm"),
            _form("P[IV]_{b}{q}", "USD", "coinm"),
            _form(
                "(?!X...Z){b}/?{q}",  # XXBTZUSD: another name of XBTUSD
                "USDT|USDC|USD|EUR|GBP|CAD|JPY|CHF|AUD|DAI|XBT|ETH",
                "spot",
                "{base}/{quote}",
                names={"XBT": "BTC", "XDG": "DOGE"},
            ),
        )
    ),
    "KUCOIN": Venue(
        (
            _form("{b}-{q}", "[^-]+", "spot"),
            _form("{b}{q}M", "USDT|USDC", "usdm", contract=_UNKNOWN),
            _form("{b}{q}M", "USD", "coinm"),
        )
    ),
    "MEXC": Venue(
        (
            _form("{b}_{q}", "USDT|USDC", "usdm", "{symbol}-PERP", contract=_UNKNOWN),
            _form("{b}_{q}", "USD", "coinm", "{symbol}-PERP", contract=_UNKNOWN),
            _form("{b}{q}", "USDT|USDC|BTC|ETH|EUR|BRL", "spot"),
        )
    ),
    "OKCOIN": _OKX,
    "OKEX": _OKX,
    "OKX": _OKX,
    "SIM": _BINANCE,
    "UPBIT": Venue((_form("{q}-{b}", "KRW|USDT|BTC", "spot"),)),
}
"""Nautilus venue -> how it writes symbols."""

_ELSEWHERE: Final = Venue(
    (
        _form(f"{{b}}[-_/]{{q}}{_PERPETUAL}", _ANY_QUOTE, "usdm"),
        _form("{b}[-_/]{q}[-_]{ymd}", _ANY_QUOTE, "usdm"),
        _form("{b}{q}[-_]{ymd}", _CLEAR_QUOTE, "usdm"),
        _form("{b}[-_/]{q}", _ANY_QUOTE, "usdm", "{symbol}-PERP"),
        _form("{b}{q}", _CLEAR_QUOTE, "usdm", "{symbol}-PERP"),
        _form("{b}[-_/]{q}", _ANY_QUOTE, "spot"),
        _form("{b}{q}", _CLEAR_QUOTE, "spot"),
        _form(f"{{b}}[-_/]?{{q}}{_PERPETUAL}", "USD", "coinm", contract=_UNKNOWN, if_said=True),
        _form("{b}[-_/]?{q}[-_]{ymd}", "USD", "coinm", contract=_UNKNOWN, if_said=True),
        _form("{b}[-_/]?{q}", "USD", "coinm", "{symbol}-PERP", contract=_UNKNOWN, if_said=True),
    )
)
"""A venue without a row."""


_CCXT: Final = re.compile(r"([A-Z0-9]+)/([A-Z0-9]+)(?::([A-Z0-9]+)(?:-([0-9]{6}))?)?", re.ASCII)
_CRYPTOFEED: Final = re.compile(r"([A-Z0-9]+)-([A-Z0-9]+?)(-PERP)?", re.ASCII)
_ALL: Final[tuple[Market, ...]] = ("usdm", "coinm", "spot")


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
        return Spelled(base, quote, ("usdm", "coinm") if perpetual else _ALL, is_marked=bool(perpetual))
    match = _CCXT.fullmatch(symbol)
    if match is None:
        return None
    base, quote, settled, day = match.groups()
    if settled is None:
        return Spelled(base, quote, _ALL)
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
            found = _listing(form, symbol)
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
    return VENUES.get(venue, _ELSEWHERE).forms


def _listings(venue: str, symbol: str, market: Market | None) -> Iterator[Listing]:
    for form in _forms(venue):
        if market == form.market or (market is None and not form.if_said):
            found = _listing(form, symbol)
            if found is not None:
                yield found


def _is_own(venue: str, symbol: str) -> bool:
    return any(_compiled(form.pattern).fullmatch(symbol) for form in _forms(venue))


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


def _listing(form: Form, symbol: str) -> Listing | None:
    match = _compiled(form.pattern).fullmatch(symbol)
    if match is None:
        return None
    parts = match.groupdict()
    base, quote = parts["base"], parts.get("quote") or form.quote
    base, quote = form.names.get(base, base), form.names.get(quote, quote)
    said = {"base": base, "quote": quote, "settlement": form.settlement or (base if form.market == "coinm" else quote)}
    expiry = _expiry(symbol, parts, form.expires_at)
    if expiry is not None:
        said["expiration_ns"] = str(expiry)
    worth = form.contract if isinstance(form.contract, str) else _worth(form.contract, base)
    if worth:
        said["multiplier"] = worth
    made = form.made.format(symbol=symbol, base=base, quote=quote)
    return Listing(made, form.market, said, needs=() if worth else ("multiplier",))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _worth(contracts: Mapping[str, str], base: str) -> str:
    try:
        return contracts[base]
    except KeyError:
        return ""


def _expiry(symbol: str, parts: Mapping[str, str], hour: int) -> int | None:
    """When a dated contract is settled, in ns since 1970. Raises InstrumentUnknown for a date that does not exist."""
    try:
        if "ymd" in parts:
            day = date.fromisoformat(f"20{parts['ymd']}")
        elif "dmy" in parts:
            number, month, year = parts["dmy"][:-5], parts["dmy"][-5:-2], parts["dmy"][-2:]
            day = date(2000 + int(year), _MONTHS.index(month) + 1, int(number))
        elif "code" in parts:
            day = _last_friday(2000 + int(parts["code"][1:]), _CODES[parts["code"][0]])
        else:
            return None
    except ValueError:
        found = parts.get("ymd") or parts.get("dmy")
        raise InstrumentUnknown(symbol, f"its expiry is no date: expected YYMMDD or DDMMMYY, found {found}") from None
    return day_start(day) + hour * 3600 * NS_PER_SECOND


def _last_friday(year: int, month: int) -> date:
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - 4) % 7)
