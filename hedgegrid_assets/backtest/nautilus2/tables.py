"""What happened, as rows of the tables that a run leaves."""

from collections.abc import Iterable
from typing import Any

from nautilus_trader.model import OrderFilled

from hedgegrid_assets.backtest import rows
from hedgegrid_assets.backtest.nautilus2.paying import adjustments_of


def fills_of(orders: Iterable[Any]) -> list[Any]:
    """The fills of all orders, by time; those of an instant in the order of their orders."""
    found = [event for order in orders for event in order.events() if isinstance(event, OrderFilled)]
    return sorted(found, key=lambda fill: fill.ts_event)  # stable


def order_row(order: Any) -> dict[str, Any]:
    """An order, as it ended."""
    return {
        "client_order_id": str(order.client_order_id),
        "strategy_id": str(order.strategy_id),
        "instrument_id": str(order.instrument_id),
        "type": order.order_type.name,
        "side": order.side.name,
        "quantity": str(order.quantity),
        "filled_quantity": str(order.filled_qty),
        "price": _text(getattr(order, "price", None)),
        "trigger_price": _text(getattr(order, "trigger_price", None)),
        "average_price": _text(order.avg_px),
        "status": order.status.name,
        "time_in_force": order.time_in_force.name,
        "position_id": _text(order.position_id),
        "is_post_only": bool(getattr(order, "is_post_only", False)),
        "is_reduce_only": bool(order.is_reduce_only),
        "tags": ",".join(order.tags or []),
        "ts_init": order.ts_init,
        "ts_last": order.ts_last,
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def fill_row(fill: Any) -> dict[str, Any]:
    """A fill."""
    return {
        "ts_event": fill.ts_event,
        "ts_init": fill.ts_init,
        "strategy_id": str(fill.strategy_id),
        "instrument_id": str(fill.instrument_id),
        "position_id": str(fill.position_id),
        "client_order_id": str(fill.client_order_id),
        "trade_id": str(fill.trade_id),
        "side": fill.order_side.name,
        "quantity": f"{fill.last_qty.as_decimal():f}",
        "price": f"{fill.last_px.as_decimal():f}",
        "commission": f"{fill.commission.as_decimal():f}",
        "currency": fill.commission.currency.code,
        "liquidity": fill.liquidity_side.name,
    }


def position_row(position: Any) -> dict[str, Any]:
    """A position, with what of its profit was funding."""
    return rows.position_row(position, position.entry.name, adjustments_of(position))
