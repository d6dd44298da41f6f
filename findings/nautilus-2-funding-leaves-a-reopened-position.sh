#!/usr/bin/env bash
# A netted position that is closed and opened again no longer holds what it paid in funding before.
# Expected: both payments in the position that cache.positions() gives, which has one id throughout.
# Seen:     the account paid 40 twice, the position holds one payment; position_snapshots() holds the other.
# With:     nautilus_trader==2.0.0rc7, on CPython 3.13 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3 "$HOME"/.pyenv/versions/3.1[34]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nautilus_trader==2.0.0rc7
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from decimal import Decimal

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType, AggressorSide, Currency, FundingRateUpdate, MarkPriceUpdate, Money, OmsType, OrderSide, Price,
    Quantity, TradeId, TradeTick,
)
from nautilus_trader.testkit.providers import TestInstrumentProvider
from nautilus_trader.trading import Strategy


MINUTE = 60_000_000_000
DAY = 1_704_067_200_000_000_000  # 2024-01-01 in ns
USDT = Currency.from_str("USDT")
PERP = TestInstrumentProvider.btcusdt_perp_binance()
PRICE = Price.from_str("40000.0")
ONE = Quantity.from_str("1.000")
ORDERS = {1: OrderSide.BUY, 5: OrderSide.SELL, 7: OrderSide.BUY, 11: OrderSide.SELL}


def trade(minute: int) -> TradeTick:
    """A trade of 1 at this minute."""
    time = DAY + minute * MINUTE
    return TradeTick(PERP.id, PRICE, ONE, AggressorSide.BUY, TradeId(str(minute)), time, time)


def mark(minute: int) -> MarkPriceUpdate:
    """The mark price at this minute."""
    return MarkPriceUpdate(PERP.id, PRICE, DAY + minute * MINUTE, DAY + minute * MINUTE)


def rate(minute: int, settles: int) -> FundingRateUpdate:
    """A rate of 0.1 % that is known at one minute and settles half a minute after another."""
    time = DAY + minute * MINUTE + 1
    return FundingRateUpdate(PERP.id, Decimal("0.001"), time, time, 480, DAY + settles * MINUTE + MINUTE // 2)


class InAndOut(Strategy):
    """Buys and sells 1, twice, at the same price."""

    def on_start(self) -> None:
        """Ask for trades."""
        self.seen = 0
        self.subscribe_trades(PERP.id)

    def on_trade(self, _: TradeTick) -> None:
        """Count, and send the order of this minute."""
        self.seen += 1
        if self.seen in ORDERS:
            self.submit_order(self.order_factory.market(PERP.id, ORDERS[self.seen], ONE))


engine = BacktestEngine(BacktestEngineConfig(logging=LoggerConfig(bypass_logging=True)))
engine.add_venue(
    PERP.id.venue, OmsType.NETTING, AccountType.MARGIN, [Money(100_000, USDT)], default_leverage=Decimal(10),
    fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
)
engine.add_instrument(PERP)
for data in ([trade(n) for n in range(14)], [mark(n) for n in range(14)], [rate(0, 2), rate(3, 8)]):
    engine.add_data(data)
engine.add_strategy(InAndOut())
engine.run()
(position,) = engine.cache.positions()
(before,) = engine.cache.position_snapshots()
balance = str(engine.cache.account_for_venue(PERP.id.venue).balance_total(USDT))
held, kept = ([str(paid.pnl_change) for paid in each.adjustments()] for each in (position, before))
print(f"balance {balance}; position {held}, {position.realized_pnl}; snapshot {kept}, {before.realized_pnl}")
assert balance == "99920.00000000 USDT"
assert held == kept == ["-40.00000000 USDT"]
assert str(position.realized_pnl) == "-40.00000000 USDT"
PYTHON
