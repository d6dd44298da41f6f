"""A second store: objects in memory with versions, as a bucket has them; nothing of it lies on disk but copies."""

import io
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hedgegrid_assets.errors import StoreConflict
from hedgegrid_assets.store import Entry, Level, StorePath


class Bucket:
    """Keeps objects in memory. ``asked`` counts the requests that a server would have had."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._objects: dict[str, tuple[bytes, int]] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._change = threading.Lock()
        self._puts = 0
        self.asked: Counter[str] = Counter()

    def at(self, key: str) -> StorePath:
        return StorePath(self, key)

    def find(self, key: str) -> Entry | None:
        self.asked["find"] += 1
        return self._entry(key) if key in self._objects else None

    def list(self, prefix: str) -> Iterator[Entry]:
        self.asked["list"] += 1
        return iter([self._entry(key) for key in sorted(self._objects) if key.startswith(f"{prefix}/")])

    def level(self, prefix: str) -> Level:
        self.asked["list"] += 1
        below = [key.removeprefix(f"{prefix}/").split("/") for key in self._objects if key.startswith(f"{prefix}/")]
        folders = {parts[0] for parts in below if len(parts) > 1}
        return Level(sorted(folders), sorted(parts[0] for parts in below if len(parts) == 1))

    def get(self, key: str, to: Path) -> None:
        self.asked["get"] += 1
        if key not in self._objects:
            raise FileNotFoundError(2, "No such object", self.shown(key))
        to.write_bytes(self._objects[key][0])

    def read(self, key: str) -> bytes:
        self.asked["get"] += 1
        if key not in self._objects:
            raise FileNotFoundError(2, "No such object", self.shown(key))
        return self._objects[key][0]

    def footer(self, key: str) -> io.IOBase:
        return io.BytesIO(self.read(key))

    def local(self, key: str) -> Path:
        copy = self._scratch / "copies" / f"{self._objects[key][1] if key in self._objects else 0}" / key
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            self.get(key, copy)
            copy.chmod(0o400)
        return copy

    def put_new(self, key: str, file: Path) -> None:
        with self._change:
            held = self._objects.get(key)
            if held is not None and held[0] != file.read_bytes():
                raise StoreConflict(self.shown(key), "no other content under this name", "one of another writer")
            if held is None:
                self._put(key, file)

    def put_over(self, key: str, file: Path, version: str | None) -> None:
        with self._change:
            held = self._objects.get(key)
            if version is not None and (held is None or str(held[1]) != version):
                raise StoreConflict(self.shown(key), "what was read before", "another content" if held else "nothing")
            self._put(key, file)

    def delete(self, key: str) -> None:
        self.asked["delete"] += 1
        if self._objects.pop(key, None) is None:
            raise FileNotFoundError(2, "No such object", self.shown(key))

    def drop_folder(self, key: str) -> None:
        """It has none."""

    def drop_tree(self, prefix: str) -> None:
        for entry in self.list(prefix):
            self.delete(entry.key)

    def settle(self, key: str) -> None:
        """It always is."""

    def remember(self, prefix: str) -> None:
        """It has no other machines."""

    def prepare(self, prefix: str) -> None:
        """It always can."""

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        with self._locks[key]:
            yield

    def scratch(self, key: str) -> Path:
        return self._scratch / key

    def shown(self, key: str) -> str:
        return f"mem://bucket/{key}"

    def address(self, key: str) -> str:
        return self.shown(key)

    def _put(self, key: str, file: Path) -> None:
        self.asked["put"] += 1
        self._puts += 1
        self._objects[key] = file.read_bytes(), self._puts

    def _entry(self, key: str) -> Entry:
        data, number = self._objects[key]
        return Entry(key, len(data), str(number), number)
