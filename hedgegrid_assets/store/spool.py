"""Frames that wait on disk."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from hedgegrid_assets.store.disk import make_folder

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


_OF_VIEWS: Final = 2
"""Buffers of texts that stand in their views: which rows are filled, and the views."""


class Spool:
    """Frames that wait on disk, in their order, so that memory holds one of them at a time.

    Its file has no name: it is gone with the object, whatever happens.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as the spool
        self._ends: list[int] = [0]

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return self._ends[-1]

    def append(self, frame: "pl.DataFrame") -> None:
        """Add a frame."""
        import pyarrow as pa

        table = _as_arrow(frame)
        self._file.seek(self._ends[-1])
        with pa.ipc.new_stream(self._file, table.schema) as stream:
            stream.write_table(table)
        self._ends.append(self._file.tell())

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> "pl.DataFrame":
        """One frame, by its place."""
        import polars as pl
        import pyarrow as pa

        if not 0 <= number < len(self):
            raise IndexError(number)
        self._file.seek(self._ends[number])
        data = self._file.read(self._ends[number + 1] - self._ends[number])
        frame = pl.from_arrow(pa.ipc.open_stream(data).read_all())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def __iter__(self) -> "Iterator[pl.DataFrame]":
        return (self[number] for number in range(len(self)))

    def close(self) -> None:
        """Forget all frames."""
        self._file.close()
        self._ends = [0]


def _as_arrow(frame: "pl.DataFrame") -> "pa.Table":
    """Buffers as they are in memory, but for texts that stand outside of their views: all of a block's would go with a few rows."""
    import polars as pl

    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    arrays = (chunk for column in table.columns for chunk in column.chunks)
    if any("view" in str(array.type) and len(array.buffers()) > _OF_VIEWS for array in arrays):
        return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table
