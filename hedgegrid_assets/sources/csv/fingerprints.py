"""What the columns of a public dump say of its venue and market, and its first rows of the contracts in it."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.sources.csv.names import front, squeezed
from hedgegrid_assets.venues import Market
from hedgegrid_assets.venues.markets import Contract, Says

_ROWS: Final = 2_000
_NOTIONAL: Final = ("size", "homenotional", "foreignnotional")


class Fingerprint(Struct, frozen=True):
    """Columns that only some venues' dumps have.

    Attributes:
        what: In words.
        has: Squeezed names that are all there.
        venues: Nautilus venues whose dumps these are; none: of any.
        market: Of all that is in it.
        whole: No other columns are in it but ``may``.
        may: Columns that newer files have besides.
        at: The market is only known if the venue is one of these; none: of any.
    """

    what: str
    has: frozenset[str]
    venues: tuple[str, ...] = ()
    market: Market | None = None
    whole: bool = False
    may: frozenset[str] = frozenset()
    at: tuple[str, ...] = ()


_BINANCE: Final = ("BINANCE", "BINANCE_US", "SIM")
FINGERPRINTS: Final = (
    Fingerprint("trades of Binance spot", frozenset({"isbestmatch"}), _BINANCE, "spot"),
    Fingerprint("trades of Binance spot", frozenset({"bestmatch"}), _BINANCE, "spot"),
    Fingerprint(
        "trades of Binance COIN-M", frozenset({"baseqty", "isbuyermaker"}), ("BINANCE", "BINANCE_DELIVERY"), "coinm"
    ),
    Fingerprint(
        "trades of BitMEX or Bybit",
        frozenset({"trdmatchid", "grossvalue", "homenotional", "foreignnotional"}),
        ("BITMEX", "BYBIT"),
    ),
    Fingerprint("trades of OKX", frozenset({"instrumentname", "tradeid", "createdtime"}), ("OKX", "OKEX")),
    Fingerprint(
        "trades of OKX",
        frozenset({"tradeid", "side", "size", "price", "createdtime"}),
        ("OKX", "OKEX"),
        whole=True,
    ),
    Fingerprint("funding rates of OKX", frozenset({"instrumentname", "fundingrate", "fundingtime"}), ("OKX", "OKEX")),
    Fingerprint("trades of Deribit", frozenset({"tradeseq", "instrumentname", "direction"}), ("DERIBIT",)),
    Fingerprint(
        "trades of Bybit spot",
        frozenset({"id", "timestamp", "price", "volume", "side"}),
        market="spot",
        whole=True,
        may=frozenset({"rpi"}),
        at=("BYBIT",),
    ),
)


def says_of(names: Sequence[str]) -> Says:
    """What the names of the columns say."""
    found = {squeezed(front(name)) for name in names}
    for dump in FINGERPRINTS:
        if dump.has <= found and not (dump.whole and found - dump.has - dump.may):
            return Says(dump.what, dump.venues, dump.market, dump.at)
    return Says()


def notional_columns(names: Sequence[str]) -> list[int]:
    """Positions of size, and of what it is worth in base and in quote currency; empty where one is missing."""
    found = [squeezed(name) for name in names]
    return [found.index(name) for name in _NOTIONAL] if all(name in found for name in _NOTIONAL) else []


def contract_of(size: pl.Series, home: pl.Series, foreign: pl.Series) -> Contract | None:
    """A contract as the rows have it: the size is the value in quote currency (inverse), or in base currency, or a
    fixed part of it. None where the rows do not agree, or say both.
    """
    rows = [
        row
        for texts in zip(size.head(_ROWS), home.head(_ROWS), foreign.head(_ROWS), strict=True)
        if (row := _decimals(texts)) is not None
    ]
    if not rows:
        return None
    in_quote, in_base = all(a == c for a, _, c in rows), all(a == b for a, b, _ in rows)
    if in_quote != in_base:
        return Contract(inverse=in_quote, multiplier="1")
    first = rows[0]
    if in_quote or any(b * first[0] != first[1] * a for a, b, _ in rows):
        return None
    worth = first[1] / first[0]
    exact = worth * first[0] == first[1] and -worth.normalize().as_tuple().exponent <= 16  # type: ignore[operator]
    return Contract(inverse=False, multiplier=f"{worth.normalize():f}") if exact else None


def _decimals(texts: Sequence[str]) -> tuple[Decimal, Decimal, Decimal] | None:
    try:
        a, b, c = (Decimal(text) for text in texts)
    except InvalidOperation:
        return None
    return (a, b, c) if a and a.is_finite() and b.is_finite() and c.is_finite() else None
