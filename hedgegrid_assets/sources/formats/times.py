"""Times since 1970 that are written with a fraction: ``1704067200.123``, of any unit. Whole numbers: ``timestamps.nanoseconds``."""

from collections.abc import Iterable

import polars as pl

from hedgegrid_assets.timestamps import FACTORS, NS_PER_SECOND, RANGES


def billionths(digits: pl.Expr) -> pl.Expr:
    """The digits behind a point as a number of billionths; finer ones are cut off. Null where there are none."""
    return digits.str.pad_end(9, "0").str.head(9).cast(pl.Int64, strict=False)


def with_fraction(whole: pl.Expr, part: pl.Expr, units: Iterable[str] = tuple(FACTORS)) -> pl.Expr:
    """``whole`` and ``part`` billionths of one, as ns: of the unit that the size of ``whole`` tells; null if it is of none.

    Finer than a nanosecond is cut off.
    """
    ns = pl.lit(None, pl.Int64)
    for unit in units:
        first, last = RANGES[unit]
        value = whole * FACTORS[unit] + part.floordiv(NS_PER_SECOND // FACTORS[unit])
        last -= FACTORS[unit] > 1  # with a fraction the very last may be too late
        ns = pl.when(whole.is_between(first, last)).then(value).otherwise(ns)
    return ns
