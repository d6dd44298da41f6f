"""Known outages held against what the catalog says: the gaps in them, and those that have none."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from hedgegrid_assets.errors import NoGapThere
from hedgegrid_assets.inspect.days import DayFilter, Judged, judged_days, some
from hedgegrid_assets.inspect.gaps import Hole, gap_report
from hedgegrid_assets.model import Table
from hedgegrid_assets.stages.outages import Outage
from hedgegrid_assets.store import Places
from hedgegrid_assets.timestamps import iso


def holes_in(places: Places, outage: Outage) -> list[Hole]:
    """The gaps that lie in an outage. Raises NoDataFetched where nothing is judged there, NoGapThere where there is none."""
    wanted = _wanted(outage)
    days = [
        Judged(judged.day, judged.table, judged.verdict, (outage,))
        for judged in some(list(judged_days(places, wanted)), places, wanted)
        if outage.concerns(judged.day.instrument_id, judged.table.name)
    ]
    holes = gap_report(days).holes
    found = [hole for hole in holes if hole.outage is not None]
    if not found:
        lost = [f"{hole.table} {iso(hole.start)} .. {iso(hole.end)}" for hole in holes if hole.is_loss]
        raise NoGapThere(outage.instrument_id, iso(outage.start), iso(outage.end), lost)
    return found


def unmatched(
    places: Places, outages: Sequence[Outage], looked_at: Sequence[tuple[str, Table, date]]
) -> Iterator[dict[str, str]]:
    """Outages of days that were looked at, in which no gap lies."""
    seen = {(instrument_id, table.name, day) for instrument_id, table, day in looked_at}
    tables = {table.name for _, table, _ in looked_at}
    for outage in outages:
        asked = [name for name in tables if outage.concerns(outage.instrument_id, name)]
        if not any((outage.instrument_id, name, day) in seen for name in asked for day in outage.days):
            continue
        try:
            holes_in(places, outage)
        except NoGapThere as error:
            yield {
                "instrument_id": outage.instrument_id,
                "table": outage.table,
                "start": iso(outage.start),
                "end": iso(outage.end),
                "reason": outage.told,
                "said_by": f"feed {outage.feed}" if outage.feed else "gaps acknowledge",
                "error": error.message,
            }


def _wanted(outage: Outage) -> DayFilter:
    """The days of an outage and their neighbours: a missing day, or ids between two days, are seen from both sides."""
    one = timedelta(days=1)
    start, end = outage.days[0] - one, outage.days[-1] + 2 * one
    return DayFilter(outage.instrument_id, outage.table or None, start, end)
