"""What stands behind the last column of a line and the first cell too many: Polars' parser drops it without a word.

It cannot tell an empty cell too many from none, either. So delimiters are counted: where a block has as many as its columns
need, and no line lacks its last cell, none has too many. Only of other blocks the lines are looked at.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from hedgegrid_assets.batch import count_of

BLANKS: Final = " \t\r"
_AROUND: Final = BLANKS + '"'
"""Of what a cell that holds nothing is made, as it stands."""

type _Places = np.ndarray[tuple[int], np.dtype[np.int64]]


def are_none(data: bytes, lines: int, columns: int, delimiter: str, last: pl.Series) -> bool:
    """No line has a cell too many. ``last``: the cells of the last column, empty where a line has none."""
    return count_of(ord(delimiter), data) == lines * (columns - 1) and bool((last != "").all())


def first_cells(data: bytes, columns: int, delimiter: str, quote: str | None = None) -> Mapping[int, str]:
    """Line (0-based) -> the first cell too many that is not empty, of lines with two or more cells too many.

    ``quote``: the lines are well quoted, each by itself; None: a quote is a character like others.
    """
    starts, ends, counts, places = _counted(data, delimiter, quote)
    around = _AROUND if quote is None else BLANKS
    found: dict[int, str] = {}
    longer = np.flatnonzero(counts > columns)
    tails = places[(np.cumsum(counts) - counts)[longer] + columns - 1] if len(longer) else longer
    for number in longer[_hold_something(data, tails, ends[longer], around + delimiter)].tolist():
        cells = _cells(data[starts[number] : ends[number]], delimiter, quote)[columns:]
        text = next((cell for cell in cells if cell.strip(around)), None)
        if text is not None:
            found[number] = text
    return found


def longer(data: bytes, columns: int, delimiter: str) -> list[int]:
    """Lines (0-based) with any cell too many."""
    _, _, counts, _ = _counted(data, delimiter, None)
    return np.flatnonzero(counts >= columns).tolist()


def told(frame: pl.DataFrame, extra: str, cells: Mapping[int, str]) -> pl.DataFrame:
    """The frame, one row a line, with such cells in its column ``extra``, where that has none."""
    if not cells:
        return frame
    texts = frame[extra].to_frame()
    others = pl.DataFrame(
        {"row": list(cells), "text": list(cells.values())}, schema={"row": pl.UInt32, "text": pl.String}
    )
    numbered = texts.with_row_index("row").join(others, on="row", how="left", maintain_order="left")
    empty = pl.col(extra).str.strip_chars(_AROUND) == ""
    text = pl.when(empty & pl.col("text").is_not_null()).then("text").otherwise(extra)
    return frame.with_columns(numbered.select(text.alias(extra)).to_series())


# ---------------------------------------------------------------- steps


def _hold_something(
    data: bytes, starts: _Places, ends: _Places, nothing: str
) -> np.ndarray[tuple[int], np.dtype[np.bool]]:
    """Which stretches hold a byte that is none of ``nothing``; none is empty, and none begins before another ends."""
    is_other = np.ones(256, np.bool)
    is_other[list(nothing.encode())] = False
    bounds = np.stack([starts, ends], axis=1).reshape(-1)
    found = is_other[np.frombuffer(data + b"\n", np.uint8)]
    return np.logical_or.reduceat(found, bounds)[::2] if len(bounds) else found[:0]


def _counted(data: bytes, delimiter: str, quote: str | None) -> tuple[_Places, _Places, _Places, _Places]:
    """Where lines begin and end, how many delimiters each has outside of quotes, and where all of these are."""
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    places = np.flatnonzero(octets == ord(delimiter))
    if quote is not None:
        places = places[np.searchsorted(np.flatnonzero(octets == ord(quote)), places) % 2 == 0]
    counts = np.diff(np.searchsorted(places, ends), prepend=0)
    return np.append(0, ends[:-1] + 1), ends, counts, places


def _cells(line: bytes, delimiter: str, quote: str | None) -> list[str]:
    text = line.decode(errors="backslashreplace").rstrip("\r")
    if quote is None:
        return text.split(delimiter)
    cells: list[str] = []
    inside = False
    for piece in text.split(delimiter):
        if inside:
            cells[-1] += delimiter + piece
        else:
            cells.append(piece)
        inside ^= piece.count(quote) % 2 == 1
    return [cell[1:-1].replace(quote * 2, quote) if cell.startswith(quote) else cell for cell in cells]
