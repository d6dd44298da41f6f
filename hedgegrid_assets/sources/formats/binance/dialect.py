"""The dialect of a file of messages."""

import datetime as dt
from typing import Self, override

import msgspec

from hedgegrid_assets.dialect import Dialect


class MessageDialect(Dialect, frozen=True, kw_only=True, omit_defaults=True):
    """Every message speaks for itself. Where lines hold several, ``symbol`` and ``date`` say which are of the raw day."""

    symbol: str | None = None
    date: dt.date | None = None

    @override
    def of_day(self, symbol: str, day: dt.date) -> Self:
        """See ``Dialect``."""
        return msgspec.structs.replace(self, symbol=symbol, date=day)
