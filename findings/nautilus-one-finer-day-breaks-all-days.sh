#!/usr/bin/env bash
# One day with one decimal more makes every query of its instrument fail, also for other days.
# Expected: a query for the first day reads the first day's file.
# Seen:     the error of conflicting metadata for any range: the whole folder is registered, not the files that are kept.
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
catalog.write_data([trade("AAA.X", 1, price="1.5")])
catalog.write_data([trade("AAA.X", 86_400_000_000_001, price="1.25")])
try:
    answer = str(len(catalog.query(TradeTick, start="2024-01-01", end="2024-01-01T12:00:00")))
except BaseException as error:  # noqa: BLE001 - it is no Exception of Python's own
    answer = str(error)
print(answer[:200])
assert "conflicting metadata" in answer
PYTHON
