#!/usr/bin/env bash
# hftbacktest's converter of Tardis books cuts every later snapshot of a file to as many levels as the first one has.
# Expected: each snapshot in incremental_book_L2 becomes a DEPTH_CLEAR_EVENT and all of its levels, whatever came before.
# Seen:     after a first snapshot of two levels a side, one of five gives two: the rest is gone, the clear reaches down to
#           the second level only, so that older orders behind it stay, and there is no error.
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

import numpy as np
from hftbacktest.data.utils.tardis import convert
from hftbacktest.types import BUY_EVENT, DEPTH_CLEAR_EVENT, DEPTH_SNAPSHOT_EVENT

KIND = 0xFF
START = 1704067200000000


def rows(seconds: int, first_bid: int, levels: int) -> str:
    """A snapshot, and the update that ends it."""
    time = START + seconds * 1_000_000
    stamp = f"binance-futures,BTCUSDT,{time},{time + 1000}"
    bids = "".join(f"{stamp},true,bid,{first_bid - n},1\n" for n in range(levels))
    asks = "".join(f"{stamp},true,ask,{first_bid + 1 + n},1\n" for n in range(levels))
    later = f"binance-futures,BTCUSDT,{time + 1000},{time + 2000}"
    return f"{bids}{asks}{later},false,bid,{first_bid},2\n"


HEADER = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"


def bid_levels(name: str, text: str) -> list[tuple[list[float], list[float]]]:
    """Of each snapshot: how far bids are cleared, and the bids that follow."""
    file = f"incremental_book_L2_{name}.csv.gz"
    with gzip.open(file, "wt") as out:
        out.write(HEADER + text)
    events = convert([file], buffer_size=1000, ss_buffer_size=100)
    bids = events[events["ev"] & np.uint64(BUY_EVENT) == BUY_EVENT]
    kinds = bids["ev"] & np.uint64(KIND)
    found = []
    for time in np.unique(bids["exch_ts"]):
        now = bids["exch_ts"] == time
        cleared = bids["px"][now & (kinds == DEPTH_CLEAR_EVENT)].tolist()
        levels = bids["px"][now & (kinds == DEPTH_SNAPSHOT_EVENT)].tolist()
        if levels:
            found.append((cleared, levels))
    return found


alone = bid_levels("alone", rows(1, 90, 5))
after_a_short_one = bid_levels("both", rows(0, 100, 2) + rows(1, 90, 5))
print("five levels alone:             ", alone)
print("after a snapshot of two levels:", after_a_short_one)
assert alone == [([86.0], [90.0, 89.0, 88.0, 87.0, 86.0])]
assert after_a_short_one == [([99.0], [100.0, 99.0]), ([89.0], [90.0, 89.0])]
PYTHON
