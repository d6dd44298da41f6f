"""What happened, as rows of the tables that a run leaves."""

from typing import Any

from nautilus_trader.model.enums import PositionAdjustmentType, liquidity_side_to_str, order_side_to_str
from nautilus_trader.model.events import OrderFilled

from hedgegrid_assets.backtest import rows


def order_row(order: Any) -> dict[str, Any]:
    """An order, as it ended."""
    values = order.to_dict()
    return {
        "client_order_id": str(order.client_order_id),
        "strategy_id": str(order.strategy_id),
        "instrument_id": str(order.instrument_id),
        "type": values["type"],
        "side": values["side"],
        "quantity": values["quantity"],
        "filled_quantity": values["filled_qty"],
        "price": values.get("price"),
        "trigger_price": values.get("trigger_price"),
        "average_price": None if values.get("avg_px") is None else str(values["avg_px"]),
        "status": values["status"],
        "time_in_force": values["time_in_force"],
        "position_id": values.get("position_id"),
        "is_post_only": bool(values.get("is_post_only")),
        "is_reduce_only": bool(values.get("is_reduce_only")),
        "tags": ",".join(order.tags or []),
        "ts_init": order.ts_init,
        "ts_last": order.ts_last,
    }


def fill_row(fill: OrderFilled) -> dict[str, Any]:
    """A fill."""
    return {
        "ts_event": fill.ts_event,
        "ts_init": fill.ts_init,
        "strategy_id": str(fill.strategy_id),
        "instrument_id": str(fill.instrument_id),
        "position_id": str(fill.position_id),
        "client_order_id": str(fill.client_order_id),
        "trade_id": str(fill.trade_id),
        "side": order_side_to_str(fill.order_side),
        "quantity": f"{fill.last_qty.as_decimal():f}",
        "price": f"{fill.last_px.as_decimal():f}",
        "commission": f"{fill.commission.as_decimal():f}",
        "currency": fill.commission.currency.code,
        "liquidity": liquidity_side_to_str(fill.liquidity_side),
    }


def position_row(position: Any) -> dict[str, Any]:
    """A position, with what of its profit was funding."""
    paid = (each for each in position.adjustments if each.adjustment_type == PositionAdjustmentType.FUNDING)
    return rows.position_row(position, order_side_to_str(position.entry), paid)
