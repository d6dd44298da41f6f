"""The one step that makes instrument-days of a feed, all layers and tables of each, and reports them partition by partition."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from typing import Final, Protocol

import dagster as dg

from hedgegrid_assets.defs.failures import Fault, failure, failure_of
from hedgegrid_assets.defs.keys import landing_key, raw_key
from hedgegrid_assets.defs.landing import land, landing_materialized, raw_changed
from hedgegrid_assets.defs.partitions import day_of, partitions_of
from hedgegrid_assets.defs.reporting import Event, Reporter
from hedgegrid_assets.defs.results import AssetResult, DayMaker
from hedgegrid_assets.defs.specs import daily_checks, daily_specs
from hedgegrid_assets.errors import HedgegridError, NoDataFetched, NotPublished
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.fetch import has_months
from hedgegrid_assets.pipeline.outages import take_over_outages
from hedgegrid_assets.wording import counted

BLOCK_DAYS: Final = 30
"""Days of one instrument that one run covers: its own share of the work is then small."""
MONTH_DAYS: Final = 31
"""The same for sources with files of a month."""
FORCE_TAG: Final = "hedgegrid/force"
"""``yes`` on a run: a day may be replaced by one of another origin that lacks rows of it."""
_AUTOMATIC: Final = frozenset({"dagster/backfill", "dagster/schedule_name", "dagster/sensor_name"})
"""Runs that nobody asked for by name: a day without any data stays missing there, and is no failure."""


class DayObserver(Protocol):
    """Is told each day that a run has dealt with."""

    def __call__(self, day: InstrumentDay, faults: Sequence[Fault], /) -> None:
        """A day is done, but for these faults."""


def days_of(
    feed_context: FeedContext, *, block: int | None = None, observer: DayObserver | None = None
) -> dg.AssetsDefinition:
    """The assets of an instrument-day as one step over all partitions of its run.

    A bad table fails only itself; the run fails last of all, so that every good day and table of it counts. A day without
    any raw data is not made, and stays missing; where a person asked for nothing else, the run fails.
    """
    partitions = partitions_of(feed_context)
    specs = daily_specs(feed_context, partitions)
    once = [landing_key(feed_context)] if feed_context.source.has_landing_zone else []

    @dg.multi_asset(
        name=f"{feed_context.feed.name}__days",
        specs=specs,
        check_specs=[check.spec(partitions) for found in daily_checks(feed_context).values() for check in found],
        can_subset=True,
        pool=provider_pool(feed_context),
        backfill_policy=dg.BackfillPolicy.multi_run(block or (MONTH_DAYS if has_months(feed_context) else BLOCK_DAYS)),
    )
    def days(context: dg.AssetExecutionContext) -> Iterator[Event]:
        keys = sorted(context.partition_keys)
        selected = context.selected_asset_keys
        if feed_context.source.has_landing_zone and selected & {
            raw_key(feed_context, channel) for channel in feed_context.by_channel()
        }:
            yield from _import_landing(context, feed_context, keys)
        take_over_outages(feed_context)
        reporter = Reporter(context.instance, specs, once, selected, context.selected_asset_check_keys)
        force = context.run.tags.get(FORCE_TAG) == "yes"
        automatic = bool(context.run.tags.keys() & _AUTOMATIC)
        faults: list[Fault] = []
        missing: list[NoDataFetched] = []
        with closing(
            DayMaker(feed_context, selected, [day_of(key) for key in keys], force=force, tell=context.log.info)
        ) as maker:
            for key in keys:
                day = day_of(key)
                results: list[AssetResult] = []
                try:
                    results = maker.make(day, columns=key == keys[-1])
                except NoDataFetched as error:
                    missing.append(error)
                    found = [Fault(day, f"{feed_context.feed.name}/raw", error)]
                else:
                    found = _faults(results)
                    if automatic:
                        missing += [fault.error for fault in found if isinstance(fault.error, NotPublished)]
                        found = [fault for fault in found if not isinstance(fault.error, NotPublished)]
                    faults += found
                yield from reporter.events(results)
                for note in (note for result in results for note in result.notes):
                    context.log.warning(note)
                if observer is not None:
                    observer(day, found)
        feed_context.places.remember()
        if faults:
            raise failure_of(faults, len(keys))
        if len(missing) == len(keys) and not automatic:
            raise failure(missing[0])
        for error in missing:
            context.log.warning(error.message)

    return days


def _faults(results: Sequence[AssetResult]) -> list[Fault]:
    """What went wrong; of what was judged, where it stands and how to look further."""
    found = []
    for result in results:
        if result.error is not None:
            failed = result.metadata.get("failed")
            look = failed.value if isinstance(failed, dg.MarkdownMetadataValue) else None
            found.append(Fault(result.day, result.key.to_user_string(), result.error, look or ""))
    return found


def _import_landing(
    context: dg.AssetExecutionContext, feed_context: FeedContext, keys: Collection[str]
) -> Iterator[Event]:
    """Whatever is new in the landing zone, so that Materialize and backfill need no sensor."""
    try:
        done = land(feed_context)
    except HedgegridError as error:
        if "missing" not in error.details:
            raise failure(error) from None
        context.log.warning(error.message)  # a file that the settings name is gone: what it gave is still there
        return
    report = done.report
    for note in (*report.notes, *(error.message for error in report.refused)):
        context.log.warning(note)
    if report.read:
        context.log.info(f"imported {counted(len(report.read), 'landing file')}, {counted(report.lines, 'line')}")
        yield landing_materialized(feed_context, done)
        yield from raw_changed(feed_context, done, context.instance, keys)


def provider_pool(feed_context: FeedContext) -> str | None:
    """Dagster's pool of the runs that may fetch from a provider: a limit of it holds over all machines; of one its client has its own."""
    return f"fetch_{feed_context.feed.source}" if feed_context.source.remote is not None else None
