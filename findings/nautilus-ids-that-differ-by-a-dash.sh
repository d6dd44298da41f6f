#!/usr/bin/env bash
# A catalog query over two instruments whose ids differ only in - and _ (or . : ^ blank, case) drops one of them.
# Expected: 2 + 3 trades of BTC-USDT.OKX and BTC_USDT.OKX.
# Seen:     2 trades, all of the first id, no error, no warning; each id queried alone gives all of its rows.
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
catalog.write_data([trade("BTC-USDT.OKX", n) for n in range(2)])
catalog.write_data([trade("BTC_USDT.OKX", n) for n in range(3)])
both = catalog.query(TradeTick)
alone = [len(catalog.query(TradeTick, identifiers=[name])) for name in ("BTC-USDT.OKX", "BTC_USDT.OKX")]
print(f"query over both: {len(both)} rows of {sorted({str(row.instrument_id) for row in both})}; alone: {alone}")
assert len(both) == 2
assert alone == [2, 3]
PYTHON
