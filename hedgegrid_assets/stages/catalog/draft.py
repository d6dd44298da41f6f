"""A Nautilus file in the making: written block by block, stamped, and not published yet."""

from contextlib import ExitStack
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.catalog.files import seal, stamp_of
from hedgegrid_assets.stages.catalog.generations import generation_of
from hedgegrid_assets.stages.catalog.groups import Grouped
from hedgegrid_assets.stages.catalog.proof import Noted, needed
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.store import Places, give_up, temporary_file
from hedgegrid_assets.timestamps import nautilus_file_name


def schema_of(places: Places, day: InstrumentDay, table: Table, precisions: Precisions) -> pa.Schema:
    """Schema and metadata that the day's file must have."""
    return nautilus.schema(table, day.instrument_id, precisions, generation_of(places))


def options_of(table: Table, target: pa.Schema, compression: str, generation: int) -> dict[str, Any]:
    """How its Nautilus files are written."""
    rising, repeating = nautilus.rising(table, generation), nautilus.repeating(table, generation)
    return frames.parquet_options(target, compression, rising, repeating)


class Turned(Struct, frozen=True):
    """A block of a frame: its rows, and those of them that the file holds, in its form; None: it holds none."""

    rows: int
    held: pa.Table | None


class Draft:
    """A Nautilus file in the making, from the rows of a frame as they are stored; ``write_day`` compares and publishes it.

    ``rows`` of the frame are in it; ``content_digest`` is the frame's, ``version`` that of its object:
    known once it is finished.
    """

    def __init__(
        self, places: Places, day: InstrumentDay, table: Table, precisions: Precisions, compression: str = "zstd"
    ) -> None:
        self._table, self._date, self._instrument_id = table, day.date, day.instrument_id
        self._generation = generation_of(places)
        self._noted: Noted | None = None
        self._target = schema_of(places, day, table, precisions)
        self._options = options_of(table, self._target, compression, self._generation)
        self._stack = ExitStack()
        self.path = self._stack.enter_context(temporary_file(nautilus_file_name(day.date), places.catalog_temp))
        self.rows = 0
        self.content_digest: str | None = None
        self.version = ""
        self._before: pl.DataFrame | None = None
        try:
            self._begin()
        except BaseException:
            self._stack.close()
            raise

    def _begin(self) -> None:
        self.rows, self._before = 0, None
        self._groups = Grouped(self._table.form(self._generation).blocks)
        self._writer = pq.ParquetWriter(self.path, self._target, **self._options)

    @property
    def needed(self) -> list[str]:
        """Columns of the frame that the file is made of."""
        return needed(self._table, self._generation)

    def flush(self) -> None:
        """Write what is held of the rows."""
        self._groups.flush(self._writer)

    def restart(self) -> None:
        """Forget all rows: the frame is begun anew."""
        self._writer.close()
        self._begin()

    def add(self, group: pl.DataFrame) -> None:
        """Take rows of the frame, a block of it, in stored order."""
        self.put(self.turned(group))

    def turned(self, group: pl.DataFrame) -> "Turned":
        """Rows of the frame, a block of it, in stored order, as the file has them; ``put`` writes them, in a thread of its own if need be."""
        part = nautilus.kept(self._table, group, self._before, self._generation)
        self._before = group.tail(1)
        if not len(part):
            return Turned(len(group), None)
        held = nautilus.as_held(self._table, part, self._generation)
        if self._noted is not None:
            self._noted.add(held)
        arrow = nautilus.to_nautilus(self._table, held, self._target, self._instrument_id, self._generation)
        return Turned(len(group), arrow)

    def put(self, turned: "Turned") -> None:
        """Write what was ``turned``, in the same order."""
        if turned.held is not None:
            self._groups.add(self._writer, turned.held)
        self.rows += turned.rows

    def noting(self) -> Noted:
        """Note from now on what the file must hold."""
        self._noted = Noted(self._table, self._generation)
        return self._noted

    def finish(self, content_digest: str, version: str = "") -> None:
        """All rows are there, and this is their digest; it goes into the footer."""
        stamp = stamp_of(self._date, content_digest)
        self._groups.flush(self._writer)
        self._writer.add_key_value_metadata(stamp)
        self._writer.close()
        seal(self.path, stamp)
        self.content_digest, self.version = content_digest, version

    def close(self) -> None:
        """Remove what was not published."""
        give_up(self._writer)
        self._stack.close()
