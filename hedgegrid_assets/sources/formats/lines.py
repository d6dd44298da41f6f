"""What the readers of all formats share: the frames that they give, and lines that are no text."""

from typing import Final

import polars as pl

from hedgegrid_assets.store import line_array

REJECTS_SCHEMA: Final = pl.Schema(
    {
        "raw_row": pl.UInt32,
        "reason": pl.String,
        "field": pl.String,
        "value": pl.String,
        "raw": pl.String,
        "ts_init": pl.Int64,
    }
)
PLACED_SCHEMA: Final = pl.Schema(
    {
        "line": pl.UInt32,
        "channel": pl.String,
        "symbol": pl.String,
        "ts_init": pl.Int64,
        "reason": pl.String,
        "raw": pl.String,
    }
)
FAULTS_SCHEMA: Final = pl.Schema(
    {"raw_row": pl.UInt32, "name": pl.String, "reason": pl.String, "field": pl.String, "value": pl.String}
)

RAW_SHOWN: Final = 4096
"""Most of a line that a reject shows."""
BOM: Final = b"\xef\xbb\xbf"


def shown(text: pl.Expr) -> pl.Expr:
    """What a reject shows of a line."""
    return text.str.strip_chars_end("\r\n").str.head(RAW_SHOWN)


def numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in the order of their lines (``raw_row``), with ``part``: the first that a line gives is 0, the next 1."""
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    lines = rows["raw_row"].to_numpy()
    several = bool((lines[1:] == lines[:-1]).any())
    return rows.with_columns(part=number.over("raw_row") if several else pl.lit(0, pl.UInt32))


def without_invalid(data: bytes) -> tuple[bytes, dict[int, str]]:
    """The same lines, those that are no UTF-8 emptied; number of each of them -> what is shown of it."""
    lines = line_array(data).to_pylist()
    told: dict[int, str] = {}
    for number, line in enumerate(lines):
        try:
            line.decode()
        except UnicodeDecodeError:
            told[number] = line.rstrip(b"\r\n").decode(errors="backslashreplace")[:RAW_SHOWN]
            lines[number] = b"\n"
    return b"".join(lines), told
