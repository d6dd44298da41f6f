#!/usr/bin/env bash
# hftbacktest's converter of Binance's published files takes every trade for a sell.
# Expected: is_buyer_maker "false", the buyer was the aggressor, is BUY_EVENT, as data.binance.vision documents the column.
# Seen:     SELL_EVENT for "true" and for "false": the text of the cell is asked for its truth, and no text but an empty one is false.
# With:     hftbacktest==2.4.4 (numba 0.68.1, numpy 2.2.6, polars 2.1.0), on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check hftbacktest==2.4.4 numba==0.68.1 numpy==2.2.6 polars==2.1.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from hftbacktest.data.utils.binancehistmktdata import convert
from hftbacktest.types import BUY_EVENT, SELL_EVENT, TRADE_EVENT

with open("depth.csv", "w") as file:
    file.write(
        "symbol,timestamp,trans_id,first_update_id,last_update_id,side,update_type,price,qty\n"
        "BTCUSDT,1704067200000,1,1,2,b,set,100.0,1\n"
    )
with open("trades.csv", "w") as file:
    file.write(
        "id,price,qty,quote_qty,time,is_buyer_maker\n"
        "1,100.0,1,100.0,1704067200001,true\n"
        "2,100.1,1,100.1,1704067200002,false\n"
        "3,100.1,2,200.2,1704067200003,false\n"
    )
events = convert("depth.csv", "trades.csv", buffer_size=100)
trades = [event for event in events if int(event["ev"]) & 0xFF == TRADE_EVENT]
sides = ["buy" if int(event["ev"]) & BUY_EVENT else "sell" if int(event["ev"]) & SELL_EVENT else "none" for event in trades]
print("is_buyer_maker true, false, false ->", sides)
assert sides == ["sell", "sell", "sell"]
PYTHON
