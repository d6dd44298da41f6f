"""The dialect of a file of messages."""

import datetime as dt
from collections.abc import Sequence
from typing import Self, override

import msgspec

from hedgegrid_assets.dialect import Dialect


class MessageDialect(Dialect, frozen=True, kw_only=True, omit_defaults=True):
    """Every message speaks for itself. Where lines hold several, ``symbol`` and ``date`` say which are of the raw day.

    ``also``: other names of the symbol, where messages use several.
    """

    symbol: str | None = None
    date: dt.date | None = None
    also: tuple[str, ...] = ()

    @override
    def of_day(self, names: Sequence[str], day: dt.date) -> Self:
        """See ``Dialect``."""
        return msgspec.structs.replace(self, symbol=names[0], date=day, also=tuple(names[1:]))

    @property
    def names(self) -> tuple[str, ...]:
        """What messages of the raw day call its symbol; empty: all are of it."""
        return () if self.symbol is None else (self.symbol, *self.also)
