"""The one step that makes instrument-days of a feed, all layers and tables of each, and reports them partition by partition."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from hedgegrid_assets.defs.failures import Fault, failure, failure_of
from hedgegrid_assets.defs.keys import landing_key
from hedgegrid_assets.defs.partitions import day_of, partitions_of
from hedgegrid_assets.defs.reporting import Event, Reporter
from hedgegrid_assets.defs.results import DayMaker
from hedgegrid_assets.defs.specs import daily_checks, daily_specs
from hedgegrid_assets.errors import HedgegridError, NoDataFetched
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing

FORCE_TAG: Final = "hedgegrid/force"
"""``yes`` on a run: a day may be replaced by one of another origin that lacks rows of it."""

_AUTOMATIC: Final = frozenset({"dagster/backfill", "dagster/schedule_name", "dagster/sensor_name"})
"""Runs that nobody asked for by name: a day without any data stays missing there, and is no failure."""


def days_of(feed_context: FeedContext) -> dg.AssetsDefinition:
    """The assets of an instrument-day as one step.

    A bad table fails only itself; the run fails last of all, so that every good day and table of it counts. A day without
    any raw data is not made, and stays missing; where a person asked for nothing else, the run fails.
    """
    partitions = partitions_of(feed_context)
    specs = daily_specs(feed_context, partitions)
    once = [landing_key(feed_context)] if feed_context.source.lands else []

    @dg.multi_asset(
        name=f"{feed_context.feed.name}__days",
        specs=specs,
        check_specs=[check.spec(partitions) for found in daily_checks(feed_context).values() for check in found],
        can_subset=True,
        pool=f"{feed_context.source.name}_api" if feed_context.source.remote is not None else None,
    )
    def days(context: dg.AssetExecutionContext) -> Iterator[Event]:
        keys = sorted(context.partition_keys)
        selected = context.selected_asset_keys
        reporter = Reporter(context.instance, specs, once, selected, context.selected_asset_check_keys)
        maker = DayMaker(feed_context, selected, force=context.run.tags.get(FORCE_TAG) == "yes")
        if feed_context.source.lands and any(key.path[1] == "raw" for key in selected):
            _import_landing(context, feed_context)
        faults: list[Fault] = []
        missing: list[NoDataFetched] = []
        for key in keys:
            try:
                results = maker.make(day_of(key))
            except NoDataFetched as error:
                missing.append(error)
                continue
            yield from reporter.events(results)
            for note in (note for result in results for note in result.notes):
                context.log.warning(note)
            faults += [
                Fault(result.day, result.key.to_user_string(), result.error) for result in results if result.error
            ]
        if faults:
            raise failure_of(faults, len(keys))
        if len(missing) == len(keys) and not context.run.tags.keys() & _AUTOMATIC:
            raise failure(missing[0])
        for error in missing:
            context.log.warning(error.message)

    return days


def _import_landing(context: dg.AssetExecutionContext, feed_context: FeedContext) -> None:
    """Whatever is new in the landing zone, so that Materialize and backfill need no sensor."""
    try:
        report = import_landing(feed_context, pass_over_damaged=True)
    except HedgegridError as error:
        if "missing" not in error.details:
            raise failure(error) from None
        context.log.warning(error.message)  # a file that the settings name is gone: what it gave is still there
        return
    for note in (*report.notes, *(error.message for error in report.refused)):
        context.log.warning(note)
    if report.read:
        context.log.info(f"imported {len(report.read)} landing files, {report.lines:,} lines")
