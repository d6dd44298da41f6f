#!/usr/bin/env bash
# instrument.make_qty(value, round_down=True) takes one step off quantities that are whole steps.
# Expected: 0.3 stays 0.3 where the size increment is 0.1: there is nothing to round.
# Seen:     0.3 gives 0.2, 0.7 gives 0.6; 697 of the first 1,999 whole steps lose one, from str and Decimal alike.
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
from decimal import Decimal

from nautilus_trader.test_kit.providers import TestInstrumentProvider

instrument = TestInstrumentProvider.adausdt_binance()
step = instrument.size_increment.as_decimal()
steps = [number * step for number in range(1, 2000)]
lost = [value for value in steps if instrument.make_qty(value, round_down=True).as_decimal() == value - step]
kept = [value for value in steps if instrument.make_qty(value).as_decimal() == value]
print(f"step {step}: {len(lost)} of {len(steps)} lose one, the first {[str(value) for value in lost[:5]]}")
assert step == Decimal("0.1")
assert str(instrument.make_qty("0.3", round_down=True)) == "0.2"
assert len(lost) == 697
assert kept == steps
PYTHON
