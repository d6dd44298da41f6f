#!/usr/bin/env bash
# hftbacktest's converter of captured Binance futures streams moves the arrival of every event by hours once mark prices are asked for.
# Expected: opt="m" adds mark price, index and funding events at their event time; trades and books stay where they are.
# Seen:     T of markPriceUpdate is the time of the next funding, and is taken for the time of the event: these lie up to eight
#           hours ahead, the correction of a negative latency takes that for the skew of two clocks, and adds it to local_ts of all events.
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
import gzip
import json

from hftbacktest.data.utils.binancefutures import convert
from hftbacktest.types import TRADE_EVENT

ARRIVAL = 1704067200_005_000_000
NEXT_FUNDING_MS = 1704067200_000 + 8 * 3_600_000
TRADE = {
    "e": "trade", "E": 1704067200004, "T": 1704067200003, "s": "BTCUSDT", "t": 1, "p": "100.0", "q": "1", "X": "MARKET", "m": True,
}
MARK = {
    "e": "markPriceUpdate", "E": 1704067201000, "s": "BTCUSDT", "p": "100.0", "i": "100.1", "P": "100.0", "r": "0.0001",
    "T": NEXT_FUNDING_MS,
}
with gzip.open("capture.gz", "wt") as file:
    file.write(f"{ARRIVAL} {json.dumps({'stream': 'btcusdt@trade', 'data': TRADE})}\n")
    file.write(f"{ARRIVAL + 10**9} {json.dumps({'stream': 'btcusdt@markPrice@1s', 'data': MARK})}\n")


def arrival_of_the_trade(opt: str) -> int:
    """Nanoseconds after it was received."""
    events = convert("capture.gz", opt=opt, buffer_size=100)
    (trade,) = [event for event in events if int(event["ev"]) & 0xFF == TRADE_EVENT]
    return int(trade["local_ts"]) - ARRIVAL


without, with_marks = arrival_of_the_trade(""), arrival_of_the_trade("m")
print(f"the trade arrives {without / 1e9} s late without mark prices, {with_marks / 1e9} s with them")
assert without == 0
assert with_marks == NEXT_FUNDING_MS * 10**6 - (ARRIVAL + 10**9)
PYTHON
