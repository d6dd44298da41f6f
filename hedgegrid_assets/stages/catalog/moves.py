"""Many files of a catalog changed as one: written down first, then done in one burst, and finished by the next run."""

from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec import Struct

from hedgegrid_assets.errors import DocumentDamaged
from hedgegrid_assets.instruments import Instrument
from hedgegrid_assets.stages.catalog.definitions import put_definition
from hedgegrid_assets.stages.catalog.series import Held, change_series
from hedgegrid_assets.store import (
    Document,
    Places,
    StorePath,
    exclusive_lock,
    on_disk,
    read_document,
    remove_abandoned,
    write_document,
    writing,
)


class Moves(Struct, frozen=True):
    """What is to be done.

    Attributes:
        what: For people: what is being done, and to what.
        definition: Becomes the definition of its instrument.
        renames: (from, to); what is there already is replaced.
        removals: Files that go.
        unclaimed: (instrument, table) that hold no series any more.
        folder: Of files that were made for it; goes in the end.
    """

    what: str
    definition: Instrument | None = None
    renames: Sequence[tuple[StorePath, StorePath]] = ()
    removals: Sequence[StorePath] = ()
    unclaimed: Sequence[tuple[str, str]] = ()
    folder: StorePath | None = None


_REMEDY: Final = "remove it, then run the command that was interrupted again (validate says what is not whole)"


class Noted(Document, frozen=True, kw_only=True):
    """``Moves`` as they are written down: paths in the catalog relative to it, as it may be moved."""

    kind: ClassVar[str] = "moves"
    newest: ClassVar[int] = 2
    told: ClassVar[str] = "what is to be moved"
    remedy: ClassVar[str] = _REMEDY
    moves: int = 1
    what: str
    definition: Instrument | None
    renames: list[tuple[str, str]]
    removals: list[str]
    unclaimed: list[tuple[str, str]]
    folder: str | None


def carry_out(places: Places, moves: Moves) -> None:
    """Do it all. A process that is killed on the way leaves it written down; ``finish`` does the rest."""
    finish(places)
    with writing(places.catalog), exclusive_lock(places.catalog_lock):
        noted = Noted(
            what=moves.what,
            definition=moves.definition,
            renames=[(_noted(places, source), _noted(places, target)) for source, target in moves.renames],
            removals=[_noted(places, path) for path in moves.removals],
            unclaimed=list(moves.unclaimed),
            folder=_noted(places, moves.folder) if moves.folder else None,
        )
        write_document(places.moves, places.catalog_temp, noted)
        _do(places, noted)


def unfinished(places: Places) -> str | None:
    """What was begun and is not done yet, in words; None if there is nothing."""
    noted = read_document(places.moves, Noted)
    return None if noted is None else noted.what


def finish(places: Places) -> str | None:
    """Do the rest of what a killed process has begun; what it was, in words. Its files in the making go."""
    remove_abandoned(places.catalog_temp)
    if not places.moves.exists():
        return None
    with writing(places.catalog), exclusive_lock(places.catalog_lock):
        noted = read_document(places.moves, Noted)
        if noted is None:  # another process has finished it
            return None
        _do(places, noted)
        return noted.what


def _do(places: Places, noted: Noted) -> None:
    """Each step leaves what is done already as it is."""
    if noted.definition:
        put_definition(places, noted.definition)
    renames = [(_path(places, source), _path(places, target)) for source, target in noted.renames]
    removals = [_path(places, path) for path in noted.removals]
    for source, target in renames:
        if source.exists():
            on_disk(target, "moving files in one burst").move(source.key, target.key)
    for path in removals:
        path.unlink(missing_ok=True)
    for folder in sorted({path.parent for path in (*removals, *(target for _, target in renames))}):
        folder.settle()
    _unclaim(places, noted.unclaimed)
    if noted.folder:
        _path(places, noted.folder).rmtree()
    places.moves.unlink(missing_ok=True)
    places.moves.parent.settle()


def _unclaim(places: Places, gone: Sequence[tuple[str, str]]) -> None:
    def without(held: Held) -> Held:
        left = {
            instrument_id: {table: series for table, series in tables.items() if (instrument_id, table) not in gone}
            for instrument_id, tables in held.items()
        }
        return {key: value for key, value in left.items() if value}

    if gone:
        change_series(places, without)


def _noted(places: Places, path: StorePath) -> str:
    return path.below(places.catalog) if path.is_below(places.catalog) else path.address


def _path(places: Places, noted: str) -> StorePath:
    """What was noted. Raises DocumentDamaged for a name that leads out of the catalog and the data root."""
    for root in (places.catalog, places.data):
        found = root.named(noted)
        if found is not None:
            return found
    raise DocumentDamaged(places.moves, "paths in the catalog or the data root", noted, _REMEDY)
