"""The store in a bucket: S3 and what speaks like it. Files are made in scratch, then sent; readers get copies, by version.

Address, keys and region are taken from the environment, as AWS' own tools do: ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL`` (and ``AWS_ALLOW_HTTP=true`` for one without TLS).
"""

import atexit
import hashlib
import io
import os
import re
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any, Final
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from hedgegrid_assets.errors import StoreConflict, StoreUnreachable
from hedgegrid_assets.store.bucket.faults import again, asking
from hedgegrid_assets.store.bucket.leases import lease
from hedgegrid_assets.store.bucket.packs import FOOTER, Packs
from hedgegrid_assets.store.bucket.remembered import LARGEST, Contents, Folders, contents_of
from hedgegrid_assets.store.disk import make_folder
from hedgegrid_assets.store.locks import locked_file, working_folder
from hedgegrid_assets.store.objects import Entry, Level, StorePath

_PATIENCE: Final = timedelta(seconds=30)
_TRIES: Final = 4
_KEPT: Final = 64
_KEPT_BYTES: Final = 4 << 30
"""So many copies stay, or as many as take so much: what was read is often read again."""
_MD5: Final = re.compile(r'"?([0-9a-f]{32})"?')
"""An etag that is the MD5 of the content: of what was sent in one request and is not enciphered with a key of one's own."""
_FOOTER: Final = 16 << 10
"""Bytes that most likely hold a Parquet footer."""


class ObjectStore:
    """Publishes by one request, which puts an object there whole or not at all; conditions are the server's.

    A version is the server's etag. One question for a folder answers all about the objects in it, for some seconds, and
    small contents are kept by their version: on this machine, and together in the bucket for others. Who takes a lock
    asks anew.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._copies: OrderedDict[Path, int] = OrderedDict()
        self._change = Lock()
        self._folders = Folders(self._ask_folder)
        self._prepared: set[str] = set()

    def find(self, key: str) -> Entry | None:
        """No request, if its folder was seen just now."""
        return self._folders.find(key) if key else None

    def list(self, prefix: str) -> Iterator[Entry]:
        """A request for a thousand objects."""
        with asking(self.shown("")):
            found = again(
                lambda: [_entry(each) for chunk in obstore.list(self._client, prefix or None) for each in chunk]
            )
        return iter(sorted(found, key=lambda entry: entry.key))

    def level(self, prefix: str) -> Level:
        """A request for a thousand names."""
        return self._folders.level(prefix)

    def _ask_folder(self, prefix: str) -> tuple[Sequence[str], Sequence[Entry]]:
        with asking(self.shown("")):
            found = again(lambda: obstore.list_with_delimiter(self._client, prefix or None))
        return [_last(each) for each in found["common_prefixes"]], [_entry(each) for each in found["objects"]]

    def get(self, key: str, to: Path) -> None:
        """One request; streamed."""
        with asking(self.shown("")):
            again(lambda: self._get(key, to))

    def _get(self, key: str, to: Path) -> None:
        with to.open("wb") as out:
            for chunk in obstore.get(self._client, key).stream(min_chunk_size=8 << 20):
                out.write(chunk)

    def local(self, key: str) -> Path:
        """A copy of the version that is there now, which stays a while."""
        found = self._found(key)
        copy = self._copy_of(key, found.version)
        with self._change:
            known = copy in self._copies
            if known:
                self._copies.move_to_end(copy)
        if not known:
            make_folder(copy.parent)
            coming = copy.parent / uuid4().hex
            self.get(key, coming)
            coming.replace(copy)
            self._keep(copy, found.size)
        return copy

    def _copy_of(self, key: str, version: str) -> Path:
        """Where a copy of a version lies, if there is one."""
        name = hashlib.sha256(f"{key}|{version}".encode()).hexdigest()[:32]
        return self._work / name / key.rpartition("/")[2]

    def read(self, key: str) -> bytes:
        """One request, or none for what is known of this version."""
        kept = self._known(key, key, self._found(key).version)
        return self._read(key) if kept is None else kept

    def _known(self, key: str, name: str, version: str) -> bytes | None:
        """A small content that is known here, or that the pack of its folder holds."""
        kept = self._contents.get(name, version)
        if kept is None and self._packs.unpack(key):
            kept = self._contents.get(name, version)
        return kept

    def _read(self, key: str) -> bytes:
        with asking(self.shown("")):
            version, data = again(lambda: self._get_small(key))
        self._keep_content(key, key, version, data)
        return data

    def _keep_content(self, key: str, name: str, version: str, data: bytes) -> None:
        self._contents.keep(name, version, data)
        self._packs.unpacked(key)

    def _get_small(self, key: str) -> tuple[str, bytes]:
        answer = obstore.get(self._client, key)
        return answer.meta["e_tag"] or "", bytes(answer.bytes())

    def footer(self, key: str) -> io.IOBase:
        """One request, or none for what is known of this version: a Parquet file without its rows."""
        found = self._found(key)
        name = f"{key}{FOOTER}"
        data = self._known(key, name, found.version)
        if data is None:
            data = _footer_in(partial(self._range, key), found.size)
            self._keep_content(key, name, found.version, data)
        return io.BytesIO(data)

    def _range(self, key: str, start: int, end: int) -> bytes:
        with asking(self.shown("")):
            return again(lambda: bytes(obstore.get_range(self._client, key, start=start, end=end)))

    def _found(self, key: str) -> Entry:
        found = self.find(key)
        if found is None:
            raise FileNotFoundError(2, "No such object", self.shown(key))
        return found

    def _keep(self, copy: Path, size: int) -> None:
        with self._change:
            self._copies[copy] = size
            while len(self._copies) > _KEPT and sum(self._copies.values()) > _KEPT_BYTES:
                old, _ = self._copies.popitem(last=False)
                old.unlink(missing_ok=True)

    def put_new(self, key: str, file: Path) -> None:
        """One request; where something is there, it is read and compared."""
        try:
            self._put(key, file, mode="create", use_multipart=False)
        except StoreConflict:
            if self._read(key) != file.read_bytes():
                raise

    def put_over(self, key: str, file: Path, version: str | None) -> None:
        """One request, which sends nothing where the same bytes are there; without a version a large file is sent in parts."""
        if version is None:
            if not self._holds(key, file):
                self._put(key, file)
            return
        try:
            self._put(key, file, mode={"e_tag": version}, use_multipart=False)
        except StoreConflict:
            if self._peek(key) is None or self._read(key) != file.read_bytes():  # else the answer was lost
                raise

    def _send(self, key: str, data: Path | bytes, **how: Any) -> str:
        """The version of what is there now."""
        return again(lambda: obstore.put(self._client, key, data, **how))["e_tag"] or ""

    def _put(self, key: str, file: Path, **how: Any) -> None:
        try:
            with asking(self.shown(""), self.shown(key)):
                version = self._send(key, file, **how)
        except StoreConflict:
            self._folders.forget()
            raise
        size = file.stat().st_size
        self._folders.note(key, Entry(key, size, version, time.time_ns()))
        if key.endswith(".json") and size <= LARGEST:
            self._keep_content(key, key, version, file.read_bytes())
        if key.endswith(".parquet"):
            self._keep_content(key, f"{key}{FOOTER}", version, _footer_in(partial(_part_of, file), size))
            copy = self._copy_of(key, version)  # it is most likely read again: compared, or digested
            make_folder(copy.parent)
            shutil.move(file, copy)
            self._keep(copy, size)

    def _holds(self, key: str, file: Path) -> bool:
        """The same bytes are there, by what the server says now."""
        found = self.find(key)
        if found is None or found.size != file.stat().st_size:
            return False
        told = _MD5.fullmatch(found.version)
        with file.open("rb") as data:
            same = told is not None and hashlib.file_digest(data, "md5").hexdigest() == told[1]
        return same and self._peek(key) == found.version

    def _peek(self, key: str) -> str | None:
        """The version of an object as it is now."""
        with asking(self.shown("")):
            try:
                return again(lambda: obstore.head(self._client, key))["e_tag"]
            except FileNotFoundError:
                return None

    def delete(self, key: str) -> None:
        """A server says nothing of what was not there."""
        self._found(key)
        self.remove(key)
        self._folders.note(key, None)

    def drop_folder(self, key: str) -> None:
        """A bucket has none."""

    def drop_tree(self, prefix: str) -> None:
        """All below it, some at once."""
        keys = [entry.key for entry in self.list(prefix)]
        if keys:
            with asking(self.shown("")):
                again(lambda: obstore.delete(self._client, keys))
            self._folders.forget()

    def settle(self, key: str) -> None:
        """What was answered is so."""

    def remember(self, prefix: str) -> None:
        """A request or two for each folder of which much was learned."""
        self._packs.pack(prefix)

    def at(self, prefix: str) -> StorePath:
        """A prefix as the root of something."""
        self._packs.root(prefix)
        return StorePath(self, prefix)

    def prepare(self, prefix: str) -> None:
        """Ask once whether the server keeps its promises: that it can be written to, and that it looks at conditions."""
        if prefix in self._prepared:
            return
        key = "/".join(part for part in (prefix, ".hedgegrid", f"probe-{uuid4().hex}") if part)
        with asking(self.shown("")):
            obstore.put(self._client, key, b"", mode="create")
            try:
                kept = self._refuses(key, "create") and self._refuses(key, {"e_tag": f'"{"0" * 32}"'})
            finally:
                obstore.delete(self._client, key)
        if not kept:
            raise StoreUnreachable(
                self.shown(prefix),
                "its server knows no conditional writes (If-None-Match, If-Match): two runs could overwrite each other",
                "name a bucket of a server that does, as AWS S3; nothing was written",
            )
        self._prepared.add(prefix)

    def _refuses(self, key: str, mode: Any) -> bool:
        try:
            obstore.put(self._client, key, b"other", mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return True
        return False

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Of this machine first, a file in scratch; then of all, an object. ``PART@day.lock`` is for what lies below a PART."""
        here = self.scratch("locks") / hashlib.sha256(key.encode()).hexdigest()[:32]
        with locked_file(here), lease(self, key, self.shown(key)):
            part, _, day = _last(key).rpartition("@")
            self._folders.forget(part if day else "")
            yield

    def scratch(self, key: str) -> Path:
        """Below ``HEDGEGRID_SCRATCH``, or the system's folder for temporary files."""
        root = os.environ.get("HEDGEGRID_SCRATCH") or f"{tempfile.gettempdir()}/hedgegrid-{os.getuid()}"
        return Path(root, self._bucket, *key.split("/"))

    def shown(self, key: str) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self._bucket}/{key}" if key else f"s3://{self._bucket}"

    def address(self, key: str) -> str:
        """``s3://bucket/key``."""
        return self.shown(key)

    # ---------------------------------------------------------------- what a lock is made of

    def create(self, key: str, data: bytes) -> str:
        """Put bytes where nothing is; their version. Raises StoreConflict."""
        with asking(self.shown(""), self.shown(key)):
            return self._send(key, data, mode="create", use_multipart=False)

    def swap(self, key: str, data: bytes, version: str) -> str:
        """Put bytes in the place of a version; their own. Raises StoreConflict."""
        with asking(self.shown(""), self.shown(key)):
            return self._send(key, data, mode={"e_tag": version}, use_multipart=False)

    def peek(self, key: str) -> tuple[str, bytes] | None:
        """Version and bytes as they are now."""
        with asking(self.shown("")):
            try:
                return again(lambda: self._get_small(key))
            except FileNotFoundError:
                return None

    def remove(self, key: str) -> None:
        """Take an object away."""
        with asking(self.shown("")):
            again(lambda: obstore.delete(self._client, key))

    # ---------------------------------------------------------------- what it works with

    @cached_property
    def _client(self) -> S3Store:
        http = os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"
        return S3Store(
            self._bucket,
            client_options={"allow_http": http, "timeout": _PATIENCE, "connect_timeout": timedelta(seconds=5)},
            retry_config={"max_retries": _TRIES, "retry_timeout": _PATIENCE},
        )

    @cached_property
    def _contents(self) -> Contents:
        return contents_of(self.scratch(""), os.environ.get("AWS_ENDPOINT_URL", ""))

    @cached_property
    def _packs(self) -> Packs:
        return Packs(self, self._contents, self._folders.entries, self.shown(""))

    @cached_property
    def _work(self) -> Path:
        """A folder for copies that goes with this process."""
        stack = ExitStack()
        atexit.register(stack.close)
        return stack.enter_context(working_folder(self.scratch("copies")))


def _footer_in(part: Callable[[int, int], bytes], size: int) -> bytes:
    """A Parquet file of a footer alone; of what is none, its end."""
    tail = part(max(0, size - _FOOTER), size)
    if tail[-4:] != b"PAR1":
        return tail
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > len(tail):
        tail = part(max(0, size - length), size)
    return b"PAR1" + tail[-length:]


def _part_of(file: Path, start: int, end: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(end - start)


def _last(key: str) -> str:
    return key.rstrip("/").rpartition("/")[2]


def _entry(found: Any) -> Entry:
    at: datetime = found["last_modified"]
    return Entry(found["path"], found["size"], found["e_tag"] or "", int(at.timestamp()) * 1_000_000_000)
