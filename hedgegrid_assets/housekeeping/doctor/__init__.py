"""What is not as it should be in a catalog and its raw days: found, explained, and mended where that loses nothing.

Only what we made ourselves and can make again is ever removed (files of killed runs). Whatever else is in the way is moved
into ``set-aside`` below its root, from where it can be taken back.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import Struct

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.housekeeping.doctor.days import days
from hedgegrid_assets.housekeeping.doctor.documents import documents
from hedgegrid_assets.housekeeping.doctor.finding import Finding
from hedgegrid_assets.housekeeping.doctor.folders import nautilus_folders, own_folders
from hedgegrid_assets.housekeeping.doctor.forms import forms, is_one
from hedgegrid_assets.housekeeping.doctor.leftovers import changes, leftovers
from hedgegrid_assets.housekeeping.doctor.raw import raw_days
from hedgegrid_assets.store import Places

_LOOKS: Final = (forms, changes, leftovers, documents, own_folders, nautilus_folders, days)
"""In this order, raw days at the end: what is mended first may be all that the later ones would find."""


class Examined(Struct, frozen=True):
    """A finding, and what became of it. ``done``: what was mended, in words; ``failed``: why it could not be."""

    finding: Finding
    done: str = ""
    failed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "kind": self.finding.kind,
            "what": self.finding.what,
            "why": self.finding.why,
            "way_out": self.finding.way_out,
            "can_be_fixed": self.finding.repair is not None,
            "fixed": bool(self.done),
            "done": self.done or None,
            "failed": self.failed or None,
        }


def examine(places: Places, progress: Callable[[str], None], *, fix: bool, deep: bool = False) -> Iterator[Examined]:
    """Look at everything; with ``fix``, mend what can be mended, one after the other.

    No data is read, but names, footers and documents: whether the rows are what they were is told by ``validate``.
    ``deep``: raw days are read, too.
    """
    for finding in _findings(places, progress, deep=deep):
        yield _mended(finding) if fix and finding.repair is not None else Examined(finding)


def _findings(places: Places, progress: Callable[[str], None], *, deep: bool) -> Iterator[Finding]:
    if not is_one(places):
        yield from forms(places)
        return
    for look in _LOOKS:
        progress(look.__name__.replace("_", " "))
        yield from look(places)
    progress("raw days")
    yield from raw_days(places, progress if deep else None)


def _mended(finding: Finding) -> Examined:
    assert finding.repair is not None
    try:
        return Examined(finding, done=finding.repair())
    except HedgegridError as error:
        return Examined(finding, failed=str(error))


__all__ = ["Examined", "Finding", "examine"]
