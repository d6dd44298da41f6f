#!/usr/bin/env bash
# A Series of a column that offers Arrow's interface, of whatever library, ignores the name and the type that it is given.
# Expected: pl.Series("price", column, dtype=pl.Int8) is named price and of Int8, as of a list.
# Seen:     it has no name, or that of the column, and the column's type, without a word.
# With:     polars==2.1.0, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$work/venv/bin/python" - <<'PYTHON'
import polars as pl


class Column:
    """Of another library, which offers its values by Arrow's interface."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pl.Series("theirs", [1, 2], dtype=pl.Int64).__arrow_c_stream__(requested_schema)


of_a_list = pl.Series("price", [1, 2], dtype=pl.Int8)
found = pl.Series("price", Column(), dtype=pl.Int8)
print((of_a_list.name, of_a_list.dtype), (found.name, found.dtype))
assert (of_a_list.name, of_a_list.dtype) == ("price", pl.Int8)
assert (found.name, found.dtype) == ("theirs", pl.Int64)
PYTHON
