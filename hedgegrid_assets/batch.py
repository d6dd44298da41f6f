"""A block of lines, and what a reader makes of it: where each line belongs, and typed rows."""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    import polars as pl

    from hedgegrid_assets.dialect import Dialect, Stored


_LINE_END, _LIST, _TEXT = b'\n["'
_LOOKED_AT: Final = 1 << 17
"""Bytes at a time: what is found of them stays in the processor's cache, and needs no memory of its own."""


def count_of(byte: int, data: bytes | memoryview) -> int:
    """As ``data.count``, which stops at each of them: a third of the time."""
    every = np.frombuffer(data, np.uint8)
    parts = (every[at : at + _LOOKED_AT] for at in range(0, len(data), _LOOKED_AT))
    return sum(int(np.count_nonzero(part == byte)) for part in parts)


def line_ends(data: bytes) -> int:
    """How many lines end in the data."""
    return count_of(_LINE_END, data)


def count_below(byte: int, data: bytes) -> int:
    """Bytes of ASCII that are less than one of them, and all that are no ASCII."""
    every = np.frombuffer(data, np.int8)
    parts = (every[at : at + _LOOKED_AT] for at in range(0, len(data), _LOOKED_AT))
    return sum(int(np.count_nonzero(part < byte)) for part in parts)


def lists_of_texts(data: bytes) -> int:
    """Beginnings of lists of texts: a fifth of the time of ``data.count``, and next to none where there is no list."""
    if b"[" not in data:
        return 0
    every = np.frombuffer(data, np.uint8)
    parts = (every[at : at + _LOOKED_AT + 1] for at in range(0, len(data), _LOOKED_AT))
    return sum(int(np.count_nonzero((part[:-1] == _LIST) & (part[1:] == _TEXT))) for part in parts)


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of a file, as they are (``\\n`` or ``\\r\\n`` kept).

    ``first_line`` counts from 0. ``cut`` is set on the last block if its last line has no newline, ``truncated``
    if besides that the compressed stream ended too early. ``lines`` is their number.
    """

    data: bytes
    first_line: int
    cut: bool = False
    truncated: bool = False
    lines: int = field(init=False)

    def __post_init__(self) -> None:
        """Count once, in the thread that reads."""
        object.__setattr__(self, "lines", line_ends(self.data) + (self.cut and bool(self.data)))

    def at(self, first_line: int) -> "Block":
        """The same lines as those of another file; they are not counted again."""
        other = copy(self)
        object.__setattr__(other, "first_line", first_line)
        return other


class Decimals(NamedTuple):
    """How finely the numbers of a field are written.

    Attributes:
        written: Most decimals as written.
        needed: Most decimals without zeros at the end.
        short: As ``needed``, among numbers of fewer digits than a binary float has (15).
        long: How many have as many digits, or more; ``example`` is the first of them, on ``line`` (0-based in the file).
    """

    written: int
    needed: int
    short: int = 0
    long: int = 0
    example: str = ""
    line: int | None = None

    def with_more(self, more: "Decimals") -> "Decimals":
        """Of both together; ``more`` came later."""
        example, line = (self.example, self.line) if self.long else (more.example, more.line)
        return Decimals(
            max(self.written, more.written),
            max(self.needed, more.needed),
            max(self.short, more.short),
            self.long + more.long,
            example,
            line,
        )


REST: Final = "rest"
"""What a line is counted as that is a message of no stream that is known."""


class Placed(Struct, frozen=True):
    """Where each line of a block belongs, and what the others are.

    Attributes:
        lines: One row a message that belongs to a channel: ``line`` (0-based in the file), ``channel``, ``symbol``,
            ``ts_init`` (ns); the last three are null where it cannot be placed, with ``reason`` set.
        by_stream: Lines by what they call themselves, unused streams included; a line of several messages counts once.
        connection: Lines of a recorder's own (connects, subscribes).
        blank: Empty lines.
        unreadable: Lines that are none of these (each has a row with a ``reason``).
        decimals: (channel, symbol, field) -> decimals of its numbers, where there are any.
        connections_at: Line numbers of the connection lines.
        disconnects_ns: When the recorder says that it lost the connection.
        several: Some line holds several messages.
        shared: Of lines that hold several messages, those that have a place: ``line``, ``channel``, ``symbol``, ``ts_init``,
            ``message`` as it stands there, ``head`` and ``tail``, what stands in front of the line's first message and
            behind its last, and ``of``, how many it holds; of lines that cannot be cut so, none. None: there is no such line.
        examples: (line, how it begins) of some lines that are of no stream that is known.
        unusable: Why nothing can be made of the file that the block begins; empty if something can.
        contradicts: What the block says against what the start of its file says; empty: nothing.
    """

    lines: "pl.DataFrame"
    by_stream: Mapping[str, int]
    connection: int
    blank: int
    unreadable: int
    decimals: Mapping[tuple[str, str, str], Decimals]
    connections_at: tuple[int, ...] = ()
    disconnects_ns: tuple[int, ...] = ()
    several: bool = False
    shared: "pl.DataFrame | None" = None
    examples: tuple[tuple[int, str], ...] = ()
    unusable: str = ""
    contradicts: str = ""


class Decoded(Struct, frozen=True):
    """What the lines of a block give to one channel.

    Attributes:
        rows: ``raw_row``, ``part``, ``ts_event``, ``ts_init`` (ns) and the channel's fields, typed; in the order of the
            lines. ``part`` numbers the rows that one line gives, from 0.
        rejects: ``raw_row, reason, field, value, raw, ts_init``.
        odd: Lines that went through the exact slow reader.
        faults: ``name`` (of a field) and ``raw_row, reason, field, value``: values of ``rows`` that cannot be read, and
            are null there. They concern only the tables that the field is used by.
        without_rows: Lines of the channel that rightly give no row.
        hollow: A field that all rows have but those of lines that should give none, and are there for their numbers; None:
            there are none of these.
    """

    rows: "pl.DataFrame"
    rejects: "pl.DataFrame"
    odd: int = 0
    faults: "pl.DataFrame | None" = None
    without_rows: int = 0
    hollow: str | None = None


class Batch(Struct, frozen=True):
    """What one block of lines gives.

    Attributes:
        lines: How many lines were read.
        placed: Where they belong; None if only rows were asked for.
        decoded: Channel -> its rows, of those channels that were asked for and that the block has lines of.
    """

    lines: int
    placed: Placed | None
    decoded: Mapping[str, Decoded]


class Reader(Protocol):
    """Reads the blocks of a file, or of a part of one, whose lines are of one dialect; in several threads, in any order."""

    @property
    def dialect(self) -> "Dialect":
        """How the lines are read."""

    def read(self, block: Block, /) -> Batch:
        """One pass over a block. Raises OtherHeader, ReadAgain."""


class Opens(Protocol):
    """How a source reads lines of a dialect that is known."""

    def __call__(self, dialect: "Dialect | Stored", rows: Collection[str] = (), *, placing: bool = True) -> Reader:
        """A reader; ``rows``: the channels whose rows are wanted, ``placing``: it is wanted where the lines belong."""


class Begins(Protocol):
    """How a source is told by the beginning of a file how its lines are to be read."""

    def __call__(self, block: Block, said: Mapping[str, Any], rows: Collection[str] = ()) -> Reader:
        """A reader that places lines, and reads ``rows`` as well; ``said``: what is known of the file beside its lines."""


class OtherHeader(Exception):
    """Raised by ``read``: in this line (0-based in the file) begin rows of other columns than those of the dialect."""

    def __init__(self, line: int, names: Sequence[str], expected: Sequence[str]) -> None:
        super().__init__(line, names, expected)
        self.line, self.names, self.expected = line, names, expected


class ReadAgain(Exception):
    """Raised by ``read``: a later line says how the ones before it are to be read; ``held`` is what ``begin`` has to be told."""

    def __init__(self, held: object) -> None:
        super().__init__(held)
        self.held = held
