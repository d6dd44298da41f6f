"""The rows of the first block of a CSV file, which tell how all of them are read."""

from collections.abc import Collection, Sequence

import polars as pl
from msgspec import Struct, field
from msgspec.structs import replace

from hedgegrid_assets.batch import Block
from hedgegrid_assets.sources.csv.beginning import comments_in
from hedgegrid_assets.sources.csv.header import Head
from hedgegrid_assets.sources.csv.time_columns import joined
from hedgegrid_assets.sources.formats import csv_cells as cells


class FirstRows(Struct, frozen=True):
    """The first block with its header; its cells are read once, however many ask."""

    block: Block
    head: Head
    table: cells.Table
    asked: dict[tuple[int, str], pl.DataFrame] = field(default_factory=dict)
    """(position, name) -> what was found of a column."""

    @staticmethod
    def of(block: Block, head: Head) -> "FirstRows":
        """Of the first block as it is."""
        shown = cells.without_lines(block, comments_in(block, head.lines) if head.comments else ())
        return FirstRows(shown, head, cells.Table(shown, len(head.names), head.delimiter))

    def under(self, head: Head) -> "FirstRows":
        """The same rows, under other names."""
        return replace(self, head=head)

    def read(self, places: Collection[int]) -> cells.Cells:
        """The cells at some positions, of all records, the header's too."""
        return self.table.read(places)

    def column(self, place: int) -> pl.DataFrame:
        """``line`` and ``text`` of the cells of one column that are neither empty nor its name once more."""
        key = place, self.head.names[place]
        if key not in self.asked:
            texts = self.read([place]).frame.select("line", text=cells.name(place))
            filled = texts.filter((pl.col("line") >= self.head.lines) & (pl.col("text") != ""))
            self.asked[key] = _without(filled, self.head.names[place], ascii_only=self.block.data.isascii())
        return self.asked[key]

    def rows(self, places: Sequence[int], clock: int | None = None) -> pl.DataFrame:
        """``line`` and the cells; with ``clock``, days in the first of them with their time of day."""
        wanted = places if clock is None else [*places, clock]
        read = self.read(wanted).frame.filter(pl.col("line") >= self.head.lines)
        if clock is None:
            return read
        day = cells.name(places[0])
        return read.with_columns(joined(read[day], read[cells.name(clock)]).alias(day))


def _without(rows: pl.DataFrame, name: str, *, ascii_only: bool) -> pl.DataFrame:
    """Rows without those whose text is a name in any case; ASCII has as many bytes in either."""
    alike = rows["text"].str.len_bytes() == len(name.encode()) if ascii_only else rows["text"] != ""
    found = alike.arg_true()
    named = found.filter(rows["text"].gather(found).str.to_lowercase() == name.lower())
    return rows.filter(~pl.int_range(pl.len()).is_in(named.implode())) if len(named) else rows
