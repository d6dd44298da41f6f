#!/usr/bin/env bash
# DagsterInstance.wipe_asset_partitions is public, and raises on each of the storages that come with Dagster.
# Expected: the partitions named are no longer materialized, as wipe_assets does with a whole asset.
# Seen:     NotImplementedError ("Partitioned asset wipe is not supported yet"), also on SQLite; nothing is wiped.
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
import tempfile

import dagster as dg

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-03")


@dg.asset(partitions_def=DAYS)
def prices() -> None: ...


with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
    for day in DAYS.get_partition_keys():
        dg.materialize([prices], partition_key=day, instance=instance)
    try:
        instance.wipe_asset_partitions(prices.key, ["2024-01-01"])
    except NotImplementedError as error:
        print(type(instance.event_log_storage).__name__, "-", error)
    else:
        raise SystemExit("it can be done now")
    assert instance.get_materialized_partitions(prices.key) == {"2024-01-01", "2024-01-02"}
    instance.wipe_assets([prices.key])
    assert instance.get_materialized_partitions(prices.key) == set()
PYTHON
