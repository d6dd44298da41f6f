"""Sensors: they list the landing zone, ask for its import, and then for the days that it gave."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import dagster as dg

from hedgegrid_assets.defs.jobs import Job, days_job, import_job
from hedgegrid_assets.defs.partitions import key_of, partitions_of
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import waiting_files
from hedgegrid_assets.stages.raw import Imported, LandingFile, imports, landing_signature

SECONDS: Final = 30
RUNS_A_TICK: Final = 50
WATCHED: Final = 1_000
"""Files that are looked at in one tick, so that the cursor stays small; the others come after them."""
_FIRST: Final = {"dagster/priority": "1"}
"""What was dropped just now does not wait behind a long backfill."""


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
    if not feed_context.source.lands:
        return []
    partitions = partitions_of(feed_context)

    @dg.sensor(
        name=f"{feed_context.feed.name}_landing",
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
            waiting = waiting_files(feed_context)[:WATCHED]
        except UsageError as error:  # a file that the settings name is not there yet
            return dg.SensorResult(skip_reason=error.message, cursor=context.cursor)
        contents = {_digest([_content(feed_context, file)]): file for file in waiting}
        settled = [digest for digest in contents if digest in before.waiting]
        requests = [_import(feed_context, settled)] if settled else []
        days, after = _days(feed_context, partitions, before)
        requests += days
        told = f"{len(waiting)} files wait until they have stopped growing" if waiting else "nothing new"
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else told,
            cursor=Cursor(tuple(contents), after.at, after.name, after.days).text(),
        )

    return [landing]


def _import(feed_context: FeedContext, settled: Iterable[str]) -> dg.RunRequest:
    """One run for all files that have settled, and for these contents once: a failed import is not repeated for ever."""
    return dg.RunRequest(
        job_name=import_job(feed_context), run_key=f"import@{_digest(sorted(settled))}", tags=dict(_FIRST)
    )


def _days(
    feed_context: FeedContext, partitions: dg.MultiPartitionsDefinition, before: Cursor
) -> tuple[list[dg.RunRequest], Cursor]:
    """The days of imports that were not asked for yet, and how far that goes.

    The run key names the day and all landing content that it is made of: several files of one day make one run.
    """
    known = imports(feed_context.places, feed_context.feed.name)
    contents = _contents(feed_context, known)
    requests: list[dg.RunRequest] = []
    after = before
    for imported in known:
        if (imported.at, imported.name) < (before.at, before.name):
            continue
        done = before.days if (imported.at, imported.name) == (before.at, before.name) else 0
        days = sorted(
            day for day in _instrument_days(feed_context, imported) if partitions.has_partition_key(key_of(day))
        )
        taken = days[done : done + RUNS_A_TICK - len(requests)]
        for day in taken:
            requests.append(_day(feed_context, day, contents[day]))
        after = Cursor((), imported.at, imported.name, done + len(taken))
        if done + len(taken) < len(days):
            break
    return requests, after


def _day(feed_context: FeedContext, day: InstrumentDay, contents: Collection[tuple[str, str]]) -> dg.RunRequest:
    """One run for the day; its key names all landing content of the day."""
    return dg.RunRequest(
        job_name=days_job(feed_context),
        run_key=f"{key_of(day)}@{_digest(sorted('|'.join(content) for content in contents))}",
        partition_key=key_of(day),
        tags=dict(_FIRST),
    )


def _contents(feed_context: FeedContext, known: Iterable[Imported]) -> dict[InstrumentDay, set[tuple[str, str]]]:
    """Day -> (landing content, channel) that it is made of."""
    found: dict[InstrumentDay, set[tuple[str, str]]] = {}
    for imported in known:
        for day, channels in _instrument_days(feed_context, imported).items():
            found.setdefault(day, set()).update((imported.name, channel) for channel in channels)
    return found


def _instrument_days(feed_context: FeedContext, imported: Imported) -> dict[InstrumentDay, set[str]]:
    """Days that the feed wants -> the channels of the import that it wants."""
    found: dict[InstrumentDay, set[str]] = {}
    for key in imported.days:
        if key.symbol in feed_context.feed.symbols and key.channel in feed_context.by_channel():
            found.setdefault(InstrumentDay(feed_context.feed.instrument_id(key.symbol), key.day), set()).add(
                key.channel
            )
    return found


def _content(feed_context: FeedContext, file: LandingFile) -> str:
    """What would be imported: the file, its content, and what the feed wants of it."""
    wanted = sorted((*feed_context.feed.symbols, *feed_context.by_channel()))
    return f"{file.path}|{landing_signature(file)}|{','.join(wanted)}"


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
