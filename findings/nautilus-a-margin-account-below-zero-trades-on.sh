#!/usr/bin/env bash
# A margin account whose balance has fallen below zero in a backtest goes on trading, with no error.
# Expected: the AccountError that ends a run of a cash account, or orders that are denied for want of margin.
# Seen:     200 become -300.6 after a loss of 500, and the next order of the same size is filled; locked is below zero.
# With:     nautilus_trader==1.231.0, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nautilus_trader==1.231.0
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PYTHON'
from decimal import Decimal

from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.component import is_backtest_force_stop
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType, OrderSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Money
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

DAY = 1_704_067_200_000_000_000  # 2024-01-01 in ns
PERP = TestInstrumentProvider.ethusdt_perp_binance()
PRICES = ("1000", "1000", "500", "500", "500", "500")
SIDES = {1: OrderSide.BUY, 3: OrderSide.SELL, 5: OrderSide.BUY}


def trade(number: int) -> TradeTick:
    """A trade of 5, number s after midnight."""
    time = DAY + number * 1_000_000_000
    return TradeTick(
        PERP.id, PERP.make_price(PRICES[number]), PERP.make_qty("5"), AggressorSide.BUYER, TradeId(str(number)),
        time, time,
    )


class HalfPrice(Strategy):
    """Buys 1, sells it at half the price, and buys again."""

    def on_start(self) -> None:
        """Ask for trades."""
        self.balances = []
        self.subscribe_trade_ticks(PERP.id)

    def on_trade_tick(self, _: TradeTick) -> None:
        """Note the balance, then send the order of this trade."""
        self.balances.append(str(self.portfolio.account(PERP.venue).balance_total(USDT)))
        side = SIDES.get(len(self.balances))
        if side is not None:
            self.submit_order(self.order_factory.market(PERP.id, side, PERP.make_qty("1")))


engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
engine.add_venue(
    PERP.venue, OmsType.NETTING, AccountType.MARGIN, [Money(200, USDT)], base_currency=None,
    default_leverage=Decimal(20),
)
engine.add_instrument(PERP)
engine.add_data([trade(number) for number in range(len(PRICES))])
strategy = HalfPrice()
engine.add_strategy(strategy)
engine.run()
statuses = [order.status_string() for order in engine.cache.orders()]
balances = [balance.removesuffix("0000000 USDT") for balance in strategy.balances]
locked = str(engine.cache.account_for_venue(PERP.venue).balance_locked(USDT))
print(f"balances {balances}; orders {statuses}; locked {locked}; force stop: {is_backtest_force_stop()}")
assert balances == ["200.0", "199.6", "199.6", "-300.6", "-300.6", "-300.8"]
assert statuses == ["FILLED"] * 3
assert locked == "-300.80000000 USDT"
assert not is_backtest_force_stop()
PYTHON
