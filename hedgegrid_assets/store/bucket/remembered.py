"""What is known of a bucket without asking again: its folders, for some seconds, and small contents, by their version."""

import hashlib
import sqlite3
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final

from msgspec import Struct

from hedgegrid_assets.store.disk import make_folder
from hedgegrid_assets.store.objects import Entry, Level

_YOUNG: Final = 10.0
"""Seconds for which a folder is taken to be as it was seen; who takes a lock looks again at what it is for."""
_FOLDERS: Final = 256
_KEEP: Final = "insert or replace into content values (?, ?, ?)"
LARGEST: Final = 256 << 10
"""Bytes of a content that is kept."""


class Folder(Struct, frozen=True):
    """All that lies directly below a prefix, as it was at a time (``time.monotonic``)."""

    at: float
    folders: frozenset[str]
    entries: dict[str, Entry]


class Folders:
    """Folders of a bucket: one question tells of all objects in one. What this process changes is known at once.

    ``ask`` gives the names of the folders below a prefix, and the objects.
    """

    def __init__(self, ask: Callable[[str], tuple[Sequence[str], Sequence[Entry]]]) -> None:
        self._ask = ask
        self._known: OrderedDict[str, Folder] = OrderedDict()
        self._change = threading.Lock()
        self._changes = 0

    def find(self, key: str) -> Entry | None:
        """An object, if it is there."""
        folder, _, name = key.rpartition("/")
        return self._folder(folder).entries.get(name)

    def level(self, prefix: str) -> Level:
        """What lies directly below a prefix."""
        folder = self._folder(prefix)
        with self._change:
            return Level(sorted(folder.folders), sorted(folder.entries))

    def entries(self, prefix: str) -> dict[str, Entry]:
        """The objects that lie directly below a prefix, by name."""
        folder = self._folder(prefix)
        with self._change:
            return dict(folder.entries)

    def note(self, key: str, entry: Entry | None) -> None:
        """This process has put an object there, or (None) taken it away."""
        folder, _, name = key.rpartition("/")
        with self._change:
            self._changes += 1
            if entry is not None and folder in self._known:
                self._known[folder].entries[name] = entry
            if entry is None:
                self._known.pop(folder, None)
            for above, part in _above(folder):
                known = self._known.get(above)
                if known is not None and (entry is None or part not in known.folders):
                    del self._known[above]  # a folder comes with its first object, and goes with its last

    def forget(self, part: str = "") -> None:
        """Look again from now on; below folders whose name begins with a part, if one is given."""
        with self._change:
            self._changes += 1
            for folder in [folder for folder in self._known if f"/{part}" in f"/{folder}"]:
                del self._known[folder]

    def _folder(self, prefix: str) -> Folder:
        with self._change:
            known = self._known.get(prefix)
            changes = self._changes
        if known is not None and time.monotonic() - known.at < _YOUNG:
            return known
        at = time.monotonic()
        folders, entries = self._ask(prefix)
        found = Folder(at, frozenset(folders), {entry.key.rpartition("/")[2]: entry for entry in entries})
        with self._change:
            if changes == self._changes:  # else something was put there while it was asked for
                self._known[prefix] = found
                while len(self._known) > _FOLDERS:
                    self._known.popitem(last=False)
        return found


def _above(folder: str) -> Iterator[tuple[str, str]]:
    """The folders that one lies in, each with the name that leads to it."""
    while folder:
        folder, _, part = folder.rpartition("/")
        yield folder, part


class Contents:
    """Small contents on this machine, by key and version, for all its processes: a version never has another content.

    It is a help and no more: what cannot be kept is asked for again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._change = threading.Lock()

    def get(self, key: str, version: str) -> bytes | None:
        """What was kept of an object."""
        found = self._ask("select data from content where key = ? and version = ?", key, version)
        return bytes(found[0]) if found else None

    def keep(self, key: str, version: str, data: bytes) -> None:
        """In the place of an older version."""
        if version and len(data) <= LARGEST:
            self._ask(_KEEP, key, version, data)

    def keep_all(self, contents: Iterable[tuple[str, str, bytes]]) -> None:
        """Many of them at once: key, version and content."""
        with self._change, suppress(sqlite3.Error), self._database as database:
            database.execute("begin")
            database.executemany(_KEEP, contents)

    def _ask(self, what: str, *values: str | bytes) -> tuple[bytes, ...] | None:
        """The first row; None where there is none, or the file cannot be used."""
        with self._change, suppress(sqlite3.Error):
            found: tuple[bytes, ...] | None = self._database.execute(what, values).fetchone()
            return found
        return None

    @cached_property
    def _database(self) -> sqlite3.Connection:
        make_folder(self._path.parent)
        opened = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=1)
        weakref.finalize(self, opened.close)
        opened.execute("pragma journal_mode = wal")
        opened.execute("pragma synchronous = off")
        opened.execute("create table if not exists content (key text primary key, version text, data blob)")
        return opened


def contents_of(scratch: Path, server: str) -> Contents:
    """Those of a bucket on a server, by its address."""
    return Contents(scratch / f"contents-{hashlib.sha256(server.encode()).hexdigest()[:16]}.sqlite")
