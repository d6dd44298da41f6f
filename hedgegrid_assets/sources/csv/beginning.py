"""The beginning of a CSV file: which of its first lines are rows, which are comments, and which is the header."""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from hedgegrid_assets.sources.csv.encodings import HEADER_CODEC, header_text
from hedgegrid_assets.sources.formats import csv_cells as cells
from hedgegrid_assets.store import Block

COMMENT: Final = "#"
MOST_COLUMNS: Final = 20_000
_DELIMITERS: Final = (",", ";", "\t", "|")
_LINES: Final = 11
_COMMENTS: Final = 1_000
_VALUE: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}.*|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}.*"
)


class Line(Struct, frozen=True):
    """One of the first lines: its number from 0, its text without line end, and the codec that reads it."""

    number: int
    text: str
    codec: str = "utf-8"

    @property
    def is_text(self) -> bool:
        """It holds no zero bytes."""
        return "\0" not in self.text

    @property
    def is_too_wide(self) -> bool:
        """It has more cells than any table."""
        return any(self.text.count(mark) >= MOST_COLUMNS for mark in _DELIMITERS)

    @property
    def is_comment(self) -> bool:
        """It begins with ``#``."""
        return self.text.startswith(COMMENT)


def first_lines(data: bytes) -> list[Line]:
    """The lines that are looked at for a header: without blank ones; comments are not counted."""
    found: list[Line] = []
    start = number = counted = 0
    while start < len(data) and counted < _LINES and number < _COMMENTS:
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        text, codec = _text(data[start:end])
        text = text.removeprefix("\ufeff" if not number else "").rstrip("\r")
        if text.strip():
            found.append(Line(number, text, codec))
        counted += not text.startswith(COMMENT)
        start, number = end + 1, number + 1
    return found


def _text(line: bytes) -> tuple[str, str]:
    """A line and its codec; what is neither UTF-8 nor Chinese has replacement characters."""
    try:
        return line.decode(), "utf-8"
    except UnicodeDecodeError:
        chinese = header_text(line)
        return (line.decode(errors="replace"), "utf-8") if chinese is None else (chinese, HEADER_CODEC)


def split(line: str, delimiter: str) -> list[str]:
    """Cells of a line; where quotes do not match, by the delimiter alone."""
    row = cells.row_of(line, delimiter)
    return [cell.strip() for cell in (line.split(delimiter) if row is None else row)]


def delimiters_in(line: str) -> list[str]:
    """Delimiters in a line, the most frequent first."""
    return sorted((mark for mark in _DELIMITERS if mark in line), key=lambda mark: -line.count(mark))


def are_names(row: Sequence[str], cells: int = 3) -> bool:
    """Names, not values."""
    return sum(map(bool, row)) >= cells and not any(map(_VALUE.fullmatch, row))


def is_row(line: Line, header: Sequence[str] = (), delimiter: str = "") -> bool:
    """A line has the shape of a row: most of its cells are values, or it has the cells of the header and two values.

    What cannot be read at all was one once.
    """
    if line.is_too_wide or not line.is_text:
        return True
    for mark in delimiters_in(line.text):
        row = split(line.text, mark)
        values = sum(1 for cell in row if _VALUE.fullmatch(cell))
        if values >= 2 and (values * 2 > sum(map(bool, row)) or (mark == delimiter and len(row) == len(header))):
            return True
    return False


def has_comments(lines: Sequence[Line]) -> bool:
    """Lines that begin with ``#`` are comments; they are not where every row does so, as ids may."""
    rows = [line for line in lines if is_row(line)]
    return not rows or not all(line.is_comment for line in rows)


def comments_in(block: Block, first: int) -> list[int]:
    """The lines of a block that begin with ``#``, counted in the file, from ``first`` on."""
    mark = COMMENT.encode()
    if mark not in block.data or not (
        block.data.startswith(mark) or b"\n" + mark in block.data
    ):  # one byte is found faster
        return []
    lines = (number for number, line in enumerate(block.data.split(b"\n"), block.first_line) if line.startswith(mark))
    return [number for number in lines if number >= first]
