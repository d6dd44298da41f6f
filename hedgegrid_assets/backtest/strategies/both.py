"""The names of NautilusTrader that a strategy for 1.x and 2.x alike is written in: each where the installed one has it.

A strategy that imports them here, and takes orders back with ``take_back``, runs under both from the same file. What else
differs is the names of some handlers: 1.x has ``on_trade_tick`` and ``on_quote_tick``, 2.x ``on_trade`` and ``on_quote``.
"""

from typing import TYPE_CHECKING, Any

from hedgegrid_assets.stages.catalog.installed import installed_generation

GENERATION = installed_generation()
"""The one that is installed."""

if TYPE_CHECKING or GENERATION == 1:
    from nautilus_trader.common.component import TimeEvent
    from nautilus_trader.config import StrategyConfig
    from nautilus_trader.model.data import Bar, BarType, FundingRateUpdate, IndexPriceUpdate, MarkPriceUpdate, TradeTick
    from nautilus_trader.model.enums import OrderSide, PositionSide, TriggerType
    from nautilus_trader.model.events import OrderFilled, PositionClosed
    from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, PositionId
    from nautilus_trader.model.orders import Order
    from nautilus_trader.model.position import Position
    from nautilus_trader.trading.strategy import Strategy
else:
    import msgspec
    from nautilus_trader.common import TimeEvent
    from nautilus_trader.model import (
        Bar,
        BarType,
        ClientOrderId,
        FundingRateUpdate,
        IndexPriceUpdate,
        InstrumentId,
        MarkPriceUpdate,
        OrderFilled,
        OrderSide,
        Position,
        PositionClosed,
        PositionId,
        PositionSide,
        TradeTick,
        TriggerType,
    )
    from nautilus_trader.trading import Strategy

    Order = Any

    class StrategyConfig(msgspec.Struct, frozen=True, kw_only=True):
        """That of 1.x, as far as 2.x reads it off a configuration."""

        strategy_id: str | None = None
        order_id_tag: str | None = None
        oms_type: str | None = None


def take_back(strategy: Strategy, order: Order) -> None:
    """Cancel an order: 1.x takes the order itself, 2.x its id."""
    strategy.cancel_order(order if GENERATION == 1 else order.client_order_id)


__all__ = [
    "GENERATION",
    "Bar",
    "BarType",
    "ClientOrderId",
    "FundingRateUpdate",
    "IndexPriceUpdate",
    "InstrumentId",
    "MarkPriceUpdate",
    "Order",
    "OrderFilled",
    "OrderSide",
    "Position",
    "PositionClosed",
    "PositionId",
    "PositionSide",
    "Strategy",
    "StrategyConfig",
    "TimeEvent",
    "TradeTick",
    "TriggerType",
    "take_back",
]
