"""Jobs: everything of an instrument-day, and the import of the landing zone."""

from typing import TYPE_CHECKING

import dagster as dg

from hedgegrid_assets.defs.keys import daily_keys, instruments_key, landing_key, published_key
from hedgegrid_assets.pipeline.feed_context import FeedContext

if TYPE_CHECKING:
    from hedgegrid_assets.defs.private import UnresolvedAssetJobDefinition

type Job = "UnresolvedAssetJobDefinition"
"""What ``define_asset_job`` returns; Dagster does not export its name."""


def days_job(feed_context: FeedContext) -> str:
    """Name of the job that makes instrument-days."""
    return f"{feed_context.feed.name}_days"


def import_job(feed_context: FeedContext) -> str:
    """Name of the job that imports the landing zone."""
    return f"{feed_context.feed.name}_import"


def refresh_job(feed_context: FeedContext) -> str:
    """Name of the job that looks at published files again."""
    return f"{feed_context.feed.name}_refresh"


def jobs_of(feed_context: FeedContext) -> list[Job]:
    """The jobs of a feed."""
    feed = feed_context.feed.name
    days = dg.define_asset_job(
        days_job(feed_context),
        selection=dg.AssetSelection.assets(*daily_keys(feed_context)),
        description=f"Days of one instrument of {feed}, from raw to catalog; a run may cover a block of days.",
    )
    if not feed_context.source.has_landing_zone:
        return [days, *_refresh(feed_context)]
    landing = dg.define_asset_job(
        import_job(feed_context),
        selection=dg.AssetSelection.assets(landing_key(feed_context), instruments_key(feed_context)),
        description=f"What is new in the landing zone of {feed} becomes daily raw files.",
    )
    return [days, landing]


def _refresh(feed_context: FeedContext) -> list[Job]:
    if feed_context.feed.refresh is None:
        return []
    return [
        dg.define_asset_job(
            refresh_job(feed_context),
            selection=dg.AssetSelection.assets(published_key(feed_context)),
            description=f"Which published files of {feed_context.feed.name} were replaced since they were fetched?",
        )
    ]
