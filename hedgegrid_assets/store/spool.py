"""Frames that wait on disk."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from hedgegrid_assets.store.disk import make_folder

if TYPE_CHECKING:
    import polars as pl


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
        import polars as pl

        self._file.seek(self._ends[-1])
        frame.write_ipc_stream(self._file, compat_level=pl.CompatLevel.oldest())  # texts one after the other
        self._ends.append(self._file.tell())

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> "pl.DataFrame":
        """One frame, by its place."""
        import polars as pl

        if not 0 <= number < len(self):
            raise IndexError(number)
        self._file.seek(self._ends[number])
        return pl.read_ipc_stream(self._file.read(self._ends[number + 1] - self._ends[number]))

    def __iter__(self) -> "Iterator[pl.DataFrame]":
        return (self[number] for number in range(len(self)))

    def close(self) -> None:
        """Forget all frames."""
        self._file.close()
        self._ends = [0]
