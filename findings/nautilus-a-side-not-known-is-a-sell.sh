#!/usr/bin/env bash
# TradeTickDataWrangler takes every side that is not "buy" for a sell.
# Expected: side "unknown", which Tardis documents and writes where a venue does not tell it, is NO_AGGRESSOR, as Nautilus' own
#           Tardis loader reads it, or is refused.
# Seen:     SELLER, and so for an empty cell.
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
from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.wranglers import TradeTickDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider

SIDES = ["buy", "sell", "unknown"]
instrument = TestInstrumentProvider.btcusdt_perp_binance()
frame = pd.DataFrame(
    {"price": 100.1, "quantity": 1.0, "side": [*SIDES, None], "trade_id": ["1", "2", "3", "4"]},
    index=pd.to_datetime(["2024-01-01"] * 4, utc=True),
)
by_wrangler = [trade.aggressor_side.name for trade in TradeTickDataWrangler(instrument).process(frame)]

with open("trades.csv", "w") as file:
    file.write("exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n")
    for number, side in enumerate(SIDES):
        file.write(f"binance-futures,BTCUSDT,1704067200000000,1704067200001000,{number},{side},100.1,1\n")
loader = TardisCSVDataLoader(instrument_id=InstrumentId.from_str("BTCUSDT-PERP.BINANCE"))
by_loader = [trade.aggressor_side.name for trade in loader.load_trades("trades.csv")]
print(f"{[*SIDES, None]} -> {by_wrangler}; the Tardis loader: {by_loader}")
assert by_wrangler == ["BUYER", "SELLER", "SELLER", "SELLER"]
assert by_loader == ["BUYER", "SELLER", "NO_AGGRESSOR"]
PYTHON
