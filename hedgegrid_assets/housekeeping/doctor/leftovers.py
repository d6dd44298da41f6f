"""What killed runs have left: changes half done, catalogs and files in the making."""

from collections.abc import Iterator
from pathlib import Path

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.housekeeping.backup import clear, lock_of, restoring, targets_of
from hedgegrid_assets.housekeeping.doctor.finding import Finding
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.store import (
    LocalStore,
    Places,
    StorePath,
    abandoned,
    exclusive_lock,
    is_held,
    names_in,
    working_folder,
    writing,
)


def changes(places: Places) -> Iterator[Finding]:
    """A change of many files that was written down and is not done, and what was staged for one."""
    try:
        begun = catalog_stage.unfinished(places)
    except HedgegridError as error:
        yield Finding("damaged document", str(places.moves), error.message, error.hint)
        return
    if begun is not None:
        yield Finding(
            "unfinished change",
            str(places.catalog),
            f"a process was killed in the middle of {begun}",
            "the rest is done, as it was written down",
            lambda: _finished(places),
        )
    staged = places.staging.catalog
    lock = places.widening_lock
    if begun is None and staged.is_dir() and not is_held(lock):
        yield Finding(
            "catalog in the making",
            str(staged),
            "a process that was widening a precision was killed before it changed anything",
            "removed: it is made of this catalog, and would be made anew",
            lambda: _unstaged(staged, lock),
        )


def _finished(places: Places) -> str:
    return f"finished: {catalog_stage.finish(places) or 'another process has done it'}"


def _unstaged(staged: StorePath, lock: StorePath) -> str:
    with exclusive_lock(lock), writing(staged):
        staged.rmtree()
    return "removed"


def leftovers(places: Places) -> Iterator[Finding]:
    """Files and folders in the making that no living process holds."""
    feeds = [name for name in names_in(places.landing) if places.raw_temp(name).is_dir()]
    for root in (places.catalog_temp, places.landing, *map(places.raw_temp, feeds)):
        for path in abandoned(root):
            yield Finding(
                "left by a killed run",
                str(path),
                "a file in the making, which nobody will finish",
                "removed: its run makes it anew",
                lambda root=root, path=path: _removed(root, path),
            )
    here = isinstance(places.catalog.store, LocalStore) and isinstance(places.data.store, LocalStore)
    for target in targets_of(places).values() if here else ():
        folder = restoring(target)
        if folder.exists() and not is_held(lock_of(folder)):
            yield Finding(
                "left by a killed run",
                str(folder),
                "a restore was killed; this is what it had unpacked, or what stood there before",
                "removed if the archive has it, else kept under a name of its own",
                lambda target=target: _forgotten(target),
            )


def _forgotten(target: Path) -> str:
    lock = lock_of(restoring(target))
    with writing(target), exclusive_lock(lock):
        kept = clear(target)
        lock.unlink(missing_ok=True)
    return "removed" if kept is None else f"kept as {kept}"


def _removed(root: Path, path: Path) -> str:
    with working_folder(root):
        pass
    return "still held by a process" if path.exists() else "removed"
