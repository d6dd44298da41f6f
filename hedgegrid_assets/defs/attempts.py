"""Runs that were asked for and not done: how often they were tried, why they failed, when they are tried again.

A run key whose launch failed counts as done for Dagster (issue 15982), so that nothing would ever ask for it again: keys of
ours carry the number of the attempt, and what counts is what still waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg

from hedgegrid_assets.defs.partitions import keys_of
from hedgegrid_assets.defs.private import IN_PROGRESS_RUN_STATUSES

CONTENT_TAG: Final = "hedgegrid/content"
"""What a run is to bring in, as a short digest."""
_FIRST_SECONDS: Final = 60
_LONGEST_SECONDS: Final = 3_600
_BY_DATA: Final = "STEP_FAILURE"
"""Why Dagster says that a run failed, where it was ours to fail; all else is the fault of the machine."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """The runs for one content so far.

    Attributes:
        count: How many.
        in_flight: One of them is not over.
        judged: One of them came to an end of its own: it did what it could.
        ended: When the last one ended, seconds since 1970.
        why: What its failure was.
    """

    count: int = 0
    in_flight: bool = False
    judged: bool = False
    ended: float = 0.0
    why: str = ""

    @property
    def next(self) -> float:
        """When it is time to try again, seconds since 1970: later and later, and never not at all."""
        pause = min(_FIRST_SECONDS * 2 ** (self.count - 1), _LONGEST_SECONDS) if self.count > 1 else 0
        return self.ended + pause

    def is_due(self, now: float) -> bool:
        """It is time, or the clock was set back since: nobody waits for a time that may be far ahead."""
        return not self.ended <= now < self.next


def attempts_of(instance: dg.DagsterInstance, job: str, content: str) -> Attempts:
    """The runs of a job for a content."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job, tags={CONTENT_TAG: content}))
    if not records:
        return Attempts()
    last = records[0]
    return Attempts(
        count=len(records),
        in_flight=any(not record.dagster_run.is_finished for record in records),
        judged=any(_is_judged(record.dagster_run) for record in records),
        ended=last.end_time or last.update_timestamp.timestamp(),
        why=_why(instance, last.dagster_run),
    )


def is_in_flight(instance: dg.DagsterInstance, job: str) -> bool:
    """Some run of a job is not over."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, statuses=list(IN_PROGRESS_RUN_STATUSES)), limit=1))


def in_flight(instance: dg.DagsterInstance, job: str) -> set[str]:
    """Partition keys of the runs of a job that are not over."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=list(IN_PROGRESS_RUN_STATUSES)))
    return set[str]().union(*(keys_of(run.tags) for run in runs))


def lost_runs(instance: dg.DagsterInstance, job: str, sensor: str, limit: int) -> Sequence[dg.DagsterRun]:
    """The last runs that a sensor asked for and that the machine lost, one for each content."""
    wanted = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], tags={"dagster/sensor_name": sensor})
    found: dict[str, dg.DagsterRun] = {}
    for run in instance.get_runs(wanted, limit=limit):
        if CONTENT_TAG in run.tags and not _is_judged(run):
            found.setdefault(run.tags[CONTENT_TAG], run)
    return list(found.values())


def _is_judged(run: dg.DagsterRun) -> bool:
    by_data = run.tags.get("dagster/failure_reason") == _BY_DATA
    return run.is_success or run.status is dg.DagsterRunStatus.CANCELED or by_data


def _why(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The first sentence of what failed."""
    events = instance.all_logs(run.run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE})
    for event in (each.dagster_event for each in events):
        if event is None:
            continue
        told = event.step_failure_data.user_failure_data if event.is_step_failure else None
        said = told.description if told else event.message
        if said:
            return " ".join(said.split())[:300]
    return "nothing more is known"
