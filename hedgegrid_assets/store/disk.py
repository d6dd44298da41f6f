"""What the disk says, in our words; folders, trees, digests of files."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from hedgegrid_assets.errors import EnvironmentFault
from hedgegrid_assets.store.objects import AnyFile, StorePath

_AT_ONCE: Final = 1 << 20
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def writing(place: AnyFile) -> Iterator[None]:
    """Whatever the disk refuses in the block becomes an EnvironmentFault that names the file, or else the place."""
    try:
        yield
    except OSError as error:
        raise disk_fault(error, place) from error


class RealPaths:
    """Paths with all symbolic links followed, as text; each folder is looked at once, so keep it for one look only."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: Path) -> str:
        """Where a file really lies."""
        if path.is_symlink():
            return str(path.resolve())
        folder, _, name = str(path).rpartition(os.sep)
        if folder not in self._folders:
            self._folders[folder] = str(path.parent.resolve()).removesuffix(os.sep)
        return f"{self._folders[folder]}{os.sep}{name}"


def disk_fault(error: OSError, place: AnyFile) -> EnvironmentFault:
    """What the disk refused, where, and what to do; a full disk is told with what is free."""
    if error.errno is not None and error.errno in _FULL:
        here = place.scratch() if isinstance(place, StorePath) else place
        where = next(folder for folder in (here, *here.absolute().parents) if folder.exists())
        free = shutil.disk_usage(where).free
        return EnvironmentFault(
            f"cannot write {place}: {os.strerror(error.errno)}; {free / 1e6:,.1f} MB are free there",
            hint="make room, or choose another --output or --data (a run needs about the size of the files that it reads, "
            "twice); then run again: what is published is whole",
            details={"path": str(place), "free_bytes": free},
        )
    named = error.filename if isinstance(error.filename, str) else str(place)
    return EnvironmentFault(
        f"cannot read or write {named}: {error.strerror or error}",
        hint="check that it is there, its permissions and the space",
        details={"path": named},
    )


def make_folder(path: Path) -> None:
    """Make a folder and its parents. Raises EnvironmentFault that names it."""
    if os.path.isdir(path):  # noqa: PTH112 - mostly, and asked for each file
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot make the folder {path}: {error.strerror or error}", hint="choose another --output or --data"
        ) from error


def sync_folder(folder: Path) -> None:
    """What was renamed or removed in a folder is so after a power cut, too."""
    _sync(folder)


def write_new(path: Path, data: bytes) -> None:
    """Write a new file in the making."""
    with path.open("xb") as file:
        file.write(data)


def sync_file(path: Path) -> None:
    """The bytes of a file in the making outlast a power cut: whoever publishes it need not wait for that."""
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(temporary: Path, final: Path, *, is_synced: bool = False) -> None:
    """Let a complete file appear under its final name at once, safe against a power cut; ``is_synced``: what is in it is so already."""
    folder = final.parent
    make_folder(folder)
    if not is_synced:
        _sync(temporary)
    temporary.replace(final)
    _settle(folder)


def second_name(source: Path, final: Path) -> bool:
    """Give a file that was published another name at once; False where something has it, on another disk, or on one without second names."""
    make_folder(final.parent)
    try:
        os.link(source, final)
    except OSError:
        return False
    _settle(final.parent)
    return True


def _settle(folder: Path) -> None:
    later = _later.get()
    if later is None:
        sync_folder(folder)
    else:
        later.add(folder)


_later: Final[ContextVar[set[Path] | None]] = ContextVar("folders to sync", default=None)


@contextmanager
def synced_together() -> Iterator[None]:
    """In the block a file appears at once and whole, as ever; its name is sure to outlast a power cut from the end on.

    Each folder is synced once then. For work that looks at all it has made when it is done again: of what is published
    here, in this thread, some names may be lost, whatever their order.
    """
    folders: set[Path] = set()
    before = _later.set(folders)
    try:
        yield
    finally:
        _later.reset(before)
        for folder in sorted(folders):
            with writing(folder), contextlib.suppress(FileNotFoundError):  # somebody has taken it away
                sync_folder(folder)


class Sha256Behind:
    """sha256 of a file that grows at its end and changes nowhere else, taken as it does: it need not be read once more."""

    def __init__(self, path: Path) -> None:
        self._path, self._bytes, self._digest = path, 0, hashlib.sha256()

    def catch_up(self) -> None:
        """Take in what has come since."""
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._bytes)
            while chunk := file.read(_AT_ONCE):
                self._digest.update(chunk)
                self._bytes += len(chunk)

    def hexdigest(self) -> str:
        """Of all bytes, as ``sha256sum`` prints it."""
        self.catch_up()
        return self._digest.hexdigest()


def sha256_of(path: AnyFile) -> str:
    """sha256 of a file's bytes, as ``sha256sum`` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, if it is there."""
    if path.exists():
        shutil.rmtree(path)
