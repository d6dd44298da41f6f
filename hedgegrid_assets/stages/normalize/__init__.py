"""Stage 2: a raw day becomes stored frames, rejects and verdicts; every line is accounted for.

Threads overlap: one decompresses, two decode, and for each table one writes, one digests and one judges. No day is held
in memory: sorted input passes as it comes, what is out of order or may be repeated waits on disk, is sorted by part and
merged, and said so.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from hedgegrid_assets.errors import TooManyOddLines
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages.earlier import Earlier
from hedgegrid_assets.stages.normalize.day import TableWriter
from hedgegrid_assets.stages.normalize.recipe import NOT_MADE, Normalized, Recipe, is_current, judges_so, stale_because
from hedgegrid_assets.stages.normalize.sink import FrameSink
from hedgegrid_assets.stages.raw import RawDay
from hedgegrid_assets.store import Places, exclusive_lock, writing

__all__ = [
    "NOT_MADE",
    "FrameSink",
    "Normalized",
    "Recipe",
    "is_current",
    "judges_so",
    "normalize_day",
    "stale_because",
]

ODD_LINES_CAP: Final = 200_000


def normalize_day(
    places: Places,
    day: InstrumentDay,
    raw: RawDay,
    tables: Sequence[Table],
    recipe: Recipe,
    progress: Callable[[str, int], None] | None = None,
    sinks: Mapping[str, FrameSink] | None = None,
    *,
    force: bool = False,
) -> list[Normalized]:
    """Store frame, rejects and verdict of each table, in one pass over what a raw day holds.

    ``sinks``: table -> who takes its rows as well.

    Files appear whole or not at all; an earlier frame stays until its successor is complete. Raises RawDamaged and
    TooManyOddLines (nothing stored); what concerns one table only is in its ``Normalized.error``.
    """
    locked = exclusive_lock(places.day_lock(day.instrument_id, day.date))
    with writing(places.catalog), locked, ExitStack() as stack:
        others = sinks or {}
        days = [TableWriter(places, day, raw, table, recipe, others.get(table.name)) for table in tables]
        earlier = {table.name: Earlier.of(places, day, table, raw, force=force) for table in tables}
        for table_day in days:
            stack.callback(table_day.close)
        odd = 0
        for batch in raw.batches(recipe.source, recipe.channel):
            decoded = batch.decoded.get(recipe.channel.name)
            if decoded is not None:
                odd += decoded.odd
                if odd > ODD_LINES_CAP:
                    raise TooManyOddLines(raw.path, ODD_LINES_CAP)
                for table_day in days:
                    table_day.add(decoded)
            if progress:
                progress(f"{day}", batch.lines)
        return [table_day.finish(earlier.get(table_day.table.name)) for table_day in days]
