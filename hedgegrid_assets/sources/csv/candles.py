"""Candles as prices: whose they are, when each value could be known at the earliest, and what their series is called."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from hedgegrid_assets.sources.csv.names import squeezed

SERIES: Final[Mapping[str, str]] = {"mark": "markPriceKlines", "index": "indexPriceKlines"}
"""Data type that candles can give -> what Binance calls such candles."""
CLOSE_TIMES: Final = ("close_time", "end_time", "time_period_end", "closed_at")
_NAMED: Final = re.compile(
    r"(?P<kind>mark|index|premium)(?:[-_ ]?(?:price|index))*[-_ ]?(?:k?lines?|candles?|candlesticks?)"
    r"|(?<![a-z])(?P<trades>klines)(?![a-z])",
    re.IGNORECASE,
)
_SHOWN_PARTS: Final = 7  # Binance's own folders: futures/um/daily/<kind>/<symbol>/<interval>/<file>
_SECOND: Final = 10**9
_MILLISECOND: Final = 10**6
_MONTH: Final = (28 * 86_400, 31 * 86_400)
_INTERVALS: Final[Mapping[int, str]] = {
    **{n: f"{n}s" for n in (1, 5, 10, 15, 30)},
    **{60 * n: f"{n}m" for n in (1, 3, 5, 10, 15, 30, 45)},
    **{3_600 * n: f"{n}h" for n in (1, 2, 3, 4, 6, 8, 12)},
    **{86_400 * n: f"{n}d" for n in (1, 3)},
    604_800: "1w",
}
_UNITS: Final[Mapping[str, int]] = {"s": _MILLISECOND, "ms": _MILLISECOND, "us": 10**3, "ns": 1}
"""How much before its end a candle is over, as exchanges write it: one of the finest unit, at most a millisecond."""


def whose(path: Path) -> str | None:
    """What a file's name and folders say of the candles in it: mark, index, premium, trades; None: nothing."""
    found = list(_NAMED.finditer("/".join(path.parts[-_SHOWN_PARTS:])))
    return None if not found else (found[-1]["kind"] or "trades").lower()


def close_time_of(names: Sequence[str]) -> int | None:
    """Position of the column with the end of each candle."""
    wanted = {squeezed(name) for name in CLOSE_TIMES}
    return next((place for place, name in enumerate(names) if squeezed(name) in wanted), None)


def interval_of(opened: pl.Series, closed: pl.Series | None, path: Path) -> int | str:
    """Length of the candles in seconds, from their times in ns; a text that says why it cannot be told.

    ``closed``: row by row the end of what is in ``opened``; without it, the distance of neighbours, which has to agree
    with the file's name.
    """
    if closed is not None:
        lengths = (closed - opened).drop_nulls()
        if not len(lengths) or lengths.min() <= 0:  # type: ignore[operator]
            return "expected each close time behind its open time"
        seconds = sorted({-(-int(length) // _SECOND) for length in lengths.unique()})
        if len(seconds) > 1 and not (_MONTH[0] <= seconds[0] and seconds[-1] <= _MONTH[1]):
            return f"expected candles of one length, found {', '.join(map(name_of, seconds[:4]))}"
        return seconds[-1]
    named = _in_name(path)
    steps = opened.drop_nulls().unique().sort().diff().drop_nulls().unique()
    if not len(steps):
        return (
            named
            or "one candle alone, and no column with its end: expected a close_time, or the length in the file's name"
        )
    shortest = int(steps.min())  # type: ignore[arg-type]
    if shortest % _SECOND or bool((steps % shortest != 0).any()):
        return "expected candles at regular times, or a column close_time"
    seconds_apart = shortest // _SECOND
    if named is not None and seconds_apart % named:
        return f"expected candles of {name_of(named)} as the file's name says, found {name_of(seconds_apart)}"
    return seconds_apart if named is None else named


def name_of(seconds: int) -> str:
    """``1m`` for 60: an interval as exchanges call it."""
    if _MONTH[0] <= seconds <= _MONTH[1]:
        return "1mo"
    return _INTERVALS.get(seconds, f"{seconds}s")


def until_known(seconds: int, unit: str | None) -> int:
    """Nanoseconds from the opening of a candle to its last moment; ``unit`` of the column (None: text)."""
    return seconds * _SECOND - _UNITS.get(unit or "s", _MILLISECOND)


def _in_name(path: Path) -> int | None:
    """The interval in a file's name: ``BTCUSDT-1m-2024-01-01.csv``."""
    by_name = {name: seconds for seconds, name in _INTERVALS.items()}
    words = re.split(r"[-_. ]", path.name)
    return next((by_name[word] for word in words if word in by_name), None)
