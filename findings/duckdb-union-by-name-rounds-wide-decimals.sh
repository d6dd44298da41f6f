#!/usr/bin/env bash
# union_by_name over Parquet files of DECIMAL(38, 2) and DECIMAL(38, 9) rounds to the coarser of the two.
# Expected: 1.123456789, or an error: no decimal type holds both columns.
# Seen:     the result is DECIMAL(38, 2) and the value 1.12, no warning; the same of precision 18 stays exact.
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


found = {}
for precision in (18, 38):
    write("1", "1.50", precision, 2)
    write("2", "1.123456789", precision, 9)
    rows = duckdb.sql("SELECT price FROM read_parquet('*.parquet', union_by_name=true)")
    found[precision] = (str(rows.types[0]), [str(price) for (price,) in rows.fetchall()])
print(found)
assert found[18][1] == ["1.500000000", "1.123456789"]
assert found[38] == ("DECIMAL(38,2)", ["1.50", "1.12"])
PYTHON
