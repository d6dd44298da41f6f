#!/usr/bin/env bash
# TradeTickDataWrangler.process_bar_data makes trades whose sizes do not add up to the volume of the bar.
# Expected: four trades of a bar, at its open, high, low and close, of a quarter of its volume each; none where nothing was traded.
# Seen:     a quarter is rounded to the instrument's decimals and is at least one size increment: a bar without volume becomes
#           four trades, and 0.007 and 0.010 become 0.008 both.
# With:     nautilus_trader==1.231.0, pandas==3.1.1, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nautilus_trader==1.231.0 pandas==3.1.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from decimal import Decimal

import pandas as pd
from nautilus_trader.persistence.wranglers import TradeTickDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider

instrument = TestInstrumentProvider.btcusdt_perp_binance()
assert str(instrument.size_increment) == "0.001"
VOLUMES = ["0.000", "0.007", "0.010", "0.012"]
times = pd.date_range("2024-01-01 00:01", periods=len(VOLUMES), freq="min", tz="UTC")
prices = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.5}
bars = pd.DataFrame({**prices, "volume": [float(volume) for volume in VOLUMES]}, index=times)

trades = TradeTickDataWrangler(instrument).process_bar_data(bars)
sums = [str(sum(Decimal(str(trade.size)) for trade in trades[n : n + 4])) for n in range(0, len(trades), 4)]
print("volumes", VOLUMES, "become trades of", sums)
assert sums == ["0.004", "0.008", "0.008", "0.012"]
PYTHON
