"""Tardis' exchanges and its symbols, as files are named."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hedgegrid_assets.errors import UsageError

DEFAULT_EXCHANGE: Final = "binance-futures"

_EXCHANGE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def exchange_of(settings: Mapping[str, Any]) -> str:
    """Tardis' id of the exchange. Raises UsageError for what can be none."""
    name = str(settings.get("exchange", DEFAULT_EXCHANGE))
    if not _EXCHANGE.fullmatch(name):
        raise UsageError(
            f"no exchange of Tardis (exchange): expected its id such as binance-futures, bybit or okex-swap, found {name!r}",
            hint="the venue of the instrument ids, such as BINANCE, is the key venue or the flag --exchange",
        )
    return name


def file_symbol(symbol: str) -> str:
    """A symbol as datasets are named."""
    return symbol.replace(":", "-").replace("/", "-").upper()
