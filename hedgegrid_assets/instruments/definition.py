"""What an instrument definition is."""

from typing import Final, Literal

from msgspec import Struct

from hedgegrid_assets.venues import Market

type Kind = Literal["crypto_perpetual", "crypto_future", "currency_pair"]
"""Nautilus' folder of the instrument class."""

type DefinedBy = Literal["feeds.yaml", "imported", "inferred"]
"""Who said the precisions: the feed's YAML, an exchange's document, or the data itself."""

MAX_PRECISION: Final = 16
"""Decimals that a Nautilus raw value holds."""

DEFAULT_MARK_PRECISION: Final = 8
"""Decimals of mark and index prices where none were seen: Binance sends eight."""


class Instrument(Struct, frozen=True):
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
    origin: DefinedBy = "inferred"
    fees_known: bool = False


def market_of(instrument: Instrument) -> Market:
    """The market that a definition is of."""
    return "spot" if instrument.kind == "currency_pair" else "coinm" if instrument.is_inverse else "usdm"
