"""The one file in a zip file, a bounded part at a time, whatever is in it."""

import copy
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final, cast

from hedgegrid_assets.store.codecs import MemberStream, content_crc, gunzip_error, gunzipped, inflate
from hedgegrid_assets.store.objects import AnyFile

_FED: Final = 64 << 10
_COPIED: Final = 1 << 20
_LZMA_FED: Final = 4 << 10
"""Compressed bytes at a time, as its reader does not bound what comes out."""
ZIP_ERRORS: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""Raised by ``zipfile`` and ``unzipped`` for what is broken or encrypted, or of a method that nobody here has."""


def unzipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: AnyFile) -> Iterator[bytes]:
    """What a member holds.

    Raises RawDamaged or one of ``ZIP_ERRORS``; at its end too, if it is not as long as the directory says or has another
    checksum.
    """
    size, checksum = 0, 0
    for chunk in _unpacked(archive, member, path):
        size += len(chunk)
        checksum = content_crc(chunk, checksum)
        yield chunk
    if checksum != member.CRC:
        raise zipfile.BadZipFile(f"bad checksum of {member.filename!r}")
    if size != member.file_size:
        raise zipfile.BadZipFile(f"expected {member.file_size} bytes in {member.filename!r}, found {size}")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: AnyFile) -> Iterator[bytes]:
    """By the method: ``zipfile`` itself unpacks deflated bytes slower, and those of bzip2 without a bound."""
    match member.compress_type:
        case zipfile.ZIP_DEFLATED:
            yield from _inflated(_chunks(archive, _as_stored(member), _FED), member)
        case zipfile.ZIP_BZIP2:
            stream = MemberStream("bzip2", path)
            for data in _chunks(archive, _as_stored(member), _FED):
                yield from stream.feed(data)
        case zipfile.ZIP_LZMA:
            yield from _chunks(archive, member, _LZMA_FED)
        case _:
            yield from _chunks(archive, member, _COPIED)


def _inflated(chunks: Iterator[bytes], member: zipfile.ZipInfo) -> Iterator[bytes]:
    stream, behind = inflate(), b""
    for data in chunks:
        if stream.eof:
            behind = data
            break
        try:
            behind = yield from gunzipped(stream, data)
        except gunzip_error() as error:
            raise zipfile.BadZipFile(str(error)) from None
    if behind:
        raise zipfile.BadZipFile(f"behind the end of {member.filename!r} is something else ({behind[:20]!r})")
    if not stream.eof and member.compress_size:
        raise zipfile.BadZipFile(f"{member.filename!r} ends too early")


def _as_stored(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """A member whose content is the packed bytes of this one: ``zipfile`` looks at its header, and unpacks nothing."""
    stored = copy.copy(member)
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, member.compress_size
    del stored.CRC  # of what they hold
    return stored


def _chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> Iterator[bytes]:
    with cast("zipfile.ZipExtFile", archive.open(member)) as file:
        while chunk := file.read1(size):
            yield chunk
