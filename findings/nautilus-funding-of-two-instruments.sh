#!/usr/bin/env bash
# Funding rates of two instruments in one query all carry the id of the first file, and rates come back as text.
# Expected: one update of each instrument, rate a Decimal as it was written.
# Seen:     both updates say AAA-PERP.X; rate is a str. (Each is the first file's schema metadata for all; the rate column is JSON.)
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

from nautilus_trader.model.data import FundingRateUpdate, TradeTick
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
for name in ("AAA-PERP.X", "BBB-PERP.X"):
    catalog.write_data([FundingRateUpdate(InstrumentId.from_str(name), Decimal("0.0001"), DAY, DAY)])
rows = catalog.query(FundingRateUpdate)
print([(str(row.instrument_id), type(row.rate).__name__) for row in rows])
assert [str(row.instrument_id) for row in rows] == ["AAA-PERP.X", "AAA-PERP.X"]
assert {type(row.rate) for row in rows} == {str}
PYTHON
