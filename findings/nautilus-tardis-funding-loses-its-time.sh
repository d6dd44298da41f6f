#!/usr/bin/env bash
# load_funding_rates leaves out the time of the funding that its file names.
# Expected: next_funding_ns from the column funding_timestamp.
# Seen:     next_funding_ns is None, with the column filled in every row.
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

T = 1_704_067_200_000_000  # 2024-01-01 in us
HOUR = 3_600_000_000
path = pathlib.Path("derivative_ticker.csv")
path.write_text(
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,"
    "open_interest,last_price,index_price,mark_price\n"
    f"binance-futures,BTCUSDT,{T},{T + 10},{T + 8 * HOUR},0.0001,,,100.0,100.0,100.0\n"
)
(rate,) = TardisCSVDataLoader().load_funding_rates(path)
print(rate)
assert str(rate.rate) == "0.0001"
assert rate.next_funding_ns is None
PYTHON
