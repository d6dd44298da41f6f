"""One pass over a block of messages: where each line belongs, and the rows of the channels that are wanted."""

from collections.abc import Collection
from datetime import date

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.batch import Batch, Block, Decoded
from hedgegrid_assets.dialect import Dialect, Stored
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources.formats.binance.by_shape import Shaped, all_by_shape, by_shape
from hedgegrid_assets.sources.formats.binance.dialect import MessageDialect
from hedgegrid_assets.sources.formats.binance.folded import Unfolded
from hedgegrid_assets.sources.formats.binance.placing import placed_block
from hedgegrid_assets.sources.formats.binance.rows import decoded_block
from hedgegrid_assets.sources.formats.lines import numbered
from hedgegrid_assets.timestamps import NS_PER_DAY, day_start


class MessageReader(Struct, frozen=True):
    """Reads messages of the channels ``known``.

    Every line speaks for itself. Where lines hold several messages, ``symbol`` and ``date`` of the dialect say which of
    them belong to the raw day.
    """

    known: tuple[Channel, ...]
    dialect: MessageDialect
    wanted: frozenset[str]
    placing: bool

    def read(self, block: Block) -> Batch:
        """See ``Reader``."""
        if not self.placing:
            rows = {channel.name: self._rows(block, channel, by_shape(block, channel)) for channel in self._wanted()}
            return Batch(block.lines, None, rows)
        shaped = all_by_shape(block, self.known)
        certain = {each.channel.name: each for each in shaped}
        book_of = self.dialect.says.book_of if self.dialect.says is not None else ""
        placed, whole = placed_block(block, self.known, shaped, book_of=book_of)
        there = set(placed.lines["channel"].unique()) if self.wanted else set()
        rows = {
            channel.name: self._rows(block, channel, certain.get(channel.name), whole)
            for channel in self._wanted()
            if channel.name in there
        }
        return Batch(block.lines, placed, rows)

    def _wanted(self) -> list[Channel]:
        return [channel for channel in self.known if channel.name in self.wanted]

    def _rows(self, block: Block, channel: Channel, certain: Shaped | None, whole: Unfolded | None = None) -> Decoded:
        names, day = self.dialect.names, self.dialect.date
        decoded = decoded_block(block, channel, self.known, certain, names, whole)
        if names and day is not None:
            decoded = of_day(decoded, names, day)
        return replace(decoded, rows=numbered(decoded.rows))


def of_day(decoded: Decoded, names: Collection[str], day: date) -> Decoded:
    """What of a block is of a raw day: of some names of its symbol, and by arrival."""
    of_day = pl.col("ts_init").is_between(day_start(day), day_start(day) + NS_PER_DAY, closed="left")
    rows = decoded.rows.filter(of_day & pl.col("symbol").is_in(list(names)))
    faults = None if decoded.faults is None else decoded.faults.join(rows.select("raw_row"), on="raw_row", how="semi")
    return replace(decoded, rows=rows, rejects=decoded.rejects.filter(of_day), faults=faults)


def open_messages(
    dialect: Dialect | Stored, rows: Collection[str] = (), *, placing: bool = True, known: tuple[Channel, ...]
) -> MessageReader:
    """A reader of messages; see ``Opens``."""
    return MessageReader(known, MessageDialect.of(dialect), frozenset(rows), placing)
