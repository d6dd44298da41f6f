"""Ids of trades that have none, as Nautilus' own loader makes them."""

from typing import Final

import numpy as np
import polars as pl

from hedgegrid_assets.sources.formats.synthetic_ids import hexadecimal

_FNV_START: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = np.uint64(0x100000001B3)
_BETWEEN: Final = np.uint8(0x1F)


def with_made_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows without an id have none, and in ``made_id`` the one that Nautilus' loader makes of their content."""
    nameless = rows["id"] == ""
    nothing = pl.Series("made_id", [None], dtype=pl.String).new_from_index(0, len(rows))
    if not nameless.any():
        return rows.with_columns(nothing)
    made = nautilus_ids(rows.filter(nameless))
    made = made if len(made) == len(rows) else nothing.scatter(nameless.arg_true(), made)
    return rows.with_columns(pl.when(~nameless).then("id").alias("id"), made.alias("made_id"))


def nautilus_ids(rows: pl.DataFrame) -> pl.Series:
    """16 hex digits of FNV-1a over symbol, time, price, amount and side, a byte between them; column by column."""
    doubles = rows.select(pl.col("price", "size").cast(pl.String).cast(pl.Float64))  # by way of the text: rounded once
    numbers = [rows["ts_event"].to_numpy(), *(column.to_numpy() for column in doubles)]
    state = np.full(len(rows), _FNV_START, np.uint64)
    state = _with_texts(state, rows["symbol"].str.to_uppercase())
    for values in numbers:
        digits = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).view(np.uint8).reshape(-1, 8)
        for column in (_BETWEEN, *digits.T):
            state = _fnv(state, column)
    state = _with_texts(_fnv(state, _BETWEEN), rows["side"])
    return hexadecimal([state], 8)


def _fnv(state: np.ndarray, octets: np.ndarray | np.uint8) -> np.ndarray:
    return (state ^ octets) * _FNV_PRIME


def _with_texts(state: np.ndarray, texts: pl.Series) -> np.ndarray:
    """A text for each row, of which there are few different ones."""
    for text in texts.unique():
        here = (texts == text).to_numpy()
        part = state[here]
        for octet in text.encode():
            part = _fnv(part, np.uint8(octet))
        state[here] = part
    return state
