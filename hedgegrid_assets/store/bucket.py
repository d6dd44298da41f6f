"""The store in a bucket: S3 and what speaks like it. Files are made in scratch, then sent; readers get copies, by version.

Address, keys and region are taken from the environment, as AWS' own tools do: ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL`` (and ``AWS_ALLOW_HTTP=true`` for one without TLS).
"""

import atexit
import hashlib
import io
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any, Final, override
from uuid import uuid4

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from hedgegrid_assets.errors import StoreConflict, StoreUnreachable
from hedgegrid_assets.store.disk import make_folder
from hedgegrid_assets.store.locks import locked_file, working_folder
from hedgegrid_assets.store.objects import Entry, Level

_KEYS: Final = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and what they may do in this bucket"
_ADDRESS: Final = "check AWS_ENDPOINT_URL, AWS_REGION and the bucket's name, and run again: what is published is whole"
_MACHINE: Final = "169.254.169.254"
_PATIENCE: Final = timedelta(seconds=30)
_TRIES: Final = 4
_KEPT: Final = 64
_KEPT_BYTES: Final = 4 << 30
"""So many copies stay, or as many as take so much: what was read is often read again."""


class ObjectStore:
    """Publishes by one request, which puts an object there whole or not at all; conditions are the server's.

    A version is the server's etag. Locks hold within this machine: between machines conditions and equal bytes have to do.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._copies: OrderedDict[Path, int] = OrderedDict()
        self._change = Lock()

    def find(self, key: str) -> Entry | None:
        """One request."""
        if not key:
            return None
        with self._asking():
            try:
                return _entry(obstore.head(self._client, key))
            except FileNotFoundError:
                return None

    def list(self, prefix: str) -> Iterator[Entry]:
        """A request for a thousand objects."""
        with self._asking():
            found = [_entry(each) for chunk in obstore.list(self._client, prefix or None) for each in chunk]
        return iter(sorted(found, key=lambda entry: entry.key))

    def level(self, prefix: str) -> Level:
        """A request for a thousand names."""
        with self._asking():
            found = obstore.list_with_delimiter(self._client, prefix or None)
        folders = sorted(_last(each) for each in found["common_prefixes"])
        return Level(folders, sorted(_last(each["path"]) for each in found["objects"]))

    def get(self, key: str, to: Path) -> None:
        """One request; streamed."""
        with self._asking(), to.open("wb") as out:
            for chunk in obstore.get(self._client, key).stream(min_chunk_size=8 << 20):
                out.write(chunk)

    def local(self, key: str) -> Path:
        """A copy of the version that is there now, which stays a while."""
        found = self.find(key)
        if found is None:
            raise FileNotFoundError(2, "No such object", self.shown(key))
        name = hashlib.sha256(f"{key}|{found.version}".encode()).hexdigest()[:32]
        copy = self._work / name / key.rpartition("/")[2]
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

    def read(self, key: str) -> bytes:
        """One request."""
        with self._asking():
            return bytes(obstore.get(self._client, key).bytes())

    def ranged(self, key: str) -> io.IOBase:
        """A request for its size, and one for each part that is read."""
        found = self.find(key)
        if found is None:
            raise FileNotFoundError(2, "No such object", self.shown(key))
        return _Ranges(found.size, partial(self._range, key))

    def _range(self, key: str, start: int, end: int) -> bytes:
        with self._asking():
            return bytes(obstore.get_range(self._client, key, start=start, end=end))

    def _keep(self, copy: Path, size: int) -> None:
        with self._change:
            self._copies[copy] = size
            while len(self._copies) > _KEPT and sum(self._copies.values()) > _KEPT_BYTES:
                old, _ = self._copies.popitem(last=False)
                old.unlink(missing_ok=True)

    def put_new(self, key: str, file: Path) -> None:
        """One request; where something is there, it is read and compared."""
        with self._asking(conflict=key):
            try:
                obstore.put(self._client, key, file, mode="create", use_multipart=False)
            except AlreadyExistsError:
                if not self._holds(key, file):
                    raise

    def _holds(self, key: str, file: Path) -> bool:
        with suppress(FileNotFoundError):
            return self.local(key).read_bytes() == file.read_bytes()
        return False

    def put_over(self, key: str, file: Path, version: str | None) -> None:
        """One request; without a version a large file is sent in parts."""
        with self._asking(conflict=key):
            if version is None:
                obstore.put(self._client, key, file)
            else:
                obstore.put(self._client, key, file, mode={"e_tag": version}, use_multipart=False)

    def delete(self, key: str) -> None:
        """Two requests: a server says nothing of what was not there."""
        if self.find(key) is None:
            raise FileNotFoundError(2, "No such object", self.shown(key))
        with self._asking():
            obstore.delete(self._client, key)

    def drop_folder(self, key: str) -> None:
        """A bucket has none."""

    def drop_tree(self, prefix: str) -> None:
        """All below it, some at once."""
        keys = [entry.key for entry in self.list(prefix)]
        if keys:
            with self._asking():
                obstore.delete(self._client, keys)

    def settle(self, key: str) -> None:
        """What was answered is so."""

    def prepare(self, prefix: str) -> None:
        """Ask once whether the server keeps its promises: that it can be written to, and refuses what is there already."""
        key = "/".join(part for part in (prefix, ".hedgegrid", f"probe-{uuid4().hex}") if part)
        with self._asking():
            obstore.put(self._client, key, b"", mode="create")
            try:
                obstore.put(self._client, key, b"", mode="create")
            except AlreadyExistsError:
                return
            finally:
                obstore.delete(self._client, key)
        raise StoreUnreachable(
            self.shown(prefix),
            "it knows no conditional writes: two runs could overwrite each other",
            "name another server",
        )

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Of this machine: a file in scratch."""
        return locked_file(self.scratch("locks") / hashlib.sha256(key.encode()).hexdigest()[:32])

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

    @cached_property
    def _client(self) -> S3Store:
        http = os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"
        return S3Store(
            self._bucket,
            client_options={"allow_http": http, "timeout": _PATIENCE, "connect_timeout": timedelta(seconds=5)},
            retry_config={"max_retries": _TRIES, "retry_timeout": _PATIENCE},
        )

    @cached_property
    def _work(self) -> Path:
        """A folder for copies that goes with this process."""
        stack = ExitStack()
        atexit.register(stack.close)
        return stack.enter_context(working_folder(self.scratch("copies")))

    @contextmanager
    def _asking(self, conflict: str = "") -> Iterator[None]:
        """What the server refuses in the block becomes an error of ours, of one line."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise StoreConflict(self.shown(conflict), "what was read before", "another content") from None
        except (
            PermissionDeniedError,
            UnauthenticatedError,
        ) as error:
            raise StoreUnreachable(self.shown(""), _why(error), _KEYS) from None
        except BaseError as error:
            if _MACHINE in str(error):  # it was asked for keys, as a machine of Amazon's has them
                raise StoreUnreachable(self.shown(""), "no keys: expected some in the environment", _KEYS) from None
            raise StoreUnreachable(self.shown(""), _why(error), _ADDRESS) from None


class _Ranges(io.RawIOBase):
    """An object of a bucket that is read here and there, a request each time."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size, self._fetch, self._at = size, fetch, 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._at

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    @override
    def read(self, size: int = -1, /) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        data = self._fetch(self._at, end) if end > self._at else b""
        self._at += len(data)
        return data


def _why(error: Exception) -> str:
    """The first words of what a library says of a request, without what it adds for its own makers."""
    text = " ".join(str(error).split("Debug source")[0].split())
    return text[:300]


def _last(key: str) -> str:
    return key.rstrip("/").rpartition("/")[2]


def _entry(found: Any) -> Entry:
    at: datetime = found["last_modified"]
    return Entry(found["path"], found["size"], found["e_tag"] or "", int(at.timestamp()) * 1_000_000_000)
