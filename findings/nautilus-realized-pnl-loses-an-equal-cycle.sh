#!/usr/bin/env bash
# portfolio.realized_pnl forgets a closed cycle of a netted position when the next one ends with the same PnL.
# Expected: what the account lost, as it says while the second cycle is open, or when that one ends with another PnL.
# Seen:     four fees of 0.4: it goes to -0.4, -0.8, -1.2 and back to -0.8; the account is down by 1.6.
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
SIDES = (OrderSide.BUY, OrderSide.SELL, OrderSide.BUY, OrderSide.SELL)


def trade(number: int) -> TradeTick:
    """A trade of 5 at 1,000.00, number s after midnight."""
    time = DAY + number * 1_000_000_000
    return TradeTick(
        PERP.id, PERP.make_price("1000"), PERP.make_qty("5"), AggressorSide.BUYER, TradeId(str(number)), time, time
    )


class InAndOut(Strategy):
    """Buys and sells, twice, at one price, so that only fees are lost."""

    def __init__(self, sizes: tuple[str, ...]) -> None:
        """Take the size of each order."""
        super().__init__()
        self.sizes = sizes
        self.realized = []

    def on_start(self) -> None:
        """Ask for trades."""
        self.subscribe_trade_ticks(PERP.id)

    def on_trade_tick(self, _: TradeTick) -> None:
        """Note the realized PnL, then send the next order."""
        sent = len(self.realized)
        self.realized.append(self.portfolio.realized_pnl(PERP.id).as_decimal())
        if sent < len(SIDES):
            self.submit_order(self.order_factory.market(PERP.id, SIDES[sent], PERP.make_qty(self.sizes[sent])))


def replay(*sizes: str) -> tuple[list[str], str]:
    """The realized PnL before each trade, and what the account gained."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        PERP.venue, OmsType.NETTING, AccountType.MARGIN, [Money(10_000, USDT)], base_currency=None,
        default_leverage=Decimal(20),
    )
    engine.add_instrument(PERP)
    engine.add_data([trade(number) for number in range(6)])
    strategy = InAndOut(sizes)
    engine.add_strategy(strategy)
    engine.run()
    gained = engine.cache.account_for_venue(PERP.venue).balance_total(USDT).as_decimal() - 10_000
    engine.dispose()
    return [f"{value:.1f}" for value in strategy.realized], f"{gained:.1f}"


equal, unequal = replay("1", "1", "1", "1"), replay("1", "1", "2", "2")
print(f"same PnL twice: {equal}; another PnL: {unequal}")
assert equal == (["0.0", "-0.4", "-0.8", "-1.2", "-0.8", "-0.8"], "-1.6")
assert unequal == (["0.0", "-0.4", "-0.8", "-1.6", "-2.4", "-2.4"], "-2.4")
PYTHON
