#!/usr/bin/env bash
# ChunkedArray.combine_chunks() of one chunk copies it; Table.combine_chunks() of the same column does not.
# Expected: the one chunk itself, as chunk(0) gives it.
# Seen:     a new array with buffers of its own: 8 MB more for a million integers, 0 bytes through the table.
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
import pyarrow as pa

column = pa.chunked_array([pa.array(range(1_000_000))])
before = pa.total_allocated_bytes()
combined = column.combine_chunks()
by_array = pa.total_allocated_bytes() - before
table = pa.table({"price": column})
before = pa.total_allocated_bytes()
whole = table.combine_chunks()
by_table = pa.total_allocated_bytes() - before
print(f"new bytes: array {by_array}, table {by_table}")
assert column.num_chunks == 1
assert by_array == 8_000_000
assert by_table == 0
assert combined.buffers()[1].address != column.chunk(0).buffers()[1].address
assert whole["price"].chunk(0).buffers()[1].address == column.chunk(0).buffers()[1].address
PYTHON
