#!/usr/bin/env bash
# instrument.make_qty(value, round_down=True) raises for a value below one step.
# Expected: 0.000, which is the value rounded down, and what value 0 gives.
# Seen:     ValueError, as its documentation says: sizing code has to look for less than one step first.
# With:     nautilus_trader==1.231.0, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check nautilus_trader==1.231.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from nautilus_trader.test_kit.providers import TestInstrumentProvider

instrument = TestInstrumentProvider.ethusdt_perp_binance()
zero = str(instrument.make_qty("0", round_down=True))
try:
    small = str(instrument.make_qty("0.0009", round_down=True))
except ValueError as error:
    small = f"{type(error).__name__}: {error}"
print(f"step {instrument.size_increment}: 0 gives {zero}, 0.0009 gives {small}")
assert zero == "0.000"
assert small.startswith("ValueError: Invalid `value` for quantity: 0.0009 was rounded to zero")
PYTHON
