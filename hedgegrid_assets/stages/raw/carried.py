"""What is decoded in the pass that scans a file, kept for normalizing it in the same run."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from hedgegrid_assets.model import Channel, Decoded, Dialect, Scan, Source
from hedgegrid_assets.stages.raw.days import RawKey
from hedgegrid_assets.store import Block, Spool

CARRIED_BYTES: Final = 4 << 30
"""Most that the days of a run may take on disk between scanning and normalizing: some 50 million trades."""


class Carried:
    """What was decoded in the pass that scanned a raw day, block by block; for normalizing it in the same run.

    Rows wait on disk, with the columns that tables are made of; rejects in memory. Where the disk has no room, or the
    day has more than ``CARRIED_BYTES``, nothing is kept (``whole`` is false), and the day will be read once more.
    ``sha256``: of the raw file that it was decoded from.
    """

    def __init__(self, folder: Path, channel: Channel) -> None:
        mappings = channel.tables.values()
        used = {
            name for mapping in mappings for column in mapping.columns.values() for name in column.meta.root_names()
        }
        used |= {
            name
            for mapping in mappings
            for expression in (mapping.applies, mapping.made_ids)
            if expression is not None
            for name in expression.meta.root_names()
        }
        self._columns = ["raw_row", "ts_event", "ts_init", *sorted(used)]
        self._rows = Spool(folder)
        self._rest: list[tuple[pl.DataFrame, pl.DataFrame | None, int, int]] = []
        self.whole = True
        self.sha256 = ""

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return self._rows.bytes

    def add(self, decoded: Decoded, lines: int) -> None:
        """Keep a block of so many lines."""
        if not self.whole:
            return
        try:
            self._rows.append(decoded.rows.select(self._columns))
        except OSError:
            self.whole = False
        if self._rows.bytes > CARRIED_BYTES:
            self.whole = False
        if self.whole:
            self._rest.append((decoded.rejects, decoded.faults, decoded.odd, lines))
        else:
            self.close()

    def __iter__(self) -> Iterator[tuple[int, Decoded]]:
        """(lines, decoded) of each block."""
        for rows, (rejects, faults, odd, lines) in zip(self._rows, self._rest, strict=True):
            yield lines, Decoded(rows, rejects, odd, faults)

    def close(self) -> None:
        """Forget all blocks."""
        self._rest.clear()
        self._rows.close()


class Carrier:
    """The raw days of a run that are carried over from scanning to normalizing, as long as there is room for them."""

    def __init__(self) -> None:
        self._days: dict[RawKey, Carried] = {}

    def put(self, key: RawKey, day: Carried, sha256: str) -> None:
        """Carry a day, if it fits; ``sha256``: of its raw file."""
        day.sha256 = sha256
        if day.whole and day.bytes + sum(other.bytes for other in list(self._days.values())) <= CARRIED_BYTES:
            self._days[key] = day
        else:
            day.close()

    def take(self, key: RawKey) -> Carried | None:
        """A day that is carried; from then on it is not, and the taker closes it."""
        return self._days.pop(key, None)

    def close(self) -> None:
        """Forget the days that nobody has taken."""
        for day in self._days.values():
            day.close()
        self._days.clear()


def scanned(
    source: Source, block: Block, dialect: Dialect, names: Collection[str]
) -> tuple[Scan, Mapping[str, Decoded]]:
    """A block scanned, and decoded for the channels named."""
    if names and source.read is not None:
        return source.read(block, dialect, names)
    return source.scan(block, dialect), {}
