"""A block of CSV lines as columns of text: one row a record, in the order of the lines, and what cannot be read apart.

Four readers agree on every line. A block without a quote is split at its delimiters, and so is one whose every quote turns
out to be the first or the last of a cell. Of others, a line whose every cell is free of quotes, or is quoted as a whole,
goes through Polars' CSV parser. Any other line is read by Python's ``csv``, with up to 15 lines behind it where a quoted
cell holds line ends; what that cannot read is one broken line, not the end.
"""

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import polars as pl
import pyarrow as pa
from msgspec import Struct, field

from hedgegrid_assets.batch import count_below, count_of, line_ends
from hedgegrid_assets.sources.formats import tails
from hedgegrid_assets.sources.formats.lines import BOM, without_invalid
from hedgegrid_assets.store import Block, line_array

_LONGEST_RECORD: Final = 16
_READ_AT_ONCE: Final = 64
_LOOKED_AT: Final = 50
"""Rows at either end of a block, whose cells tell which columns have quotes."""
_QUOTE: Final = '"'
_PLAIN_FROM: Final = ord("#") + 1
EXTRA: Final = "extra"
csv.field_size_limit(64 << 20)  # as long as a line may be


class Cells(Struct):
    """Texts of a block.

    Attributes:
        frame: ``line`` (0-based in the file) and the cells asked for, named ``c<position>``; ``extra`` is what stands
            in the first cell too many that is not empty. Blanks around cells are gone. Missing cells are empty.
        broken: Line -> reason: ``not_utf8``, ``zero_bytes``, or ``wrong_type`` where quotes do not match.
        inside: Line -> first line of its record, for lines that begin inside a quoted cell.
    """

    frame: pl.DataFrame
    broken: dict[int, str] = field(default_factory=dict)
    inside: dict[int, int] = field(default_factory=dict)


def name(position: int) -> str:
    """The column of a cell."""
    return f"c{position}"


def read(block: Block, columns: int, delimiter: str, wanted: Sequence[int]) -> Cells:
    """The cells at the positions wanted, of every record of a block of ``columns`` columns."""
    wanted = sorted(set(wanted))
    if is_plain(block):
        lines = _line_ends(block) + (not block.data.endswith(b"\n"))
        return Cells(_numbered(_split(block.data, columns, delimiter, wanted, None, lines=lines), block))
    data = _without_bom(block.data)
    broken: dict[int, str] = {}
    if b"\0" in data:
        data, broken = _without_zeros(data, block.first_line)
    if not _is_utf8(data):
        data, invalid = without_invalid(data)
        broken |= {block.first_line + number: "not_utf8" for number in invalid}
    frame = _split_quoted(data, columns, delimiter, wanted) if b'"' in data else None
    if frame is None and b'"' in data:
        cells = _read_quoted(data, block.first_line, columns, delimiter, wanted)
        cells.broken |= broken
    else:
        frame = _split(data, columns, delimiter, wanted, None) if frame is None else frame
        cells = Cells(_numbered(frame, block), broken)
    if b" " in data or b"\t" in data or b"\r" in data:
        cells.frame = cells.frame.with_columns(pl.exclude("line").str.strip_chars(" \t\r"))
    return cells


def whole_numbers(block: Block, columns: int, delimiter: str, wanted: int) -> pl.Series | None:
    """One cell of each line, in half the time of ``read``; None where any is no plain number, or a line is no plain one."""
    data = block.data
    if b'"' in data or not data.isascii():
        return None
    frame = _split(data, columns, delimiter, [wanted], None, pl.Int64)
    numbers = frame[name(wanted)]
    return None if numbers.null_count() else numbers


class Table:
    """The cells of one block, for who asks more than once: read at the first question, unless there are very many columns."""

    def __init__(self, block: Block, columns: int, delimiter: str) -> None:
        self.block = block
        self._columns, self._delimiter = columns, delimiter
        self._all: Cells | None = None

    def read(self, wanted: Collection[int]) -> Cells:
        """The cells at the positions wanted, of every record; see ``read``."""
        if self._columns > _READ_AT_ONCE:
            return read(self.block, self._columns, self._delimiter, sorted(wanted))
        if self._all is None:
            self._all = read(self.block, self._columns, self._delimiter, range(self._columns))
        names = ["line", *(name(place) for place in sorted(set(wanted))), EXTRA]
        return Cells(self._all.frame.select(names), self._all.broken, self._all.inside)


def without_lines(block: Block, lines: Sequence[int]) -> Block:
    """The block with some lines of the file emptied, whatever stands in them."""
    if not lines:
        return block
    data = _emptied(block.data.split(b"\n"), [line - block.first_line for line in lines])
    return replace(block, data=data)


def row_of(line: str, delimiter: str) -> list[str] | None:
    """The cells of one line by Python's csv; None where its quotes do not match."""
    try:
        rows = list(csv.reader(io.StringIO(line.rstrip("\r\n"), newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else [] if not rows else None


def texts_of(block: Block, lines: pl.Series) -> list[str]:
    """The lines of a block as text without line end; what is no UTF-8 is shown escaped."""
    chosen = line_array(block.data).take((lines - block.first_line).cast(pl.Int64).to_arrow())
    return [line.decode(errors="backslashreplace").rstrip("\r\n").removeprefix("\ufeff") for line in chosen.to_pylist()]


# ---------------------------------------------------------------- steps


def is_plain(block: Block) -> bool:
    """Nothing is in it but what stands behind ``#`` in ASCII, and line ends: no quote, blank, zero byte or mark of a comment."""
    return count_below(_PLAIN_FROM, block.data) == _line_ends(block)


def _line_ends(block: Block) -> int:
    return block.lines - (block.cut and bool(block.data))


def _numbered(frame: pl.DataFrame, block: Block) -> pl.DataFrame:
    return frame.with_row_index("line", offset=block.first_line).cast({"line": pl.UInt32})


def _without_bom(data: bytes) -> bytes:
    """A file begins with a byte order mark; a raw day may be made of several files."""
    if data.isascii() or BOM not in data:
        return data
    return data.removeprefix(BOM).replace(b"\n" + BOM, b"\n")


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_zeros(data: bytes, first_line: int) -> tuple[bytes, dict[int, str]]:
    """Lines with zero bytes (blocks of a disk that were never written before the power went) become empty."""
    lines = data.split(b"\n")
    zeros = [number for number, line in enumerate(lines) if b"\0" in line]
    return _emptied(lines, zeros), {first_line + number: "zero_bytes" for number in zeros}


def _emptied(lines: list[bytes], numbers: Collection[int]) -> bytes:
    for number in numbers:
        lines[number] = b""
    last = b"\n" if lines[-1] == b"" and len(lines) - 1 in numbers else b""  # still a line
    return b"\n".join(lines) + last


def _split(
    data: bytes,
    columns: int,
    delimiter: str,
    wanted: Sequence[int],
    quote: str | None,
    kind: type[pl.DataType] = pl.String,
    lines: int | None = None,
) -> pl.DataFrame:
    """One row a line: the lines have no quote, or are all well quoted. Cells that are none of the kind are null.

    ``lines``: how many there are, where it is known.
    """
    names = [*(name(position) for position in wanted), EXTRA]
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(names, kind))
    proved = {columns - 1} if kind == pl.String else set()  # the last cells, which tell whether lines lack any
    places = [*sorted({*wanted, *proved}), columns]
    frame = pl.read_csv(
        data,
        has_header=False,
        schema=dict.fromkeys([*(name(position) for position in range(columns)), EXTRA], kind),
        columns=places,
        separator=delimiter,
        quote_char=quote,
        missing_columns="insert",
        extra_columns="ignore",  # beyond the first cell too many, in the first line
        truncate_ragged_lines=True,
        empty_string_is_null=False,
        ignore_errors=kind != pl.String,
    )
    frame.columns = [*map(name, places[:-1]), EXTRA]
    if lines is None:
        lines = line_ends(data) + (not data.endswith(b"\n"))
    assert len(frame) == lines, f"{len(frame)} rows from {lines} lines"
    if proved and not tails.are_none(data, lines, columns, delimiter, frame[name(columns - 1)]):
        frame = tails.told(frame, EXTRA, tails.first_cells(data, columns, delimiter, quote))
    return frame.select(names)


def _split_quoted(data: bytes, columns: int, delimiter: str, wanted: Sequence[int]) -> pl.DataFrame | None:
    """As ``_split``, where each quote is the first or the last of a cell: as many are as there are; None where others are.

    And where a carriage return stands inside a line, behind which the parser of quoted cells goes on in its own way.
    """
    if columns > _READ_AT_ONCE or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return None
    frame = _split(data, columns, delimiter, range(columns), None)
    quotes = count_of(ord(_QUOTE), data)
    some = pl.concat([frame.head(_LOOKED_AT), frame.tail(_LOOKED_AT)])
    for column in some.select(pl.all().str.starts_with(_QUOTE).any()).unpivot().filter("value")["variable"]:
        texts = frame[column]
        whole = texts.str.starts_with(_QUOTE) & texts.str.ends_with(_QUOTE) & (texts.str.len_bytes() > 1)
        quotes -= 2 * int(whole.sum())
        frame = frame.with_columns(texts.str.strip_chars(_QUOTE))
    return None if quotes else frame.select(*map(name, wanted), EXTRA)


def _read_quoted(data: bytes, first_line: int, columns: int, delimiter: str, wanted: Sequence[int]) -> Cells:
    lines = line_array(data)
    text = pl.DataFrame({"text": pl.Series(lines.cast(pa.large_string()), dtype=pl.String)}).with_row_index("line")
    plain = text.select(pl.col("text").str.contains(_gate(delimiter)))["text"]
    if plain.all():
        frame = _split(data, columns, delimiter, wanted, '"')
        return Cells(frame.with_row_index("line", offset=first_line).cast({"line": pl.UInt32}))
    odd = text.filter(~plain)["line"].to_list()
    rows, broken, inside = _read_odd(text["text"], odd, columns, delimiter)
    taken = pl.Series([*rows, *broken, *inside], dtype=pl.UInt32)
    rest = text.filter(~pl.col("line").is_in(taken.implode()))
    fast = _split("".join(rest["text"]).encode(), columns, delimiter, wanted, '"')
    fast = fast.insert_column(0, rest["line"].cast(pl.UInt32))
    exact = pl.DataFrame(
        [
            {"line": number} | {name(place): _at(row, place) for place in wanted} | {EXTRA: _extra(row, columns)}
            for number, row in rows.items()
        ],
        schema=fast.schema,
        orient="row",
    )
    blank = pl.DataFrame(
        [{column: "" for column in fast.columns if column != "line"} | {"line": number} for number in broken],
        schema=fast.schema,
    )
    frame = pl.concat([fast, exact, blank]).sort("line").with_columns(pl.col("line") + first_line)
    return Cells(
        frame.cast({"line": pl.UInt32}),
        {first_line + number: reason for number, reason in broken.items()},
        {first_line + number: first_line + first for number, first in inside.items()},
    )


def _gate(delimiter: str) -> str:
    """Lines that no reader can take for anything else: each cell without a quote, or quoted as a whole."""
    cell = rf'(?:[^"\n{re.escape(delimiter)}]*|"(?:[^"\n]|"")*")'
    return rf"^{cell}(?:{re.escape(delimiter)}{cell})*\r?\n?$"


def _read_odd(
    text: pl.Series, odd: Sequence[int], columns: int, delimiter: str
) -> tuple[dict[int, list[str]], dict[int, str], dict[int, int]]:
    """Records, broken lines and lines inside records, from the lines that the gate refuses."""
    rows: dict[int, list[str]] = {}
    broken: dict[int, str] = {}
    inside: dict[int, int] = {}
    for number in odd:
        if number in inside:
            continue
        row, length = _record(text, number, columns, delimiter)
        if row is None:
            broken[number] = "wrong_type"
            continue
        rows[number] = row
        inside |= dict.fromkeys(range(number + 1, number + length), number)
    return rows, broken, inside


def _record(text: pl.Series, number: int, columns: int, delimiter: str) -> tuple[list[str] | None, int]:
    """The record that begins at a line, and its lines; a record of several lines must have all its columns."""
    line = text[number]
    row = row_of(line, delimiter)
    if row is not None:
        return row, 1
    for length in range(2, min(_LONGEST_RECORD, len(text) - number) + 1):
        line += text[number + length - 1]
        row = row_of(line, delimiter)
        if row is not None and len(row) == columns:
            return row, length
    return None, 1


def _at(row: Sequence[str], place: int) -> str:
    return row[place] if place < len(row) else ""


def _extra(row: Sequence[str], columns: int) -> str:
    return next((cell for cell in row[columns:] if cell.strip(tails.BLANKS)), _at(row, columns))
