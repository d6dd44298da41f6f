"""Stage 2: a raw day becomes stored frames, rejects and verdicts; every line is accounted for.

Threads overlap: one decompresses, two decode, and for each table one writes, one digests and one judges. Sorted input is never
held in memory; input that proves unsorted, or repeats ids, is held for its day, sorted by (``ts_init``, arrival) and said so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from hedgegrid_assets.errors import RawDamaged, TooManyOddLines
from hedgegrid_assets.model import Decoded, Dialect, InstrumentDay, Table
from hedgegrid_assets.stages.earlier import Earlier
from hedgegrid_assets.stages.normalize.day import TableDay
from hedgegrid_assets.stages.normalize.recipe import Normalized, Recipe, is_current
from hedgegrid_assets.stages.normalize.sink import FrameSink
from hedgegrid_assets.stages.raw import Carried, RawDay
from hedgegrid_assets.store import Block, BlockReader, Places, exclusive_lock, ordered_map, writing

__all__ = ["FrameSink", "Normalized", "Recipe", "is_current", "normalize_day"]

ODD_LINES_CAP: Final = 200_000


def normalize_day(
    places: Places,
    day: InstrumentDay,
    raw: RawDay,
    tables: Sequence[Table],
    recipe: Recipe,
    progress: Callable[[str, int], None] | None = None,
    sinks: Mapping[str, FrameSink] | None = None,
    carried: Carried | None = None,
    *,
    force: bool = False,
) -> list[Normalized]:
    """Decode one raw day once, and store frame, rejects and verdict of each table.

    ``sinks``: table -> who takes its rows as well; ``carried``: what importing the day has decoded already.

    Files appear whole or not at all; an earlier frame stays until its successor is complete. Raises RawDamaged and
    TooManyOddLines (nothing stored); what concerns one table only is in its ``Normalized.error``.
    """
    locked = exclusive_lock(places.day_lock(day.instrument_id, day.date))
    with writing(places.catalog), locked, ExitStack() as stack:
        others = sinks or {}
        days = [TableDay(places, day, raw, table, recipe, others.get(table.name)) for table in tables]
        earlier = {table.name: Earlier.of(places, day, table, raw, force=force) for table in tables}
        for table_day in days:
            stack.callback(table_day.close)
        odd = 0
        if carried is not None and carried.sha256 != raw.sha256:  # another process has imported since
            carried = None
        for lines, decoded in carried or _decoded(raw, recipe):
            odd += decoded.odd
            if odd > ODD_LINES_CAP:
                raise TooManyOddLines(raw.path, ODD_LINES_CAP)
            for table_day in days:
                table_day.add(decoded)
            if progress:
                progress(f"{day}", lines)
        return [table_day.finish(earlier.get(table_day.table.name)) for table_day in days]


def _decoded(raw: RawDay, recipe: Recipe) -> Iterator[tuple[int, Decoded]]:
    """(lines, decoded) of each block of a raw day. Raises RawDamaged if the file is not the one of its manifest."""
    reader = BlockReader(raw.path, quoted=recipe.source.quoted)

    def decode(given: tuple[Block, Dialect]) -> tuple[int, Decoded]:
        block, dialect = given
        return block.lines, recipe.source.decode(block, recipe.channel, dialect)

    yield from ordered_map(decode, raw.by_dialect(reader))
    if reader.truncated or reader.sha256 != raw.sha256:
        raise RawDamaged(raw.path, f"expected sha256 {raw.sha256}, found {reader.sha256}")
