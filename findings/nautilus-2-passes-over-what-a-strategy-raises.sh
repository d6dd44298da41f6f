#!/usr/bin/env bash
# An exception in a strategy's handler is written into the log, and the backtest goes on to its end.
# Expected: BacktestEngine.run raises it, as under 1.x, and as 2.x does for on_start.
# Seen:     on_trade raises at each of three trades: a line in the log for each, and run returns, as if all were well.
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
    AccountType,
    AggressorSide,
    BookType,
    Money,
    OmsType,
    Price,
    Quantity,
    TradeId,
    TradeTick,
    Venue,
)
from nautilus_trader.testkit.providers import TestInstrumentProvider
from nautilus_trader.trading import Strategy

START = 1_704_067_200_000_000_000  # 2024-01-01 in ns
PERP = TestInstrumentProvider.btcusdt_perp_binance()
raised = []


class Faulty(Strategy):
    """Raises at each trade."""

    def on_start(self) -> None:
        """Listen."""
        self.subscribe_trades(PERP.id)

    def on_trade(self, trade: TradeTick) -> None:
        """Raise."""
        raised.append(str(trade.trade_id))
        raise ZeroDivisionError(f"at the trade {trade.trade_id}")


def trade(number: int) -> TradeTick:
    """A trade."""
    price, size = Price.from_str("40000.0"), Quantity.from_str("1.000")
    at = START + number * 1_000_000_000
    return TradeTick(PERP.id, price, size, AggressorSide.BUY, TradeId(str(number)), at, at)


engine = BacktestEngine(BacktestEngineConfig(logging=LoggerConfig(bypass_logging=True)))
engine.add_venue(
    Venue("BINANCE"),
    OmsType.HEDGING,
    AccountType.MARGIN,
    [Money.from_str("100000 USDT")],
    book_type=BookType.L1_MBP,
    fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0), {}),
)
engine.add_instrument(PERP)
engine.add_strategy(Faulty())
engine.add_data([trade(1), trade(2), trade(3)])
engine.run()
print(f"the run has ended well; raised at the trades {', '.join(raised)}")
assert raised == ["1", "2", "3"]
PYTHON
