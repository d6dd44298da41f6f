"""Small contents of a folder in one object: a machine that knows nothing of a bucket yet asks once, not for each day.

A help and no more: each content has the version that it is of, and one of another version is not taken.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from hedgegrid_assets.errors import HedgegridError, StoreConflict
from hedgegrid_assets.store.bucket.remembered import Contents
from hedgegrid_assets.store.objects import Entry

FOOTER: Final = "#footer"
"""Behind the key of a Parquet object whose footer is the content."""
ENOUGH: Final = 8
"""So many contents that a pack lacks are worth writing it anew; fewer are asked for one by one."""
_ASKED_BEFORE: Final = 3
"""Contents of a folder that are asked for one by one before its pack is."""
_LARGEST: Final = 64 << 10
_LARGEST_PACK: Final = 32 << 20
"""Bytes of a content, and of a pack before it is compressed: of what is more, the newest days are taken."""
_TRIES: Final = 2


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """What a pack says: ``of`` which folder, and name -> (version, content)."""

    of: str
    contents: dict[str, tuple[str, bytes]]


class Packing(Protocol):
    """What packs need of a store."""

    def create(self, key: str, data: bytes) -> str:
        """Put an object where none is; its version. Raises StoreConflict."""
        ...

    def swap(self, key: str, data: bytes, version: str) -> str:
        """Put it in the place of a version; its new one. Raises StoreConflict."""
        ...

    def peek(self, key: str) -> tuple[str, bytes] | None:
        """Version and content of an object, as they are now."""
        ...


type Entries = Callable[[str], Mapping[str, Entry]]
"""What lies directly below a folder, by name."""


class Packs:
    """The packs of a bucket. ``shown``: the bucket, so that a pack that was copied elsewhere is none."""

    def __init__(self, store: Packing, contents: Contents, entries: Entries, shown: str) -> None:
        self._store, self._contents, self._entries, self._shown = store, contents, entries, shown
        self._roots: frozenset[str] = frozenset()
        self._unpacked: Counter[str] = Counter()
        self._asked: set[str] = set()
        self._change = threading.Lock()

    def root(self, prefix: str) -> None:
        """Packs of what lies below it lie below it, too."""
        self._roots |= {prefix}

    def unpacked(self, key: str) -> None:
        """A content was made here, or asked for by itself."""
        with self._change:
            self._unpacked[_folder(key)] += 1

    def unpack(self, key: str) -> bool:
        """The contents of an object's folder may be known now: its pack was asked for."""
        folder = _folder(key)
        root = self._root_of(folder)
        with self._change:
            if root is None or folder in self._asked or self._unpacked[folder] < _ASKED_BEFORE:
                return False
            self._asked.add(folder)
        with suppress(HedgegridError):
            now = self._entries(folder)
            found = self._read(root, folder)[1]
            mine = ((name, *said) for name, said in found.items() if _is_now(now, name, said[0]))
            self._contents.keep_all((f"{folder}/{name}", version, data) for name, version, data in mine)
        return True

    def pack(self, prefix: str) -> None:
        """Write anew the packs below a prefix that lack much of what is known here."""
        with self._change:
            due = [folder for folder, count in self._unpacked.items() if count >= ENOUGH and _is_below(folder, prefix)]
            for folder in due:
                del self._unpacked[folder]
        for folder in due:
            root = self._root_of(folder)
            if root is not None:
                with suppress(HedgegridError):  # it is asked for one by one, then
                    self._write(root, folder)

    def _write(self, root: str, folder: str) -> None:
        for _ in range(_TRIES):
            version, held = self._read(root, folder)
            new = dict(self._known(folder, held))
            if new == held:
                return
            data = _encoded(Packed(self._of(folder), new))
            with suppress(StoreConflict):  # another was faster: with what it has written
                key = _key(root, folder)
                _ = self._store.create(key, data) if version is None else self._store.swap(key, data, version)
                return

    def _known(self, folder: str, held: Mapping[str, tuple[str, bytes]]) -> Iterator[tuple[str, tuple[str, bytes]]]:
        """What is known of the objects that are there, the newest days first, as far as there is room."""
        room = _LARGEST_PACK
        for name, entry in sorted(self._entries(folder).items(), reverse=True):
            content = name + FOOTER if name.endswith(".parquet") else name
            data = self._contents.get(f"{folder}/{content}", entry.version)
            if data is None and content in held and held[content][0] == entry.version:
                data = held[content][1]
            if data is not None and len(data) <= min(room, _LARGEST):
                room -= len(data)
                yield content, (entry.version, data)

    def _read(self, root: str, folder: str) -> tuple[str | None, dict[str, tuple[str, bytes]]]:
        """Version and contents of a pack; no contents where there is none, or it is damaged."""
        found = self._store.peek(_key(root, folder))
        if found is None:
            return None, {}
        said = _decoded(found[1])
        return found[0], said.contents if said is not None and said.of == self._of(folder) else {}

    def _of(self, folder: str) -> str:
        return f"{self._shown}/{folder}"

    def _root_of(self, folder: str) -> str | None:
        return max((root for root in self._roots if _is_below(folder, root)), key=len, default=None)


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _is_below(folder: str, prefix: str) -> bool:
    return not prefix or folder == prefix or folder.startswith(f"{prefix}/")


def _key(root: str, folder: str) -> str:
    name = hashlib.sha256(folder.removeprefix(root).strip("/").encode()).hexdigest()[:32]
    return "/".join(part for part in (root, ".hedgegrid", "packs", name) if part)


def _is_now(entries: Mapping[str, Entry], name: str, version: str) -> bool:
    entry = entries.get(name.removesuffix(FOOTER))
    return entry is not None and entry.version == version


def _encoded(pack: Packed) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(write_checksum=True).compress(msgspec.msgpack.encode(pack))


def _decoded(data: bytes) -> Packed | None:
    """A pack; None of what is none, or was damaged: its checksum is looked at."""
    import zstandard

    try:
        size = zstandard.get_frame_parameters(data).content_size
        if size > 2 * _LARGEST_PACK:  # also where none is said
            return None
        return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data), type=Packed)
    except (zstandard.ZstdError, msgspec.MsgspecError):
        return None
