"""One thing that is not as it should be."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hedgegrid_assets.store import SET_ASIDE, StorePath, set_aside, writing

type Repair = Callable[[], str]
"""Mends it; says what was done. Raises HedgegridError where it cannot."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it should be.

    Attributes:
        kind: The same for all of its kind, as ``frame without a Nautilus file``.
        what: The instrument, table and day, or the file.
        why: What it does, or why it is so.
        way_out: What ``--fix`` does; where it can do nothing, what a person may do.
        repair: None: nothing that is safe.
    """

    kind: str
    what: str
    why: str
    way_out: str
    repair: Repair | None = field(default=None, compare=False, repr=False)


def in_the_way(kind: str, path: StorePath, why: str, root: StorePath, *more: StorePath) -> Finding:
    """A file that is moved out of the way, with those that go with it."""

    def repair() -> str:
        with writing(path):
            moved = [set_aside(each, root) for each in (path, *more) if each.exists() or each.is_dir()]
        return f"moved to {', '.join(map(str, moved))}"

    return Finding(kind, str(path), why, f"moved into {root / SET_ASIDE}, from where it can be taken back", repair)
