"""Asset keys: ``<feed>/raw/<channel>``, ``<feed>/normalized/<table>``, ``<feed>/catalog/<table>``, and what is there once."""

import dagster as dg

from hedgegrid_assets.model import Table
from hedgegrid_assets.pipeline.feed_context import FeedContext


def raw_key(feed_context: FeedContext, channel: str) -> dg.AssetKey:
    """Raw days of a channel."""
    return dg.AssetKey([feed_context.feed.name, "raw", channel])


def normalized_key(feed_context: FeedContext, table: Table) -> dg.AssetKey:
    """Frames of a table."""
    return dg.AssetKey([feed_context.feed.name, "normalized", table.name])


def catalog_key(feed_context: FeedContext, table: Table) -> dg.AssetKey:
    """Nautilus files of a table."""
    return dg.AssetKey([feed_context.feed.name, "catalog", table.name])


def backtest_key(feed_context: FeedContext, name: str) -> dg.AssetKey:
    """A backtest of a feed."""
    return dg.AssetKey([feed_context.feed.name, "backtest", name])


def published_key(feed_context: FeedContext) -> dg.AssetKey:
    """The published files that a feed was fetched from."""
    return dg.AssetKey([feed_context.feed.name, "published"])


def landing_key(feed_context: FeedContext) -> dg.AssetKey:
    """The landing zone of a feed."""
    return dg.AssetKey([feed_context.feed.name, "landing"])


def instruments_key(feed_context: FeedContext) -> dg.AssetKey:
    """The instrument definitions of a feed."""
    return dg.AssetKey([feed_context.feed.name, "instruments"])


def daily_keys(feed_context: FeedContext) -> list[dg.AssetKey]:
    """Everything that is made once a day and instrument, from raw to catalog."""
    return [
        *(raw_key(feed_context, channel) for channel in feed_context.by_channel()),
        *(normalized_key(feed_context, table) for table in feed_context.tables),
        *(catalog_key(feed_context, table) for table in feed_context.tables),
    ]
