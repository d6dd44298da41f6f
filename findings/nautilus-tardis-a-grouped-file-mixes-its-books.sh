#!/usr/bin/env bash
# In a Tardis file of several symbols, two snapshots of one exchange time share one CLEAR and one F_LAST.
# Expected: deltas as from a file of each symbol: CLEAR before each book's snapshot and F_LAST (128) at its end, or an error.
# Seen:     the rows keep their own instruments, but the first never gets F_LAST and the second no CLEAR.
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

rows = [
    f"deribit,{symbol},{T},{T + 10},true,{side},{price},10.0"
    for symbol in ("BTC-PERPETUAL", "ETH-PERPETUAL") for side, price in (("bid", "100.0"), ("ask", "101.0"))
]
path = pathlib.Path("PERPETUALS.csv")
path.write_text("\n".join([HEAD, *rows]) + "\n")
deltas = TardisCSVDataLoader(price_precision=1, size_precision=1).load_deltas(path)
names = sorted({str(delta.instrument_id) for delta in deltas})
clears = [str(delta.instrument_id) for delta in deltas if delta.action == BookAction.CLEAR]
ends = [str(delta.instrument_id) for delta in deltas if delta.flags == 128]
print(f"instruments {names}, CLEAR of {clears}, F_LAST of {ends}")
assert names == ["BTC-PERPETUAL.DERIBIT", "ETH-PERPETUAL.DERIBIT"]
assert clears == names[:1]
assert ends == names[1:]
PYTHON
