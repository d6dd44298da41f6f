#!/usr/bin/env bash
# A run over many partitions keeps the list of all of them in the planned row of each partition of a partitioned check.
# Expected: a row for each partition that holds what is of that partition: bytes grow with the partitions of the run.
# Seen:     each row of asset_check_executions holds all keys: four times the partitions take some 12 times the bytes.
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
import sqlite3
import tempfile

import dagster as dg


def planned_bytes(count: int) -> int:
    """Of the rows that one run over so many partitions has planned; the run ends before it has answers."""
    keys = [f"2024-01-01|INSTRUMENT-{number:04d}-PERP" for number in range(count)]
    parts = dg.StaticPartitionsDefinition(keys)

    @dg.asset(
        partitions_def=parts,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[dg.AssetCheckSpec("sound", asset="prices", partitions_def=parts)],
    )
    def prices():
        raise dg.Failure("no answer")

    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        job = dg.Definitions(assets=[prices]).resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags={"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]},
        )
        total = 0
        for path in pathlib.Path(home).rglob("*.db"):
            with sqlite3.connect(path) as database:
                tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
                if "asset_check_executions" in tables:
                    rows = database.execute("SELECT length(evaluation_event) FROM asset_check_executions").fetchall()
                    total += sum(size for (size,) in rows)
                    assert len(rows) in (0, count)
    return total


few, many = planned_bytes(50), planned_bytes(200)
print(f"50 partitions: {few:,} bytes, 200: {many:,}, {many / few:.1f} times")
assert many / few > 10
PYTHON
