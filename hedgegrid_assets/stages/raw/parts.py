"""The lines that one landing file gives to one raw day, until they are published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from hedgegrid_assets.stages.frames import repeated
from hedgegrid_assets.stages.raw.days import LINES_SCHEMA
from hedgegrid_assets.store import LineFile

LINES_OPTIONS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": ["file"],
    "column_encoding": {"line": "DELTA_BINARY_PACKED"},
}
_LINES_GROUP: Final = 1 << 20
_WIDTH: Final = 8
"""Bytes of a number of a line."""


class Part:
    """The lines that one landing file gives to one raw day."""

    def __init__(self, folder: Path, name: str, file: str) -> None:
        self.path = folder / f"{name}.zst"
        self._numbers_path = folder / f"{name}.lines"
        self._file = file
        self._lines = LineFile(self.path)
        self._numbers: list[pl.Series] = []

    @property
    def count(self) -> int:
        """Lines."""
        return self._lines.lines

    @property
    def size(self) -> int:
        """Bytes as stored."""
        return self._lines.bytes

    def add(self, data: bytes | memoryview, numbers: pl.Series) -> None:
        """Lines, each with an end, and their numbers in the landing file."""
        self._lines.append(data, len(numbers))
        self._numbers.append(numbers)

    def pause(self) -> None:
        """Hold as little as can be: other days and symbols come now."""
        self._lines.pause()

    def close(self) -> None:
        """Finish it."""
        self._lines.close()
        with self._numbers_path.open("wb") as file:  # thousands of Parquet files would cost more than all else
            for numbers in self._numbers:
                file.write((numbers.cast(pl.UInt64) + 1).to_numpy().data)
        self._numbers.clear()

    def numbers(self) -> Iterator[pa.Table]:
        """The landing file and the number in it of each line, once it is finished."""
        with self._numbers_path.open("rb") as file:
            while data := file.read(_LINES_GROUP * _WIDTH):
                found = pa.Array.from_buffers(pa.uint64(), len(data) // _WIDTH, [None, pa.py_buffer(data)])
                yield pa.table([repeated(self._file, len(found)), found], schema=LINES_SCHEMA)
