"""The streams of a source: their fields, and the tables that these give."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Literal, Protocol

import polars as pl
from msgspec import Struct, field

type Contiguous = Literal["declared", "found", "no"]
"""Each id is the one before plus one: the source says so, the day's rows show it, or neither."""


class Identity(StrEnum):
    """What tells whether two rows of a channel are one row that was sent, written or imported twice.

    ID: the venue's id names one row; rows that are equal in all but their arrival are one, and an id with two contents
    is an error. CONTENT: rows that are equal in all but their arrival are one. Where ids are shared by several rows,
    rows may be equal and yet be several: all that stand in one message are kept, and the n-th of them is the same row
    as the n-th in another message. MOMENT: as CONTENT, but what arrives later is an observation of its own. EVERY_ROW:
    each row is.
    """

    ID = "id"
    CONTENT = "content"
    MOMENT = "content and arrival"
    EVERY_ROW = "every row"


class Order(StrEnum):
    """In which order the rows of a channel come, and are stored, whether they came so or not.

    ARRIVAL: by ``ts_init``; rows of one moment by their line in the raw day and their place on it.
    """

    ARRIVAL = "arrival"


class Shape(Protocol):
    """Makes the rows of one day of a table of those of another, or of its own as the source has them."""

    @property
    def decided(self) -> bool:
        """What was seen is enough to make rows as they come, in stored order."""
        ...

    def resume(self, states: Mapping[str, Any], start_ns: int) -> None:
        """Begin a day at ``start_ns`` with what the counters of the day before have handed on; before any rows."""

    def see(self, rows: pl.DataFrame) -> None:
        """Rows come by, each before it is taken; all of them before the first is, as long as it is not ``decided``.

        Until then in any order, some maybe twice.
        """

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Take the next rows, in stored order and memory form; the rows that are complete now."""
        ...

    def rest(self) -> pl.DataFrame | None:
        """All rows are in: those that are left; None: nothing was ever taken."""
        ...

    def told(self) -> Mapping[str, int]:
        """What -> how many rows more than it has taken it gave for that; below zero: fewer."""
        ...

    def hand_on(self, states: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the counters of the day hand on, with what rows say of it that were taken and gave none."""
        ...


class Shapes(Protocol):
    """Makes a ``Shape``."""

    def __call__(self) -> Shape:
        """One for a day."""
        ...


type FieldKind = Literal["text", "integer", "decimal", "flag", "levels"]


class Field(Struct, frozen=True):
    """One field of a source's message or row: ``key`` is its name there, ``name`` ours; ``doc`` its unit and meaning.

    ``decimal`` is text that holds a number, ``integer`` fits into 63 bits, ``flag`` is true or false, ``levels`` are those
    of a book, a row each; ``missing`` is
    the reject reason where a required one is absent. ``decimals``: most digits behind the point that are kept. ``words``:
    all that a text may be; empty: any.
    """

    name: str
    key: str
    kind: FieldKind
    doc: str
    required: bool = True
    missing: str = "missing_field"
    decimals: int = 16
    words: tuple[str, ...] = ()


class TableMapping(Struct, frozen=True):
    """How a channel's fields become a table.

    Attributes:
        columns: Table column -> expression over the channel's fields (times in integer ns).
        applies: Rows that the table has a value for; the others are counted as ``not_applicable``.
        lineage: Table column -> keys of the raw fields.
        identity: When two rows of the table are one; None: as in the channel's other tables.
        made_ids: Ids for the rows that have none, equal where rows are alike; None: a hash of the row's content.
        made_of: Another table of the channel whose rows it is made of, once these are in order and each is there once.
        shape: What makes its rows of those in order; None: they are its rows.
        known_from: When a row can be known at the earliest, where that may be after it was received.
        gap_seconds: Longest usual silence of its rows; None: the channel's own.
    """

    columns: Mapping[str, pl.Expr]
    lineage: Mapping[str, tuple[str, ...]]
    applies: pl.Expr | None = None
    identity: Identity | None = None
    made_ids: pl.Expr | None = None
    made_of: str = ""
    shape: Shapes | None = None
    known_from: pl.Expr | None = None
    gap_seconds: float | None = None


class Channel(Struct, frozen=True):
    """One stream of a source, and the tables it gives.

    Attributes:
        name: The exchange's (or Tardis') own name of the stream; folder of the raw files.
        event: What the message calls itself.
        series: What a Nautilus folder made from it holds; two series never share a folder.
        fields: All that is read from a message.
        ts_event: Exchange time in ns from the fields; null rejects the row as ``unknown_time``.
        contiguous_ids: Each id is the one before plus one, so that a hole is a loss; False: a day's rows may show it.
        excludes: Reason -> rows that the venue itself marks as no market trade.
        tables: Table name -> mapping.
        gap_seconds: Longest usual silence of this stream; None: the table's own.
        order: In which order its rows come.
        any_order: Its files are written newest first, or in no order: to sort them is no cleaning.
        identity: When two of its rows are one: by ID only where the tables have ids.
        symbol_of: (symbol) -> what the messages of this stream call it, where one message is for several symbols.
        nameless: Messages may not say what they are: the stream of their wrapper does. Such have no exchange time either,
            and their arrival stands for it.
        inside: Member of a message that is an object with the fields that the message itself has not.
    """

    name: str
    event: str
    series: str
    fields: tuple[Field, ...]
    ts_event: pl.Expr
    tables: Mapping[str, TableMapping]
    contiguous_ids: bool = True
    excludes: Mapping[str, pl.Expr] = field(default_factory=dict)
    gap_seconds: float | None = None
    order: Order = Order.ARRIVAL
    any_order: bool = False
    identity: Identity = Identity.ID
    symbol_of: Callable[[str], str] | None = None
    inside: str = ""
    nameless: bool = False
