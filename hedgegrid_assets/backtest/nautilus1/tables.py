"""What happened, as rows of the tables that a run leaves."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model.enums import PositionAdjustmentType, liquidity_side_to_str, order_side_to_str
from nautilus_trader.model.events import OrderFilled


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
    currency = position.settlement_currency if position.is_inverse else position.quote_currency
    funding = [
        each.pnl_change.as_decimal()
        for each in position.adjustments
        if each.adjustment_type == PositionAdjustmentType.FUNDING
    ]
    return {
        "position_id": str(position.id),
        "strategy_id": str(position.strategy_id),
        "instrument_id": str(position.instrument_id),
        "entry": order_side_to_str(position.entry),
        "side": position.side.name,
        "quantity": str(position.quantity),
        "peak_quantity": str(position.peak_qty),
        "average_open": position.avg_px_open,
        "average_close": position.avg_px_close or None,
        "realized_pnl": None if position.realized_pnl is None else f"{position.realized_pnl.as_decimal():f}",
        "commissions": ", ".join(map(str, position.commissions())),
        "funding": f"{sum(funding, Decimal(0)):f}",
        "currency": currency.code,
        "ts_opened": position.ts_opened,
        "ts_closed": position.ts_closed or None,
    }


def account_rows(accounts: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The last state of each instant: of several within one, order and number differ from process to process."""
    for account in accounts:
        states = {
            (event.ts_event, balance.currency.code): balance for event in account.events for balance in event.balances
        }
        for (ts_event, currency), balance in states.items():
            yield {
                "ts_event": ts_event,
                "account_id": str(account.id),
                "currency": currency,
                "total": f"{balance.total.as_decimal():f}",
                "locked": f"{balance.locked.as_decimal():f}",
                "free": f"{balance.free.as_decimal():f}",
            }
