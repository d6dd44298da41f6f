"""One raw day on its way into the catalog: what the command line and Dagster both do with it."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hedgegrid_assets.errors import HedgegridError, Refused
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import catalog, normalize
from hedgegrid_assets.stages.catalog import Draft, Written
from hedgegrid_assets.stages.normalize import Normalized, Recipe
from hedgegrid_assets.store import writing

if TYPE_CHECKING:
    from hedgegrid_assets.pipeline import House
    from hedgegrid_assets.stages.raw import Carried, Progress, RawDay

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableDay:
    """What became of one table of an instrument-day.

    Attributes:
        day: Which one.
        table: Of it.
        made: What normalizing gave; None where the frame was current already, or nothing was made of it.
        written: The catalog file, if it was published now.
        current: The catalog has the file already, made from the same bytes.
        error: Why it is not in the catalog.
    """

    day: InstrumentDay
    table: Table
    made: Normalized | None = None
    written: Written | None = None
    current: bool = False
    error: HedgegridError | None = None


def make_tables(
    house: "House",
    day: InstrumentDay,
    raw: "RawDay",
    tables: Sequence[Table],
    *,
    compression: str = "zstd",
    again: bool = False,
    force: bool = False,
    unpublished: Collection[Table] = (),
    progress: "Progress | None" = None,
    carried: "Carried | None" = None,
) -> list[TableDay]:
    """Normalize, judge and publish tables of a raw day; it is read once for all of them, and current tables are left.

    Args:
        house: The feed.
        day: The instrument-day.
        raw: Its raw day of the channel that the tables are made of.
        tables: What to make of it.
        compression: Of frames and catalog files.
        again: Current tables are made once more.
        force: Rows of an earlier frame of another origin may be lost (see ``normalize_day``).
        unpublished: Tables that are normalized only.
        progress: Told of lines that are done.
        carried: What is decoded of the raw day already.

    Raises:
        HedgegridError: The raw day is damaged, or its instrument is not known; what concerns one table is in its ``TableDay``.
    """
    recipe = house.recipe(house.channel_in(raw), house.instrument(raw.key.symbol), compression)
    refused = _refused(house, day, tables, recipe.channel.series)
    stale = [
        table
        for table in tables
        if table.name not in refused and (again or not normalize.is_current(house.places, day, table, raw, recipe))
    ]
    with writing(house.places.catalog), ExitStack() as stack:
        drafts = {
            table.name: stack.enter_context(
                closing(catalog.Draft(house.places, day, table, recipe.precisions, compression))
            )
            for table in stale
            if table not in unpublished
        }
        made = _normalized(house, day, raw, stale, compression, progress, drafts, carried, force=force)
        return [
            TableDay(day, table, error=refused[table.name])
            if table.name in refused
            else _kept(day, table, made.get(table.name))
            if table in unpublished
            else _published(house, day, table, recipe, made.get(table.name), drafts.get(table.name))
            for table in tables
        ]


def _refused(house: "House", day: InstrumentDay, tables: Sequence[Table], series: str) -> dict[str, Refused]:
    """The tables that the catalog does not take this day of, and why; the others land."""
    found: dict[str, Refused] = {}
    for table in tables:
        try:
            catalog.admit(house.places, day, table, series)
        except Refused as error:
            _log.info("%s: %s", day, error.message)
            found[table.name] = error
    return found


def _normalized(
    house: "House",
    day: InstrumentDay,
    raw: "RawDay",
    stale: Sequence[Table],
    compression: str,
    progress: "Progress | None",
    drafts: Mapping[str, Draft],
    carried: "Carried | None",
    *,
    force: bool,
) -> dict[str, Normalized]:
    if not stale:
        return {}
    if progress:
        progress(str(day), 0)
    found = house.normalize(
        day,
        raw,
        stale,
        compression=compression,
        progress=progress,
        sinks=drafts,
        carried=carried,
        force=force,
    )
    return {done.table.name: done for done in found}


def _kept(day: InstrumentDay, table: Table, made: Normalized | None) -> TableDay:
    return TableDay(day, table, made, error=None if made is None else made.error)


def _published(
    house: "House", day: InstrumentDay, table: Table, recipe: Recipe, made: Normalized | None, draft: Draft | None
) -> TableDay:
    if made is None and catalog.is_current(house.places, day, table):
        return TableDay(day, table, current=True)
    try:
        if made is not None and made.error is not None:
            raise made.error
        written = catalog.write_day(house.places, day, table, recipe.precisions, recipe.compression, draft)
    except HedgegridError as error:
        _log.info("%s: %s", day, error.message)
        return TableDay(day, table, made, error=error)
    return TableDay(day, table, made, written)
