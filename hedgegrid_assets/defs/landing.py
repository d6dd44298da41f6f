"""The landing zone as an asset, and what every import tells Dagster: the zone itself, and the raw days that it has changed."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from hedgegrid_assets.defs import metadata
from hedgegrid_assets.defs.failures import failure
from hedgegrid_assets.defs.keys import landing_key, raw_key
from hedgegrid_assets.defs.metadata import Metadata
from hedgegrid_assets.defs.partitions import key_of, partitions_of
from hedgegrid_assets.defs.reporting import NO_VERSION, Event, Reporter, versioned
from hedgegrid_assets.defs.results import AssetResult
from hedgegrid_assets.defs.specs import common, daily_specs, format_kind
from hedgegrid_assets.errors import HedgegridError, together
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing, landing_files
from hedgegrid_assets.stages.raw import ImportReport, RawKey, imports


@dataclass(frozen=True, slots=True)
class Landing:
    """What an import has done. ``touched``: the raw days of the files that were read now."""

    report: ImportReport
    touched: frozenset[RawKey]
    metadata: Metadata


def land(feed_context: FeedContext, *, again: bool = False) -> Landing:
    """Import what is new in the landing zone; damaged files are named in the report."""
    started = time.monotonic()
    places, feed = feed_context.places, feed_context.feed.name
    before = {imported.name: imported.at for imported in imports(places, feed)}
    files = landing_files(feed_context)
    report = import_landing(feed_context, pass_over_damaged=True, again=again)
    after = imports(places, feed) if report.read else []
    read = [imported.days for imported in after if before.get(imported.name) != imported.at]
    told = metadata.of_landing(feed_context, files, report, time.monotonic() - started)
    return Landing(report, frozenset().union(*read), told)


def landing_materialized(feed_context: FeedContext, landing: Landing) -> dg.AssetMaterialization:
    """The landing zone after an import that something else has made. One version for ever: it makes no raw day stale."""
    return dg.AssetMaterialization(landing_key(feed_context), metadata=landing.metadata, tags=versioned(NO_VERSION))


def raw_changed(
    feed_context: FeedContext,
    landing: Landing,
    instance: dg.DagsterInstance,
    but: Collection[str] = (),
) -> Iterator[Event]:
    """The raw days that an import has changed, so that what is made of them is stale; not those of partitions that follow."""
    if not landing.touched:
        return
    partitions = partitions_of(feed_context)
    keys = [raw_key(feed_context, channel) for channel in feed_context.by_channel()]
    reporter = Reporter(instance, daily_specs(feed_context, partitions), [landing_key(feed_context)], keys, ())
    for key in sorted(landing.touched):
        result = _raw_result(feed_context, key)
        if result is None or str(key_of(result.day)) in but or not partitions.has_partition_key(key_of(result.day)):
            continue
        if reporter.is_new(result):
            yield from reporter.events([result])


def _raw_result(feed_context: FeedContext, key: RawKey) -> AssetResult | None:
    feed, raw = feed_context.feed, feed_context.noted(key)
    if key.symbol not in feed.symbols or key.channel not in feed_context.by_channel() or raw is None:
        return None
    day = InstrumentDay(feed.instrument_id(key.symbol), key.day)
    return AssetResult(raw_key(feed_context, key.channel), day, raw.sha256, metadata.of_raw(raw, 0.0))


def landing_asset(feed_context: FeedContext) -> dg.AssetsDefinition:
    """The files that a user drops."""
    feed = feed_context.feed
    where = ", ".join(f"`{pattern}`" for pattern in feed.landing) or "the files that its settings name"

    @dg.asset(
        key=landing_key(feed_context),
        description=(
            f"The files that you drop for **{feed.name}**: {where}, under `{feed_context.places.landing}`. "
            "Materializing imports those that are new or changed, once: each is split into daily raw files. They are never altered or deleted."
        ),
        kinds={format_kind(feed_context), "file"},
        **common(feed_context),
    )
    def landing(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | Event]:
        try:
            done = land(feed_context)
        except HedgegridError as error:
            raise failure(error) from None
        for note in done.report.notes:
            context.log.warning(note)
        yield dg.MaterializeResult(metadata=done.metadata, data_version=dg.DataVersion(NO_VERSION))
        yield from raw_changed(feed_context, done, context.instance)
        if done.report.refused:
            raise failure(together(done.report.refused))

    return landing
