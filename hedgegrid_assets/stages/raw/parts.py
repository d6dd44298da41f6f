"""The lines that one landing file gives to one raw day, until they are published."""

from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from hedgegrid_assets.stages.frames import repeated
from hedgegrid_assets.stages.raw.days import LINES_SCHEMA
from hedgegrid_assets.store import LineFile, parquet_writer

LINES_OPTIONS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": ["file"],
    "column_encoding": {"line": "DELTA_BINARY_PACKED"},
}
_LINES_GROUP: Final = 1 << 20


class Part:
    """The lines that one landing file gives to one raw day."""

    def __init__(self, folder: Path, name: str, file: str) -> None:
        self.path = folder / f"{name}.zst"
        self.lines_path = folder / f"{name}.lines.parquet"
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
        """Finish it, with the file of line numbers."""
        self._lines.close()
        numbers = (pl.concat(self._numbers).cast(pl.UInt64) + 1).to_arrow()
        self._numbers.clear()
        with parquet_writer(self.lines_path, LINES_SCHEMA, LINES_OPTIONS) as writer:
            for start in range(0, len(numbers), _LINES_GROUP):
                group = numbers.slice(start, _LINES_GROUP)
                writer.write_table(pa.table([repeated(self._file, len(group)), group], schema=LINES_SCHEMA))
