#!/usr/bin/env bash
# A depth of five levels, loaded by Nautilus' own Tardis loader, cannot be written to a catalog.
# Expected: it is written, and read back with five levels.
# Seen:     ValueError, mixed metadata at row 0: levels 6 to 10 are filled up with orders of price precision 0. With ten levels it is written.
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
from nautilus_trader.persistence.catalog import ParquetDataCatalog

T = 1_704_067_200_000_000  # 2024-01-01 in us
SIDES = ("asks", "bids")
names = [f"{side}[{level}].{field}" for level in range(5) for side in SIDES for field in ("price", "amount")]
levels = [value for level in range(5) for value in (f"{101 + level}.5", "1.5", f"{100 - level}.5", "2.5")]
path = pathlib.Path("book_snapshot_5.csv")
path.write_text(
    ",".join(["exchange", "symbol", "timestamp", "local_timestamp", *names]) + "\n"
    + ",".join(["binance-futures", "BTCUSDT", str(T), str(T + 10), *levels]) + "\n"
)
(depth,) = TardisCSVDataLoader(price_precision=1, size_precision=1).load_depth10(path, levels=5)
catalog = ParquetDataCatalog("catalog")
try:
    catalog.write_data([depth])
    said = "written"
except ValueError as error:
    said = str(error)
whole = OrderBookDepth10(
    depth.instrument_id, [*depth.bids[:5]] * 2, [*depth.asks[:5]] * 2, [1] * 10, [1] * 10, 0, 0, depth.ts_event, depth.ts_init
)
catalog.write_data([whole])
print(said, "| precisions", [order.price.precision for order in depth.bids], "| ten levels:", len(catalog.query(OrderBookDepth10)))
assert said.startswith("Mixed metadata at row 0")
assert [order.price.precision for order in depth.bids] == [1] * 5 + [0] * 5
assert len(catalog.query(OrderBookDepth10)) == 1
PYTHON
