#!/usr/bin/env bash
# OrderBookDeltaDataWranglerV2.from_pandas leaves out the column sequence, and takes the side from a column aggressor_side.
# Expected: side and sequence of a frame of book changes go where their names say, as OrderBookDeltaDataWrangler does it.
# Seen:     sequence is the label of the row, whatever the column holds; without aggressor_side, a word of trades, a KeyError.
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
from nautilus_trader.persistence.wranglers_v2 import OrderBookDeltaDataWranglerV2

frame = pd.DataFrame(
    {
        "timestamp": pd.to_datetime(["2024-01-01T00:00:00", "2024-01-01T00:00:01"], utc=True),
        "action": [1, 2], "side": [1, 2], "price": [100.1, 100.2], "size": [1.0, 2.0],
        "order_id": [0, 0], "flags": [0, 128], "sequence": [5550, 5551],
    }
)
wrangler = OrderBookDeltaDataWranglerV2("BTCUSDT-PERP.BINANCE", 1, 3)
try:
    wrangler.from_pandas(frame.copy())
except KeyError as error:
    missing = error.args[0]
deltas = wrangler.from_pandas(frame.assign(aggressor_side=frame["side"]))
print(f"asks for {missing!r}; sequences", frame["sequence"].tolist(), "become", [delta.sequence for delta in deltas])
assert missing == "aggressor_side"
assert [delta.sequence for delta in deltas] == [0, 1]
PYTHON
