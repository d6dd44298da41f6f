"""Rows of the tables that a run leaves, where all versions of Nautilus say the same."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any


def position_row(position: Any, entry: str, adjustments: Iterable[Any]) -> dict[str, Any]:
    """A position, with what of its profit was funding: the sum of ``adjustments``."""
    currency = position.settlement_currency if position.is_inverse else position.quote_currency
    funding = sum((each.pnl_change.as_decimal() for each in adjustments), Decimal(0))
    return {
        "position_id": str(position.id),
        "strategy_id": str(position.strategy_id),
        "instrument_id": str(position.instrument_id),
        "entry": entry,
        "side": position.side.name,
        "quantity": str(position.quantity),
        "peak_quantity": str(position.peak_qty),
        "average_open": position.avg_px_open,
        "average_close": position.avg_px_close or None,
        "realized_pnl": None if position.realized_pnl is None else f"{position.realized_pnl.as_decimal():f}",
        "commissions": ", ".join(map(str, position.commissions())),
        "funding": f"{funding:f}",
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
