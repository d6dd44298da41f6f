#!/usr/bin/env bash
# A Tardis loader with a size_precision coarser than the file turns small sizes into deletions and rounds the rest.
# Expected: an error: 0.04 does not fit one decimal.
# Seen:     the update of a level to 0.04 is a DELETE of it, a trade of 0.05 at 101.25 is one of 0.1 at 101.3; no warning.
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
from nautilus_trader.model.enums import BookAction

HEAD = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
T = 1_704_067_200_000_000  # 2024-01-01 in us

path = pathlib.Path("incremental_book_L2.csv")
rows = [
    f"binance-futures,BTCUSDT,{T},{T + 10},true,bid,100.0,1.0",
    f"binance-futures,BTCUSDT,{T + 50},{T + 60},false,bid,100.0,0.04",
]
path.write_text("\n".join([HEAD, *rows]) + "\n")
loader = TardisCSVDataLoader(price_precision=1, size_precision=1)
last = loader.load_deltas(path)[-1]
trades = pathlib.Path("trades.csv")
trades.write_text(
    "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    f"binance-futures,BTCUSDT,{T},{T + 10},1,sell,101.25,0.05\n"
)
(trade,) = loader.load_trades(trades)
print(last.action, last.order, trade)
assert last.action == BookAction.DELETE
assert (str(trade.price), str(trade.size)) == ("101.3", "0.1")
PYTHON
