"""The store on a local disk: objects are files, keys are their paths below a root."""

import errno
import filecmp
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from hedgegrid_assets.errors import NeedsDisk, StoreConflict
from hedgegrid_assets.store.disk import make_folder, put_in_place, remove_tree, sync_folder
from hedgegrid_assets.store.locks import lock_handle, locked_file
from hedgegrid_assets.store.objects import Entry, Level, StorePath

if TYPE_CHECKING:
    from pyarrow import NativeFile

_NOTHING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


class LocalStore(Struct, frozen=True):
    """Publishes by rename, safe against a power cut; locks by ``flock``, against the processes of this machine.

    A version is the file's number, size and time of change: one question to the disk, where a digest would read what may be
    gigabytes. A file that takes another's place by rename never has its number, so that even two of one size in
    one tick of the clock differ. From the check of a version to the rename the folder is locked.
    """

    root: Path

    def path(self, key: str) -> Path:
        """The file or folder of a key."""
        return self.root / key if key else self.root

    def _name(self, key: str) -> str:
        """``path`` as text, where nobody sees it: parsing it takes longer than the question to the disk."""
        return f"{self.root}/{key}"

    def find(self, key: str) -> Entry | None:
        """One question to the disk."""
        try:
            status = os.stat(self._name(key))  # noqa: PTH116 - asked for each of thousands
        except OSError as error:
            if error.errno in _NOTHING:
                return None
            raise
        return None if stat.S_ISDIR(status.st_mode) else _entry(key, status)

    def list(self, prefix: str) -> Iterator[Entry]:
        """Walks the folder."""
        level = self.level(prefix)
        below = f"{prefix}/" if prefix else ""
        for name in sorted([*level.folders, *level.files]):
            if name in level.folders:
                yield from self.list(below + name)
            else:
                yield _entry(below + name, self.path(below + name).stat())

    def level(self, prefix: str) -> Level:
        """One folder, without a look at its files; what was seen of it holds until the disk says that it has changed."""
        name = self._name(prefix)
        try:
            status = os.stat(name)  # noqa: PTH116 - asked for each day, of folders that hold thousands
            mark = (status.st_dev, status.st_ino, status.st_ctime_ns)
            seen = _seen.get(name)
            if seen is not None and seen.mark == mark:
                return seen.level
            level = _level(name)
        except (FileNotFoundError, NotADirectoryError):
            return Level([], [])
        if time.time_ns() - status.st_ctime_ns > _SETTLED_NS:
            if len(_seen) >= _MOST_SEEN:
                _seen.clear()
            _seen[name] = _Seen(mark, level)
        return level

    def get(self, key: str, to: Path) -> None:
        """Copies the file."""
        shutil.copyfile(self.path(key), to)

    def local(self, key: str) -> Path:
        """The file itself."""
        return self.path(key)

    def read(self, key: str) -> bytes:
        """The file's bytes."""
        with open(self._name(key), "rb") as file:  # noqa: PTH123
            return file.read()

    def footer(self, key: str) -> "NativeFile":
        """The file, opened: by its name Arrow asks first what file system it is of."""
        from pyarrow import OSFile

        return OSFile(self._name(key))

    def put_new(self, key: str, file: Path) -> None:
        """Renames the file, which must be on the same file system."""
        final = self.path(key)
        with _alone_in(final.parent):
            if not final.exists():
                put_in_place(file, final)
            elif not filecmp.cmp(file, final, shallow=False):
                raise StoreConflict(self.shown(key), "no other content under this name", "one of another writer")

    def put_over(self, key: str, file: Path, version: str | None) -> None:
        """Renames the file, which must be on the same file system."""
        final = self.path(key)
        if version is None:
            put_in_place(file, final)
            return
        with _alone_in(final.parent):
            found = self.find(key)
            if found is None or found.version != version:
                raise StoreConflict(self.shown(key), "what was read before", "another content" if found else "nothing")
            put_in_place(file, final)

    def delete(self, key: str) -> None:
        """Unlinks the file; its folder stays."""
        self.path(key).unlink()

    def drop_folder(self, key: str) -> None:
        """Nothing for a folder with something in it."""
        path = self.path(key)
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()

    def drop_tree(self, prefix: str) -> None:
        """Removes the folder with all in it."""
        remove_tree(self.path(prefix))

    def settle(self, key: str) -> None:
        """Syncs the folder, if it is there."""
        path = self.path(key)
        if path.is_dir():
            sync_folder(path)

    def remember(self, prefix: str) -> None:
        """Looked at again, it is as near as ever."""

    def prepare(self, prefix: str) -> None:
        """Makes the folder."""
        make_folder(self.path(prefix))

    def lock(self, key: str) -> AbstractContextManager[None]:
        """A file of this name, which stays."""
        return locked_file(self.path(key))

    def scratch(self, key: str) -> Path:
        """A folder below the root: files are renamed from there."""
        return self.path(key)

    def shown(self, key: str) -> str:
        """The path."""
        return str(self.path(key))

    def address(self, key: str) -> str:
        """The absolute path; links are not followed."""
        return os.path.abspath(self.path(key))  # noqa: PTH100 - `resolve` would follow them

    # ---------------------------------------------------------------- what other stores cannot do

    def move(self, source: str, target: str) -> None:
        """Give an object another name, in the place of what is there; ``settle`` makes it last."""
        final = self.path(target)
        final.parent.mkdir(parents=True, exist_ok=True)
        self.path(source).replace(final)

    def link(self, source: str, target: str) -> None:
        """Give an object a second name, without a copy."""
        final = self.path(target)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.link(self.path(source), final)


class _Seen(NamedTuple):
    """A folder as it was, and the mark of that: whatever is put there, renamed or removed, changes it."""

    mark: tuple[int, int, int]
    level: Level


_seen: Final[dict[str, _Seen]] = {}
_MOST_SEEN: Final = 64
_SETTLED_NS: Final = 3 * 10**9
"""A folder that has changed since may change once more in the same tick of its clock, which tells of it once."""


def _level(name: str) -> Level:
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(name) as found:
        for each in found:
            (folders if each.is_dir() else files).append(each.name)
    return Level(sorted(folders), sorted(files))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other publishes into a folder under a condition; nothing of it is left, and a file system without such locks has none."""
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        lock_handle(handle)
        yield
    finally:
        os.close(handle)


def _entry(key: str, status: os.stat_result) -> Entry:
    version = f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
    return Entry(key, status.st_size, version, status.st_mtime_ns)


def on_disk(place: StorePath, what: str) -> LocalStore:
    """The local store that something lies in. Raises NeedsDisk for ``what`` no other can do."""
    if not isinstance(place.store, LocalStore):
        raise NeedsDisk(what, str(place))
    return place.store


def folder_on_disk(place: StorePath, what: str) -> Path:
    """A folder for a program that walks it by itself. Raises NeedsDisk for ``what`` no other store can do."""
    return on_disk(place, what).path(place.key)
