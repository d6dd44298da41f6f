"""The receive time in front of a line."""

import polars as pl


def local_ns(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``local``: the receive time in front of the line in ns, null where there is none that can be read.

    Exact: no float. What is finer than a nanosecond is cut off.
    """
    text = pl.col("text")
    if frame.select(text.str.starts_with("{").all()).item():
        return frame.with_columns(local=pl.lit(None, pl.Int64))
    frame = frame.with_columns(local=text.str.extract(r"^\s*([0-9]{19}) ", 1).cast(pl.Int64, strict=False))
    if frame["local"].null_count() == 0:
        return frame
    seconds = text.str.extract(r"^\s*([0-9]{9,10})(?:\.[0-9]+)?: ", 1).cast(pl.Int64, strict=False)
    fraction = text.str.extract(r"^\s*[0-9]{9,10}\.([0-9]{1,9})[0-9]*: ", 1).str.pad_end(9, "0").cast(pl.Int64)
    stamp = text.str.extract(r"^\s*([0-9]{4}-[0-9T:-]{14})\.[0-9]{7}Z ", 1)
    stamp_ns = stamp.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ns", strict=False).cast(pl.Int64)
    hundreds = text.str.extract(r"^\s*[0-9T:-]{19}\.([0-9]{7})Z ", 1).cast(pl.Int64)
    return frame.with_columns(
        local=pl.coalesce("local", seconds * 1_000_000_000 + fraction.fill_null(0), stamp_ns + hundreds * 100)
    )
