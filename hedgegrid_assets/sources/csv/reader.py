"""One pass over a block of a CSV file: each cell that is needed is read once, for all channels together."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.batch import Batch, Block
from hedgegrid_assets.dialect import Dialect, Stored
from hedgegrid_assets.errors import MessagesFound, MissingColumns
from hedgegrid_assets.sources.csv.channels import CHANNELS
from hedgegrid_assets.sources.csv.dialect import CsvDialect
from hedgegrid_assets.sources.csv.placing import (
    Records,
    numbers_of,
    placed,
    places_of,
    records_of,
    rows_of,
    without_comments,
)
from hedgegrid_assets.sources.csv.telling import told_by
from hedgegrid_assets.sources.csv.values import no_values, values_of
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.sources.formats.kinds import source_of

_CHANNELS: Final = {channel.name: channel for channel in CHANNELS}


class RowReader:
    """Reads rows of a dialect; ``begun``: the first block, whose cells were read to tell the dialect."""

    def __init__(
        self,
        dialect: CsvDialect,
        wanted: Collection[str],
        *,
        placing: bool,
        begun: tuple[Block, cells.Table] | None = None,
    ) -> None:
        self.dialect = dialect
        self._wanted, self._placing, self._begun = wanted, placing, begun
        self._views = dialect.views
        self._needed = [name for name in self._views if placing or name in wanted]
        self._places = sorted({place for name in self._needed for place in self._places_of(name)})

    def read(self, block: Block) -> Batch:
        """See ``Reader``."""
        nothing = {name: no_values(_CHANNELS[name]) for name in self._wanted if name not in self._views}
        if not self._needed:
            return Batch(block.lines, None, nothing)
        records = self._records(block)
        rows = {name: rows_of(records, self.dialect, self._views[name]) for name in self._needed}
        found = placed(records, self.dialect, rows) if self._placing else None
        values = {
            name: values_of(rows[name], block, _CHANNELS[name], self._views[name])
            for name in self._needed
            if name in self._wanted
        }
        return Batch(block.lines, found, values if self._placing else values | nothing)

    def _places_of(self, channel: str) -> set[int]:
        view = self._views[channel]
        values = view.columns if channel in self._wanted else numbers_of(view)
        return places_of(self.dialect, view) | set(values.values())

    def _records(self, block: Block) -> Records:
        shown, comments = without_comments(block, self.dialect)
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] is block:
            read = begun[1].read(self._places)
        else:
            read = cells.read(shown, len(self.dialect.names), self.dialect.delimiter, self._places)
        return records_of(block, self.dialect, read, comments)


def open_rows(dialect: Dialect | Stored, rows: Collection[str] = (), *, placing: bool = True) -> RowReader:
    """A reader of rows; see ``Opens``."""
    return RowReader(CsvDialect.of(dialect), frozenset(rows), placing=placing)


def begin(block: Block, said: Mapping[str, Any], rows: Collection[str] = ()) -> RowReader:
    """A reader of a file, its dialect told by its first block; see ``told_by`` for what is said and raised."""
    try:
        dialect, table = told_by(block, said)
    except MissingColumns as error:
        source = source_of(block.data)
        if source in ("", "csv"):
            raise
        raise MessagesFound(Path(str(error.details["path"])), source) from None
    return RowReader(dialect, frozenset(rows), placing=True, begun=(block, table))
