#!/usr/bin/env bash
# A query of named files gives the rows of their whole folder, without a word.
# Expected: query(.., files=[first]) gives the two rows of that file; optimize_file_loading reads no other as well.
# Seen:     all three rows of the folder; two only with optimize_file_loading=False, which is not the default.
# With:     nautilus_trader==2.0.0rc7, on CPython 3.13 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3 "$HOME"/.pyenv/versions/3.1[34]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nautilus_trader==2.0.0rc7
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from pathlib import Path

from nautilus_trader.model import AggressorSide, NautilusDataType, Price, Quantity, TradeId, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.testkit.providers import TestInstrumentProvider

DAY = 86_400_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01 in ns
PERP = TestInstrumentProvider.btcusdt_perp_binance()


def trade(number: int, time: int) -> TradeTick:
    """A trade."""
    price, size = Price.from_str("40000.0"), Quantity.from_str("1.000")
    return TradeTick(PERP.id, price, size, AggressorSide.BUY, TradeId(str(number)), time, time)


Path("catalog").mkdir()
catalog = ParquetDataCatalog(str(Path("catalog").absolute()))
catalog.write_trade_ticks([trade(1, START), trade(2, START + 1)])
catalog.write_trade_ticks([trade(3, START + DAY)])
first, second = sorted(map(str, Path("catalog").absolute().rglob("*.parquet")))
asked = catalog.query(NautilusDataType.TradeTick, files=[first])
alone = catalog.query(NautilusDataType.TradeTick, files=[first], optimize_file_loading=False)
print(f"rows of one file: {len(asked)}; with optimize_file_loading=False: {len(alone)}")
assert [str(each.trade_id) for each in alone] == ["1", "2"]
assert [str(each.trade_id) for each in asked] == ["1", "2", "3"]
PYTHON
