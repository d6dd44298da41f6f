#!/usr/bin/env bash
# BacktestEngine.add_data_iterator sorts each chunk of a generator, and takes chunks that go back in time.
# Expected: an error for both (the data must be sorted by ts_init), or everything in order.
# Seen:     rows 3, 1 of one chunk arrive as 1, 3; row 2 of the next chunk then arrives after 3, while the clock stays at 3; no error.
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
"$work/venv/bin/python" - <<'PYTHON'
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType
from nautilus_trader.model.identifiers import TradeId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

DAY = 1_704_067_200_000_000_000  # 2024-01-01 in ns
PERP = TestInstrumentProvider.btcusdt_perp_binance()


def trade(number: int) -> TradeTick:
    """A trade at number ns after midnight."""
    return TradeTick(
        PERP.id, Price.from_str("1.0"), Quantity.from_str("1.000"), AggressorSide.BUYER,
        TradeId(str(number)), DAY + number, DAY + number,
    )


class Watch(Strategy):
    """Notes the time of each trade and of the clock."""

    def on_start(self) -> None:
        """Begin."""
        self.seen = []
        self.subscribe_trade_ticks(PERP.id)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """Note the times."""
        self.seen.append((tick.ts_init - DAY, self.clock.timestamp_ns() - DAY))


engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
engine.add_venue(Venue("BINANCE"), OmsType.NETTING, AccountType.MARGIN, [Money(1000, PERP.quote_currency)])
engine.add_instrument(PERP)
watch = Watch()
engine.add_strategy(watch)
engine.add_data_iterator("chunks", iter([[trade(3), trade(1)], [trade(2)], [trade(9), trade(8)]]))
engine.run()
print("trade, clock:", watch.seen)
assert watch.seen == [(1, 1), (3, 3), (2, 3), (8, 8), (9, 9)]
PYTHON
