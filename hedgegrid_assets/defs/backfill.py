"""Many days of a feed in one process: its job, day by day, with the events in the instance so that the UI shows them."""

import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from hedgegrid_assets.config.feeds import Feed, FeedsFile, read_feeds
from hedgegrid_assets.config.origin import Origin
from hedgegrid_assets.config.paths import data_path, feeds_path
from hedgegrid_assets.defs import definitions_of, feed_contexts_of
from hedgegrid_assets.defs.days import BLOCK_DAYS, FORCE_TAG, MONTH_DAYS
from hedgegrid_assets.defs.event_log import KeptSqliteEventLog
from hedgegrid_assets.defs.failures import Fault
from hedgegrid_assets.defs.instruments import instruments_materialized
from hedgegrid_assets.defs.jobs import days_job
from hedgegrid_assets.defs.keys import catalog_key, instruments_key, landing_key
from hedgegrid_assets.defs.landing import land, landing_materialized, raw_changed
from hedgegrid_assets.defs.partitions import blocks_of, dates_of, key_of, keys_of, range_tags
from hedgegrid_assets.defs.private import InstanceRef, SqliteEventLogStorage, is_known
from hedgegrid_assets.errors import (
    EnvironmentFault,
    FeedsFileError,
    NoDataFetched,
    OtherKind,
    Refused,
    UnknownName,
    UsageError,
)
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.fetch import has_months
from hedgegrid_assets.pipeline.freshness import stale_because, with_raw
from hedgegrid_assets.pipeline.landing import held_instead, landing_files
from hedgegrid_assets.pipeline.outages import take_over_outages
from hedgegrid_assets.stages.catalog import claim, finish, refuse_unfit_nautilus
from hedgegrid_assets.stages.normalize import NOT_MADE
from hedgegrid_assets.stages.raw import ImportReport
from hedgegrid_assets.stages.raw.index import last_import
from hedgegrid_assets.store import make_folder, remove_abandoned
from hedgegrid_assets.store.processes import is_alive
from hedgegrid_assets.timestamps import NS_PER_SECOND

if TYPE_CHECKING:
    from hedgegrid_assets.defs.private import SerializableErrorInfo

_log: Final = logging.getLogger(__name__)

_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_NO_COMPUTE_LOGS: Final = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}


_NOTHING: Final = "nothing of these days and instruments"
_UNTOLD: Final = "Dagster had not heard all of it"
BACKFILL_TAG: Final = "hedgegrid/backfill"
"""The same on all runs of a backfill, ``<time>/<host>-<process>``: the UI lists them together by it."""


class Outcome(StrEnum):
    """What a backfill did with an instrument-day."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    """The catalog forbids it: another series, file or origin."""
    FRESH = "fresh"
    """Nothing to do: no run was started."""


@dataclass(frozen=True, slots=True)
class DayDone:
    """One instrument-day of a backfill.

    Attributes:
        day: Which one.
        outcome: What became of it.
        errors: One for each step that failed, as ``<asset>: <message>``.
        seconds: What it took.
        because: Why it was made again, where it had been made before: ``<table>: <reason>`` of the first table.
    """

    day: InstrumentDay
    outcome: Outcome
    errors: tuple[str, ...] = ()
    seconds: float = 0.0
    because: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "instrument_id": self.day.instrument_id,
            "date": str(self.day.date),
            "outcome": str(self.outcome),
            "errors": list(self.errors),
            "seconds": round(self.seconds, 3),
            "because": self.because,
        }


@dataclass(frozen=True, slots=True)
class BackfillSummary:
    """What a backfill did; days that a source of landing files has no data of are counted, not listed."""

    feed: str
    days: tuple[DayDone, ...]
    missing: int
    seconds: float
    damaged: tuple[str, ...] = ()
    """Landing files that could not be read, and why."""

    @property
    def ok(self) -> bool:
        """No day failed or was refused, and every landing file could be read."""
        return not self.of(Outcome.FAILED) and not self.of(Outcome.REFUSED) and not self.damaged

    def of(self, outcome: Outcome) -> list[DayDone]:
        """The days with one outcome."""
        return [day for day in self.days if day.outcome is outcome]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        counts = {str(outcome): len(self.of(outcome)) for outcome in Outcome}
        return {
            "feed": self.feed,
            "ok": self.ok,
            **counts,
            "missing": self.missing,
            "seconds": round(self.seconds, 3),
            "damaged": list(self.damaged),
            "days": [day.to_dict() for day in self.days],
        }


type Told = Callable[[DayDone, int, int], None]
"""Told each day that is dealt with, how many are, and of how many."""


def backfill(
    feed_name: str,
    start: date | None = None,
    end: date | None = None,
    instruments: Sequence[str] | None = None,
    *,
    instance: dg.DagsterInstance,
    force: bool = False,
    block: int = BLOCK_DAYS,
    progress: Told | None = None,
    feeds: Path | None = None,
    data: Path | None = None,
) -> BackfillSummary:
    """Make the days of a feed that are missing or stale: from raw to catalog, in runs over blocks of days.

    A day that fails stops no other; a run that is killed leaves its finished days good, and the next backfill goes on. Fresh days are found by their small files on disk, before any run is started.

    Args:
        feed_name: As in feeds.yaml.
        start: First day; None: the feed's own.
        end: First day that is not wanted any more; None: the feed's own, else what is over by now.
        instruments: InstrumentIds or exchange symbols of the feed; None: all.
        instance: Where the runs and their events go.
        force: Fresh days as well.
        block: Days of one instrument that a run covers at most.
        progress: Told of each day.
        feeds: feeds.yaml; None: where ``HEDGEGRID_FEEDS`` says.
        data: Root of the data; None: where ``HEDGEGRID_DATA`` says.

    Raises:
        UsageError: Unknown feed or instrument, an empty range; FeedsFileError: the feed is there, but not usable.
        NoDataFetched: Nothing to make any of the days from.
        NautilusUnfit: The installed NautilusTrader cannot read the catalog.
    """
    started = time.monotonic()
    refuse_unfit_nautilus()
    file = read_feeds(feeds or feeds_path())
    places = file.roots.absolute(data or data_path())
    (feed_context,) = feed_contexts_of([_feed(feed_name, file)], places)
    places.catalog.prepare()
    claim(feed_context.places, feed_context.feed.nautilus, fresh=True)
    finish(feed_context.places)
    remove_abandoned(feed_context.places.raw_temp(feed_context.feed.name))
    days = _days(feed_context, start, end, instruments)
    imported = _import_landing(feed_context, instance, again=force) if feed_context.source.has_landing_zone else None
    damaged = tuple(error.message for error in imported.refused) if imported else ()
    wanted = with_raw(feed_context, days) if imported else days
    if not wanted:
        asked = f"{feed_name} {start or feed_context.feed.start} .. {end or feed_context.feed.end or 'today'}"
        raise _nothing(feed_context, asked, imported, damaged)
    take_over_outages(feed_context)
    killed = _close_killed(instance, days_job(feed_context))
    untold = _untold(feed_context, instance, wanted, killed)
    because = {day: stale_because(feed_context, day) or (_UNTOLD if day in untold else None) for day in wanted}
    stale = [day for day in wanted if force or because[day]]
    unfresh = set(stale)
    told = _Progress(wanted, progress, {day: why for day, why in because.items() if why and why != NOT_MADE})
    for day in wanted:
        if day not in unfresh:
            told.done(DayDone(day, Outcome.FRESH))
    folder = Path(feeds or feeds_path()).parent
    found = definitions_of([feed_context], block=block, observer=told.observe, folder=folder)
    job = found.resolve_job_def(days_job(feed_context))
    tags = {BACKFILL_TAG: f"{datetime.now(UTC):%Y%m%dT%H%M%S}/{platform.node()}-{os.getpid()}"} | (
        {FORCE_TAG: "yes"} if force else {}
    )
    if months := block == BLOCK_DAYS and has_months(feed_context):
        block = MONTH_DAYS
    for days_of_block in blocks_of(stale, block, in_months=months):
        _run(job, days_of_block, instance, tags, told)
    if stale or not _is_told(instance, instruments_key(feed_context)):
        instance.report_runless_asset_event(instruments_materialized(feed_context))
    places.remember()
    missing = len(days) - len(wanted)
    return BackfillSummary(feed_name, told.in_order(), missing, time.monotonic() - started, damaged)


_NOT_OVER: Final = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def _close_killed(instance: dg.DagsterInstance, job: str) -> set[str]:
    """Runs of backfills that were killed: nobody else would say that they are over, and they would look as if they ran.

    Returns the partition keys of their days.
    """
    found: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=list(_NOT_OVER))):
        host, _, process = run.tags.get(BACKFILL_TAG, "").rpartition("/")[2].rpartition("-")
        if host == platform.node() and process.isdigit() and not is_alive(int(process), "python"):
            instance.report_run_failed(run, "its process was killed; the days that it had finished are good")
            found |= keys_of(run.tags)
    return found


class _Progress:
    """What became of each day so far."""

    def __init__(
        self, wanted: Sequence[InstrumentDay], told: Told | None, because: Mapping[InstrumentDay, str]
    ) -> None:
        self._wanted, self._told, self._because = wanted, told, because
        self._done: dict[InstrumentDay, DayDone] = {}
        self._at = time.monotonic()

    def done(self, day: DayDone) -> None:
        """A day is dealt with."""
        self._done[day.day] = day
        if self._told:
            self._told(day, len(self._done), len(self._wanted))

    def observe(self, day: InstrumentDay, faults: Sequence[Fault]) -> None:
        """The step has dealt with a day."""
        refused = bool(faults) and all(isinstance(fault.error, Refused) for fault in faults)
        outcome = Outcome.REFUSED if refused else Outcome.FAILED if faults else Outcome.DONE
        began, self._at = self._at, time.monotonic()
        errors = tuple(f"{fault.asset}: {fault.error}" for fault in faults)
        self.done(DayDone(day, outcome, errors, self._at - began, self._because.get(day, "")))

    def begin(self) -> None:
        """A run begins."""
        self._at = time.monotonic()

    def never_begun(self, days: Iterable[InstrumentDay], errors: Sequence[str]) -> None:
        """The run failed before it came to some of its days."""
        for day in days:
            if day not in self._done:
                self.done(DayDone(day, Outcome.FAILED, tuple(errors)))

    def in_order(self) -> tuple[DayDone, ...]:
        """All days as they were asked for."""
        return tuple(self._done[day] for day in self._wanted if day in self._done)


def _nothing(
    feed_context: FeedContext, asked: str, imported: ImportReport | None, damaged: Sequence[str]
) -> NoDataFetched:
    """There is nothing to make any day from; what is there instead."""
    if imported is None:
        return NoDataFetched(asked, feed_context.source.doc, _NOTHING)
    zone = str(feed_context.places.landing)
    if not landing_files(feed_context):
        patterns = ", ".join(feed_context.feed.landing)
        hint = f"put files there that landing: of the feed in feeds.yaml matches ({patterns}), and run again"
        return NoDataFetched(asked, zone, "no file", hint=hint if patterns else "")
    channels = feed_context.by_channel()
    is_there = any(key.channel in channels for key in imported.days)
    held = None if is_there else held_instead(feed_context, imported.by_stream, channels)
    if held is None or damaged:
        return NoDataFetched(asked, zone, "; ".join(damaged) or _NOTHING)
    where = f"the settings of the feed {feed_context.feed.name} in feeds.yaml"
    return OtherKind(asked, zone, held.taken, held.kind, held.lines, held.setting, where)


def _import_landing(feed_context: FeedContext, instance: dg.DagsterInstance, *, again: bool) -> ImportReport:
    """Import what is new, and tell Dagster."""
    done = land(feed_context, again=again)
    for note in (*done.report.notes, *(error.message for error in done.report.refused)):
        _log.warning(note)
    imported = last_import(feed_context.places, feed_context.feed.name)
    if done.report.read or (imported and not _is_told(instance, landing_key(feed_context), imported)):
        instance.report_runless_asset_event(landing_materialized(feed_context, done))
        for event in raw_changed(feed_context, done, instance):
            instance.report_runless_asset_event(event)
    return done.report


def _is_told(instance: dg.DagsterInstance, key: dg.AssetKey, since_ns: int = 0) -> bool:
    """Dagster knows of an asset since then: who is killed between the work and the word has said nothing."""
    last = instance.get_latest_materialization_event(key)
    return last is not None and last.timestamp >= since_ns / NS_PER_SECOND


def _untold(
    feed_context: FeedContext, instance: dg.DagsterInstance, days: Iterable[InstrumentDay], killed: Collection[str]
) -> set[InstrumentDay]:
    """The days that Dagster does not hold all of that is said of them: a run may be killed between the work and the word.

    Tables of the catalog are told last, but for their checks: so days of killed runs are told once more in any case. Of an
    instance that is gone with the process nobody asks.
    """
    if instance.is_ephemeral:
        return set()
    keys = [catalog_key(feed_context, table) for table in feed_context.tables]
    held = set[str].intersection(*(instance.get_materialized_partitions(key) for key in keys))
    return {day for day in days if key_of(day) not in held or key_of(day) in killed}


def _run(
    job: dg.JobDefinition,
    days: Sequence[InstrumentDay],
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    told: _Progress,
) -> None:
    """One run for a block of days."""
    one = len(days) == 1
    told.begin()
    result = job.execute_in_process(
        partition_key=key_of(days[0]) if one else None,
        instance=instance,
        raise_on_error=False,
        run_config=_QUIET,
        tags={**tags} if one else {**range_tags(days), **tags},
    )
    if any(_is_interrupt(event) for event in result.all_events):
        raise KeyboardInterrupt
    told.never_begun(days, tuple(_errors(result)))


def _errors(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """Why the step failed."""
    for event in result.all_events:
        if event.is_step_failure:
            failed = event.step_failure_data
            told = failed.user_failure_data
            yield f"{str(event.step_key).replace('__', '/')}: {told.description if told else _root_cause(failed.error)}"


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    """Dagster takes Ctrl-C for the failure of a step."""
    error = event.step_failure_data.error if event.is_step_failure else None
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _root_cause(error: "SerializableErrorInfo | None") -> str:
    """The message of what went wrong first, where nobody expected it."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "failed"


def _feed(name: str, found: FeedsFile) -> Feed:
    if name in found.feeds:
        return found.feeds[name]
    problems = [str(problem) for problem in found.problems if problem.feed == name]
    if problems:
        raise FeedsFileError(found.path, problems)
    raise UnknownName("feed", str(found.path), name, found.feeds)


def _days(
    feed_context: FeedContext, start: date | None, end: date | None, instruments: Sequence[str] | None
) -> list[InstrumentDay]:
    """What is asked for, day after day, as far as there are partitions."""
    feed = feed_context.feed
    if start and end and start >= end:
        raise UsageError(f"empty range: expected start before end (end is exclusive), found {start} .. {end}")
    ids = feed.instrument_ids() if instruments is None else _instrument_ids(feed, instruments)
    days = [
        day
        for day in dates_of(feed_context, datetime.now(UTC).date())
        if (not start or day >= start) and (not end or day < end)
    ]
    return [InstrumentDay(instrument_id, day) for day in days for instrument_id in ids]


def _instrument_ids(feed: Origin, names: Iterable[str]) -> list[str]:
    return [
        feed.instrument_id(name) if name in feed.symbols else feed.instrument_id(feed.symbol_of(name)) for name in names
    ]


# ---------------------------------------------------------------- where the events go


def instance_for(data: Path) -> dg.DagsterInstance:
    """The Dagster instance that the work on a data root belongs to; use it in a ``with`` block.

    ``DAGSTER_HOME`` if it is set. Else ``.dagster_home`` in the working directory, if a dagster.yaml lies there (it is
    copied in) and ``data`` is the root that Dagster itself would use. Else one that is gone with the process. The
    processes of ``dagster dev`` on the same home show the same runs. Raises EnvironmentFault.
    """
    given = os.environ.get("DAGSTER_HOME")
    if given:
        home = Path(given).expanduser()
        if not home.is_absolute():
            raise EnvironmentFault(f"DAGSTER_HOME is not usable: expected an absolute path, found {given!r}")
        return _instance_at(home)
    settings = Path("dagster.yaml")
    if not settings.is_file() or data.resolve() != data_path().resolve():
        return dg.DagsterInstance.ephemeral()
    home = Path(".dagster_home").absolute()
    make_folder(home)
    shutil.copyfile(settings, home / settings.name)
    return _instance_at(home)


def _instance_at(home: Path) -> dg.DagsterInstance:
    """Steps run in our own process: its output stays where it is, and is not kept as compute logs.

    Where the history is Dagster's default, the same files are written through engines that are kept: a third of the work.
    """
    make_folder(home)
    ref = InstanceRef.from_dir(str(home), overrides=_NO_COMPUTE_LOGS)
    events = ref.event_storage_data
    if events is not None and events.class_name == SqliteEventLogStorage.__name__ and is_known():
        kept = {
            "module": KeptSqliteEventLog.__module__,
            "class": KeptSqliteEventLog.__name__,
            "config": events.config_dict,
        }
        ref = InstanceRef.from_dir(str(home), overrides={**_NO_COMPUTE_LOGS, "event_log_storage": kept})
    return dg.DagsterInstance.from_ref(ref)
