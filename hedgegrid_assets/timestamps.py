"""Integer nanoseconds since 1970 UTC: days, text and file names; no float anywhere."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from hedgegrid_assets.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

NS_PER_SECOND: Final = 1_000_000_000
NS_PER_DAY: Final = 86_400 * NS_PER_SECOND
LARGEST: Final = 2**63 - 1
FACTORS: Final[Mapping[str, int]] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Unit of a time -> nanoseconds in it."""
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    unit: (10**18 // factor, LARGEST // factor) for unit, factor in FACTORS.items()
}
"""Unit -> first and last whole number of it: 2001-09-09 to 2262-04-11 in each, so that a number has one unit only."""
_EPOCH: Final = date(1970, 1, 1)
_NANOSECONDS: Final = re.compile(r"[0-9]{19}")
_ISO: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?)?(?:Z|\+00:00)?")


def day_start(day: date) -> int:
    """First nanosecond of a UTC day."""
    return (day - _EPOCH).days * NS_PER_DAY


def day_end(day: date) -> int:
    """First nanosecond of the next UTC day (exclusive end)."""
    return day_start(day) + NS_PER_DAY


def day_of(ns: int) -> date:
    """The UTC day that a time in nanoseconds lies in."""
    return _EPOCH + timedelta(days=ns // NS_PER_DAY)


def nanoseconds(value: "pl.Expr", units: Iterable[str] = tuple(FACTORS)) -> "pl.Expr":
    """Whole numbers since 1970 as ns, each of the unit that its own size tells; null where it is a time in none of them."""
    import polars as pl

    ns = pl.lit(None, pl.Int64)
    for unit in units:
        ns = pl.when(value.is_between(*RANGES[unit])).then(value * FACTORS[unit]).otherwise(ns)
    return ns


def parse_day(text: str, name: str) -> date:
    """``YYYY-MM-DD`` to a date; ``name`` is the flag or key for the error. Raises UsageError."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise UsageError(f"{name} is not a date: expected YYYY-MM-DD, found {text!r}") from None


def parse_time(text: str) -> int | None:
    """Nanoseconds since 1970 of ISO text or of 19 digits; None if it is neither. No float on the way."""
    if _NANOSECONDS.fullmatch(text):
        return int(text)
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    day, clock, fraction = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock or '00:00'}").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(whole.timestamp()) * NS_PER_SECOND + int((fraction or "").ljust(9, "0"))


def days_between(start: date, end: date) -> list[date]:
    """Every day from ``start`` up to, and without, ``end``."""
    return [start + timedelta(days=n) for n in range((end - start).days)]


def iso(ns: int) -> str:
    """Nanoseconds as ``2024-01-01T00:00:00.000000000Z``."""
    whole, fraction = divmod(ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def nautilus_file_name(day: date) -> str:
    """Name of the Nautilus file of a whole day; both ends inclusive, as Nautilus parses them."""
    return f"{day}T00-00-00-000000000Z_{day}T23-59-59-999999999Z.parquet"
