"""Runs as tasks of Celery workers, watched: a run whose worker died fails, so that it is tried again.

Named in ``dagster.yaml`` as ``run_launcher``; ``dagster_celery`` is of the extra ``celery``.
"""

from collections import Counter
from typing import Final

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from hedgegrid_assets.defs.private import CheckRunHealthResult, WorkerStatus

_ENDED: Final = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
_LOOKS: Final = 2
"""So often in a row a worker is not seen to have its task before it is taken for dead."""
_PATIENCE: Final = 3.0
"""Seconds that workers have to answer."""


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """Dagster's own takes a task that was begun for a run that is alive, whatever became of its worker.

    Here a run has failed if its task has ended without it, or if the worker that had begun it does not have it any more:
    Celery's workers are asked which tasks they have. Run monitoring asks, and retries go on from there.
    """

    _unseen: Counter[str]

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """As run monitoring asks, of runs that have begun."""
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task is None:
            return CheckRunHealthResult(WorkerStatus.FAILED, "no Celery task was begun for it")
        result = self.celery.AsyncResult(task)
        if result.state in _ENDED:
            return CheckRunHealthResult(
                WorkerStatus.FAILED, f"its Celery task has ended ({result.state}), the run has not"
            )
        if self._has(result.info, task):
            self._counts()[run.run_id] = 0
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._counts()[run.run_id] += 1
        if self._counts()[run.run_id] < _LOOKS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, "the Celery worker that had begun it does not have it any more"
        )

    def _counts(self) -> Counter[str]:
        """Run -> looks in a row at which no worker had it."""
        if not hasattr(self, "_unseen"):
            self._unseen = Counter()
        return self._unseen

    def _has(self, begun: object, task: str) -> bool:
        """The worker that has begun a task says that it is at work on it."""
        worker = begun.get("hostname") if isinstance(begun, dict) else None
        asked = self.celery.control.inspect([worker] if worker else None, timeout=_PATIENCE)
        active = asked.active() or {}
        return any(each["id"] == task for tasks in active.values() for each in tasks)
