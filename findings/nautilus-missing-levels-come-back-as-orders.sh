#!/usr/bin/env bash
# The levels that a depth of five does not have are read back from a catalog as orders at price 0.
# Expected: levels 6 to 10 as they were written: no side, no order.
# Seen:     BUY at 0 and SELL at 0, so that asks[9] is below every bid; the row still equals the one written. (Whole prices: others cannot be written.)
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
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.persistence.catalog import ParquetDataCatalog

T = 1_704_067_200_000_000  # 2024-01-01 in us
SIDES = ("asks", "bids")
names = [f"{side}[{level}].{field}" for level in range(5) for side in SIDES for field in ("price", "amount")]
levels = [value for level in range(5) for value in (f"{101 + level}", "1", f"{100 - level}", "2")]
path = pathlib.Path("book_snapshot_5.csv")
path.write_text(
    ",".join(["exchange", "symbol", "timestamp", "local_timestamp", *names]) + "\n"
    + ",".join(["binance-futures", "BTCUSDT", str(T), str(T + 10), *levels]) + "\n"
)
(depth,) = TardisCSVDataLoader(price_precision=0, size_precision=0).load_depth10(path, levels=5)
catalog = ParquetDataCatalog("catalog")
catalog.write_data([depth])
(read,) = catalog.query(OrderBookDepth10)
print(depth.bids[5], depth.asks[5], "->", read.bids[5], read.asks[5], "| equal:", read == depth)
assert depth.bids[5].side == depth.asks[5].side == OrderSide.NO_ORDER_SIDE
assert (read.bids[5].side, read.asks[5].side) == (OrderSide.BUY, OrderSide.SELL)
assert read.bids[5].price == read.asks[5].price == 0
assert read == depth
PYTHON
