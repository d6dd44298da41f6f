"""Times as text that are spelled alike: one text of each minute is read by the pattern of its format, of the others the seconds.

A text that is to the letter as the first one of its minute, but for the digits of its seconds, is that minute and those
seconds, whatever the format: nothing here knows of days, months, halves of a day or zones.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from hedgegrid_assets.sources.formats.digits import Bytes, Integers, standing_digits
from hedgegrid_assets.timestamps import NS_PER_SECOND

_WORD: Final = 8
"""Bytes that are looked at together."""
_MOST_LENGTHS: Final = 12
_FEWEST: Final = 4
"""Texts that a minute must have, all in all: else the pattern reads as many as it would without."""
_BILLIONTHS: Final = 9
type _Flags = np.ndarray[Any, np.dtype[np.bool_]]
type _Reads = Callable[[pl.Series], pl.Series]
"""Nanoseconds of texts, by the pattern."""


class _Seconds(NamedTuple):
    """Where the digits of seconds stand in a text, and those behind their point: from a place to another."""

    first: int
    last: int
    part_first: int
    part_last: int


class _Found(NamedTuple):
    """Nanoseconds, and where they are true."""

    ns: Integers
    sure: _Flags


def in_minutes(
    texts: pl.Series, pattern: str, parts: tuple[str, ...], reads: _Reads
) -> tuple[pl.Series, pl.Series] | None:
    """Nanoseconds of filled texts, and the positions of those that are left to ``reads``; None: all are.

    ``pattern`` names no digit but by classes of all of them; ``parts``: what its groups give.
    """
    if texts.null_count() or "second" not in parts:
        return None
    whole = _Found(np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_))
    for places, alike in _by_length(texts):
        found = _found(alike, pattern, parts, reads)
        if found is not None:
            whole.ns[places], whole.sure[places] = found
    left = np.flatnonzero(~whole.sure)
    return None if len(left) == len(texts) else (pl.Series("ns", whole.ns), pl.Series(left))


def _by_length(texts: pl.Series) -> Iterator[tuple[Any, pl.Series]]:
    """The texts of each length, the most frequent first, with their positions."""
    lengths = texts.str.len_bytes()
    if lengths.min() == lengths.max():
        yield slice(None), texts
        return
    for length in lengths.value_counts(sort=True).head(_MOST_LENGTHS).to_series():
        places = (lengths == length).arg_true()
        yield places.to_numpy(), texts.gather(places)


def _found(texts: pl.Series, pattern: str, parts: tuple[str, ...], reads: _Reads) -> _Found | None:
    """Of texts of one length."""
    where = _seconds_in(texts[0], pattern, parts)
    if where is None:
        return None
    width, data = len(texts[0]), _bytes_of(texts)
    starts = _starts(data, width, where)
    if len(starts) * _FEWEST > len(texts):
        return None
    firsts = texts.gather(starts)
    read = reads(firsts)
    good = ~read.is_null().to_numpy()
    good &= np.array([_seconds_in(text, pattern, parts) == where for text in firsts])
    after, sure = _after_minute(data, width, where)
    rows = np.diff(starts, append=len(texts))
    ns = np.repeat(read.fill_null(0).to_numpy() - after[starts], rows) + after
    return _Found(ns, sure & np.repeat(good, rows) & (ns > 0))


def _seconds_in(text: str, pattern: str, parts: tuple[str, ...]) -> _Seconds | None:
    """Where the pattern finds two digits of seconds; None where it does not, or they stand too near to the start."""
    found = re.fullmatch(pattern, text) if text.isascii() else None
    if found is None:
        return None
    first, last = found.span(parts.index("second") + 1)
    part = found.span(parts.index("fraction") + 1) if "fraction" in parts else (-1, -1)
    return _Seconds(first, last, *part) if last - first == 2 and last >= _WORD else None


def _bytes_of(texts: pl.Series) -> Bytes:
    """The texts, one behind the other."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def _starts(data: Bytes, width: int, where: _Seconds) -> Integers:
    """The positions of texts that differ from the one before them in more than the digits of their seconds."""
    looked_at = np.full(width, 0xFF, np.uint8)
    looked_at[where.first : where.last] = 0
    looked_at[max(where.part_first, 0) : max(where.part_last, 0)] = 0
    rows = len(data) // width
    differs = np.zeros(rows - 1, np.bool_)
    for place in dict.fromkeys([*range(0, width - _WORD, _WORD), width - _WORD]):
        mask = looked_at[place : place + _WORD].copy().view(np.uint64)
        if not mask.any():
            continue
        words = np.ndarray(rows, np.uint64, data, place, (width,)) & mask
        differs |= words[1:] != words[:-1]
    return np.concatenate([[0], np.flatnonzero(differs) + 1])


def _after_minute(data: Bytes, width: int, where: _Seconds) -> tuple[Integers, _Flags]:
    """Nanoseconds since the minute, and where they are those of a clock."""
    seconds, sure = standing_digits(data, width, where.first, where.last)
    sure &= seconds < 60
    ns = seconds * NS_PER_SECOND
    first, last = where.part_first, where.part_last
    for start, end in ((first, last - _WORD), (max(first, last - _WORD), last)):
        if 0 <= start < end:
            part, are_digits = standing_digits(data, width, start, end)
            ns += part * 10 ** (_BILLIONTHS - (end - first))
            sure &= are_digits
    return ns, sure
