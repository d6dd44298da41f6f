#!/usr/bin/env bash
# stream_deltas leaves out F_LAST wherever a chunk ends with its event, also at the end of the file.
# Expected: the flags of load_deltas, whatever the chunk_size.
# Seen:     chunk_size=5 over five deltas: the last one lacks F_LAST (128), so that the last event never ends.
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
    f"binance-futures,BTCUSDT,{T + 50},{T + 60},false,bid,100.6,1.0",
]
path = pathlib.Path("incremental_book_L2.csv")
path.write_text("\n".join([HEAD, *rows]) + "\n")
loader = TardisCSVDataLoader(price_precision=1, size_precision=1)
whole = [delta.flags for delta in loader.load_deltas(path)]
by_size = {
    size: [delta.flags for chunk in loader.stream_deltas(path, chunk_size=size) for delta in chunk] for size in (3, 5, 100)
}
print("whole", whole, "by chunk_size", by_size)
assert whole == by_size[100] == [32, 0, 128, 0, 128]
assert by_size[3] == [32, 0, 0, 0, 128]
assert by_size[5] == [32, 0, 128, 0, 0]
PYTHON
