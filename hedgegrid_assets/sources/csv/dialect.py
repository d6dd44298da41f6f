"""The dialect of a CSV file: what its first block has told, and what is read by it from then on."""

from typing import ClassVar

import msgspec

from hedgegrid_assets.dialect import Dialect, Stored, View
from hedgegrid_assets.sources.csv.spellings import Asked
from hedgegrid_assets.sources.csv.times import TimeSpec
from hedgegrid_assets.venues import Market


class CsvView(View, frozen=True, kw_only=True, omit_defaults=True):
    """How one channel reads the rows.

    Attributes:
        columns: Our column -> position.
        times: Time column -> how its texts are read.
        signed: The side of a trade is the sign of its size; ``maker``: it is the maker's.
        later_ns: From the time of a candle to the last moment of it, when its value is known.
        sides: Value in lower case -> the taker's side, where they are not the usual ones.
        settled: Rates are settlements, not estimates; None: they are no rates.
    """

    columns: dict[str, int]
    times: dict[str, TimeSpec]
    signed: bool
    later_ns: int = 0
    sides: dict[str, str] | None = None
    maker: bool = False
    settled: bool | None = None


class AskedVenue(msgspec.Struct, frozen=True):
    """Of whose rows there was a choice."""

    venue: str
    market: Market | None


class CsvDialect(Dialect, frozen=True, kw_only=True, omit_defaults=True):
    """How the rows of a file are read.

    Attributes:
        comments: Lines that begin with a mark of comments are none.
        names: Of all columns, as they stand in the header.
        symbol_column: Position of the symbol; None: all rows have ``symbol``.
        symbols: Those asked for; ``spellings``: how the file writes each of them, without case.
        asked: Whose rows they are to be.
        venue_column: Position of the venue; ``venue``: the spelling of the one asked for (None: no row is of it).
    """

    before: ClassVar[Stored] = {
        "comments": False,
        "symbols": (),
        "spellings": {},
        "asked": {"venue": "BINANCE", "market": None},
        "venue_column": None,
        "venue": None,
    }
    header_lines: int
    comments: bool
    delimiter: str
    names: tuple[str, ...]
    views: dict[str, CsvView]
    symbol_column: int | None
    symbol: str | None
    symbols: tuple[str, ...]
    spellings: dict[str, str]
    asked: AskedVenue
    venue_column: int | None
    venue: str | None
    notes: tuple[str, ...]

    @property
    def wanted(self) -> Asked:
        """What was asked for."""
        return Asked(self.symbols, self.asked.venue, self.asked.market)


class Seen(msgspec.Struct, frozen=True):
    """What the lines read so far have told of spellings; a later one may tell better, and all are read again by it."""

    venue: str | None = None
    spellings: dict[str, str] = msgspec.field(default_factory=dict)
