"""The proof that a Nautilus file holds what its frame says: it is read as a stranger would, and compared value by value."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.errors import CatalogDiffers
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.catalog.groups import Blocks
from hedgegrid_assets.store import StorePath, ordered_map, prefetch


class Noted:
    """What a file must hold, noted while a frame is copied, so that it need not be read once more: of each block its rows and a hash of their values."""

    def __init__(self, table: Table, generation: int) -> None:
        self._table, self._generation = table, generation
        self.blocks: list[tuple[int, bytes]] = []

    def add(self, held: pl.DataFrame) -> None:
        """Take the next rows, as they come back from a file."""
        self.blocks.append((len(held), _hash_of(held)))

    @property
    def rows(self) -> int:
        """Of all blocks."""
        return sum(rows for rows, _ in self.blocks)

    def agrees_with(self, path: Path, target: pa.Schema) -> bool:
        """The file holds these values, and none besides; ``compare`` tells where it does not. Its halves are read side by side."""
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(target, check_metadata=False) or file.metadata.num_rows != self.rows:
                return False
            groups, a_group = file.num_row_groups, self._table.form(self._generation).blocks
            if groups < 2:  # which is not worth a thread
                return self._agree(file, 0, groups)
        if groups != -(-len(self.blocks) // a_group):
            return False
        half = groups // 2
        return all(ordered_map(lambda part: self._part_agrees(path, *part), [(0, half), (half, groups)]))

    def _part_agrees(self, path: Path, first: int, end: int) -> bool:
        with pq.ParquetFile(path) as file:
            return self._agree(file, first, end)

    def _agree(self, file: pq.ParquetFile, first: int, end: int) -> bool:
        """What row groups from ``first`` up to ``end`` hold is what was noted of their blocks."""
        a_group = self._table.form(self._generation).blocks
        blocks = Blocks(file, a_group, range(first, end))
        noted = self.blocks[first * a_group : end * a_group]
        return all(self._is(blocks.next(rows), rows, hashed) for rows, hashed in noted)

    def _is(self, block: pa.Table | None, rows: int, noted: bytes) -> bool:
        if block is None or len(block) != rows:
            return False
        try:
            found = nautilus.from_nautilus(self._table, block, self._generation)
        except pl.exceptions.PolarsError:
            return False
        return _hash_of(found) == noted


def _hash_of(rows: pl.DataFrame) -> bytes:
    """Of 64 bits of each row, in order; the same in one process only."""
    return hashlib.sha256(rows.hash_rows().to_numpy().data).digest()


def needed(table: Table, generation: int) -> list[str]:
    """Columns of a frame that a file is made of, and those that decide what it holds."""
    sources = [source for _, _, source in nautilus.columns(table, generation)]
    return [*sources, *nautilus.deciding(table, generation)]


def compare(frame: StorePath, table: Table, day: InstrumentDay, path: Path, target: pa.Schema, generation: int) -> int:
    """Compare a file with the stored frame, value by value; its rows. Raises CatalogDiffers, which says where."""
    rows = 0
    with pq.ParquetFile(path) as file, ExitStack() as stack:
        expected: Iterator[pl.DataFrame] = _held_blocks(frame, table, generation)
        if file.num_row_groups > 1:  # one is not worth a thread
            expected = stack.enter_context(closing(prefetch(expected)))
        if not file.schema_arrow.equals(target, check_metadata=False):
            raise CatalogDiffers(str(day), table.name, "its schema is another one")
        blocks = Blocks(file, table.form(generation).blocks)
        for group, wanted in enumerate(expected):
            block = blocks.next(len(wanted))
            if block is None:
                raise CatalogDiffers(str(day), table.name, f"it has only {file.num_row_groups} row groups")
            try:
                found = nautilus.from_nautilus(table, block, generation)
            except pl.exceptions.PolarsError as error:
                raise CatalogDiffers(str(day), table.name, f"row group {group} cannot be read ({error})") from None
            rows += len(wanted)
            if not found.equals(wanted):
                differing = [
                    name for name in found.columns if len(found) != len(wanted) or not found[name].equals(wanted[name])
                ]
                raise CatalogDiffers(str(day), table.name, f"row group {group} differs in {', '.join(differing)}")
        if rows != file.metadata.num_rows:
            raise CatalogDiffers(str(day), table.name, f"expected {rows:,} rows, found {file.metadata.num_rows:,}")
    return rows


def _held_blocks(frame: StorePath, table: Table, generation: int) -> Iterator[pl.DataFrame]:
    """The rows of a frame that the catalog holds, as they come back from it."""
    before = None
    for block in frames.read_blocks(frame, table, needed(table, generation)):
        part = nautilus.kept(table, block, before, generation)
        before = block.tail(1)
        if len(part):
            yield nautilus.as_held(table, part, generation)
