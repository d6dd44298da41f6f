#!/usr/bin/env bash
# A TradeTick read from a catalog does not equal the one that was written.
# Expected: written == read: same instrument, price, size, side, id and times.
# Seen:     not equal, though every field is equal one by one.
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
from decimal import Decimal

from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

DAY = 1_704_067_200_000_000_000  # 2024-01-01 in ns


def trade(instrument: str, number: int, price: str = "1.5") -> TradeTick:
    """A trade at number ns after midnight."""
    return TradeTick(
        InstrumentId.from_str(instrument), Price.from_str(price), Quantity.from_str("1"), AggressorSide.BUYER,
        TradeId(str(number)), DAY + number, DAY + number,
    )


catalog = ParquetDataCatalog("catalog")
written = trade("AAA.X", 1)
catalog.write_data([written])
(read,) = catalog.query(TradeTick)
fields = ("instrument_id", "price", "size", "aggressor_side", "trade_id", "ts_event", "ts_init")
alike = [str(getattr(written, name)) == str(getattr(read, name)) for name in fields]
print(f"equal: {written == read}; each field as text: {all(alike)}")
assert all(alike)
assert written != read
PYTHON
