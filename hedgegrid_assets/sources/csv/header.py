"""The header of a CSV file: what stands before the rows, and the names of the columns."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from hedgegrid_assets.batch import Block
from hedgegrid_assets.errors import EncodingUnknown, FileRefused, MissingColumns, RawDamaged, listed
from hedgegrid_assets.sources.csv.beginning import (
    COMMENT,
    MOST_COLUMNS,
    Line,
    are_names,
    delimiters_in,
    first_lines,
    has_comments,
    is_row,
    split,
)
from hedgegrid_assets.sources.csv.encodings import guess
from hedgegrid_assets.sources.csv.names import NUMBERS, REQUIRED, TIMESTAMP, found_by, headerless


class Head(Struct, frozen=True):
    """The first lines: what stands before the rows, and the names of the columns."""

    delimiter: str
    names: tuple[str, ...]
    lines: int
    notes: list[str] = field(default_factory=list)
    comments: bool = False


def head_of(block: Block, path: Path, mappings: Sequence[Mapping[str, str | int]], asked: Sequence[str] = ()) -> Head:
    """What stands before the rows. No line from the first that has the shape of a row on is part of it."""
    lines = first_lines(block.data)
    zeros = block.data.startswith((b"\xff\xfe", b"\xfe\xff")) or (lines and not any(line.is_text for line in lines))
    if zeros or sum(line.text.count("\ufffd") for line in lines) > 8:
        raise _no_utf8(block, path, " (it holds zero bytes)" if zeros else "")
    comments = has_comments(lines)
    shown = [line for line in lines if not (comments and line.is_comment)]
    filled = [line for line in shown if line.is_text and not line.is_too_wide]
    row = next((line for line in filled if is_row(line)), None)
    if row is not None and row.codec != "utf-8":
        raise _no_utf8(block, path)
    places = [place for mapping in mappings for place in mapping.values()]
    if row is not None and places and all(isinstance(place, int) for place in places):
        return replace(_by_position(filled, row), comments=comments)
    mapped = {place.strip().lower() for place in places if isinstance(place, str)}
    found = _header(filled, partial(_is_known_header, mapped=mapped)) or _commented_header(lines, row)
    if row is not None and (found is None or row.number < found.lines):
        found = _unknown_header(filled, row) or _without_header(row) or found
    found = found or _header(filled, are_names)
    if found is None and any(line.is_too_wide for line in shown):
        raise RawDamaged(path, f"expected at most {MOST_COLUMNS:,} columns, found more")
    if found is None:
        begins = filled[0].text[:200] if filled else ""
        token = asked[0] if asked else "trades"
        raise MissingColumns(path, token, REQUIRED[token], (), {}, f"no header line; it begins with {begins!r}")
    above = [line for line in shown if line.number < found.lines]
    rows = [line.number for line in above if is_row(line, found.names, found.delimiter)]
    if rows and rows[0] < found.lines - 1:
        found.notes.append(f"rows stand above the header in line {found.lines}: they are read by it as well")
    return replace(found, lines=min([found.lines, *rows]), comments=comments)


def _by_position(lines: Sequence[Line], row: Line) -> Head:
    """Where the mapping counts columns, no header is needed; one that is there has names for notes and errors."""
    delimiter = next(iter(delimiters_in(row.text)), ",")
    count = len(split(row.text, delimiter))
    names = [split(line.text, delimiter) for line in lines if line.number < row.number]
    named = next((tuple(one) for one in names if len(one) == count and are_names(one, cells=2)), None)
    return Head(delimiter, named or tuple(f"column {place}" for place in range(count)), row.number)


def _no_utf8(block: Block, path: Path, why: str = "") -> FileRefused:
    """The error for a file that is no UTF-8, with the encoding that reads it."""
    codec = guess(block.data)
    return RawDamaged(path, f"it is no text in UTF-8{why}") if codec is None else EncodingUnknown(path, codec)


def _header(lines: Iterable[Line], is_header: Callable[[Sequence[str]], bool]) -> Head | None:
    for line in lines:
        for delimiter in delimiters_in(line.text):
            row = split(line.text, delimiter)
            if not is_header(row):
                continue
            notes = [f"the header is read as {line.codec}"] if line.codec != "utf-8" else []
            twice = sorted(name for name, count in Counter(row).items() if name and count > 1)
            notes += [f"columns named twice: {listed(twice)}; the first of each counts"] if twice else []
            return Head(delimiter, tuple(row), line.number + 1, notes)
    return None


def _unknown_header(lines: Sequence[Line], row: Line) -> Head | None:
    """Names that say nothing, one a cell of the first row: what the row holds must not be guessed."""
    widths = {len(split(row.text, mark)) for mark in delimiters_in(row.text)}
    above = [line for line in lines if line.number < row.number]
    return _header(above, lambda names: len(names) in widths and are_names(names, cells=2))


def _commented_header(lines: Sequence[Line], row: Line | None) -> Head | None:
    """A header behind the mark of comments: beyond doubt only with names for all that is needed, one a cell of a row."""
    if row is None:
        return None
    behind = [
        Line(line.number, line.text.lstrip(f"{COMMENT} ")) for line in lines if line.is_comment and line is not row
    ]

    widths = {len(split(row.text, mark)) for mark in delimiters_in(row.text)}
    return _header(behind, lambda names: len(names) in widths and are_names(names, cells=2) and _gives_a_table(names))


def _gives_a_table(names: Sequence[str]) -> bool:
    return any(all(found_by(column, names) for column in required) for required in REQUIRED.values())


def _without_header(row: Line) -> Head | None:
    """A dump that comes without a header, told by its first row."""
    for delimiter in delimiters_in(row.text):
        known = headerless(split(row.text, delimiter))
        if known:
            notes = [f"no header line: read as {known[0]} ({', '.join(known[1])})"]
            return Head(delimiter, known[1], row.number, notes)
    return None


def is_header(row: Sequence[str]) -> bool:
    """A line in the middle of a file that can be nothing else: names, among them those of a time and of a value."""
    return are_names(row, cells=2) and all(
        any(found_by(column, row) for column in columns) for columns in ((TIMESTAMP,), NUMBERS)
    )


def _is_known_header(row: Sequence[str], mapped: set[str]) -> bool:
    """Names, not values, and one of them means something: a banner line has none."""
    if not are_names(row, cells=2):
        return False
    known = any(found_by(column, row) for column in (TIMESTAMP, *NUMBERS))
    return known or bool(mapped & {name.lower() for name in row})
