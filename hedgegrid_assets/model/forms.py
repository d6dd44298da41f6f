"""The columns of a frame, and how a generation of NautilusTrader stores them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import polars as pl
from msgspec import Struct, field

type Precision = Literal["price", "size", "mark"]
"""Which of an instrument's precisions a decimal column has."""


class Column(Struct, frozen=True):
    """One column of a normalized frame.

    Attributes:
        name: Nautilus' word for it.
        dtype: Polars type in the stored frame; a decimal whose scale is an instrument precision names ``precision``.
        doc: Meaning, unit and usual range.
        precision: The instrument precision that gives the decimal its scale.
        positive: Zero and negative values are rejected, with ``zero_<name>`` and ``negative``.
        unsigned: Negative values are rejected.
        nullable: A source may leave it out.
        maximum: Largest value that Nautilus' 16-byte raw value holds; larger ones are rejected.
        is_time: A time in ns: stored as a timestamp, shown as one.
        rises: Its numbers rise, or are near to each other, from row to row: stored as differences.
        repeats: It has few values, or ever the same ones again: stored by a dictionary.
        later: It came to its table later: frames of before lack it, a source need not know it, and a digest counts it
            where it says anything.
    """

    name: str
    dtype: pl.DataType
    doc: str
    precision: Precision | None = None
    positive: bool = False
    unsigned: bool = False
    nullable: bool = False
    maximum: int | None = None
    is_time: bool = False
    rises: bool = False
    repeats: bool = False
    later: bool = False


class Encoding(StrEnum):
    """How the values of a frame's column stand in a Nautilus file; ``catalog/nautilus.py`` writes and reads each."""

    RAW16 = "raw16"
    """A decimal as the little-endian integer value x 10^16, 16 bytes."""
    CODE = "code"
    """An enum by its number, one byte."""
    ID = "id"
    """A text, or a hash of one that is longer than Nautilus can hold."""
    JSON_DECIMAL = "json_decimal"
    """A decimal as the bytes of a JSON text."""
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    NS = "ns"
    """A time in ns since 1970."""
    SIGNED_NS = "signed_ns"
    """A time in ns since 1970, as a signed number."""
    TEXT = "text"
    """A word, or a decimal in plain digits without zeros at its end."""
    DECIMAL = "decimal"
    """A decimal of 38 digits, 16 of them after the point."""
    WORD = "word"
    """An enum by its name, each name once in a dictionary."""
    TIMESTAMP = "timestamp"
    """A time with its zone, UTC, in ns."""
    LEVELS = "levels"
    """Levels of a book, best first, as a list of those that there are: price, size, count of orders, and an order's id."""


class Period(StrEnum):
    """How much time a Nautilus file holds."""

    DAY = "day"
    HOUR = "hour"


class Level(NamedTuple):
    """The frame's columns of one level of a book."""

    price: str
    size: str
    count: str


class NautilusColumn(NamedTuple):
    """A column of a Nautilus file: its name there, the frame's column that it is made from, and how.

    Attributes:
        repeats: As in ``Column``.
        words: Nautilus' names of an enum where they are not the frame's, in the order of the enum.
        levels: Of a column of levels, best first; ``made_from`` is the first price.
    """

    name: str
    made_from: str
    encoding: Encoding
    nullable: bool = False
    repeats: bool = False
    words: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All columns of the frame that it is made from."""
        return tuple(name for level in self.levels for name in level) or (self.made_from,)


class RowFilter(Struct, frozen=True):
    """Which rows of a frame a Nautilus file holds, where it does not hold all.

    Attributes:
        rows: True for each row that it holds; ``shift(1)`` is the previous row of the day, also across blocks.
        deciding: Columns that this needs and the file does not hold.
        why: What is said of a row that it does not hold.
    """

    rows: pl.Expr
    deciding: tuple[str, ...]
    why: str


class NautilusForm(Struct, frozen=True):
    """A table as one generation of NautilusTrader stores it.

    Attributes:
        cls: Class in ``nautilus_trader.model.data``, or in ``own``.
        folder: In ``data/`` of a catalog.
        columns: Those before ``ts_event`` and ``ts_init``, in the order of the file.
        precisions: Key in the footer -> the instrument's precision that it names.
        kept: Rows that the file holds; None: all.
        readable: Nautilus' own reader can read what its own writer writes.
        period: Of one file.
        blocks: Of a frame, in a row group.
        named: What it calls the rows of an instrument, with ``{id}`` for that one: the folder below ``folder``.
        named_in: Key in the footer that holds this name; empty: none.
        class_in: Key in the footer that holds ``cls``; empty: none.
        times: How ``ts_event`` and ``ts_init`` are stored.
        own: Module of ours with the class, which decodes its rows itself: every row names its instrument and its class,
            and the footer neither instrument nor precisions. Empty: the class is Nautilus'.
        behind: Of a class of ours: column behind the times -> what all rows say there, with ``{id}`` for the instrument.
    """

    cls: str
    folder: str
    columns: tuple[NautilusColumn, ...]
    precisions: Mapping[str, Precision]
    kept: RowFilter | None = None
    readable: bool = True
    period: Period = Period.DAY
    blocks: int = 1
    named: str = "{id}"
    named_in: str = ""
    class_in: str = ""
    times: Encoding = Encoding.NS
    own: str = ""
    behind: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, instrument_id: str) -> str:
        """What it calls the rows of an instrument."""
        return self.named.format(id=instrument_id)


GENERATION: Final = 1
"""Of NautilusTrader: the one whose form a catalog has where nothing says another."""
GENERATIONS: Final = (1, 2)
"""Those that catalogs are written for."""
