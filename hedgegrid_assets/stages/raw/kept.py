"""What reading a raw day has given, kept for who comes next in the same run: no byte is parsed twice."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
from msgspec.structs import replace

from hedgegrid_assets.batch import Batch, Decoded
from hedgegrid_assets.model import Channel, TableMapping
from hedgegrid_assets.stages.raw.packed import Packed
from hedgegrid_assets.store import Spool

KEPT_BYTES: Final = 4 << 30
"""Most that all days at hand in a process may take on disk: some 50 million trades."""


class _Room:
    """What is left of ``KEPT_BYTES``."""

    def __init__(self) -> None:
        self._taken = 0
        self._lock = threading.Lock()

    def change(self, size: int) -> bool:
        """Take room for so many bytes, or give it back; False if that is too much."""
        with self._lock:
            self._taken += size
            return self._taken <= KEPT_BYTES


_ROOM: Final = _Room()


class Kept:
    """The batches of a raw day, block by block.

    Rows wait on disk, with the columns that tables are made of; rejects in memory. Where the disk has no room, or all
    days at hand have more than ``KEPT_BYTES``, nothing is kept (``whole`` is false), and the day will be read once more.
    """

    def __init__(self, folder: Path, channel: Channel) -> None:
        self.channel = channel.name
        self._columns = [*_ROW, *sorted(_used(channel) - set(_ROW))]
        self._rows = Spool(folder)
        self._rest: list[tuple[int, Decoded | None, Packed | None]] = []
        self.whole = True

    def add(self, batch: Batch) -> None:
        """Keep what a block gives to the channel."""
        if not self.whole:
            return
        found, before, packed = batch.decoded.get(self.channel), self._rows.bytes, None
        if found is not None:
            packed, rows = Packed.of(found.rows, self._columns)
            try:
                self._rows.append(rows)
            except OSError:
                self.whole = False
            self.whole &= _ROOM.change(self._rows.bytes - before)
        rest = None if found is None else replace(found, rows=_NO_ROWS)
        self._rest.append((batch.lines, rest, packed))
        if not self.whole:
            self.close()

    def __iter__(self) -> Iterator[Batch]:
        """The batches, as they were read."""
        rows = iter(self._rows)
        for lines, rest, packed in self._rest:
            if rest is None or packed is None:
                yield Batch(lines, None, {})
                continue
            yield Batch(lines, None, {self.channel: replace(rest, rows=packed.unpacked(next(rows)))})

    def close(self) -> None:
        """Forget all batches, and give the room back."""
        _ROOM.change(-self._rows.bytes)
        self._rest.clear()
        self._rows.close()
        self.whole = False


_ROW: Final = ("raw_row", "ts_event", "ts_init")
_NO_ROWS: Final = pl.DataFrame()


def _used(channel: Channel) -> set[str]:
    """The fields that tables are made of."""
    mappings = channel.tables.values()
    used = [column for mapping in mappings for column in mapping.columns.values()]
    used += [each for mapping in mappings for each in _beside(mapping) if each is not None]
    return {name for expression in used for name in expression.meta.root_names()}


def _beside(mapping: TableMapping) -> tuple[pl.Expr | None, ...]:
    return mapping.applies, mapping.made_ids, mapping.known_from
