#!/usr/bin/env bash
# pyarrow reads a folder of decimals or not by the names of its files: the first one sets the type of all.
# Expected: the wider of the two types, as when the files are named the other way round.
# Seen:     ArrowInvalid (does not fit in precision 5, would cause data loss) if the narrow or coarse file comes first; given a schema it reads.
# With:     pyarrow==26.0.1, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import pathlib
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq


def seen(*columns: tuple[str, int, int], schema: pa.Schema | None = None) -> object:
    """What a folder of files with (value, precision, scale) reads as, in that order by name."""
    path = pathlib.Path("files")
    path.mkdir(exist_ok=True)
    for number, (value, precision, scale) in enumerate(columns):
        column = pa.array([Decimal(value)], pa.decimal128(precision, scale))
        pq.write_table(pa.table({"price": column}), path / f"{number}.parquet")
    try:
        return [str(price) for price in pq.read_table(path, schema=schema)["price"].to_pylist()]
    except pa.ArrowInvalid as error:
        return str(error)


narrow, wide = ("1.50", 5, 2), ("12345.50", 18, 2)
coarse, fine = ("1.5", 18, 1), ("1.25", 18, 2)
print(seen(narrow, wide), seen(wide, narrow), seen(coarse, fine), seen(fine, coarse), sep="; ")
assert seen(narrow, wide) == "Decimal value does not fit in precision 5"
assert seen(wide, narrow) == ["12345.50", "1.50"]
assert seen(coarse, fine) == "Rescaling Decimal value would cause data loss"
assert seen(fine, coarse) == ["1.25", "1.50"]
assert seen(narrow, wide, schema=pa.schema({"price": pa.decimal128(38, 2)})) == ["1.50", "12345.50"]
PYTHON
