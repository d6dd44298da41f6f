#!/usr/bin/env bash
# dagster asset materialize with a partition range that is the wrong way round exits 0 and runs without partitions.
# Expected: an error, as for a partition key that does not exist.
# Seen:     exit 0; the step runs with no partition key at all and an unpartitioned materialization is recorded.
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
import os
import pathlib
import subprocess
import sys

home = pathlib.Path("home").resolve()
home.mkdir()
(home / "dagster.yaml").write_text("telemetry: {enabled: false}")
pathlib.Path("days.py").write_text(
    "import dagster as dg\n"
    "P = dg.MultiPartitionsDefinition({'date': dg.DailyPartitionsDefinition('2024-01-01'), 'name': dg.StaticPartitionsDefinition(['A', 'B'])})\n"
    "@dg.asset(partitions_def=P, backfill_policy=dg.BackfillPolicy.single_run())\n"
    "def day(context) -> None:\n"
    "    print('KEYS', len(context.partition_keys), flush=True)\n"
    "defs = dg.Definitions(assets=[day], executor=dg.in_process_executor)\n"
)
done = subprocess.run(
    [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "day", "-f", "days.py",
     "--partition-range", "2024-01-05|A...2024-01-03|B"],
    env=os.environ | {"DAGSTER_HOME": str(home)}, capture_output=True, text=True, check=False,
)
import dagster as dg

with dg.DagsterInstance.from_config(str(home)) as instance:
    records = instance.fetch_materializations(dg.AssetKey("day"), limit=10).records
keys = [line for line in done.stdout.splitlines() if line.startswith("KEYS")]
partitions = [record.partition_key for record in records]
print(f"exit {done.returncode}, {keys}, materializations of partitions {partitions}")
assert done.returncode == 0
assert keys == ["KEYS 0"]
assert partitions == [None]
PYTHON
