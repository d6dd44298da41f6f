#!/usr/bin/env bash
# msgspec.json.encode(..., order="sorted") refuses a dict with date (or int) keys that it encodes without order.
# Expected: the same text with the keys in order: they are written as strings.
# Seen:     TypeError, only dicts with str keys are supported; order="deterministic" says the same.
# With:     msgspec==0.22.0, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import datetime

import msgspec

days = {datetime.date(2024, 1, 2): 1, datetime.date(2024, 1, 1): 2}
plain = msgspec.json.encode(days)
errors = {}
for order in ("sorted", "deterministic"):
    for value in (days, {2: 1, 1: 2}):
        try:
            msgspec.json.encode(value, order=order)
        except TypeError as error:
            errors[order, type(next(iter(value))).__name__] = str(error)
print(plain.decode(), errors)
assert plain == b'{"2024-01-02":1,"2024-01-01":2}'
assert len(errors) == 4
assert all(said.startswith("Only dicts with str keys are supported") for said in errors.values())
PYTHON
