#!/usr/bin/env bash
# A run_failure_sensor whose reaction raises moves its cursor past that run all the same.
# Expected: the failed run is offered again at the next tick, as with any other sensor that raises.
# Seen:     the tick reports the error and its cursor is behind the run: no later tick offers it (a comment in the daemon says so on purpose).
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
import pathlib

import dagster as dg

home = pathlib.Path("home").resolve()
home.mkdir()
(home / "dagster.yaml").write_text("telemetry: {enabled: false}")


@dg.op
def broken() -> None:
    """Fail."""
    raise RuntimeError("no data")


@dg.job
def convert() -> None:
    """A job that fails."""
    broken()


called = []


@dg.run_failure_sensor(monitored_jobs=[convert])
def alarm(context: dg.RunFailureSensorContext) -> None:
    """Tell somebody; the line is busy the first time."""
    called.append(context.dagster_run.run_id)
    if len(called) == 1:
        raise OSError("busy")


repository = dg.Definitions(jobs=[convert], sensors=[alarm]).get_repository_def()
cursor = None
reactions = []
with dg.DagsterInstance.from_config(str(home)) as instance:
    for number in range(4):
        if number == 1:
            convert.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
        tick = alarm.evaluate_tick(context)
        cursor = tick.cursor
        reactions.append(["failed" if reaction.error else "done" for reaction in tick.dagster_run_reactions])
print(f"reactions by tick {reactions}, calls {len(called)}")
assert reactions == [[], ["failed"], [], []]
assert len(called) == 1
PYTHON
