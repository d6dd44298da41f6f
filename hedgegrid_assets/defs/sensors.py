"""Sensors: they list the landing zone, ask for its import, and then for the days that it gave."""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import dagster as dg

from hedgegrid_assets.defs.attempts import CONTENT_TAG, attempts_of, is_in_flight, lost_runs
from hedgegrid_assets.defs.days import BLOCK_DAYS
from hedgegrid_assets.defs.jobs import Job, days_job, import_job
from hedgegrid_assets.defs.partitions import (
    DAYS_TAG,
    RANGE_END,
    RANGE_START,
    blocks_of,
    key_of,
    partitions_of,
    range_tags,
)
from hedgegrid_assets.errors import ImportFails, UsageError
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import waiting_files
from hedgegrid_assets.stages.raw import Imported, Indexes, landing_signature

SECONDS: Final = 30
DAYS_A_TICK: Final = 300
"""Days that one tick asks for."""
_LOOKED_BACK: Final = 100
"""Failed runs that are looked at for those that the machine has lost."""
WATCHED: Final = 1_000
"""Files that are looked at in one tick, so that the cursor stays small; the others come after them."""
_FIRST: Final = {"dagster/priority": "1", "dagster/max_retries": "0"}
"""What was dropped just now does not wait behind a long backfill; and a run that is lost is asked for again by its sensor
alone, later and later: by ``run_retries`` of the instance as well, two would do the same at once."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """What one tick hands to the next.

    Attributes:
        waiting: Files that were not imported at the last tick, each with its content, as short digests.
        at: When the import was made that was asked for last, ns since 1970.
        name: Its name; imports are taken in the order of (``at``, ``name``).
        days: How many of its days were asked for.
    """

    waiting: tuple[str, ...] = ()
    at: int = 0
    name: str = ""
    days: int = 0

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """The inverse of ``text``."""
        if not text:
            return cls()
        values = json.loads(text)
        return cls(tuple(values["waiting"]), values["at"], values["name"], values["days"])

    def text(self) -> str:
        """As Dagster keeps it."""
        return json.dumps(asdict(self))


def sensors_of(feed_context: FeedContext, jobs: Sequence[Job]) -> list[dg.SensorDefinition]:
    """The landing sensor of a feed that has a landing zone; it runs the feed's jobs."""
    if not feed_context.source.has_landing_zone:
        return []
    partitions = partitions_of(feed_context)
    name = f"{feed_context.feed.name}_landing"

    @dg.sensor(
        name=name,
        jobs=list(jobs),
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Lists the landing zone. A new or changed file that has stopped growing is imported; "
            "then every day and instrument in it is made, from raw to catalog."
        ),
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        before = Cursor.read(context.cursor)
        try:
            known = Indexes(feed_context.places, feed_context.feed.name)
            waiting = waiting_files(feed_context, known)[:WATCHED]
        except UsageError as error:  # a file that the settings name is not there yet
            return dg.SensorResult(skip_reason=error.message, cursor=context.cursor)
        asked = ",".join(sorted((*feed_context.feed.symbols, *feed_context.by_channel())))
        contents = {_digest([f"{file.path}|{landing_signature(file)}|{asked}"]): file for file in waiting}
        settled = [digest for digest in contents if digest in before.waiting]
        days, after = _days(feed_context, partitions, before, known)
        requests = [*days, *_lost(feed_context, context.instance, name)]
        wait = _Wait(f"{len(waiting)} files wait until they have stopped growing" if waiting else "nothing new")
        if settled:
            wait = _waiting(feed_context, context.instance, settled)
            requests = [*([wait.request] if wait.request else []), *requests]
        if wait.error is not None and not requests:
            raise wait.error
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else wait.told,
            cursor=Cursor(tuple(contents), after.at, after.name, after.days).text(),
        )

    return [landing]


@dataclass(frozen=True, slots=True)
class _Wait:
    """What is to be done about files that wait: ``request`` a run, or wait on, which is a fault from the second failure on."""

    told: str
    request: dg.RunRequest | None = None
    error: ImportFails | None = None


def _waiting(feed_context: FeedContext, instance: dg.DagsterInstance, settled: Iterable[str]) -> _Wait:
    """One run for all files that have settled; again and again while they wait, later and later, never two at a time."""
    job, content = import_job(feed_context), _digest(sorted(settled))
    if is_in_flight(instance, job):
        return _Wait("files are being imported")
    tried = attempts_of(instance, job, content)
    if tried.is_due(time.time()):
        tags = {**_FIRST, CONTENT_TAG: content}
        return _Wait("", dg.RunRequest(job_name=job, run_key=f"import@{content}#{tried.count}", tags=tags))
    error = ImportFails(str(feed_context.places.landing), tried.count, tried.why, tried.next)
    return _Wait(error.message, error=error)


def _days(
    feed_context: FeedContext, partitions: dg.MultiPartitionsDefinition, before: Cursor, known: Indexes
) -> tuple[list[dg.RunRequest], Cursor]:
    """The days of imports that were not asked for yet, in blocks, and how far that goes.

    The run key names the days and all landing content that they are made of: several files of one day make one run.
    """
    days_of = _Wanted(feed_context)
    wanted: list[InstrumentDay] = []
    after = before
    for imported in known.imports(before.at):
        if (imported.at, imported.name) < (before.at, before.name):
            continue
        done = before.days if (imported.at, imported.name) == (before.at, before.name) else 0
        days = sorted(day for day in days_of(imported) if partitions.has_partition_key(key_of(day)))
        taken = days[done : done + DAYS_A_TICK - len(wanted)]
        wanted += taken
        after = Cursor((), imported.at, imported.name, done + len(taken))
        if done + len(taken) < len(days):
            break
    contents = days_of.contents(known.imports()) if wanted else {}
    return [_block(feed_context, block, contents) for block in blocks_of(set(wanted), BLOCK_DAYS)], after


def _block(
    feed_context: FeedContext,
    block: Sequence[InstrumentDay],
    contents: Mapping[InstrumentDay, Collection[tuple[str, str]]],
) -> dg.RunRequest:
    """One run for a block of days; its key names all landing content of them."""
    content = _digest([f"{day}|{'|'.join(each)}" for day in block for each in sorted(contents[day])])
    one = len(block) == 1
    name = str(key_of(block[0])) if one else f"{key_of(block[0])}..{key_of(block[-1])}"
    tags = {**_FIRST, CONTENT_TAG: content}
    return dg.RunRequest(
        job_name=days_job(feed_context),
        run_key=f"{name}@{content}",
        partition_key=key_of(block[0]) if one else None,
        tags=tags if one else tags | range_tags(block),
    )


def _lost(feed_context: FeedContext, instance: dg.DagsterInstance, sensor: str) -> Iterator[dg.RunRequest]:
    """Runs for days that the machine has lost: not those that failed by their data, as that would give the same again."""
    job = days_job(feed_context)
    for run in lost_runs(instance, job, sensor, _LOOKED_BACK):
        tried = attempts_of(instance, job, run.tags[CONTENT_TAG])
        if tried.in_flight or tried.judged or not tried.is_due(time.time()):
            continue
        key = run.tags.get("dagster/partition")
        kept = (CONTENT_TAG, RANGE_START, RANGE_END, DAYS_TAG)
        yield dg.RunRequest(
            job_name=job,
            run_key=f"{key or run.tags[RANGE_START]}@{run.tags[CONTENT_TAG]}#{tried.count}",
            partition_key=key,
            tags=_FIRST | {name: run.tags[name] for name in kept if name in run.tags},
        )


class _Wanted:
    """The days of imports that a feed wants."""

    def __init__(self, feed_context: FeedContext) -> None:
        feed = feed_context.feed
        self._ids = dict(zip(feed.symbols, feed.instrument_ids(), strict=True))
        self._channels = frozenset(feed_context.by_channel())

    def __call__(self, imported: Imported) -> dict[InstrumentDay, set[str]]:
        """Days -> the channels of the import."""
        found: dict[InstrumentDay, set[str]] = {}
        for key in imported.days:
            if key.symbol in self._ids and key.channel in self._channels:
                found.setdefault(InstrumentDay(self._ids[key.symbol], key.day), set()).add(key.channel)
        return found

    def contents(self, known: Iterable[Imported]) -> dict[InstrumentDay, set[tuple[str, str]]]:
        """Day -> (landing content, channel) that it is made of."""
        found: dict[InstrumentDay, set[tuple[str, str]]] = {}
        for imported in known:
            for day, channels in self(imported).items():
                found.setdefault(day, set()).update((imported.name, channel) for channel in channels)
        return found


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
