#!/usr/bin/env bash
# hftbacktest's convert_snapshot of Binance's published depth puts the levels in the order of their sizes.
# Expected: bids from the highest price down and asks from the lowest up, best first.
# Seen:     bids by falling size, asks by rising size; prices are in no order, and the first row of a side is not its best.
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
from hftbacktest.data.utils.binancehistmktdata import convert_snapshot
from hftbacktest.types import BUY_EVENT

LEVELS = [("b", 100.0, 1), ("b", 99.9, 5), ("b", 99.8, 3), ("a", 100.1, 2), ("a", 100.2, 1), ("a", 100.3, 9)]
with open("snapshot.csv", "w") as file:
    file.write("symbol,timestamp,trans_id,first_update_id,last_update_id,side,update_type,price,qty\n")
    for side, price, size in LEVELS:
        file.write(f"BTCUSDT,1704067200000,1,1,2,{side},snap,{price},{size}\n")
events = convert_snapshot("snapshot.csv")
bids = [float(event["px"]) for event in events if int(event["ev"]) & BUY_EVENT]
asks = [float(event["px"]) for event in events if not int(event["ev"]) & BUY_EVENT]
print("bids", bids, "asks", asks)
assert bids == [99.9, 99.8, 100.0]
assert asks == [100.2, 100.1, 100.3]
PYTHON
