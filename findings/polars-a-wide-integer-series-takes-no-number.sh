#!/usr/bin/env bash
# A Series of 128-bit integers cannot be added to a Python number, where an expression of the same column can.
# Expected: pl.Series([1], dtype=pl.Int128) + 1 is 2, as of an Int64, or as select(pl.col("a") + 1) of the same Series gives it.
# Seen:     TypeError "cannot do arithmetic with Series of dtype: Int128 and argument of type: 'int'", and so for UInt128;
#           the comparison == 1, and + with another Series of the type, do work.
# With:     polars==2.1.0, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import polars as pl

assert (pl.Series([1], dtype=pl.Int64) + 1).to_list() == [2]
for kind in (pl.Int128, pl.UInt128):
    series = pl.Series("a", [1], dtype=kind)
    by_expression = series.to_frame().select(pl.col("a") + 1).to_series()
    assert by_expression.to_list() == (series + series).to_list() == [2]
    assert (series == 1).to_list() == [True]
    try:
        print(kind, (series + 1).to_list())
    except TypeError as error:
        print(f"{kind}: {error}")
    else:
        raise SystemExit(f"{kind} takes a number")
PYTHON
