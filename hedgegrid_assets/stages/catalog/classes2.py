"""``classes.py`` for NautilusTrader 2.x: register a class before its rows are read.

``register_custom_data_class(Liquidation)`` of ``nautilus_trader.model``; reading them needs pyarrow.
Prices and sizes are texts, so that they are exact: ``Decimal(liquidation.price)``.
"""

from nautilus_trader.model import InstrumentId
from nautilus_trader.model.custom import customdataclass


@customdataclass
class Liquidation:
    """A forced order. ``side``: BUY or SELL, of the order: SELL where a long was liquidated, BUY where a short was."""

    side: str
    price: str
    size: str
    average_price: str
    instrument_id: InstrumentId


@customdataclass
class OpenInterest:
    """Contracts that are open: in base units, or in contracts where the venue counts these."""

    open_interest: str
    instrument_id: InstrumentId
