"""What a correction has changed in a day: the frame that was there against the one that has taken its place."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from hedgegrid_assets.inspect.diff import compare
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages.raw import RawDay
from hedgegrid_assets.stages.verdict import read_verdict

MOST_ROWS: Final = 2_000_000
"""Larger frames are not compared: both would be in memory."""


def frames_before(
    feed_context: FeedContext, day: InstrumentDay, raw: RawDay, tables: Sequence[Table]
) -> dict[str, pl.DataFrame]:
    """Table -> its frame, where that was made from other raw data than those at hand."""
    places = feed_context.places
    found: dict[str, pl.DataFrame] = {}
    for table in tables:
        verdict = read_verdict(places, table, day)
        frame = places.frame(day.instrument_id, table.folder, day.date)
        other = verdict is not None and raw.sha256 not in verdict.raw_sha256 and verdict.rows.rows_out <= MOST_ROWS
        if other and frame.exists():
            with contextlib.suppress(OSError, pl.exceptions.PolarsError):  # a damaged one is replaced all the same
                found[table.name] = pl.read_parquet(frame.local())
    return found


def changed(
    feed_context: FeedContext, day: InstrumentDay, table: Table, before: Mapping[str, pl.DataFrame]
) -> str | None:
    """Rows added, gone, changed and shifted in time; None where nothing was there to compare with."""
    if table.name not in before:
        return None
    after = pl.read_parquet(feed_context.places.frame(day.instrument_id, table.folder, day.date).local())
    found = compare(day.instrument_id, table, day.date, before[table.name], after)
    counts = {"added": found.only_right, "gone": found.only_left, "changed": found.changed, "shifted": found.shifted}
    told = ", ".join(f"{count:,} rows {what}" for what, count in counts.items() if count)
    return f"{told or 'no row'}, against {found.rows_left:,} rows before"
