"""Nautilus files of a catalog as frames, and which tables a run can take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from hedgegrid_assets.stages.catalog.generations import generation_of_schema
from hedgegrid_assets.stages.catalog.nautilus import from_nautilus
from hedgegrid_assets.tables import TABLES, bar

TRADES: Final = "trade_tick"
MARKS: Final = "mark_price_update"
INDEX: Final = "index_price_update"
FUNDING: Final = "funding_rate_update"
QUOTES: Final = "quote_tick"
DEPTHS: Final = "order_book_depths"
DELTAS: Final = "order_book_deltas"

BARS: Final = tuple(bars.name for bars in bar.BARS)
"""Bars, a table a period."""

STREAMED: Final = (TRADES, MARKS, INDEX, FUNDING, QUOTES, DEPTHS, DELTAS, *BARS)
"""Tables that an engine is given, in the order of what has arrived in one instant."""
BOOKS: Final = frozenset({DEPTHS, DELTAS})
"""Those that make a book of several levels."""
LAST: Final = 128
"""In the flags of the last row of an event of a book."""
FINER: Final = frozenset({TRADES, QUOTES, *BOOKS})
"""Those that tell each price as it comes, not what a time was like once it is over."""


def read(table: str, file: Path) -> pl.DataFrame:
    """The rows of a file of either generation, in its order; decimals are exact."""
    rows = pq.read_table(file)
    return from_nautilus(TABLES[table], rows, generation_of_schema(rows.schema))


def blocks(table: str, file: Path) -> Iterator[pl.DataFrame]:
    """The same, one row group after the other."""
    with pq.ParquetFile(file) as source:
        generation = generation_of_schema(source.schema_arrow)
        for group in range(source.num_row_groups):
            yield from_nautilus(TABLES[table], source.read_row_group(group), generation)


def events_of_book(file: Path) -> int:
    """Whole events in a file of deltas: each is ended by a row that says so."""
    with pq.ParquetFile(file) as source:
        ends = (batch.column(0).to_numpy() & LAST for batch in source.iter_batches(columns=["flags"]))
        return sum(int(np.count_nonzero(each)) for each in ends)
