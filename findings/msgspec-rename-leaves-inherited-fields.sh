#!/usr/bin/env bash
# msgspec.Struct: rename given to a subclass does not reach the fields that it inherits.
# Expected: every field of the class under its new name, or an error for the mixture.
# Seen:     inherited fields keep their old names on the wire; one with a default is missed in silence on decode.
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
import msgspec


class Base(msgspec.Struct):
    """Fields under their own names."""

    first_id: int = 0


class Renamed(Base, rename="camel"):
    """One more field, and names in camel case."""

    last_id: int = 0


text = msgspec.json.encode(Renamed(first_id=1, last_id=2))
read = msgspec.json.decode(b'{"firstId":1,"lastId":2}', type=Renamed)
print(text.decode(), read)
assert text == b'{"first_id":1,"lastId":2}'
assert read == Renamed(first_id=0, last_id=2)
PYTHON
