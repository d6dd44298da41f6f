"""Row groups of Nautilus files: of one block of a frame, or of several where a dictionary is worth more the more rows it is for."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.stages.frames import ROW_GROUP


class Grouped:
    """Writes blocks of a file, some to a row group."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._held: list[pa.Table] = []

    def add(self, writer: pq.ParquetWriter, block: pa.Table) -> None:
        """Take a block; write the group that is whole now."""
        self._held.append(block)
        if len(self._held) == self._blocks:
            self.flush(writer)

    def flush(self, writer: pq.ParquetWriter) -> None:
        """Write what is left."""
        if self._held:
            group = pa.concat_tables(self._held)
            writer.write_table(group, row_group_size=len(group))
            self._held.clear()


class Blocks:
    """The blocks that a file was written of, read one after the other; ``blocks``: how many a row group holds.

    ``groups``: those that are read; all, if none are named. Also of a file that was written with one to a group, when a
    group held no more. Without threads: who proves a file has both cores at work, and they cost an eighth more.
    """

    def __init__(self, file: pq.ParquetFile, blocks: int, groups: range | None = None) -> None:
        wanted = range(file.num_row_groups) if groups is None else groups
        self._groups: Iterator[pa.Table] = (file.read_row_group(group, use_threads=False) for group in wanted)
        self._batches = iter(()) if blocks == 1 else file.iter_batches(ROW_GROUP, list(wanted), use_threads=False)
        self._held: list[pa.Table] = []
        self._whole = blocks == 1

    def next(self, rows: int) -> pa.Table | None:
        """The next one, of so many rows, or of all that are left; None: there is none."""
        if self._whole:
            return next(self._groups, None)
        while sum(map(len, self._held)) < rows and (batch := next(self._batches, None)) is not None:
            self._held.append(pa.Table.from_batches([batch]))
        if not self._held:
            return None
        held = pa.concat_tables(self._held)
        self._held = [held.slice(rows)] if len(held) > rows else []
        return held.slice(0, rows)
