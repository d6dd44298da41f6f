"""Known outages of a feed on their way from feeds.yaml into the catalog."""

from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages.outages import Outage, take_over


def take_over_outages(context: FeedContext) -> list[Outage]:
    """Keep what a feed says of outages beside the verdicts of its catalog, in place of what it said before."""
    feed = context.feed
    found = [
        Outage(feed.instrument_id(symbol), table, each.start, each.end, each.reason, each.link or "", feed.name)
        for each in feed.outages
        for symbol in each.symbols or feed.symbols
        for table in each.tables or ("",)
    ]
    take_over(context.places, feed.name, found)
    return found
