"""Compressed streams and foreign encodings, a bounded part at a time, whatever goes in."""

import bz2
import codecs
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Protocol, cast

from hedgegrid_assets.errors import RawDamaged
from hedgegrid_assets.store.objects import AnyFile

_UNPACKED_BYTES: Final = 4 << 20
"""Most that is decompressed at a time: a few bytes of a stream can hold gigabytes."""
_ZSTD_FED: Final = 2 << 10
"""Compressed bytes at a time, as its reader does not bound what comes out: a block has 4 at least and gives 128 KiB at most."""
_ZSTD_FED_OF_LARGE: Final = 256
"""As that, for frames whose window alone takes a lot."""
_ZSTD_USUAL_WINDOW: Final = 8 << 20
GZIP_MAGIC: Final = b"\x1f\x8b"
MAGIC: Final = {
    GZIP_MAGIC: "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
PACKERS: Final = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".zip": "zip"}
"""End of a name -> what it says that the file is packed with."""
_KEPT: Final = "hedgegrid.kept"
"""What is done with bytes that an encoding cannot read."""


class Decompressor(Protocol):
    """One gzip member, or one frame of another kind."""

    @property
    def eof(self) -> bool:
        """Its end was read."""

    @property
    def unused_data(self) -> bytes:
        """What was fed behind its end."""


class _ZstdFrame:
    """One zstd frame. Its reader gives all that its input holds, so the input comes in small pieces."""

    def __init__(self) -> None:
        import zstandard

        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._fed = 0

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data

    def unpack(self, data: bytes) -> Generator[bytes, None, bytes]:
        """What compressed bytes give; returns what is behind the end of the frame."""
        self._fed = self._fed or _zstd_fed(data)
        end = 0
        while end < len(data):
            start, end = end, end + self._fed
            out = self._frame.decompress(data[start:end])
            if len(out) > _UNPACKED_BYTES:  # more like this will follow
                self._fed = _ZSTD_FED_OF_LARGE
            for part in range(0, len(out), _UNPACKED_BYTES):
                yield out[part : part + _UNPACKED_BYTES]
            del out
            if self._frame.eof:
                return self._frame.unused_data + data[end:]
        return b""


def _zstd_fed(data: bytes) -> int:
    """How many bytes of a frame that begins like this may be decompressed at a time."""
    import zstandard

    try:
        usual = zstandard.get_frame_parameters(data[:18]).window_size <= _ZSTD_USUAL_WINDOW
    except zstandard.ZstdError:  # too short to tell, or broken
        usual = False
    return _ZSTD_FED if usual else _ZSTD_FED_OF_LARGE


def gunzip() -> Decompressor:
    """Decompresses one gzip member, three times as fast as ``zlib``. What is broken raises ``gunzip_error()``."""
    from isal import isal_zlib

    return isal_zlib.decompressobj(wbits=31)


def inflate() -> Decompressor:
    """As ``gunzip``, of bare deflated bytes: no header, no checksum."""
    from isal import isal_zlib

    return isal_zlib.decompressobj(wbits=-15)


def gunzip_error() -> type[Exception]:
    """Raised by what ``gunzip`` and ``inflate`` give."""
    from isal import isal_zlib

    return cast("type[Exception]", isal_zlib.error)  # its stubs take the class for an instance


def gunzipped(member: Any, data: bytes) -> Generator[bytes, None, bytes]:
    """What compressed bytes give, a bounded part at a time; returns what is behind the end of the member (of ``gunzip`` or ``inflate``)."""
    out = member.decompress(data, _UNPACKED_BYTES)
    while out:
        yield out
        more = member.unconsumed_tail or len(out) == _UNPACKED_BYTES
        out = member.decompress(member.unconsumed_tail, _UNPACKED_BYTES) if more and not member.eof else b""
    return member.unused_data if member.eof else b""


def _bunzipped(member: Any, data: bytes) -> Generator[bytes, None, bytes]:
    out = member.decompress(data, _UNPACKED_BYTES)
    while out:
        yield out
        out = b"" if member.needs_input or member.eof else member.decompress(b"", _UNPACKED_BYTES)
    return member.unused_data if member.eof else b""


type _Unpack = Callable[[Any, bytes], Generator[bytes, None, bytes]]

_DECOMPRESSORS: Final[dict[str, tuple[Callable[[], Decompressor], _Unpack]]] = {
    "gzip": (gunzip, gunzipped),
    "zstd": (_ZstdFrame, _ZstdFrame.unpack),
    "bzip2": (bz2.BZ2Decompressor, _bunzipped),
}


class MemberStream:
    """Members of a compressed file, one behind the other; what comes out is bounded at a time, whatever goes in."""

    def __init__(self, kind: str, path: AnyFile) -> None:
        self._kind, self._path = kind, path
        self._member: Decompressor | None = None

    @property
    def is_open(self) -> bool:
        """A member has begun and not ended."""
        return self._member is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take compressed bytes. Raises RawDamaged."""
        import zstandard

        make, unpack = _DECOMPRESSORS[self._kind]
        while data:
            if self._member is None:
                data = data.lstrip(b"\0")  # gzip allows padding between members and at the end
                if not data:
                    return
                if self._kind == "gzip" and not data.startswith(GZIP_MAGIC[: len(data)]):  # isal waits for more
                    raise RawDamaged(self._path, f"behind its gzip stream is something else ({data[:20]!r})")
                self._member = make()
            try:
                data = yield from unpack(self._member, data)
            except (gunzip_error(), zstandard.ZstdError, OSError) as error:
                raise RawDamaged(self._path, f"its {self._kind} stream is broken ({error})") from None
            if self._member.eof:
                self._member = None


def in_utf8(chunks: Iterator[bytes], encoding: str | None) -> Iterator[bytes]:
    """Chunks in UTF-8; bytes that are none of the encoding become bytes that are no UTF-8, so that no line has them."""
    if encoding is None:
        yield from chunks
        return
    codecs.register_error(_KEPT, _kept)
    decoder = codecs.getincrementaldecoder(encoding)(_KEPT)
    for chunk in chunks:
        yield decoder.decode(chunk).encode(errors="surrogateescape")
    yield decoder.decode(b"", final=True).encode(errors="surrogateescape")


def _kept(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + max(byte, 0x80)) for byte in bad), error.end


def content_crc(data: bytes, before: int = 0) -> int:
    """CRC-32 of bytes that follow others, ten times as fast as ``zlib``."""
    from isal import isal_zlib

    return int(isal_zlib.crc32(data, before))
