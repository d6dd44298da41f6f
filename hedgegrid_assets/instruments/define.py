"""How a definition is made: from what is said of an instrument, and from the data for what is left open."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from msgspec.structs import replace

from hedgegrid_assets import venues
from hedgegrid_assets.errors import DataError, InstrumentUnknown, PrecisionUnknown, UsageError
from hedgegrid_assets.instruments.definition import DEFAULT_MARK_PRECISION, MAX_PRECISION, Instrument, Kind
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_start
from hedgegrid_assets.venues import Market

_EXPIRY: Final = re.compile(r"[-_](\d{6})$", re.ASCII)  # YYMMDD: BTCUSDT_240329, BTC-USD-240329
_EXPIRY_TIME: Final = 8 * 3600 * NS_PER_SECOND  # 08:00 UTC: delivery on Binance and OKX


def define(
    instrument_id: str, symbol: str, market: Market, override: object | None, decimals: Mapping[str, int]
) -> Instrument:
    """A definition from what a feed says, and from the data for what it leaves open.

    Args:
        instrument_id: Nautilus' InstrumentId.
        symbol: The venue's symbol; currencies, expiry and value of a contract are read from it as its venue writes them.
        market: Decides settlement and kind.
        override: Mapping or object with any of ``price_precision, size_precision, mark_precision, price_increment,
            size_increment, base, quote, settlement, multiplier, maker_fee, taker_fee, expiration_ns``; None values are
            left open.
        decimals: Largest number of decimals seen over the whole requested range, trailing zeros not counted, for
            ``price``, ``size`` and ``mark``; what was not seen is absent.

    Raises:
        InstrumentUnknown: Neither says it: a precision, the currencies, the value of a contract.
        UsageError: The override contradicts itself.
        DataError: The data has more decimals than a Nautilus value holds.
    """
    said = _Said(instrument_id, override)
    listed = _listed(said, instrument_id, symbol, market)
    price_precision = _precision(said, "price", decimals)
    size_precision = _precision(said, "size", decimals)
    mark_precision = _precision(said, "mark", decimals)
    if price_precision is None or size_precision is None:
        missing = [name for name, known in (("price", price_precision), ("size", size_precision)) if known is None]
        raise PrecisionUnknown(instrument_id, missing, symbol)
    size_increment = said.decimal("size_increment", size_precision) or _unit(size_precision)
    maker_fee, taker_fee = said.decimal("maker_fee"), said.decimal("taker_fee")
    return Instrument(
        id=instrument_id,
        raw_symbol=symbol,
        kind=_kind(market, listed["expiration_ns"]),
        base=listed["base"],
        quote=listed["quote"],
        settlement=listed["settlement"],
        is_inverse=market == "coinm",
        price_precision=price_precision,
        size_precision=size_precision,
        mark_precision=DEFAULT_MARK_PRECISION if mark_precision is None else mark_precision,
        price_increment=said.decimal("price_increment", price_precision) or _unit(price_precision),
        size_increment=size_increment,
        multiplier=said.decimal("multiplier") or listed.get("multiplier", "1"),
        lot_size=size_increment,
        maker_fee=maker_fee or "0",
        taker_fee=taker_fee or "0",
        expiration_ns=listed["expiration_ns"],
        origin="feeds.yaml" if said.precision("price") and said.precision("size") else "inferred",
        fees_known=maker_fee is not None and taker_fee is not None,
    )


def says_something(override: object | None) -> bool:
    """An override that says more than the id."""
    said = _Said("", override)
    return any(said.get(name) is not None for name in _SAID)


def amended(instrument: Instrument, market: Market, override: object) -> Instrument:
    """The same definition, but for what an override says (see ``define``).

    Raises:
        UsageError: The override contradicts itself.
    """
    said = _Said(instrument.id, override)
    given = {name: value for name in _SAID if (value := said.get(name)) is not None}
    for name in ("price", "size"):  # a tick of the earlier definition stays, unless the precision is another one
        if given.get(f"{name}_precision", getattr(instrument, f"{name}_precision")) != getattr(
            instrument, f"{name}_precision"
        ):
            given.setdefault(f"{name}_increment", _unit(given[f"{name}_precision"]))
    before = {name: getattr(instrument, name) for name in _SAID if instrument.fees_known or not name.endswith("_fee")}
    whole = define(instrument.id, instrument.raw_symbol, market, before | given, {})
    changed: dict[str, Any] = {name: getattr(whole, name) for name in given if not name.endswith("_fee")}
    for name in ("price", "size"):
        if {f"{name}_precision", f"{name}_increment"} & given.keys():
            changed |= {f"{name}_{part}": getattr(whole, f"{name}_{part}") for part in ("precision", "increment")}
    if "size_increment" in changed and instrument.lot_size == instrument.size_increment:
        changed["lot_size"] = changed["size_increment"]
    if {"maker_fee", "taker_fee"} & given.keys():
        changed |= {"maker_fee": whole.maker_fee, "taker_fee": whole.taker_fee, "fees_known": whole.fees_known}
    if said.precision("price") and said.precision("size"):
        changed["origin"] = "feeds.yaml"
    return replace(instrument, **changed)


_SAID: Final = (
    *("price_precision", "size_precision", "mark_precision", "price_increment", "size_increment"),
    *("base", "quote", "settlement", "multiplier", "maker_fee", "taker_fee"),
)
"""What an override can say."""


def widen(
    instrument: Instrument,
    price_precision: int | None = None,
    size_precision: int | None = None,
    mark_precision: int | None = None,
) -> Instrument:
    """The same instrument with larger precisions; tick and step become the smallest unit of a precision that grew.

    A precision that it has already changes nothing.

    Raises:
        UsageError: Nothing is asked for, or a precision would shrink or is more than a Nautilus value holds.
    """
    asked = {"price_precision": price_precision, "size_precision": size_precision, "mark_precision": mark_precision}
    given: dict[str, int] = {name: value for name, value in asked.items() if value is not None}
    problems = [
        f"--{name.replace('_', '-')} expected {getattr(instrument, name)} to {MAX_PRECISION}, found {value}"
        for name, value in given.items()
        if not getattr(instrument, name) <= value <= MAX_PRECISION
    ]
    if problems or not given:
        raise UsageError(
            f"{instrument.id} cannot be widened so: {'; '.join(problems) or 'expected a precision, found none'}",
            hint="a precision only grows: values already in the catalog keep their digits",
        )
    changes: dict[str, Any] = dict(given)
    if given.get("price_precision", instrument.price_precision) > instrument.price_precision:
        changes["price_increment"] = _unit(given["price_precision"])
    if given.get("size_precision", instrument.size_precision) > instrument.size_precision:
        changes["size_increment"] = _unit(given["size_precision"])
        if instrument.lot_size == instrument.size_increment:
            changes["lot_size"] = changes["size_increment"]
    return replace(instrument, **changes)


def settled(instrument: Instrument, decimals: Mapping[str, int]) -> Instrument:
    """The same instrument with decimals (of ``price, size, mark``) that were assumed so far, and are known now."""
    changes: dict[str, Any] = {f"{name}_precision": value for name, value in decimals.items()}
    for name in ("price", "size"):
        if name in decimals and decimals[name] != getattr(instrument, f"{name}_precision"):
            changes[f"{name}_increment"] = _unit(decimals[name])
    if "size_increment" in changes and instrument.lot_size == instrument.size_increment:
        changes["lot_size"] = changes["size_increment"]
    return replace(instrument, **changes)


UNKNOWN_CONTRACT: Final = (
    "its size counts contracts, and what one is worth only the venue's own list says: expected a multiplier"
)


def unknown_form(venue: str, market: Market | None, symbol: str = "") -> str:
    """Why a symbol is refused that the venue's row does not know."""
    of_market = f" of market {market}" if market else ""
    own = dict.fromkeys(name for name, _ in venues.own_symbols(venue, symbol, market))
    if own:
        return f"{venue} does not write it {symbol}: ask for --symbol {' or '.join(own)} (feeds.yaml: symbols)"
    if venues.is_known(venue):
        return f"{venue} writes no symbol{of_market} so, as far as is known"
    return f"its quote currency is not known, or could be read in two ways{of_market}"


class _Said:
    """What an override says, whether it is a mapping, an object or nothing."""

    def __init__(self, instrument_id: str, override: object | None) -> None:
        self._instrument_id = instrument_id
        self._override = override

    def get(self, name: str) -> Any:
        if isinstance(self._override, Mapping):
            return self._override.get(name)
        return getattr(self._override, name, None)

    def decimal(self, name: str, precision: int | None = None) -> str | None:
        """A number as plain decimal text, padded to ``precision``; None if it is not said."""
        value = self.get(name)
        if value is None:
            return None
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("nan")
        if not number.is_finite():
            raise self.wrong(name, "a decimal number", value)
        text = _plain(number)
        return text if precision is None else f"{Decimal(text):.{precision}f}"

    def precision(self, name: str) -> tuple[int, str] | None:
        """Decimals and the key that says them: a precision, else the decimals of an increment as it is written."""
        said = self.get(f"{name}_precision")
        increment = self.decimal(f"{name}_increment")
        needed = 0 if increment is None else len(increment.partition(".")[2])
        if increment is not None and Decimal(increment) <= 0:
            raise self.wrong(f"{name}_increment", "more than 0", increment)
        if increment is not None and said is not None and needed > said:
            raise self.wrong(f"{name}_increment", f"at most {said} decimals ({name}_precision)", increment)
        if said is not None:
            return said, f"{name}_precision"
        if increment is None:
            return None
        written = str(self.get(f"{name}_increment")).partition(".")[2]
        return len(written) if written.isdecimal() else needed, f"{name}_increment"

    def wrong(self, name: str, expected: str, found: object) -> UsageError:
        return UsageError(
            f"{name} of {self._instrument_id} cannot be used: expected {expected}, found {found}",
            hint="correct it under `instruments:` of the feed in feeds.yaml",
        )


def _precision(said: _Said, name: str, decimals: Mapping[str, int]) -> int | None:
    given = said.precision(name)
    if given is not None:
        if not 0 <= given[0] <= MAX_PRECISION:
            raise said.wrong(given[1], f"0 to {MAX_PRECISION} decimals", given[0])
        return given[0]
    seen = decimals.get(name)
    if seen is not None and seen > MAX_PRECISION:
        raise DataError(
            f"the {name} values are finer than a Nautilus value: expected at most {MAX_PRECISION} decimals, found {seen}",
            hint="the file was probably written from binary floats; get the venue's own digits",
            details={"column": name, "needed": seen},
        )
    return seen


def _listed(said: _Said, instrument_id: str, symbol: str, market: Market) -> dict[str, Any]:
    """What the venue's symbol says, and what the override says instead: currencies, expiry, value of a contract."""
    own: dict[str, Any] = {}
    if not (said.get("base") and said.get("quote")):
        listing = venues.listing_of(instrument_id.rpartition(".")[2], symbol, market)
        if listing is None:
            raise InstrumentUnknown(symbol, unknown_form(instrument_id.rpartition(".")[2], market))
        if "multiplier" in listing.needs and said.get("multiplier") is None:
            raise InstrumentUnknown(symbol, UNKNOWN_CONTRACT)
        own = dict(listing.said)
        if said.get("base") or said.get("quote"):
            del own["settlement"]
    found = own | {name: str(said.get(name)) for name in ("base", "quote", "settlement") if said.get(name)}
    found.setdefault("settlement", found["base"] if market == "coinm" else found["quote"])
    expiry = said.get("expiration_ns") or own.get("expiration_ns") or _expiry(symbol)
    found["expiration_ns"] = None if market == "spot" or expiry is None else int(expiry)
    return found


def _kind(market: Market, expiration_ns: int | None) -> Kind:
    if market == "spot":
        return "currency_pair"
    return "crypto_perpetual" if expiration_ns is None else "crypto_future"


def _expiry(symbol: str) -> int | None:
    """Expiry in ns of a symbol that ends in YYMMDD: at 08:00 UTC."""
    dated = _EXPIRY.search(symbol)
    if dated is None:
        return None
    try:
        day = date.fromisoformat(f"20{dated[1]}")
    except ValueError:
        raise InstrumentUnknown(symbol, f"its expiry is no date: expected YYMMDD, found {dated[1]}") from None
    return day_start(day) + _EXPIRY_TIME


def _unit(precision: int) -> str:
    """The smallest step of a precision: ``0.01`` for 2."""
    return f"{Decimal(1).scaleb(-precision):.{precision}f}"


def _plain(number: Decimal) -> str:
    """Without exponent, plus sign, negative zero or zeros at the end."""
    if not number:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
