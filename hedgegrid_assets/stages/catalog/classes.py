"""Classes of our own for what NautilusTrader has none of, as its catalog and its backtest node load them by name.

``hedgegrid_assets.stages.catalog.classes:Liquidation``. Imported only where rows are read: it imports nautilus_trader.
Prices and sizes are texts, so that they are exact: ``Decimal(liquidation.price)``.
"""

from nautilus_trader.core.data import Data
from nautilus_trader.model.custom import customdataclass
from nautilus_trader.model.identifiers import InstrumentId


@customdataclass
class Liquidation(Data):
    """A forced order. ``side``: BUY or SELL, of the order: SELL where a long was liquidated."""

    side: str
    price: str
    size: str
    average_price: str
    instrument_id: InstrumentId


@customdataclass
class OpenInterest(Data):
    """Contracts that are open: in base units, or in contracts where the venue counts these."""

    open_interest: str
    instrument_id: InstrumentId
