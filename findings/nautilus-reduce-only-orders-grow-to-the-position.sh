#!/usr/bin/env bash
# A fill in a backtest sets every other resting reduce-only order to the size of the whole position.
# Expected: an order of 1 stays an order of 1, or shrinks where the position has become smaller than that.
# Seen:     position 6, exits of 1 and 2: when the exit of 1 has filled, the exit of 2 is one of 5 and closes all.
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
PRICES = ("1000.00", "1000.00", "1011.00", "1011.00", "1021.00", "1021.00")
EXITS = (("1", "1010.00"), ("2", "1020.00"))


def trade(number: int, price: str) -> TradeTick:
    """A trade of size 50 at number s after midnight."""
    time = DAY + number * 1_000_000_000
    return TradeTick(
        PERP.id, PERP.make_price(price), PERP.make_qty("50"), AggressorSide.BUYER, TradeId(str(number)), time, time
    )


class Ladder(Strategy):
    """Buys 6 and rests two reduce-only exits above it, of 1 and of 2."""

    def on_start(self) -> None:
        """Ask for trades."""
        self.exits = []
        self.sizes = []
        self.entered = False
        self.subscribe_trade_ticks(PERP.id)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """Enter once, then note what the exits are at every trade."""
        if not self.entered:
            self.entered = True
            self.submit_order(self.order_factory.market(PERP.id, OrderSide.BUY, PERP.make_qty("6")))
        elif not self.exits:
            (position,) = self.cache.positions_open()
            for size, price in EXITS:
                order = self.order_factory.limit(
                    PERP.id, OrderSide.SELL, PERP.make_qty(size), PERP.make_price(price), reduce_only=True
                )
                self.exits.append(order)
                self.submit_order(order, position_id=position.id)
        net = self.portfolio.net_position(PERP.id)
        self.sizes.append((str(tick.price), str(net), *(str(order.quantity) for order in self.exits)))


def replay(oms: OmsType) -> list[tuple[str, ...]]:
    """Price, position, and the sizes of both exits at every trade."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        PERP.venue, oms, AccountType.MARGIN, [Money(100_000, USDT)], base_currency=None, default_leverage=Decimal(20)
    )
    engine.add_instrument(PERP)
    engine.add_data([trade(number, price) for number, price in enumerate(PRICES)])
    strategy = Ladder()
    engine.add_strategy(strategy)
    engine.run()
    engine.dispose()
    return strategy.sizes


for oms in (OmsType.NETTING, OmsType.HEDGING):
    sizes = replay(oms)
    print(oms.name, *sizes, sep="\n  ")
    assert ("1000.00", "6.000", "1.000", "2.000") in sizes
    assert ("1011.00", "5.000", "1.000", "5.000") in sizes
    assert sizes[-1] == ("1021.00", "0", "1.000", "5.000")
PYTHON
