"""What the assets of an instrument-day are: descriptions, columns, lineage, versions, checks."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.defs import checks, metadata
from hedgegrid_assets.defs.checks import Check
from hedgegrid_assets.defs.keys import catalog_key, landing_key, normalized_key, raw_key
from hedgegrid_assets.model import GENERATION, Channel, Table
from hedgegrid_assets.pipeline.feed_context import FeedContext

_FORMAT_KINDS: Final[Mapping[str, str]] = {"jsonl": "json"}


def common(feed_context: FeedContext) -> dict[str, Any]:
    """What all assets of a feed share."""
    return {"group_name": feed_context.feed.name, "owners": list(feed_context.feed.owners)}


def format_kind(feed_context: FeedContext) -> str:
    """What the raw files of a feed are."""
    return _FORMAT_KINDS.get(feed_context.source.extension, feed_context.source.extension)


def daily_specs(feed_context: FeedContext, partitions: dg.PartitionsDefinition) -> list[dg.AssetSpec]:
    """All assets of an instrument-day, from raw to catalog."""
    return [
        *(_raw(feed_context, channel, tables, partitions) for channel, tables in feed_context.by_channel().values()),
        *(_normalized(feed_context, table, partitions) for table in feed_context.tables),
        *(_catalog(feed_context, table, partitions) for table in feed_context.tables),
    ]


def daily_checks(feed_context: FeedContext) -> dict[dg.AssetKey, tuple[Check, ...]]:
    """The checks of each of them."""
    found: dict[dg.AssetKey, tuple[Check, ...]] = {}
    for channel in feed_context.by_channel():
        found[raw_key(feed_context, channel)] = (checks.raw_intact(raw_key(feed_context, channel)),)
    for table in feed_context.tables:
        found[normalized_key(feed_context, table)] = checks.checks_of(normalized_key(feed_context, table), table)
        found[catalog_key(feed_context, table)] = (checks.reads_back_equal(catalog_key(feed_context, table)),)
    return found


def normalized_described(feed_context: FeedContext, table: Table) -> dict[str, Any]:
    """Columns of a frame and where they come from."""
    channel = feed_context.channel(table)
    return {
        "dagster/column_schema": metadata.frame_columns(table),
        "dagster/column_lineage": metadata.frame_lineage(raw_key(feed_context, channel.name), channel, table),
    }


def catalog_described(feed_context: FeedContext, table: Table) -> dict[str, Any]:
    """Columns of a Nautilus file and where they come from."""
    generation = feed_context.feed.nautilus or GENERATION
    return {
        "dagster/column_schema": metadata.nautilus_columns(table, generation),
        "dagster/column_lineage": metadata.nautilus_lineage(normalized_key(feed_context, table), table, generation),
    }


def _raw(
    feed_context: FeedContext, channel: Channel, tables: Sequence[Table], partitions: dg.PartitionsDefinition
) -> dg.AssetSpec:
    origin = (
        "split out of the landing files" if feed_context.source.has_landing_zone else f"from {feed_context.source.doc}"
    )
    return dg.AssetSpec(
        raw_key(feed_context, channel.name),
        deps=[landing_key(feed_context)] if feed_context.source.has_landing_zone else [],
        description=(
            f"Raw: messages of the stream `{channel.name}` exactly as received, {origin}: one file for each day and symbol, "
            f"with a manifest beside it that says where it came from. It becomes {', '.join(table.name for table in tables)}. "
            "A day without such messages, but with others, has zero rows."
        ),
        metadata={
            "dagster/column_schema": metadata.raw_columns(channel),
            "folder": str(feed_context.places.raw_folder(feed_context.feed.name, channel.name, "<symbol>")),
        },
        skippable=True,
        kinds={format_kind(feed_context), "file"},
        partitions_def=partitions,
        **common(feed_context),
    )


def _normalized(feed_context: FeedContext, table: Table, partitions: dg.PartitionsDefinition) -> dg.AssetSpec:
    return dg.AssetSpec(
        normalized_key(feed_context, table),
        deps=[raw_key(feed_context, feed_context.channel(table).name)],
        description=(
            f"Normalized: {table.doc}: one Parquet frame for each day and instrument, sorted by arrival, prices and sizes as "
            "exact decimals, with the rows that had to be rejected and a verdict of all rules beside it. "
            "Read it with `hedgegrid_assets.read_frame`."
        ),
        metadata=normalized_described(feed_context, table),
        skippable=True,
        kinds={"polars", "parquet"},
        code_version=_code_version(feed_context, table),
        partitions_def=partitions,
        **common(feed_context),
    )


def _catalog(feed_context: FeedContext, table: Table, partitions: dg.PartitionsDefinition) -> dg.AssetSpec:
    return dg.AssetSpec(
        catalog_key(feed_context, table),
        deps=[normalized_key(feed_context, table)],
        description=(
            f"Catalog: `{table.form(feed_context.feed.nautilus or GENERATION).cls}` for NautilusTrader: one Parquet file for each day and instrument, as Nautilus itself "
            "would write it. A day gets in only with a verdict that has no failed ERROR rule and belongs to the frame at hand; "
            "else the catalog keeps the file that it had."
        ),
        metadata=catalog_described(feed_context, table),
        skippable=True,
        kinds={"parquet", "nautilus"},
        freshness_policy=_freshness(feed_context),
        code_version=_code_version(feed_context, table),
        partitions_def=partitions,
        **common(feed_context),
    )


def _freshness(feed_context: FeedContext) -> dg.FreshnessPolicy | None:
    """Something is made between midnight and the time when a day is due; not of feeds that are over."""
    due = feed_context.feed.due_at
    if due is None or feed_context.feed.end is not None:
        return None
    since_midnight = timedelta(hours=due.hour, minutes=due.minute)
    return dg.FreshnessPolicy.cron(f"{due.minute} {due.hour} * * *", lower_bound_delta=since_midnight)


def _code_version(feed_context: FeedContext, table: Table) -> str:
    return f"{table.name}:{table.code_version}+{feed_context.source.name}:{feed_context.source.code_version}"
