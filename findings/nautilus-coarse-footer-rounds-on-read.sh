#!/usr/bin/env bash
# A price finer than the price_precision in its file's footer is rounded on reading.
# Expected: an error, or the stored value 1.56.
# Seen:     1.6, no error, no warning; the raw value in the file is unchanged.
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


import pathlib

import pyarrow.parquet as pq

catalog = ParquetDataCatalog("catalog")
catalog.write_data([trade("AAA.X", 1, price="1.56")])
(path,) = pathlib.Path("catalog").rglob("*.parquet")
table = pq.ParquetFile(path).read()
pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"price_precision": b"1"}), path)
prices = [str(row.price) for row in catalog.query(TradeTick)]
print(prices)
assert prices == ["1.6"]
PYTHON
