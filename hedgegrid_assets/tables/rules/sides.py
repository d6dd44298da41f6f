"""The sides of orders, as several tables have them."""

from typing import Final

import polars as pl

ORDER_SIDES: Final = pl.Enum(["NO_ORDER_SIDE", "BUY", "SELL"])
"""In the order of Nautilus' codes 0, 1, 2."""


def order_side(name: str) -> pl.Expr:
    """A side as a literal."""
    return pl.lit(name, dtype=ORDER_SIDES)
