#!/usr/bin/env bash
# scan_parquet of a folder whose files hold one column as decimal(38, 2) and decimal(18, 2) raises.
# Expected: one column of decimal(38, 2), as of integers with the upcast that the hint names, whatever the files are called.
# Seen:     SchemaError; the hint (integer_cast='upcast') helps only if the wider file comes first by name, else a schema is needed too.
# With:     polars==2.1.0 and pyarrow==26.0.1, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import pathlib
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

UPCAST = pl.ScanCastOptions(integer_cast="upcast")


def folder(*precisions: int) -> str:
    """A folder of files with these precisions, in that order by name."""
    path = pathlib.Path("x".join(map(str, precisions)))
    path.mkdir()
    for number, precision in enumerate(precisions):
        column = pa.array([Decimal("1.50")], pa.decimal128(precision, 2))
        pq.write_table(pa.table({"price": column}), path / f"{number}.parquet")
    return str(path)


def seen(path: str, **options: object) -> object:
    """The values, or the name of the error."""
    try:
        return pl.scan_parquet(path, **options).collect()["price"].to_list()
    except pl.exceptions.SchemaError as error:
        return type(error).__name__


wide, narrow = folder(38, 18), folder(18, 38)
values = [Decimal("1.50")] * 2
found = {name: (seen(path), seen(path, cast_options=UPCAST)) for name, path in (("wide first", wide), ("narrow first", narrow))}
both = seen(narrow, schema={"price": pl.Decimal(38, 2)}, cast_options=UPCAST)
print(found, "with a schema:", both)
assert found == {"wide first": ("SchemaError", values), "narrow first": ("SchemaError", "SchemaError")}
assert both == values
assert pq.read_table(wide)["price"].to_pylist() == pq.read_table(narrow)["price"].to_pylist() == values
PYTHON
