"""Polars' columns as Arrow's, and back."""

from typing import TYPE_CHECKING, Any

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


def from_arrow(name: str, array: "pa.Array | pa.ChunkedArray") -> "pl.Series":
    """A column of Arrow's, without a copy where Polars needs none.

    By the interface that both offer, as Polars' own way with what is pyarrow's imports ``pyarrow.compute``.
    """
    import polars as pl
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray) and array.num_chunks == 1:
        array = array.chunk(0)
    if isinstance(array, pa.ChunkedArray):
        return pl.Series(_Chunks(array)).alias(name).rechunk()
    return pl.Series(_Chunk(array)).alias(name)  # which Polars would not take from the constructor


class _Chunk:
    """What Polars does not take for pyarrow's."""

    def __init__(self, array: "pa.Array") -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return self._array.__arrow_c_array__(requested_schema)


class _Chunks:
    """Likewise, of several."""

    def __init__(self, chunks: "pa.ChunkedArray") -> None:
        self._chunks = chunks

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self._chunks.__arrow_c_stream__(requested_schema)
