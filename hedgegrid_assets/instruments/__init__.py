"""Instrument definitions: what one is, how it is found, widened and kept in ``instruments.parquet``."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets import venues
from hedgegrid_assets.batch import Decimals
from hedgegrid_assets.errors import DataError, InstrumentUnknown, LooksLikeFloats, UsageError
from hedgegrid_assets.names import nautilus_takes_for_one
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_start
from hedgegrid_assets.venues import Market

type Kind = Literal["crypto_perpetual", "crypto_future", "currency_pair"]
"""Nautilus' folder of the instrument class."""

type Origin = Literal["feeds.yaml", "imported", "inferred"]
"""Who said the precisions: the feed's YAML, an exchange's document, or the data itself."""

MAX_PRECISION: Final = 16
"""Decimals that a Nautilus raw value holds."""

FLOAT_DIGITS: Final = 15
"""As many digits has any number that a binary float holds exactly; what was computed with one has more."""

FAR_FINER: Final = 4
"""So many decimals more than all others have, and 15 digits or more: a binary float written out."""

FEW: Final = 0.01
"""Share of the rows up to which such numbers are left to be rejected, and the others tell the precision."""

_FINEST_KNOWN: Final = 8
"""Decimals that venues write; more of them, in numbers that are all long, are those of floats."""

DEFAULT_MARK_PRECISION: Final = 8
"""Decimals of mark and index prices where none were seen: Binance sends eight."""

_EXPIRY: Final = re.compile(r"[-_](\d{6})$", re.ASCII)  # YYMMDD: BTCUSDT_240329, BTC-USD-240329
_EXPIRY_TIME: Final = 8 * 3600 * NS_PER_SECOND  # 08:00 UTC: delivery on Binance and OKX


@dataclass(frozen=True, slots=True)
class Instrument:
    """One definition. Numbers are plain decimal text, so that nothing is rounded on the way.

    Attributes:
        id: Nautilus' InstrumentId, ``SYMBOL.VENUE``.
        raw_symbol: The venue's own symbol.
        kind: Nautilus' instrument class.
        base: Currency that is traded (the underlying of a future).
        quote: Currency of the price.
        settlement: Currency of profit and loss.
        is_inverse: Sized in contracts of the quote currency, settled in the base currency.
        price_precision: Decimals of trade prices, 0 to 16.
        size_precision: Decimals of sizes, 0 to 16.
        mark_precision: Decimals of mark and index prices, 0 to 16.
        price_increment: Tick in quote currency, with exactly ``price_precision`` decimals.
        size_increment: Step in base currency (contracts if inverse), with exactly ``size_precision`` decimals.
        multiplier: Value of one contract, in base currency (quote currency if inverse).
        lot_size: Smallest lot, as a size; None: not known.
        max_quantity: Largest order, as a size; None: not known. ``min_quantity`` the smallest.
        max_notional: Largest order value in quote currency; None: not known. ``min_notional`` the smallest.
        max_price: Highest order price; None: not known. ``min_price`` the lowest.
        margin_init: Initial margin as a fraction of the order's value; "0" when not known.
        margin_maint: Maintenance margin as a fraction of the position's value; "0" when not known.
        maker_fee: Fraction of the order's value, negative for a rebate; "0" when not known.
        taker_fee: Fraction of the order's value; "0" when not known.
        activation_ns: Futures: start of trading in ns since 1970; None: not known.
        expiration_ns: Futures: delivery in ns since 1970.
        origin: Who said the precisions.
        fees_known: False: the fees are zero because nobody gave them.
    """

    id: str
    raw_symbol: str
    kind: Kind
    base: str
    quote: str
    settlement: str
    is_inverse: bool
    price_precision: int
    size_precision: int
    mark_precision: int
    price_increment: str
    size_increment: str
    multiplier: str = "1"
    lot_size: str | None = None
    max_quantity: str | None = None
    min_quantity: str | None = None
    max_notional: str | None = None
    min_notional: str | None = None
    max_price: str | None = None
    min_price: str | None = None
    margin_init: str = "0"
    margin_maint: str = "0"
    maker_fee: str = "0"
    taker_fee: str = "0"
    activation_ns: int | None = None
    expiration_ns: int | None = None
    origin: Origin = "inferred"
    fees_known: bool = False


# ---------------------------------------------------------------- defining


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
        raise InstrumentUnknown(instrument_id, f"{' and '.join(missing)} precision neither given nor seen in the data")
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


def market_of(instrument: Instrument) -> Market:
    """The market that a definition is of."""
    return "spot" if instrument.kind == "currency_pair" else "coinm" if instrument.is_inverse else "usdm"


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


def far_finer(seen: Decimals, rows: int) -> bool:
    """Some of the numbers, of so many rows, are binary floats written out."""
    least = seen.short + FAR_FINER if rows > seen.long else _FINEST_KNOWN + 1
    return bool(seen.long) and seen.needed >= least


def tick_decimals(symbol: str, name: str, seen: Decimals, rows: int) -> int:
    """The decimals that a tick (``name``: price) or step (size) is made of: those needed, a few floats apart.

    Raises:
        LooksLikeFloats: They are more than a few.
    """
    if not far_finer(seen, rows):
        return seen.needed
    if seen.long > FEW * rows:
        raise LooksLikeFloats(symbol, name, seen.example, seen.long, rows, seen.short)
    return seen.short


def check_names(ids: Iterable[str]) -> None:
    """Refuse ids that Nautilus takes for one inside a catalog: equal up to ``-._ :^``, ``/`` and case.

    It gives both the same SQL table, or the same folder, and drops the rows of one without a word.

    Raises:
        DataError: Names every such group of ids.
    """
    groups: dict[str, list[str]] = {}
    for instrument_id in sorted(set(ids)):
        groups.setdefault(nautilus_takes_for_one(instrument_id), []).append(instrument_id)
    clashes = [" and ".join(group) for group in groups.values() if len(group) > 1]
    if clashes:
        raise DataError(
            "Nautilus cannot tell ids apart in one catalog: expected more than a difference of `-._ :^/` or case, "
            f"found {'; '.join(clashes)}",
            hint="use another --output, or another --instrument, for one of them",
            details={"instrument_ids": clashes},
        )


# ---------------------------------------------------------------- instruments.parquet


def definitions_file(catalog: Path) -> Path:
    """The plain table of a catalog's definitions."""
    return catalog / "instruments.parquet"


def read_definitions(catalog: Path) -> dict[str, Instrument]:
    """The definitions of a catalog by id; empty where it has none yet.

    Raises:
        DataError: ``instruments.parquet`` is there, but is no table of definitions.
    """
    path = definitions_file(catalog)
    if not path.is_file():
        return {}
    try:
        found = definitions_from(pq.ParquetFile(path, page_checksum_verification=True).read(), str(path))
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can make a decoder raise anything
        raise _not_definitions(str(path), str(error)) from None
    return {instrument.id: instrument for instrument in found}


def definitions_table(instruments: Iterable[Instrument]) -> pa.Table:
    """Definitions as a plain table, one row each, sorted by id: text, integers and flags. No disk is touched."""
    rows = sorted(instruments, key=lambda instrument: instrument.id)
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _COLUMNS.items()])
    types = {"int64": pl.Int64, "bool": pl.Boolean, "string": pl.String}
    # By Polars: pyarrow imports pandas to look at Python values.
    columns = [pl.Series([getattr(row, name) for row in rows], dtype=types[kind]) for name, kind in _COLUMNS.items()]
    return pa.table(
        [column.to_arrow().cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def definitions_from(table: pa.Table, where: str = "the table") -> list[Instrument]:
    """The definitions of a table, in its order: the inverse of ``definitions_table``.

    Raises:
        DataError: The columns are not ours; names ``where``, and all that are missing or unknown.
    """
    found, expected = set(table.column_names), set(_COLUMNS)
    problems = [f"column {name} missing" for name in sorted(expected - found)]
    problems += [f"column {name} unknown" for name in sorted(found - expected)]
    if problems:
        raise _not_definitions(where, ", ".join(problems))
    return [Instrument(**row) for row in table.to_pylist()]


_INTEGERS: Final = frozenset({"price_precision", "size_precision", "mark_precision", "activation_ns", "expiration_ns"})
_FLAGS: Final = frozenset({"is_inverse", "fees_known"})
_COLUMNS: Final[Mapping[str, str]] = {
    field.name: "int64" if field.name in _INTEGERS else "bool" if field.name in _FLAGS else "string"
    for field in fields(Instrument)
}


def _not_definitions(where: str, why: str) -> DataError:
    return DataError(
        f"{where} is no table of instrument definitions: {' '.join(why.split())}",
        hint="put back the file of a copy of this catalog; or remove it, and give the precisions in feeds.yaml",
        details={"path": where},
    )


# ---------------------------------------------------------------- steps of define


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


# ---------------------------------------------------------------- decimals as text


def _unit(precision: int) -> str:
    """The smallest step of a precision: ``0.01`` for 2."""
    return f"{Decimal(1).scaleb(-precision):.{precision}f}"


def _plain(number: Decimal) -> str:
    """Without exponent, plus sign, negative zero or zeros at the end."""
    if not number:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
