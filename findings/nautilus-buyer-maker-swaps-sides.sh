#!/usr/bin/env bash
# TradeTickDataWranglerV2 takes a trade whose buyer was the maker for a buy; TradeTickDataWrangler takes it for a sell, which it is.
# Expected: buyer_maker True means that the seller was the aggressor, in both wranglers of one package.
# Seen:     V2 renames buyer_maker to aggressor_side and reads True as BUYER: every trade of a Binance file has the other side.
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
import pandas as pd
from nautilus_trader.persistence.wranglers import TradeTickDataWrangler
from nautilus_trader.persistence.wranglers_v2 import TradeTickDataWranglerV2
from nautilus_trader.test_kit.providers import TestInstrumentProvider

instrument = TestInstrumentProvider.btcusdt_perp_binance()
times = pd.to_datetime(["2024-01-01T00:00:00", "2024-01-01T00:00:01"], utc=True)
rows = {"price": [100.1, 100.2], "quantity": [1.0, 2.0], "buyer_maker": [True, False], "trade_id": ["1", "2"]}

older = TradeTickDataWrangler(instrument).process(pd.DataFrame(rows, index=times))
newer = TradeTickDataWranglerV2(str(instrument.id), 1, 3).from_pandas(pd.DataFrame({"timestamp": times, **rows}))
before = [trade.aggressor_side.name for trade in older]
after = [str(trade.aggressor_side).removeprefix("AggressorSide.") for trade in newer]
print("buyer_maker True, False ->", before, "by TradeTickDataWrangler,", after, "by TradeTickDataWranglerV2")
assert before == ["SELLER", "BUYER"]
assert after == ["BUYER", "SELLER"]
PYTHON
