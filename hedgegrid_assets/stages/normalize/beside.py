"""A day of one table held against that of another: both as the source has sent them."""

from collections.abc import Iterator
from typing import Any, Final

from hedgegrid_assets.model import InstrumentDay, Status, Table
from hedgegrid_assets.stages.frames import read_blocks
from hedgegrid_assets.stages.verdict import Verdict, read_verdict
from hedgegrid_assets.store import AnyFile, Places
from hedgegrid_assets.tables import TABLES

_DIGEST: Final = "compared_with"


def compared(places: Places, day: InstrumentDay, table: Table, frame: AnyFile) -> dict[str, dict[str, Any]]:
    """What each comparison of the table tells, of the tables that there is a good day of."""
    return {
        other.name: {
            **table.beside[other.name](read_blocks(frame, table), read_blocks(_frame(places, day, other), other)),
            _DIGEST: verdict.content_digest,
        }
        for other, verdict in _others(places, day, table)
    }


def compared_with_todays(places: Places, day: InstrumentDay, table: Table, verdict: Verdict) -> bool:
    """The days beside it are those that a day was compared with; one that is not there any more changes nothing."""
    known = verdict.told_of(_DIGEST)
    return all(other.content_digest in known for _, other in _others(places, day, table))


def _others(places: Places, day: InstrumentDay, table: Table) -> Iterator[tuple[Table, Verdict]]:
    for name in table.beside:
        other = TABLES[name]
        verdict = read_verdict(places, other, day)
        if verdict is not None and verdict.status is not Status.BLOCKED and _frame(places, day, other).exists():
            yield other, verdict


def _frame(places: Places, day: InstrumentDay, table: Table) -> Any:
    return places.frame(day.instrument_id, table.folder, day.date)
