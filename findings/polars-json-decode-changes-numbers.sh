#!/usr/bin/env bash
# Series.str.json_decode with a schema takes JSON numbers for the types that it names, and changes them without a word.
# Expected: a value, to the letter where the schema says String, or an error where the type named cannot hold it.
# Seen:     String gets a number by way of a float (0.0010 is "0.001", 12345678901234567890.5 is "12345678901234567000");
#           Int64 cuts 1.7 to 1, and is null for 99999999999999999999; text for an Int64 does raise.
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

SCHEMA = pl.Struct({"price": pl.String, "ts": pl.Int64})


def decoded(price: str, ts: str) -> tuple[object, object]:
    """What becomes of two JSON values."""
    row = pl.Series(['{"price":%s,"ts":%s}' % (price, ts)]).str.json_decode(SCHEMA)[0]
    return row["price"], row["ts"]


found = {
    "a text": decoded('"0.0010"', "1"),
    "a number": decoded("0.0010", "1"),
    "a long number": decoded("12345678901234567890.5", "1"),
    "a fraction": decoded('"1"', "1.7"),
    "a large whole number": decoded('"1"', "99999999999999999999"),
}
for what, value in found.items():
    print(f"{what}: {value}")
assert found == {
    "a text": ("0.0010", 1),
    "a number": ("0.001", 1),
    "a long number": ("12345678901234567000", 1),
    "a fraction": ("1", 1),
    "a large whole number": ("1", None),
}
try:
    decoded('"1"', '"7"')
except pl.exceptions.ComputeError as error:
    print("text for an Int64:", str(error).splitlines()[0])
else:
    raise SystemExit("text for an Int64 is taken")
PYTHON
