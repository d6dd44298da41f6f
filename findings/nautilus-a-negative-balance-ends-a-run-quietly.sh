#!/usr/bin/env bash
# BacktestEngine.run() that a cash account below zero stops half-way returns as if it had run to its end.
# Expected: the AccountError, as run(streaming=True) raises it.
# Seen:     no exception, the rest of the data is not replayed; only a log line and is_backtest_force_stop() tell.
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
from nautilus_trader.accounting.error import AccountError
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
SPOT = TestInstrumentProvider.ethusdt_binance()
TRADES = 6


def trade(number: int) -> TradeTick:
    """A trade of 5 at 1,000.00, number s after midnight."""
    time = DAY + number * 1_000_000_000
    return TradeTick(
        SPOT.id, SPOT.make_price("1000"), SPOT.make_qty("5"), AggressorSide.BUYER, TradeId(str(number)), time, time
    )


class SpendAll(Strategy):
    """Spends the whole balance on the second trade, so that the fee takes it below zero."""

    seen = 0

    def on_start(self) -> None:
        """Ask for trades."""
        self.subscribe_trade_ticks(SPOT.id)

    def on_trade_tick(self, _: TradeTick) -> None:
        """Count, and buy on the second."""
        self.seen += 1
        if self.seen == 2:
            self.submit_order(self.order_factory.market(SPOT.id, OrderSide.BUY, SPOT.make_qty("1")))


def replay(streaming: bool) -> tuple[int, str]:
    """The trades that the strategy saw, and what run() raised."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(SPOT.venue, OmsType.NETTING, AccountType.CASH, [Money(1000, USDT)])
    engine.add_instrument(SPOT)
    engine.add_data([trade(number) for number in range(TRADES)])
    strategy = SpendAll()
    engine.add_strategy(strategy)
    raised = "nothing"
    try:
        engine.run(streaming=streaming)
    except AccountError as error:
        raised = str(error)
    return strategy.seen, raised


seen, raised = replay(streaming=False)
stopped = is_backtest_force_stop()
print(f"run() raised {raised}; trades seen: {seen} of {TRADES}; force stop: {stopped}")
seen_streaming, raised_streaming = replay(streaming=True)
print(f"run(streaming=True) raised {raised_streaming}; trades seen: {seen_streaming}")
assert (seen, raised, stopped) == (2, "nothing", True)
assert (seen_streaming, raised_streaming) == (2, "AccountBalanceNegative(balance=-0.1, currency=USDT)")
PYTHON
