#!/usr/bin/env bash
# consolidate_data(deduplicate=True) leaves rows out of order, and a query gives them in that order.
# Expected: 200,000 different trades sorted by ts_init, as in the two files that were joined.
# Seen:     all 200,000, no longer sorted.
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
rows = [trade("AAA.X", n) for n in range(200_000)]
catalog.write_data(rows[:100_000])
catalog.write_data(rows[100_000:])
before = [row.ts_init for row in catalog.query(TradeTick)]
catalog.consolidate_data(TradeTick, "AAA.X", deduplicate=True)
after = [row.ts_init for row in catalog.query(TradeTick)]
print(f"sorted before: {before == sorted(before)}; after: {len(after):,} rows, sorted: {after == sorted(after)}")
assert before == sorted(before)
assert len(after) == 200_000
assert after != sorted(after)
PYTHON
