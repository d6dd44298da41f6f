#!/usr/bin/env bash
# DuckDB rounds the decimals of a later Parquet file to the scale of the first one by name.
# Expected: an error, as for a value that is too large for the first file's type, or 1.25.
# Seen:     1.3 and no warning; with union_by_name=true, 1.25.
# With:     duckdb==2.0.1 and pyarrow==26.0.1, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import pathlib
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def write(name: str, value: str, precision: int, scale: int) -> None:
    """A file with one decimal."""
    pq.write_table(pa.table({"price": pa.array([Decimal(value)], pa.decimal128(precision, scale))}), f"{name}.parquet")


write("1", "1.5", 18, 1)
write("2", "1.25", 18, 2)
first = [price for (price,) in duckdb.sql("SELECT price FROM '*.parquet'").fetchall()]
union = [price for (price,) in duckdb.sql("SELECT price FROM read_parquet('*.parquet', union_by_name=true)").fetchall()]
print("first file's type", first, "union_by_name", union)
assert first == [Decimal("1.5"), Decimal("1.3")]
assert union == [Decimal("1.50"), Decimal("1.25")]
PYTHON
