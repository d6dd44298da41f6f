#!/usr/bin/env bash
# Two messages of one exchange time, received one after the other, are loaded as one book event.
# Expected: F_LAST (128) on the last row of each message, that is of each local_timestamp.
# Seen:     F_LAST only where timestamp changes: the first message, received 10 us before the second, does not end.
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
import pathlib

from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader

HEAD = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
T = 1_704_067_200_000_000  # 2024-01-01 in us

rows = [
    f"binance-futures,BTCUSDT,{T},{T + 10},true,bid,100.0,1.0",
    f"binance-futures,BTCUSDT,{T},{T + 10},true,ask,101.0,1.0",
    f"binance-futures,BTCUSDT,{T + 50},{T + 60},false,bid,100.5,1.0",
    f"binance-futures,BTCUSDT,{T + 50},{T + 70},false,bid,100.5,0.0",
    f"binance-futures,BTCUSDT,{T + 90},{T + 95},false,ask,101.0,2.0",
]
path = pathlib.Path("incremental_book_L2.csv")
path.write_text("\n".join([HEAD, *rows]) + "\n")
deltas = TardisCSVDataLoader(price_precision=1, size_precision=1).load_deltas(path)
flags = [(delta.ts_init // 1000 - T, delta.flags) for delta in deltas]
print("received at, flags:", flags)
assert flags == [(10, 32), (10, 0), (10, 128), (60, 0), (70, 128), (95, 128)]
PYTHON
