"""Feeds as Dagster definitions: thin, each asset calls a stage."""

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import dagster as dg

from hedgegrid_assets.config.feeds import Feed, read_feeds
from hedgegrid_assets.config.fields import Notify
from hedgegrid_assets.defs.alerts import alert_sensors
from hedgegrid_assets.defs.assets import assets_of
from hedgegrid_assets.defs.days import DayObserver
from hedgegrid_assets.defs.jobs import jobs_of
from hedgegrid_assets.defs.published import refresh_schedules_of, replaced_sensors_of
from hedgegrid_assets.defs.schedules import schedules_of
from hedgegrid_assets.defs.sensors import sensors_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.store import Places

warnings.filterwarnings(
    "ignore", category=dg.PreviewWarning, message=r"Specifying a partitions_def on an AssetCheckSpec"
)

warnings.filterwarnings("ignore", category=dg.BetaWarning, message=r"Parameter `backfill_policy`")

_log: Final = logging.getLogger(__name__)


def load(feeds_file: Path, data: Path) -> dg.Definitions:
    """The definitions of all good feeds of a file; each problem of the others is logged, and keeps out its feed only.

    Raises FeedsFileError if the file is there, but cannot be used at all.
    """
    if not feeds_file.exists():
        _log.warning(
            "no feeds: expected %s, found no such file; run `hedgegrid init`, or point HEDGEGRID_FEEDS at one",
            feeds_file.absolute(),
        )
        return definitions_of([])
    found = read_feeds(feeds_file)
    for problem in found.problems:
        _log.warning("feed %s is left out: %s", problem.feed or "-", problem)
    return definitions_of(feed_contexts_of(found.feeds.values(), found.roots.absolute(data)), notify=found.notify)


def feed_contexts_of(feeds: Iterable[Feed], places: Places) -> list[FeedContext]:
    """Feeds in the places that Dagster works in: absolute, as its processes have other working directories."""
    return [FeedContext(feed, places) for feed in feeds]


def definitions_of(
    feed_contexts: Iterable[FeedContext],
    *,
    block: int | None = None,
    observer: DayObserver | None = None,
    notify: Notify | None = None,
    folder: Path | None = None,
) -> dg.Definitions:
    """Assets, checks, jobs, sensors and schedules; steps run in the process of their run, as starting one costs seconds.

    For the rest see ``assets_of``.
    """
    feeds = [(feed_context, jobs_of(feed_context)) for feed_context in feed_contexts]
    return dg.Definitions(
        assets=[
            asset
            for feed_context, _ in feeds
            for asset in assets_of(feed_context, block=block, observer=observer, folder=folder)
        ],
        jobs=[job for _, jobs in feeds for job in jobs],
        sensors=[
            *(sensor for feed_context, jobs in feeds for sensor in sensors_of(feed_context, jobs)),
            *(sensor for feed_context, jobs in feeds for sensor in replaced_sensors_of(feed_context, jobs)),
            *alert_sensors([feed_context for feed_context, _ in feeds], notify),
        ],
        schedules=[
            *(schedule for feed_context, _ in feeds for schedule in schedules_of(feed_context)),
            *(schedule for feed_context, _ in feeds for schedule in refresh_schedules_of(feed_context)),
        ],
        executor=dg.in_process_executor,
    )
