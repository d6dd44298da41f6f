"""The assets of a feed: what is there once (landing zone, instruments), its instrument-days, and its backtests."""

from pathlib import Path

import dagster as dg

from hedgegrid_assets.defs.backtests import backtests_of
from hedgegrid_assets.defs.days import DayObserver, days_of
from hedgegrid_assets.defs.instruments import instruments_asset
from hedgegrid_assets.defs.landing import landing_asset
from hedgegrid_assets.defs.published import published_asset
from hedgegrid_assets.pipeline.feed_context import FeedContext


def assets_of(
    feed_context: FeedContext,
    *,
    block: int | None = None,
    observer: DayObserver | None = None,
    folder: Path | None = None,
) -> list[dg.AssetsDefinition]:
    """All assets of a feed.

    ``block``: days that one run covers; ``observer``: is told each day that is dealt with; ``folder``: see ``backtests_of``.
    """
    return [
        *([landing_asset(feed_context)] if feed_context.source.has_landing_zone else []),
        instruments_asset(feed_context),
        days_of(feed_context, block=block, observer=observer),
        *published_asset(feed_context),
        *backtests_of(feed_context, folder),
    ]
