"""Tar archives of files of our own, plain or compressed by zstd: written in one pass, and read in one, member by member."""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from msgspec import Struct

_CHUNK: Final = 1 << 20
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_MODE: Final = 0o644
_MTIME: Final = "mtime"


class TarFault(Exception):
    """What is wrong with an archive, in words."""


class Member(Struct, frozen=True):
    """A file of an archive: ``name`` with slashes, below no other root than the archive's own; ``mtime_ns``: of its last change."""

    name: str
    size: int
    mtime_ns: int
    _data: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        """Its bytes, once, before the next member is asked for. Raises TarFault where they end too early."""
        while chunk := self._read():
            yield chunk

    def _read(self) -> bytes:
        with _whole():
            return self._data.read(_CHUNK)


_HEADER: Final = 512
"""Bytes of the header of a member: its texts are filled with zeros."""
_EARLY: Final = "it ends in the middle"
_NOTHING: Final = {
    "empty file": "not even one file can be read from it",
    "empty header": _EARLY,
    "truncated header": _EARLY,
    "unexpected end of data": _EARLY,
}
"""What tarfile says of an archive that is cut, in words that are true of it."""


@contextmanager
def _whole() -> Iterator[None]:
    """What cannot be read is told as what is wrong with the archive."""
    import zstandard

    try:
        yield
    except (tarfile.TarError, EOFError, zstandard.ZstdError, UnicodeError) as error:
        said = _NOTHING.get(str(error), str(error)) or type(error).__name__
        raise TarFault(f"{said}: it is damaged, or cut") from error


class _Digested:
    """A file that is read once, with the sha256 of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        return data


class TarWriter:
    """Writes files, and tells the sha256 of each as it was written. Same files, same bytes."""

    def __init__(self, out: IO[bytes]) -> None:
        self._tar: Any = tarfile.open(mode="w|", fileobj=out, format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by ``close``

    def add(self, name: str, path: Path) -> str:
        """Write a file, as long as it is now; its sha256. Raises OSError, also where it became shorter."""
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = _Digested(file)
            self._add(name, status.st_size, status.st_mtime_ns, data)
        return data.sha256.hexdigest()

    def add_bytes(self, name: str, data: bytes) -> None:
        """Write a file that is at hand."""
        self._add(name, len(data), 0, io.BytesIO(data))

    def close(self) -> None:
        """Write the end."""
        self._tar.close()

    def _add(self, name: str, size: int, mtime_ns: int, data: Any) -> None:
        info = tarfile.TarInfo(name)
        seconds, fraction = divmod(mtime_ns, 10**9)
        info.size, info.mtime, info.mode = size, seconds, _MODE
        info.pax_headers = {_MTIME: f"{seconds}.{fraction:09d}"}  # a float, as tarfile writes it, has no room for ns
        self._tar.addfile(info, data)
        self._tar.members.clear()  # else it remembers them all


@contextmanager
def tar_writer(path: Path, *, compressed: bool) -> Iterator[TarWriter]:
    """An archive in the making."""
    with path.open("wb") as file:
        if not compressed:
            writer = TarWriter(file)
            yield writer
            writer.close()
            return
        import zstandard

        with zstandard.ZstdCompressor(level=1, threads=1, write_checksum=True).stream_writer(
            file, closefd=False
        ) as out:
            writer = TarWriter(out)
            yield writer
            writer.close()


def tar_members(path: Path) -> Iterator[Member]:
    """The files of an archive, in order; nothing is unpacked.

    Raises TarFault for what is no whole archive, for members that are no plain files (links, devices), and for names that
    may lead out of the place where they are unpacked, or stand there twice. Raises OSError.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER)
        magic = start[: len(_ZSTD_MAGIC)]
        if not magic:
            raise TarFault("it is empty (0 bytes)")
        if magic != _ZSTD_MAGIC and b"\0" not in start:
            raise TarFault("it is text, no archive: it is damaged, or cut, or another file")
        file.seek(0)
        yield from _members(_decompressed(file) if magic == _ZSTD_MAGIC else file)


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    import zstandard

    return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True), _CHUNK)


def _members(stream: IO[bytes]) -> Iterator[Member]:
    seen: set[str] = set()
    with _whole():
        opened: Any = tarfile.open(mode="r|", fileobj=stream)  # noqa: SIM115 - there is nothing of its own to close
    while True:
        with _whole():
            info = opened.next()
        if info is None:
            return
        opened.members.clear()  # else it remembers them all
        _refuse_unsafe(info, seen)
        yield Member(info.name, info.size, _ns(info), opened.extractfile(info))


def _ns(info: tarfile.TarInfo) -> int:
    seconds, _, fraction = str(info.pax_headers.get(_MTIME, info.mtime)).partition(".")
    try:
        return int(seconds) * 10**9 + int(f"{fraction[:9]:0<9}")
    except ValueError:
        raise TarFault(f"{info.name!a} has no time") from None


def _refuse_unsafe(info: tarfile.TarInfo, seen: set[str]) -> None:
    shown = ascii(info.name)
    if not info.isreg() or stat.S_IFMT(info.mode) not in {0, stat.S_IFREG}:
        raise TarFault(f"{shown} is no plain file: links, devices and folders are never unpacked")
    parts = PurePosixPath(info.name).parts
    lead_out = info.name.startswith("/") or "\\" in info.name or {"..", "."} & set(info.name.split("/"))
    if not parts or lead_out or not info.name.isprintable() or "" in info.name.split("/"):
        raise TarFault(f"{shown} is a name that may lead out of the place where it is unpacked")
    if info.name in seen:
        raise TarFault(f"{shown} is in it twice")
    seen.add(info.name)
