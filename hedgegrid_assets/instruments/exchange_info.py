"""Instrument definitions out of a venue's own document: Binance's ``exchangeInfo`` of USD-M, COIN-M and spot."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.instruments.definition import DEFAULT_MARK_PRECISION, Instrument, Kind
from hedgegrid_assets.venues import Market

_NS_PER_MS: Final = 1_000_000
_NEVER_MS: Final = 4_000_000_000_000
"""Delivery dates of perpetuals lie beyond the year 2096."""
_KINDS: Final[Mapping[str, Kind]] = {
    "PERPETUAL": "crypto_perpetual",
    "TRADIFI_PERPETUAL": "crypto_perpetual",
    "PERPETUAL DELIVERING": "crypto_perpetual",
    "CURRENT_MONTH": "crypto_future",
    "NEXT_MONTH": "crypto_future",
    "CURRENT_QUARTER": "crypto_future",
    "NEXT_QUARTER": "crypto_future",
    "CURRENT_QUARTER DELIVERING": "crypto_future",
    "NEXT_QUARTER DELIVERING": "crypto_future",
}


class ExchangeInfo(Struct, frozen=True):
    """A document, read.

    Attributes:
        market: Which of the venue's markets it is of.
        definitions: Symbol -> definition; ``id`` is the symbol, as the venue is not in the document.
        passed_over: Symbol -> why there is no definition.
    """

    market: Market
    definitions: Mapping[str, Instrument]
    passed_over: Mapping[str, str]


def read(document: object, where: str) -> ExchangeInfo:
    """The definitions in a document. Raises UsageError if it is no exchangeInfo."""
    if not _lists_symbols(document):
        raise UsageError(
            f"{where} is no exchangeInfo of Binance: expected an object with a list of symbols, found none",
            hint="get it with: curl https://fapi.binance.com/fapi/v1/exchangeInfo > exchangeInfo.json",
        )
    market = _market(document)
    definitions: dict[str, Instrument] = {}
    passed_over: dict[str, str] = {}
    for entry in document["symbols"]:
        symbol = str(entry.get("symbol"))
        try:
            definitions[symbol] = _definition(entry, symbol, market)
        except _Unusable as error:
            passed_over[symbol] = str(error)
        except KeyError as absent:
            passed_over[symbol] = f"it has no {absent.args[0]}"
        except (AttributeError, TypeError, ValueError) as error:
            passed_over[symbol] = f"it is not as Binance writes it ({error})"
    return ExchangeInfo(market, definitions, passed_over)


# ---------------------------------------------------------------- steps


class _Unusable(Exception):
    """An entry that no definition can be made of."""


def _lists_symbols(document: object) -> TypeGuard[dict[str, Any]]:
    symbols = document.get("symbols") if isinstance(document, dict) else None
    return isinstance(symbols, list) and bool(symbols) and all(isinstance(entry, dict) for entry in symbols)


def _market(document: Mapping[str, Any]) -> Market:
    if document.get("futuresType") == "COIN_MARGINED" or "contractSize" in document["symbols"][0]:
        return "coinm"
    return "usdm" if "futuresType" in document or "contractType" in document["symbols"][0] else "spot"


def _definition(entry: Mapping[str, Any], symbol: str, market: Market) -> Instrument:
    kind = _kind(entry, market)
    filters = {rule.get("filterType"): rule for rule in entry.get("filters", ())}
    prices, lots = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
    tick, step = _positive(prices, "tickSize"), _positive(lots, "stepSize")
    if tick is None or step is None:
        raise _Unusable("it has no tickSize or no stepSize")
    notional = filters.get("MIN_NOTIONAL") or filters.get("NOTIONAL") or {}
    quote = str(entry["quoteAsset"])
    delivery = int(entry.get("deliveryDate") or 0)
    return Instrument(
        id=symbol,
        raw_symbol=symbol,
        kind=kind,
        base=str(entry["baseAsset"]),
        quote=quote,
        settlement=str(entry.get("marginAsset") or quote),
        is_inverse=market == "coinm",
        price_precision=_decimals(tick),
        size_precision=_decimals(step),
        mark_precision=DEFAULT_MARK_PRECISION,
        price_increment=tick,
        size_increment=step,
        multiplier=_plain(entry.get("contractSize")) or "1",
        lot_size=step,
        max_quantity=_positive(lots, "maxQty"),
        min_quantity=_positive(lots, "minQty"),
        min_notional=_positive(notional, "notional") or _positive(notional, "minNotional"),
        max_price=_positive(prices, "maxPrice"),
        min_price=_positive(prices, "minPrice"),
        activation_ns=int(entry.get("onboardDate") or 0) * _NS_PER_MS or None if kind == "crypto_future" else None,
        expiration_ns=delivery * _NS_PER_MS if kind == "crypto_future" and 0 < delivery < _NEVER_MS else None,
        origin="imported",
    )


def _kind(entry: Mapping[str, Any], market: Market) -> Kind:
    if market == "spot":
        return "currency_pair"
    contract = str(entry.get("contractType"))
    if contract not in _KINDS:
        raise _Unusable(
            f"its contract type is {contract!r} (status {entry.get('status') or entry.get('contractStatus')})"
        )
    return _KINDS[contract]


def _positive(rule: Mapping[str, Any], key: str) -> str | None:
    """Plain digits of a number above zero; zero means that there is no such limit."""
    text = _plain(rule.get(key))
    return None if text == "0" else text


def _plain(value: object) -> str | None:
    """A number as plain digits without zeros at the end: the effective precision."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) if number else "0"


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def problems_with(definitions: Sequence[Instrument], pinned: Mapping[str, Instrument]) -> Iterator[tuple[str, str]]:
    """(instrument id, the command that helps) where the catalog holds days of a coarser precision."""
    for new in definitions:
        held = pinned.get(new.id)
        if held is None:
            continue
        flags = [
            f"--{name}-precision {getattr(new, f'{name}_precision')}"
            for name in ("price", "size")
            if getattr(new, f"{name}_precision") > getattr(held, f"{name}_precision")
        ]
        if flags:
            yield new.id, f"hedgegrid instruments widen {new.id} {' '.join(flags)}"


def fitted(new: Instrument, held: Instrument | None) -> Instrument:
    """The new definition with the precisions that the catalog's days have, where those are finer."""
    if held is None:
        return new
    price, size = (max(getattr(new, name), getattr(held, name)) for name in ("price_precision", "size_precision"))
    step = f"{Decimal(new.size_increment):.{size}f}"
    return replace(
        new,
        price_precision=price,
        size_precision=size,
        mark_precision=max(new.mark_precision, held.mark_precision),
        price_increment=f"{Decimal(new.price_increment):.{price}f}",
        size_increment=step,
        lot_size=step,
    )
