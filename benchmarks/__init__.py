"""Benchmarks: our conversion against the tools that people would use instead. ``make bench``; see README.md."""

import os
from datetime import date
from typing import Final

DAY: Final = date(2024, 1, 1)
"""A day that Tardis gives without a key, so that nobody is asked for it where it is in the cache."""
SYMBOL: Final = "BTCUSDT"
INSTRUMENT: Final = f"{SYMBOL}-PERP.BINANCE"
PRODUCT: Final = "BENCHMARKED_TREE"
"""Environment variable: the folder whose product a side runs."""

# as on a user's machine, where Python compiles a module once and not in every process
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
