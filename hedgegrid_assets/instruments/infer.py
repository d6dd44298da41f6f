"""What the numbers of raw days say of a definition, and which of them are not believed."""

from typing import Final

from hedgegrid_assets.batch import Decimals
from hedgegrid_assets.errors import LooksLikeFloats

FLOAT_DIGITS: Final = 15
"""As many digits has any number that a binary float holds exactly; what was computed with one has more."""

FAR_FINER: Final = 4
"""So many decimals more than all others have, and 15 digits or more: a binary float written out."""

FEW: Final = 0.01
"""Share of the rows up to which such numbers are left to be rejected, and the others tell the precision."""

_FINEST_KNOWN: Final = 8
"""Decimals that venues write; more of them, in numbers that are all long, are those of floats."""


def far_finer(seen: Decimals, rows: int) -> bool:
    """Some of the numbers, of so many rows, are binary floats written out."""
    least = seen.short + FAR_FINER if rows > seen.long else _FINEST_KNOWN + 1
    return bool(seen.long) and seen.needed >= least


def tick_decimals(symbol: str, name: str, seen: Decimals, rows: int) -> int:
    """The decimals that a tick (``name``: price) or step (size) is made of: those needed, a few floats apart.

    Raises:
        LooksLikeFloats: They are more than a few.
    """
    if not far_finer(seen, rows):
        return seen.needed
    if seen.long > FEW * rows:
        raise LooksLikeFloats(symbol, name, seen.example, seen.long, rows, seen.short)
    return seen.short
