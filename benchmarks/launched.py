"""A block of days as Dagster's own processes run it: an instance of its own settings, nothing of ours in between."""

import sys
from datetime import UTC, datetime

import dagster as dg

from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.config.paths import data_path, feeds_path
from hedgegrid_assets.defs import definitions_of, feed_contexts_of
from hedgegrid_assets.defs.days import BLOCK_DAYS
from hedgegrid_assets.defs.jobs import days_job
from hedgegrid_assets.defs.partitions import blocks_of, dates_of, key_of, range_tags
from hedgegrid_assets.model import InstrumentDay


def main(feed: str) -> int:
    """All blocks of a feed, one run each; 1 if one fails."""
    (feed_context,) = feed_contexts_of(
        [(file := read_feeds(feeds_path())).feeds[feed]], file.roots.absolute(data_path())
    )
    job = definitions_of([feed_context]).resolve_job_def(days_job(feed_context))
    ids = feed_context.feed.instrument_ids()
    days = [InstrumentDay(each, day) for day in dates_of(feed_context, datetime.now(UTC).date()) for each in ids]
    with dg.DagsterInstance.get() as instance:
        for block in blocks_of(days, BLOCK_DAYS):
            one = len(block) == 1
            done = job.execute_in_process(
                instance=instance,
                partition_key=key_of(block[0]) if one else None,
                tags={} if one else range_tags(block),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            if not done.success:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
