"""Runs in processes of this machine, watched: one whose process is gone is over, whoever was killed with it.

Dagster's own launcher leaves that to the code server that has started the process. Where it was killed as well, or the
machine lost its power, the run would count as running until ``max_runtime_seconds`` are over, and hold up imports and other runs.
"""

from typing import Final, override

import dagster as dg

from hedgegrid_assets.defs.private import GRPC_INFO_TAG, CheckRunHealthResult, WorkerStatus
from hedgegrid_assets.store.processes import is_alive

_STARTED: Final = "Started process for run"


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher, which also tells its monitoring whether a run's process is there."""

    @property
    @override
    def supports_check_run_worker_health(self) -> bool:
        return True

    @override
    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Gone, if it ran on this machine and is not there any more; else it is taken for running."""
        process = self._process_of(run)
        if process is None or is_alive(process, "python"):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"its process ({process}) is gone, and has not said how it ended"
        )

    def _process_of(self, run: dg.DagsterRun) -> int | None:
        """None for runs of other launchers, and for code servers that may be on another machine: those have no socket file."""
        if '"socket"' not in run.tags.get(GRPC_INFO_TAG, ""):
            return None
        for record in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = record.dagster_event
            if event is not None and (event.message or "").startswith(_STARTED):
                noted = event.engine_event_data.metadata.get("pid")
                text = str(noted.value) if noted is not None else ""
                return int(text) if text.isdigit() else None
        return None
