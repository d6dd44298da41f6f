#!/usr/bin/env bash
# build_schedule_context(instance=DagsterInstance.ephemeral()) has no instance; build_sensor_context keeps it.
# Expected: context.instance is the instance that was given.
# Seen:     DagsterInvariantViolationError, no instance reference was provided: a schedule that asks the instance cannot be tested with an ephemeral one.
# With:     dagster==1.13.27, on CPython 3.12 and newer. Exit 0 while that is so, 1 once it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23]*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check dagster==1.13.27
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import dagster as dg

instance = dg.DagsterInstance.ephemeral()
assert dg.build_sensor_context(instance=instance).instance is instance
try:
    found = dg.build_schedule_context(instance=instance).instance
except dg.DagsterInvariantViolationError as error:
    found = str(error)
print(found)
assert "no instance reference was provided" in str(found)
PYTHON
