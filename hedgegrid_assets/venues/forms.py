"""How a venue writes its symbols: forms, and what a symbol that fits one says of its instrument."""

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any, Final, Literal

from msgspec import Struct, field

from hedgegrid_assets.errors import InstrumentUnknown
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_start

type Market = Literal["usdm", "coinm", "spot"]
"""Which of a venue's markets a symbol belongs to; ``coinm`` is inverse: settled in the base currency."""

ALL_MARKETS: Final[tuple[Market, ...]] = ("usdm", "coinm", "spot")

BASE_UNITS: Final = "1"
"""Sizes are amounts of the base currency; for an inverse contract: of the quote currency."""


class Listing(Struct, frozen=True):
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


class Form(Struct, frozen=True):
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


class Venue(Struct, frozen=True):
    """One venue.

    Attributes:
        forms: In the order in which they are tried; of several markets, the first one's is taken if none is said.
        maker_side: Columns of its own trades in which the side is the maker's.
    """

    forms: tuple[Form, ...]
    maker_side: tuple[str, ...] = ()


class Exchange(Struct, frozen=True):
    """What Tardis and others call an exchange: a part of a venue, and how its symbols are named there.

    Attributes:
        venues: Nautilus venues, its Tardis adapter's own first; none: the exchange's name in capitals, ``-`` as ``_``.
        markets: What it has of the venue.
        made: Symbol part of the InstrumentId of what the venue's forms do not know.
        as_it_is: The Tardis adapter leaves symbols alone, whatever the venue's own adapter makes of them.
    """

    venues: tuple[str, ...] = ()
    markets: tuple[Market, ...] = ALL_MARKETS
    made: str = "{symbol}"
    as_it_is: bool = False


# ---------------------------------------------------------------- what several venues share

STABLE: Final = "USDT|USDC|USD1|USDP|DAI"
FIAT: Final = "EUR|GBP|AUD|CAD|CHF|JPY|KRW|TRY|BRL|RUB|UAH|NGN|ZAR|PLN|RON|ARS|MXN|COP|CZK|IDRT?|BIDR|INR|SGD|HKD"
COINS: Final = "BTC|XBT|ETH|BNB|XRP|TRX|DOGE|SOL"

UNKNOWN: Final[Mapping[str, str]] = {}
"""Contracts of which only the venue's own list says what they are worth."""
USD_CONTRACT: Final[Mapping[str, str]] = defaultdict(lambda: "10", BTC="100")
"""Inverse contracts of 10 USD each, those of BTC of 100 USD."""

CONTRACTS: Final[tuple[Market, ...]] = ("usdm", "coinm")
SPOT: Final = Exchange(markets=("spot",))

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_GROUPS: Final[Mapping[str, str]] = {
    "{b}": r"(?P<base>[^-_/:@]+?)",
    "{ymd}": r"(?P<ymd>\d{6})",
    "{dmy}": rf"(?P<dmy>\d{{1,2}}(?:{'|'.join(_MONTHS)})\d{{2}})",
    "{code}": r"(?P<code>[HMUZ]\d{2})",
}
_CODES: Final[Mapping[str, int]] = {"H": 3, "M": 6, "U": 9, "Z": 12}


# ---------------------------------------------------------------- making and fitting forms


def form(text: str, quotes: str, market: Market, made: str = "{symbol}", **more: Any) -> Form:
    """A form: ``{b}`` and ``{q}`` in its text are base and quote currency, ``{ymd}``, ``{dmy}`` and ``{code}`` a date."""
    for mark, group in _GROUPS.items():
        text = text.replace(mark, group)
    return Form(text.replace("{q}", f"(?P<quote>{quotes})"), market, made, **more)


def fitted(form: Form, symbol: str) -> Listing | None:
    """What a symbol says by a form; None: it does not fit. Raises InstrumentUnknown for a date that does not exist."""
    match = compiled(form.pattern).fullmatch(symbol)
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
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of a form, of whole symbols."""
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
