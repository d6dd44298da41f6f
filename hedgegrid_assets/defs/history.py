"""Dagster's history in its default files, laid out before Dagster does it: ``python -m hedgegrid_assets.defs.history``."""

import sys

from hedgegrid_assets.config.paths import data_path
from hedgegrid_assets.defs.backfill import instance_for


def lay_out() -> int:
    """Open the instance of ``DAGSTER_HOME`` once: a history that is not there yet gets large pages, and keeps them.

    With Dagster's small ones each evaluation of a check takes a page for itself, as the keys of all partitions of its run
    stand there before it: a seventh of what a day takes.
    """
    with instance_for(data_path()) as instance:
        instance.event_log_storage.get_maximum_record_id()
    return 0


if __name__ == "__main__":
    sys.exit(lay_out())
