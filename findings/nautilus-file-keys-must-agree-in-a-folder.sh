#!/usr/bin/env bash
# A Parquet key of one's own in the footers of a catalog's day files breaks every query once its value differs by day.
# Expected: keys that the reader does not know are passed over, as in a folder with one file.
# Seen:     one file with a key of its own reads; two files with one key and two values fail: conflicting metadata.
# With:     nautilus_trader==1.231.0 pyarrow==26.0.1, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nautilus_trader==1.231.0 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import pathlib

import pyarrow.parquet as pq
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

DAY = 1_704_067_200_000_000_000  # 2024-01-01 in ns
NEXT = DAY + 86_400_000_000_000


def trade(moment: int) -> TradeTick:
    """A trade at a moment, in ns."""
    return TradeTick(
        InstrumentId.from_str("AAA.X"), Price.from_str("1.5"), Quantity.from_str("1"), AggressorSide.BUYER,
        TradeId(str(moment)), moment, moment,
    )


def note(path: pathlib.Path, value: str) -> None:
    """Write a file anew with a key of one's own among those of the file, beside the schema's."""
    table = pq.ParquetFile(path).read()
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"made.from": value})


catalog = ParquetDataCatalog("catalog")
catalog.write_data([trade(DAY)])
catalog.write_data([trade(NEXT)])
first, second = sorted(pathlib.Path("catalog").rglob("*.parquet"))
note(first, "one")
one = len(catalog.query(TradeTick))
note(second, "two")
try:
    both = str(len(catalog.query(TradeTick)))
except BaseException as error:  # it is no Exception of Python's own
    both = str(error)
print(f"one file with a key: {one} rows; two files with two values: {both[:160]}")
assert one == 2
assert "conflicting metadata" in both
PYTHON
