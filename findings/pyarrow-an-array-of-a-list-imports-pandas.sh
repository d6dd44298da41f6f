#!/usr/bin/env bash
# The first pa.array of a process imports pandas, where it is installed, though nothing of pandas is given or wanted.
# Expected: pyarrow needs no pandas for a list of integers, nor for a NumPy array or the empty table of a schema.
# Seen:     each of them imports all of pandas, several hundred modules; pa.nulls and Array.from_buffers do not.
# With:     pyarrow==26.0.1, pandas==3.1.1. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==3.1.1
cd "$work"
asked() { # modules of pandas after one expression, and its seconds
    venv/bin/python - "$1" <<'PYTHON'
import sys
import time

import numpy as np
import pyarrow as pa

assert "pandas" not in sys.modules
started = time.perf_counter()
eval(sys.argv[1], {"pa": pa, "np": np})
seconds = time.perf_counter() - started
found = sum(name.partition(".")[0] == "pandas" for name in sys.modules)
print(f"{found} modules of pandas after {sys.argv[1]}: {seconds:.2f} s", file=sys.stderr)
print("pandas" if found else "none")
PYTHON
}
for expression in 'pa.array([1, 2])' 'pa.array(np.arange(2))' 'pa.schema([("a", pa.int64())]).empty_table()'; do
    [ "$(asked "$expression")" = pandas ]
done
for expression in 'pa.nulls(2, pa.int64())' 'pa.Array.from_buffers(pa.int64(), 1, [None, pa.py_buffer(bytes(8))])'; do
    [ "$(asked "$expression")" = none ]
done
