"""The rows of the first block of a CSV file, which tell how all of them are read."""

from collections.abc import Collection, Sequence

import polars as pl
from msgspec import Struct
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
        """``line`` and ``text`` of the cells of one column that are not empty."""
        text = pl.col(cells.name(place))
        return (
            self.read([place])
            .frame.filter(
                (pl.col("line") >= self.head.lines)
                & (text != "")
                & (text.str.to_lowercase() != self.head.names[place].lower())
            )
            .select("line", text=text)
        )

    def rows(self, places: Sequence[int], clock: int | None = None) -> pl.DataFrame:
        """``line`` and the cells; with ``clock``, days in the first of them with their time of day."""
        wanted = places if clock is None else [*places, clock]
        read = self.read(wanted).frame.filter(pl.col("line") >= self.head.lines)
        if clock is None:
            return read
        day = cells.name(places[0])
        return read.with_columns(joined(read[day], read[cells.name(clock)]).alias(day))
