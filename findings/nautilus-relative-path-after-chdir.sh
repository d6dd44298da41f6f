#!/usr/bin/env bash
# ParquetDataCatalog on a relative path, after os.chdir, is the catalog of the folder before.
# Expected: the catalog under the working directory of now, as for any other relative path.
# Seen:     the rows of the folder before (one object per arguments), no error; a write goes there too.
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
import os
from pathlib import Path

from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

DAY = 1_704_067_200_000_000_000  # 2024-01-01 in ns


def trade(number: int, price: str) -> TradeTick:
    """A trade at number ns after midnight."""
    return TradeTick(
        InstrumentId.from_str("AAA.X"), Price.from_str(price), Quantity.from_str("1"), AggressorSide.BUYER,
        TradeId(str(number)), DAY + number, DAY + number,
    )


def prices(path: object) -> list[str]:
    """What a catalog on this path answers."""
    return [str(row.price) for row in ParquetDataCatalog(str(path)).query(TradeTick)]


top = Path.cwd()
for folder in ("first", "second", "third"):
    (top / folder).mkdir()
ParquetDataCatalog(str(top / "second" / "catalog")).write_data([trade(1, "2.5")])
os.chdir(top / "first")
empty = prices("catalog")
os.chdir(top / "second")
relative, absolute = prices("catalog"), prices(top / "second" / "catalog")
os.chdir(top / "third")
ParquetDataCatalog("catalog").write_data([trade(2, "3.5")])
written = {folder: len(list((top / folder).rglob("*.parquet"))) for folder in ("first", "third")}
print(f"first: {empty}; second, relative: {relative}, absolute: {absolute}; files after a write in third: {written}")
assert empty == relative == []
assert absolute == ["2.5"]
assert written == {"first": 1, "third": 0}
PYTHON
