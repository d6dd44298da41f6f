#!/usr/bin/env bash
# A slice of one expression of a lazy query is pushed into its parts, where is_between takes it twice: other values, or an error.
# Expected: the rows of the slice, as without slice_pushdown and as by an eager select.
# Seen:     slice(1, 2) of six rows gives [True, True] instead of [False, True] without a word; slice(1) raises ShapeError.
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

frame = pl.DataFrame({"high": [4, 3, 9, 1, 5, 0], "low": [0, 0, 8, 0, 6, 3], "x": [6, 0, 8, 3, 7, 7]})
low, high = pl.col("low") // 2, pl.col("high") // 2
outside = pl.any_horizontal(low > high, ~pl.col("x").is_between(low, high))


def seen(*part: int, pushed: bool) -> object:
    """The rows of a slice, or the name of the error."""
    flags = pl.QueryOptFlags(slice_pushdown=pushed)
    try:
        return frame.lazy().select(outside.slice(*part)).collect(optimizations=flags).to_series().to_list()
    except pl.exceptions.ShapeError as error:
        return type(error).__name__


whole = frame.select(outside).to_series().to_list()
found = {part: (seen(*part, pushed=False), seen(*part, pushed=True)) for part in ((1, 2), (1,))}
print(whole, found)
assert found[1, 2] == (whole[1:3], [True, True])
assert whole[1:3] == [False, True]
assert found[1,] == (whole[1:], "ShapeError")
PYTHON
