"""Which column holds the time of a row, told by the values: whole times, not days alone, not times of day alone."""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.sources.csv.names import squeezed
from hedgegrid_assets.sources.csv.times import ISO, TimeSpec, lacking_digits, ns_of, shown, spec_of, unit_of
from hedgegrid_assets.timestamps import NS_PER_DAY

_SAMPLE: Final = 20_000
_FEW: Final = 10
"""Rows that may all lie at midnight by chance, or in an example."""
_CLOCK: Final = r"^(?:[01]?[0-9]|2[0-3]):?[0-5][0-9](?::?[0-5][0-9](?:[.,][0-9]{1,9})?)?(?: ?[AaPp][Mm])?(?: ?(?i:Z|UTC|GMT)|[+-][0-9]{2}:?[0-9]{0,2})?$"
_CLOCK_NAMES: Final = ("time", "hour", "clock")
_MIDNIGHT: Final = r"[T ]00:00(?::00(?:\.0+)?)?$"


class Holds(IntEnum):
    """What a column holds, the best first."""

    TIMES = 0
    MINUTES = 1
    DAYS = 2
    ROUNDED = 3
    NOTHING = 4


class TimeColumn(Struct, frozen=True):
    """Positions of the time, and of the time of day where the first is a day only."""

    place: int
    clock: int | None = None


def choose(
    texts: Callable[[int], pl.Series], candidates: Sequence[int], names: Sequence[str], fmt: str | None
) -> TimeColumn:
    """The first of several columns that holds whole times; else a day and a time of day that together are one.

    ``texts`` gives the filled cells of a column in the first block; ``fmt`` is the format that the user says.
    """
    held = {place: holds(texts(place), fmt, few=0) for place in candidates}
    best = min(candidates, key=lambda place: held[place])
    if held[best] <= Holds.MINUTES:
        return TimeColumn(best)
    days = [place for place in candidates if held[place] == Holds.DAYS]
    clocks = [
        place
        for place, name in enumerate(names)
        if any(word in squeezed(name) for word in _CLOCK_NAMES) and are_clocks(texts(place))
    ]
    return TimeColumn(days[0], clocks[0]) if days and clocks and clocks[0] != days[0] else TimeColumn(best)


def holds(texts: pl.Series, fmt: str | None = None, *, few: int = _FEW) -> Holds:
    """What the values of a column are, told from a sample of them; whatever ``fmt`` reads is a time.

    Times that all lie at midnight are days, if there are more than ``few``.
    """
    texts = texts.head(_SAMPLE)
    spec, _ = spec_of(texts, fmt)
    if spec is None or not len(texts):
        return Holds.ROUNDED if lacking_digits(texts).any() else Holds.NOTHING
    if fmt:
        return Holds.TIMES
    at_midnight = (ns_of(texts, spec).drop_nulls() % NS_PER_DAY == 0).all()
    if at_midnight and (len(texts) > few or not _has(texts, spec, r":[0-9]{2}", "%H", "%I")):
        return Holds.DAYS
    return Holds.TIMES if _has(texts, spec, r":[0-9]{2}:[0-9]{2}", "%S") else Holds.MINUTES


def are_clocks(texts: pl.Series) -> bool:
    """Times of day, without a day."""
    texts = texts.head(_SAMPLE)
    return bool(len(texts)) and bool(texts.str.contains(_CLOCK).all())


def joined(days: pl.Series, clocks: pl.Series) -> pl.Series:
    """Days with their times of day behind them, as one text; empty where either is missing."""
    day, clock = pl.col("day").str.replace(_MIDNIGHT, ""), pl.col("clock").str.replace("^([0-9]):", "0${1}:")
    both = (pl.col("day") != "") & (pl.col("clock") != "")
    return (
        pl.DataFrame({"day": days, "clock": clocks})
        .select(text=pl.when(both).then(day + " " + clock).otherwise(pl.lit("")))
        .to_series()
    )


def format_of(texts: pl.Series) -> str:
    """The ``timestamp_format`` that takes the values of a column as they are, for a hint."""
    spec, _ = spec_of(texts, None)
    if spec is None or spec.unit is not None:
        return (unit_of(texts, spec) if spec else None) or "ms"
    if spec.format != ISO:
        return shown(spec)
    return (
        "%Y-%m-%d %H:%M:%S"
        if texts.str.contains(" ").any()
        else "%Y-%m-%dT%H:%M:%S"
        if texts.str.contains("T").any()
        else "%Y-%m-%d"
    )


def _has(texts: pl.Series, spec: TimeSpec, pattern: str, *directives: str) -> bool:
    if spec.unit is not None:
        return True
    if spec.format == ISO:
        return bool(texts.str.contains(pattern).any())
    return any(directive in (spec.format or "") for directive in directives)
