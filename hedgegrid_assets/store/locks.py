"""Locks between processes of one machine, and folders for files in the making that go with the process that made them."""

import contextlib
import fcntl
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Final
from uuid import uuid4

from msgspec import Struct

from hedgegrid_assets.store.disk import make_folder, writing
from hedgegrid_assets.store.objects import AnyFile, StorePath, local_file

_AREA_PREFIX: Final = ".hedgegrid-"
_OUR_ROOTS: Final = (".tmp", "tmp")
_OUR_PART: Final = re.compile(r"\.[0-9a-f]{12}\.part$")
_ABANDONED_SECONDS: Final = 86_400.0
_TO_LOCK: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


_held: Final[ContextVar[frozenset[StorePath]]] = ContextVar("locks that are held", default=frozenset())


def exclusive_lock(place: AnyFile) -> AbstractContextManager[None]:
    """Hold a lock until the block ends: of a store, against all others who use it; of a file, against this machine's processes.

    One of a store that this thread holds already is not taken again.
    """
    return _once(place) if isinstance(place, StorePath) else locked_file(place)


@contextmanager
def _once(place: StorePath) -> Iterator[None]:
    held = _held.get()
    if place in held:
        yield
        return
    with place.store.lock(place.key):
        _held.set(held | {place})
        try:
            yield
        finally:
            _held.set(held)


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Hold the lock of a file against all other processes of this machine; the file stays."""
    handle = _opened(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    """A file to lock, made if it is not there; nearly always its folder is. Raises EnvironmentFault that names it."""
    with writing(path):
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, _TO_LOCK, 0o666)
        make_folder(path.parent)
        return os.open(path, _TO_LOCK, 0o666)


def try_file(path: Path) -> IO[str] | None:
    """Hold the lock of a file, until what is returned is closed or the process ends; None: somebody holds it."""
    make_folder(path.parent)
    with writing(path):
        file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


class _Area(Struct):
    """A folder that this process works in; it holds the lock of it, and ``users`` use it."""

    path: Path
    handle: int
    users: int = 0


_areas: Final[dict[tuple[int, Path], _Area]] = {}
_areas_change: Final = threading.RLock()
"""Entered again by the thread that holds it where garbage is collected meanwhile: what an error left open ends then."""
_kept: Final[ContextVar[dict[tuple[int, Path], _Area] | None]] = ContextVar("folders kept", default=None)


@contextmanager
def working_folder(root: Path) -> Iterator[Path]:
    """A folder of this process's own below ``root``, for files in the making; gone when nobody uses it any more.

    It is locked as long as the process lives. Those that no living process holds are what killed runs have left: they
    are removed first. Raises EnvironmentFault that names ``root``.
    """
    key = (os.getpid(), root.absolute())
    with _areas_change:
        area = _used_area(key, root)
        kept = _kept.get()
        if kept is not None and key not in kept:
            kept[key] = area
            area.users += 1
    try:
        yield area.path
    finally:
        _leave(key, area)


def _used_area(key: tuple[int, Path], root: Path) -> _Area:
    """With one user more. Garbage may take the area away between two lines: then another is made."""
    while True:
        if key not in _areas:
            with writing(root):
                _areas[key] = _new_area(root)
        area = _areas.get(key)
        if area is not None:
            area.users += 1
            if _areas.get(key) is area:
                return area


@contextmanager
def kept_folders() -> Iterator[None]:
    """The folders that are used in the block, in this thread, stay until its end: for many files, one after the other."""
    kept: dict[tuple[int, Path], _Area] = {}
    before = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(before)
        for key, area in kept.items():
            _leave(key, area)


def _leave(key: tuple[int, Path], area: _Area) -> None:
    """The last one takes the folder away."""
    with _areas_change:
        area.users -= 1
        if not area.users:
            del _areas[key]
            shutil.rmtree(area.path, ignore_errors=True)
            os.close(area.handle)


def _new_area(root: Path) -> _Area:
    make_folder(root)
    handle = os.open(root, os.O_RDONLY)
    try:
        lock_handle(handle, fcntl.LOCK_EX)  # nobody looks between making a folder and locking it
        _remove_unheld(root)
        path = root / f"{_AREA_PREFIX}{os.getpid()}-{uuid4().hex[:8]}"
        path.mkdir()
        held = os.open(path, os.O_RDONLY)
        lock_handle(held, fcntl.LOCK_EX)
        return _Area(path, held)
    finally:
        os.close(handle)


def _remove_unheld(root: Path) -> None:
    """What processes have left that do not live any more, and half-written files of a version that made no folders."""
    for path in root.glob(f"{_AREA_PREFIX}*"):
        with contextlib.suppress(OSError):  # its process may just have gone, with all it had
            handle = os.open(path, os.O_RDONLY)
            try:
                if lock_handle(handle, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)
    for path in _old_parts(root, os.listdir(root)):  # noqa: PTH208
        path.unlink(missing_ok=True)


def _old_parts(root: Path, names: Iterable[str]) -> list[Path]:
    if root.name not in _OUR_ROOTS:
        return []
    old = time.time() - _ABANDONED_SECONDS
    parts = [root / name for name in names if _OUR_PART.search(name)]
    return [path for path in parts if path.stat().st_mtime < old]


def abandoned(root: Path) -> list[Path]:
    """What killed processes have left below ``root``, in name order: the next ``working_folder`` there removes it."""
    try:
        names = os.listdir(root)  # noqa: PTH208 - asked for each day
    except (FileNotFoundError, NotADirectoryError):
        return []
    ours = {area.path for area in list(_areas.values())}
    areas = [root / name for name in names if name.startswith(_AREA_PREFIX)]
    return sorted([*(path for path in areas if path not in ours and not is_held(path)), *_old_parts(root, names)])


def remove_abandoned(root: Path) -> None:
    """Take away what ``abandoned`` finds, for commands that may have nothing to make there. Raises EnvironmentFault that names ``root``."""
    if abandoned(root):
        with working_folder(root):
            pass


def is_held(place: AnyFile) -> bool:
    """Whether a living process holds the lock of a file or folder; nobody holds what is not there."""
    try:
        handle = os.open(local_file(place), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not lock_handle(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)


def lock_handle(handle: int, how: int = fcntl.LOCK_EX) -> bool:
    """Hold the lock of an open file or folder until it is closed; False where another holds it, or where the file system has no locks for folders: then nothing is removed."""
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True
