#!/usr/bin/env bash
# hftbacktest's converter of Bybit's published books gives the levels of a snapshot no side.
# Expected: DEPTH_SNAPSHOT_EVENT | BUY_EVENT for bids and | SELL_EVENT for asks, as of the updates that follow.
# Seen:     the side is or-ed to updates alone (the conditional expression binds looser): levels of snapshots are neither bids nor asks.
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
import zipfile

from hftbacktest.data.utils.bybithistmktdata import convert
from hftbacktest.types import BUY_EVENT, DEPTH_EVENT, DEPTH_SNAPSHOT_EVENT, SELL_EVENT


def message(kind: str, time: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    """A line of a published book."""
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": 1, "seq": 1}
    return json.dumps({"topic": "orderbook.500.BTCUSDT", "type": kind, "ts": time, "data": data, "cts": time}) + "\n"


with zipfile.ZipFile("book.zip", "w") as archive:
    archive.writestr(
        "2024-01-01_BTCUSDT_ob500.data",
        message("snapshot", 1704067200000, [["100.0", "1"], ["99.9", "1"]], [["100.1", "2"]])
        + message("delta", 1704067200100, [["100.0", "3"]], [["100.1", "4"]]),
    )
with gzip.open("trades.csv.gz", "wt") as file:
    file.write("timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n")
    file.write("1704067200.5,BTCUSDT,Buy,0.01,100.1,PlusTick,a,1,1,1\n")


def sides(kind: int) -> list[str]:
    """Sides of the events of a kind."""
    found = [int(event["ev"]) for event in events if int(event["ev"]) & 0xFF == kind]
    return ["bid" if event & BUY_EVENT else "ask" if event & SELL_EVENT else "none" for event in found]


events = convert("book.zip", "trades.csv.gz", buffer_size=100)
print("snapshot:", sides(DEPTH_SNAPSHOT_EVENT), "update:", sides(DEPTH_EVENT))
assert sides(DEPTH_SNAPSHOT_EVENT) == ["none", "none", "none"]
assert sorted(sides(DEPTH_EVENT)) == ["ask", "bid"]
PYTHON
