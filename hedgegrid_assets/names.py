"""Names that become folders, file names and partition keys: exchange symbols, venues and instrument ids."""

import re
from functools import lru_cache
from typing import Final

from hedgegrid_assets.errors import UsageError

VENUE: Final = re.compile(r"[A-Z0-9][A-Z0-9_-]*")
VENUE_EXPECTED: Final = "a Nautilus venue of upper-case letters, digits, _ and -, as BINANCE"

_SAME_TO_NAUTILUS: Final = re.compile(r"[-._ :^]")
_LONGEST: Final = 120
"""Bytes of a name: what is put around it must fit into the 255 of a file name."""
_LONGEST_PART: Final = 255
_NOT_IN_NAMES: Final = ("/", "\\", "\0", "..", ",", "|")
_NAME_EXPECTED: Final = (
    "a name without whitespace, control characters, comma, |, slash, backslash, .. or a dot in front, "
    f"of at most {_LONGEST} bytes"
)
_PAIR_EXPECTED: Final = _NAME_EXPECTED.replace(" slash,", " a slash other than between two currencies,")
_SHOWN: Final = 60


def name_problem(text: object) -> str | None:
    """What was expected, if this cannot stand in an instrument id, a folder and a partition key; None if it can."""
    return None if isinstance(text, str) and _is_name(text) else _NAME_EXPECTED


def check_symbol(text: str, where: str) -> str:
    """An exchange symbol, maybe of a pair with a slash, as ``BTC/USDT``. Raises UsageError that names ``where``."""
    if not _is_pair(text):
        raise UsageError(f"unusable symbol ({where}): expected {_PAIR_EXPECTED}, found {_shown(text)}")
    return text


def check_venue(text: str, where: str) -> str:
    """A Nautilus venue. Raises UsageError that names ``where``."""
    if not VENUE.fullmatch(text) or len(text) > _LONGEST:
        raise UsageError(f"unusable venue ({where}): expected {VENUE_EXPECTED}, found {_shown(text)}")
    return text


def check_instrument_id(text: str, where: str) -> str:
    """``SYMBOL.VENUE``. Raises UsageError that names ``where``."""
    symbol, _, venue = text.rpartition(".")
    if not symbol or not venue:
        raise UsageError(f"{where} names one InstrumentId: expected such as BTCUSDT-PERP.BINANCE, found {_shown(text)}")
    check_symbol(symbol, where)
    check_venue(venue, where)
    if len(text.encode(errors="replace")) > _LONGEST:
        raise UsageError(f"unusable InstrumentId ({where}): expected {_PAIR_EXPECTED}, found {_shown(text)}")
    return text


def check_lookup(text: str, where: str) -> str:
    """An InstrumentId that is looked for, in whatever catalog. Raises UsageError that names ``where``."""
    if not _is_pair(text):
        raise UsageError(f"unusable InstrumentId ({where}): expected {_PAIR_EXPECTED}, found {_shown(text)}")
    return text


@lru_cache(maxsize=4096)
def check_part(text: str) -> str:
    """A part of a path below one of our roots, slashes in it or not. Raises UsageError for one that may lead out."""
    for part in text.split("/"):
        if part in {"", ".", ".."} or not part.isprintable() or len(part.encode(errors="replace")) > _LONGEST_PART:
            raise UsageError(
                f"unusable name (part of a path): expected one that is not empty, not . or .., without control characters "
                f"and of at most {_LONGEST_PART} bytes, found {_shown(text)}"
            )
    return text


def nautilus_takes_for_one(instrument_id: str) -> str:
    """What InstrumentIds have in common that Nautilus cannot tell apart in one catalog: it drops the rows of one.

    It makes of an id the name of a table, in which ``-._ :^`` and case are the same, and of a folder, without ``/``.
    """
    return _SAME_TO_NAUTILUS.sub("_", instrument_id.replace("/", "")).lower()


def _is_pair(text: str) -> bool:
    parts = text.split("/")
    return len(parts) <= 2 and all(map(_is_name, parts)) and len(text.encode(errors="replace")) <= _LONGEST


def _is_name(text: str) -> bool:
    return (
        bool(text)
        and not text.startswith(".")
        and not any(mark in text for mark in _NOT_IN_NAMES)
        and text.isprintable()
        and not any(map(str.isspace, text))
        and len(text.encode(errors="replace")) <= _LONGEST
    )


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."
