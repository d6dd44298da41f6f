"""Polars' columns as Arrow's."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


def to_arrow(series: "pl.Series", kind: "pa.DataType") -> "pa.Array":
    """A column in another type of the same values: texts with short offsets, integers as times.

    Without ``Array.cast``, which imports ``pyarrow.compute`` (a twentieth of a start), wherever that can be.
    """
    import numpy as np
    import pyarrow as pa

    array = series.to_arrow()
    if array.type == kind:
        return array
    if pa.types.is_timestamp(kind):
        return array.view(kind)
    valid, *buffers = array.buffers()
    is_text = array.type in (pa.large_string(), pa.large_binary()) and kind in (pa.string(), pa.binary())
    if not is_text or (array.null_count and array.offset):
        return array.cast(kind)
    ends = np.frombuffer(buffers[0], np.int64)[array.offset : array.offset + len(array) + 1]
    if not len(ends) or ends[-1] >= 1 << 31:
        return array.cast(kind)
    offsets = pa.py_buffer(ends.astype(np.int32))
    return pa.Array.from_buffers(kind, len(array), [valid if array.null_count else None, offsets, buffers[1]])
