"""Lines as arrays, and files of lines in the making."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa
    import zstandard

_ZSTD_LEVEL: Final = 1
_QUICK: Final = {
    "strategy": 1,  # the fast one
    "window_log": 17,
    "hash_log": 12,
    "chain_log": 6,
    "search_log": 1,
    "min_match": 6,
    "target_length": 2,
}
"""Of zstd: all that it looks at while it compresses lies in a core's own cache."""


def line_array(data: bytes) -> "pa.LargeBinaryArray":
    """The lines of a block, line ends kept, without a copy: row number = line number in the block."""
    import numpy as np
    import pyarrow as pa

    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")).astype(np.int64) + 1
    tail = [len(data)] if data and not data.endswith(b"\n") else []
    offsets = np.concatenate(([0], ends, tail)).astype(np.int64)
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def bytes_of(lines: "pa.LargeBinaryArray") -> bytes:
    """The lines of an array, one behind the other."""
    _, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("q")
    return bytes(data[ends[lines.offset] : ends[lines.offset + len(lines)]])


class LineFile:
    """A growing zstd file of lines; knows its own sha256. Holds no file open, as there may be thousands of them.

    ``quick``: in two thirds of the processor time, and half as large again.
    """

    def __init__(self, path: Path, *, quick: bool = False) -> None:
        self._path, self._quick = path, quick
        self._compressor: zstandard.ZstdCompressionObj | None = None
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.lines = 0
        path.unlink(missing_ok=True)

    def append(self, data: bytes | memoryview, lines: int) -> None:
        """Add whole lines, as they are."""
        if self._compressor is None:
            self._compressor = _zstd(quick=self._quick).compressobj()
        self._write(self._compressor.compress(data))
        self.lines += lines

    def pause(self) -> None:
        """End the zstd frame, so that the file holds no memory until lines follow, in a frame of their own."""
        if self._compressor is not None:
            self._write(self._compressor.flush())
            self._compressor = None

    def close(self) -> str:
        """End the file; its sha256."""
        self.pause()
        return self._digest.hexdigest()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        with self._path.open("ab") as file:
            file.write(data)
        self._digest.update(data)
        self.bytes += len(data)


def _zstd(*, quick: bool) -> "zstandard.ZstdCompressor":
    import zstandard

    if not quick:
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
    return zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(**_QUICK))
