"""Whether a body is whole: read to its end, a bounded part at a time, before anyone trusts it."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from hedgegrid_assets.sources.client.answers import Damaged
from hedgegrid_assets.store import GZIP_MAGIC, gunzip, gunzip_error, gunzipped

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


def gzip_members(path: Path, see: Callable[[bytes], None]) -> None:
    """Decompress every member of a gzip file. Raises Damaged for anything that is not gzip from its first byte to its last."""
    size = path.stat().st_size
    if size == 0:
        raise Damaged("the body is empty: expected gzip, which is 20 bytes even without data")
    stream, first = gunzip(), True
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            if first and not data.startswith(GZIP_MAGIC):
                kind = "zstd" if data.startswith(_ZSTD_MAGIC) else f"{data[:40]!r}"
                raise Damaged(f"the body is no gzip: it begins with {kind}")
            first = False
            while data:
                if stream.eof:
                    if not data.startswith(GZIP_MAGIC[: len(data)]):
                        raise Damaged(f"behind the gzip body is something else: {data[:40]!r}")
                    stream = gunzip()
                try:
                    data = _hand_on(gunzipped(stream, data), see)
                except gunzip_error() as error:
                    raise Damaged(f"the gzip body is broken: {error}") from None
    if not stream.eof:
        raise Damaged(f"the gzip body ends too early ({size:,} bytes)")


def gzip_start(path: Path, size: int) -> bytes:
    """So many bytes of the start of a gzip file, decompressed. Raises Damaged."""
    with path.open("rb") as file:
        data = file.read(size)
    if not data.startswith(GZIP_MAGIC):
        raise Damaged(f"the body is no gzip: it begins with {data[:40]!r}")
    try:
        return next(gunzipped(gunzip(), data), b"")[:size]
    except gunzip_error() as error:
        raise Damaged(f"the gzip body is broken: {error}") from None


def _hand_on(parts: Generator[bytes, None, bytes], see: Callable[[bytes], None]) -> bytes:
    """Show all parts; what they return at their end."""
    while True:
        try:
            part = next(parts)
        except StopIteration as end:
            return bytes(end.value)
        see(part)
