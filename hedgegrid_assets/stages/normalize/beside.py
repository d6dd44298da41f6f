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
        if verdict is None or verdict.status is Status.BLOCKED or not _tells(verdict, table.beside_by.get(name)):
            continue
        if _frame(places, day, other).exists():
            yield other, verdict


def _tells(verdict: Verdict, rule: str | None) -> bool:
    """The day has what the tables are compared by."""
    return rule is None or any(each.name == rule and each.answer is not None for each in verdict.rules)


def _frame(places: Places, day: InstrumentDay, table: Table) -> Any:
    return places.frame(day.instrument_id, table.folder, day.date)
