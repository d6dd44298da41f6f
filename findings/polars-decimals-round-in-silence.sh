#!/usr/bin/env bash
# Decimals in Polars are rounded where a cast or a product has no room, also with strict=True.
# Expected: an error, or null, where digits do not fit; 1.25 x 0.125 = 0.15625.
# Seen:     text with 17 decimals is rounded to 16 by a strict cast; the product keeps the larger scale of the two factors: 0.156.
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
from decimal import Decimal

import polars as pl

cast = pl.Series(["1.99999999999999995"]).cast(pl.Decimal(38, 16), strict=True)[0]
frame = pl.DataFrame(
    {"price": [Decimal("1.25")], "size": [Decimal("0.125")]},
    schema={"price": pl.Decimal(38, 2), "size": pl.Decimal(38, 3)},
)
product = frame.select(pl.col("price") * pl.col("size")).item()
print(cast, product)
assert cast == 2
assert product == Decimal("0.156")
PYTHON
