"""The seam: what catalogs and raw data lie in. All modules ask it; a local disk or an object store answers."""

import posixpath
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import total_ordering
from io import BufferedReader, IOBase
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from pyarrow import NativeFile

_WILD: Final = frozenset("*?[")


class Entry(Struct, frozen=True):
    """An object of a store.

    Attributes:
        key: Its name: parts with slashes between them.
        size: Bytes.
        version: Changes whenever the content does; two of one object can be compared, and no more (an *etag*).
        modified: When it was put there, in ns since 1970.
    """

    key: str
    size: int
    version: str
    modified: int


class Level(Struct, frozen=True):
    """What lies directly below a prefix, by name alone, sorted."""

    folders: list[str]
    files: list[str]


class Store(Protocol):
    """Keeps objects by key: each appears at once and whole, or not at all, and is never changed in place.

    Files in the making are local files, in ``scratch``; readers get an object as a local file, by ``local``.
    """

    def find(self, key: str) -> Entry | None:
        """The object, or None where there is none (a folder is none)."""
        ...

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects below a prefix, however deep, sorted by key."""
        ...

    def level(self, prefix: str) -> Level:
        """Names directly below a prefix; nothing where there is no such thing."""
        ...

    def get(self, key: str, to: Path) -> None:
        """Copy an object into a local file. Raises FileNotFoundError."""
        ...

    def local(self, key: str) -> Path:
        """An object as a file on this machine, to be read and not written. Raises FileNotFoundError, at the latest when it is opened."""
        ...

    def read(self, key: str) -> bytes:
        """An object that is small. Raises FileNotFoundError."""
        ...

    def footer(self, key: str) -> "Path | IOBase | NativeFile":
        """A Parquet object for a reader of its footer alone. Raises FileNotFoundError."""
        ...

    def put_new(self, key: str, file: Path) -> None:
        """Publish a complete local file, which may be taken away by that, under a key that is free.

        An object with the same bytes is a success. Raises StoreConflict where there is another.
        """
        ...

    def put_over(self, key: str, file: Path, version: str | None) -> None:
        """Publish a complete local file in the place of a version of an object, or of whatever is there (None).

        Raises StoreConflict where it has another version by now, or is gone.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object. Raises FileNotFoundError."""
        ...

    def drop_folder(self, key: str) -> None:
        """Remove a folder if it is empty; nothing where a store has no folders."""
        ...

    def drop_tree(self, prefix: str) -> None:
        """Remove all objects below a prefix, and the folder; nothing where there is no such thing."""
        ...

    def settle(self, key: str) -> None:
        """What was removed and moved in a folder is so after a power cut, too."""
        ...

    def remember(self, prefix: str) -> None:
        """A run below a prefix is at its end: what it has learned there may be kept for runs of other machines."""
        ...

    def prepare(self, prefix: str) -> None:
        """Something can be put below a prefix. Raises EnvironmentFault where not, before any work is done."""
        ...

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold a lock by its name against all others who use this store, as far as it can keep them off."""
        ...

    def scratch(self, key: str) -> Path:
        """A folder on this machine, from which files are published to this store; made by whoever uses it."""
        ...

    def shown(self, key: str) -> str:
        """A key for people, as they named the store: a path, or an address."""
        ...

    def address(self, key: str) -> str:
        """A key for other programs and times: an absolute path, or an address."""
        ...


@total_ordering
@dataclass(frozen=True, slots=True)
class StorePath:
    """A name in a store, used as a ``Path`` is: an object, or the folder of those below it.

    ``str`` is for people; a reader that takes a file name gets one on this machine by ``local``, also as ``os.PathLike``.
    """

    store: Store
    key: str = ""

    def __str__(self) -> str:
        return self.store.shown(self.key)

    def __fspath__(self) -> str:
        return str(self.local())

    def __lt__(self, other: "StorePath") -> bool:
        return self.parts < other.parts

    # ---------------------------------------------------------------- names

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the key."""
        return tuple(self.key.split("/")) if self.key else ()

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "StorePath":
        """The folder that it lies in; of the root the root."""
        return StorePath(self.store, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "StorePath":
        """Another name in the same folder."""
        return self.parent / name

    def joinpath(self, *parts: str) -> "StorePath":
        """A name below this one."""
        return StorePath(self.store, "/".join(filter(None, (self.key, *parts))))

    def __truediv__(self, part: str) -> "StorePath":
        return self.joinpath(part)

    @property
    def address(self) -> str:
        """Its name for other programs and times."""
        return self.store.address(self.key)

    def named(self, text: str) -> "StorePath | None":
        """What an address, or a name seen from here, means; None for one that does not lie below this folder."""
        rest = posixpath.normpath(text.removeprefix(f"{self.address}/"))
        outside = (
            rest in {"", "."}
            or rest.startswith(("/", "../"))
            or rest == ".."
            or "://" in text.removeprefix(self.address)
        )
        return None if outside else self / rest

    def is_below(self, folder: "StorePath") -> bool:
        """It lies in this folder, however deep."""
        return self.store == folder.store and self.parts[: len(folder.parts)] == folder.parts

    def below(self, folder: "StorePath") -> str:
        """Its name, seen from a folder that it lies in."""
        return "/".join(self.parts[len(folder.parts) :])

    # ---------------------------------------------------------------- what is there

    def exists(self) -> bool:
        """There is an object of this name."""
        return self.found() is not None

    def is_dir(self) -> bool:
        """There is something below this name."""
        level = self.store.level(self.key)
        return bool(level.folders or level.files)

    def entry(self) -> Entry:
        """Size and version. Raises FileNotFoundError."""
        found = self.found()
        if found is None:
            raise FileNotFoundError(2, "No such file or directory", str(self))
        return found

    @property
    def size(self) -> int:
        """Bytes. Raises FileNotFoundError."""
        return self.entry().size

    def files(self, ending: str = "") -> "Iterator[StorePath]":
        """The objects directly below it whose names end so, sorted."""
        return (self / name for name in self.store.level(self.key).files if name.endswith(ending))

    def folders(self) -> "Iterator[StorePath]":
        """The folders directly below it, sorted."""
        return (self / name for name in self.store.level(self.key).folders)

    def glob(self, pattern: str) -> "Iterator[StorePath]":
        """Objects and folders below it, by a pattern a part, sorted; ``*`` also takes hidden names."""
        part, _, rest = pattern.partition("/")
        if not _WILD.isdisjoint(part):
            level = self.store.level(self.key)
            names = level.folders if rest else sorted([*level.folders, *level.files])
            found = (self / name for name in names if fnmatchcase(name, part))
        elif rest:
            found = iter((self / part,))
        else:
            level = self.store.level(self.key)
            found = (self / part for _ in range(part in level.folders or part in level.files))
        for each in found:
            yield from each.glob(rest) if rest else (each,)

    def tree(self) -> "Iterator[StorePath]":
        """All objects below it, however deep, sorted by key."""
        return (StorePath(self.store, entry.key) for entry in self.store.list(self.key))

    # ---------------------------------------------------------------- content

    def local(self) -> Path:
        """The object as a file on this machine, to be read."""
        return self.store.local(self.key)

    def scratch(self) -> Path:
        """The folder on this machine from which files are published to this one."""
        return self.store.scratch(self.key)

    def open(self, mode: str = "rb") -> BufferedReader:
        """The object's bytes, to be read. Raises FileNotFoundError."""
        if mode != "rb":
            raise ValueError(f"an object is read as bytes, not as {mode}")
        return self.local().open("rb")

    def read_bytes(self) -> bytes:
        """The object's bytes. Raises FileNotFoundError."""
        return self.store.read(self.key)

    def footer(self) -> "Path | IOBase | NativeFile":
        """The Parquet object for a reader of its footer alone. Raises FileNotFoundError."""
        return self.store.footer(self.key)

    def publish(self, file: Path) -> None:
        """A complete local file appears here at once, in the place of what is there."""
        self.store.put_over(self.key, file, None)

    def publish_over(self, file: Path, held: Entry | None) -> None:
        """As ``publish``, if there still is what was ``held``, or nothing. Raises StoreConflict."""
        if held is None:
            self.store.put_new(self.key, file)
        else:
            self.store.put_over(self.key, file, held.version)

    def found(self) -> Entry | None:
        """Size and version; None where there is no object."""
        return self.store.find(self.key)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object. Raises FileNotFoundError."""
        try:
            self.store.delete(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rmdir(self) -> None:
        """Remove a folder if it is empty; nothing where a store has no folders."""
        self.store.drop_folder(self.key)

    def prepare(self) -> None:
        """Something can be put below it. Raises EnvironmentFault where not."""
        self.store.prepare(self.key)

    def remember(self) -> None:
        """A run below it is at its end: what it has learned there may be kept for runs of other machines."""
        self.store.remember(self.key)

    def rmtree(self) -> None:
        """Remove all objects below it, and the folder."""
        self.store.drop_tree(self.key)

    def settle(self) -> None:
        """What was removed and moved in this folder is so after a power cut, too."""
        self.store.settle(self.key)


type AnyFile = Path | StorePath
"""A file in the making or of a user, or an object of a store: both are read alike."""


def bytes_in(file: AnyFile) -> int:
    """Bytes. Raises FileNotFoundError."""
    return file.size if isinstance(file, StorePath) else file.stat().st_size


def uri_of(file: AnyFile) -> str:
    """A file as a URI."""
    address = file.address if isinstance(file, StorePath) else str(file.absolute())
    return address if "://" in address else Path(address).as_uri()


def footer_file(file: AnyFile) -> "Path | IOBase | NativeFile":
    """A Parquet file for a reader of its footer alone."""
    return file.footer() if isinstance(file, StorePath) else file


def local_file(file: AnyFile) -> Path:
    """A file to be read by its name on this machine."""
    return file.local() if isinstance(file, StorePath) else file
