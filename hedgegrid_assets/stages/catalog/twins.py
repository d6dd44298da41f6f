"""Catalogs of the same frames for the other generation of NautilusTrader: each knows where the other lies."""

import posixpath
from typing import ClassVar, Final

from hedgegrid_assets.store import MADE_ANEW, Document, Places, StorePath, change_document, read_document, stored

_ADDRESS: Final = "://"


class Twins(Document, frozen=True, kw_only=True):
    """``catalogs``: where they lie, seen from here if they are on a disk of the same machine."""

    kind: ClassVar[str] = "twins"
    newest: ClassVar[int] = 1
    told: ClassVar[str] = "where catalogs of the same frames lie"
    remedy: ClassVar[str] = MADE_ANEW.replace("run again", "run hedgegrid catalog convert again")
    twins: int = 0
    catalogs: list[str]


def twins_of(places: Places) -> list[Places]:
    """Those that are there. Raises DocumentDamaged."""
    return [each for each in _noted(places) if each.catalog.is_dir()]


def lost_twins(places: Places) -> list[StorePath]:
    """Where one was, and none is."""
    return [each.catalog for each in _noted(places) if not each.catalog.is_dir()]


def _noted(places: Places) -> list[Places]:
    found = read_document(places.twins, Twins)
    return [] if found is None else [Places.of_catalog(_found(places, name)) for name in found.catalogs]


def note_twins(places: Places, other: Places) -> None:
    """Let each know the other."""
    for one, twin in ((places, other), (other, places)):
        name = _name(one, twin)

        def noted(found: Twins | None, name: str = name) -> Twins | None:
            held = found.catalogs if found else []
            return None if name in held else Twins(catalogs=sorted([*held, name]))

        change_document(one.twins, one.catalog_temp, Twins, noted)


def _name(places: Places, twin: Places) -> str:
    here, there = places.catalog.address, twin.catalog.address
    return there if _ADDRESS in here + there else posixpath.relpath(there, here)


def _found(places: Places, name: str) -> StorePath:
    if _ADDRESS in name or posixpath.isabs(name):
        return stored(name)
    return stored(posixpath.normpath(posixpath.join(places.catalog.address, name)))
