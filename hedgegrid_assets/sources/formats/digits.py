"""Plain decimals of at most fifteen characters, typed by columns, eight bytes at a time: no pattern, no text on the way.

Twelve characters stand in the view of a text itself (Arrow's layout of string views), as two words of 64 bits; where any
has more, they are looked at where they stand, one behind the other. Digits are put into words so that the last one is in
the highest byte; a word is a number after three multiplications.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from hedgegrid_assets.batch import Decimals
from hedgegrid_assets.store import from_arrow

LONGEST: Final = 15
"""Bytes of a text; of no more, none has more digits than a binary float, which are told apart (``Decimals.long``)."""
_IN_VIEW: Final = 12
"""Bytes of a text that stand in its view."""
PAD: Final = 16
"""Bytes that are looked at before the end of a text, whatever they are before its first."""
_MOST_DIGITS: Final = 18
_DIGITS_OF_ALL: Final = 38
"""Of a decimal that is held with all digits behind the point that its field may have."""
_TRIED: Final = 1_000
"""Numbers that are looked at first."""
_IN_WORD: Final = 8
"""Bytes of a word."""
_PAIR: Final = 16
"""Bytes of two words."""
_FEW: Final = 8
"""One in so many."""
_MINUS: Final = ord("-")
type Words = np.ndarray[Any, np.dtype[np.uint64]]
type Integers = np.ndarray[Any, np.dtype[np.int64]]
type Bytes = np.ndarray[Any, np.dtype[np.uint8]]
type Flags = np.ndarray[Any, np.dtype[np.bool_]]


def _each(byte: int) -> np.uint64:
    return np.uint64(int.from_bytes(bytes([byte]) * 8))


_POINT, _LOW, _HIGH, _BEYOND_NINE = _each(ord("0") ^ ord(".")), _each(0x7F), _each(0x80), _each(0x80 - 10)
_SIZES, _PREFIX = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFF00000000)
_ZERO, _ONE, _BYTE, _HALF, _WORD = (np.uint64(bits) for bits in (0, 1, 8, 32, 64))
_LAST: Final = np.array([(1 << 64) - (1 << 64 - 8 * min(size, 8)) for size in range(17)], np.uint64)
"""Length of a text -> which bytes of its last word are of it; ``_LAST_BEFORE``: of the word before that one."""
_LAST_BEFORE: Final = np.array([0] * 8 + _LAST[:9].tolist(), np.uint64)
_NOUGHTS: Final = _each(ord("0"))
_ZEROS, _ZEROS_BEFORE = _LAST & _NOUGHTS, _LAST_BEFORE & _NOUGHTS
_TENS: Final = np.array([10**power for power in range(_MOST_DIGITS + 1)], np.int64)


class Short(NamedTuple):
    """What a column of texts gives.

    Attributes:
        values: The decimals, with as many digits behind the point as the finest has; null where a text is none, or empty.
        plain: True where a text is a plain decimal.
        seen: How finely the plain ones are written; None if there are none.
    """

    values: pl.Series
    plain: pl.Series
    seen: Decimals | None


def short_decimals(texts: pl.Series, decimals: int) -> Short | None:
    """Decimals of texts that are short and plain: digits, with a sign or without, a point between two of them or none.

    None where a text is longer than 15 bytes, or finer than so many decimals.
    """
    if texts.null_count() or not len(texts):
        return None
    views = _views(texts)
    longest = int((views[:, 0] & _SIZES).max())
    if longest > LONGEST:
        return None
    return _short(_apart(views) if longest <= _IN_VIEW else _standing(texts), decimals)


def views_of(sizes: Integers, first: Words, rest: Words) -> Words:
    """Views of texts whose first eight bytes are words, and the next ones: of 12 bytes at most each is whole."""
    views = np.empty((len(sizes), 2), np.uint64)
    views[:, 0] = sizes.view(np.uint64) | first << _HALF
    views[:, 1] = first >> _HALF | rest << _HALF
    return views


def short_decimals_of(views: Words, decimals: int) -> Short | None:
    """The same of texts of 12 bytes at most, by their views."""
    return None if (views[:, 0] & _SIZES).max() > _IN_VIEW else _short(_apart(views), decimals)


def padded(data: bytes | memoryview) -> Bytes:
    """Bytes in which texts are to be looked at: before the first one, and behind the last, are as many of 0 as are looked at."""
    found = np.zeros(len(data) + 2 * PAD, np.uint8)
    found[PAD:-PAD] = np.frombuffer(data, np.uint8)
    return found


def short_decimals_in(data: Bytes, starts: Integers, ends: Integers, decimals: int) -> Short | None:
    """The same of texts that stand in ``padded`` bytes, from a place (inclusive) to another."""
    sizes = (ends - starts).view(np.uint64)
    if not len(sizes) or sizes.max() > LONGEST:
        return None
    return _short(_ending(data, ends, sizes, (data[starts] == _MINUS) & (sizes > 0)), decimals)


def standing_digits(data: Bytes, width: int, first: int, last: int) -> tuple[Integers, Flags]:
    """The numbers that stand at one place (the last of 8 bytes at most) of texts of one width, which are one behind the other.

    And where all of these bytes are digits.
    """
    size = last - first
    words = np.ndarray(len(data) // width, np.uint64, data, last - _IN_WORD, (width,)) & _LAST[size] ^ _ZEROS[size]
    return _number(words), _are_digits(words)


def _short(part: "_Part", decimals: int) -> Short | None:
    units, behind, before, plain = part
    scale = int(behind.max(where=plain, initial=0))
    if scale > decimals:
        return None
    plain &= before <= min(_MOST_DIGITS - scale, _DIGITS_OF_ALL - decimals)
    units *= _TENS[(scale - behind).clip(0)]
    every = bool(plain.all())
    seen = _seen(units if every else units[plain], scale) if plain.any() else None
    values, is_plain = _columns(units, scale, plain)
    if not every:
        values = pl.select(pl.when(is_plain).then(values)).to_series()
    return Short(values, is_plain, seen)


def _views(texts: pl.Series) -> Words:
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    words = np.frombuffer(array.buffers()[1], np.uint64).reshape(-1, 2)
    return words[array.offset : array.offset + len(array)]


def _columns(units: Integers, scale: int, plain: Flags) -> tuple[pl.Series, pl.Series]:
    """The decimals, and what is plain; by Arrow, as a boolean NumPy array imports ``numpy.ma``."""
    wide = np.empty((len(units), 2), np.int64)
    wide[:, 0], wide[:, 1] = units, units >> 63
    values = pa.Array.from_buffers(pa.decimal128(38, scale), len(units), [None, pa.py_buffer(wide)])
    bits = pa.py_buffer(np.packbits(plain, bitorder="little"))
    flags = pa.Array.from_buffers(pa.bool_(), len(plain), [None, bits])
    return from_arrow("values", values), from_arrow("plain", flags)


def seen_in(values: pl.Series) -> Decimals:
    """How finely the values of ``Short`` are written; there is at least one."""
    scale = values.dtype.scale if isinstance(values.dtype, pl.Decimal) else 0
    return _seen(values.drop_nulls().to_physical().cast(pl.Int64).to_numpy(), scale)


def _seen(units: Integers, scale: int) -> Decimals:
    needed = scale
    while needed and not any((part % 10).any() for part in (units[:_TRIED], units)):
        units, needed = units // 10, needed - 1
    return Decimals(scale, needed, needed)


# ---------------------------------------------------------------- words


class _Part(NamedTuple):
    """Numbers as units of their own last decimal; digits behind the point and before it; what is plain."""

    units: Integers
    behind: Integers
    before: Integers
    plain: Flags


def _apart(views: Words) -> _Part:
    """A few long ones by themselves: a second word takes as long as the first, and would for all."""
    long = np.flatnonzero((views[:, 0] & _SIZES) > _IN_WORD)
    if not 0 < len(long) * _FEW < len(views):
        return _read(views)
    short = views.copy()
    short[long] = 0
    return _with(_read(short), long, _read(views[long]))


def _with(found: "_Part", places: Integers, those: "_Part") -> "_Part":
    for all_of_them, some in zip(found, those, strict=True):
        all_of_them[places] = some
    return found


def _read(views: Words) -> _Part:
    sizes = views[:, 0] & _SIZES
    return _numbers(_words(views, sizes), sizes, (views[:, 0] >> _HALF & np.uint64(0xFF)) == _MINUS)


def _standing(texts: pl.Series) -> _Part:
    """Of texts of up to 16 bytes, where they stand one behind the other."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    octets = padded(memoryview(data)[: places[-1]])
    sizes = np.diff(places).view(np.uint64)
    return _ending(octets, places[1:] + PAD, sizes, (octets[places[:-1] + PAD] == _MINUS) & (sizes > 0))


def _ending(octets: Bytes, ends: Integers, sizes: Words, negative: Flags) -> _Part:
    """Of texts of up to 16 bytes, the bytes before the end of each; a few of more than 8 by themselves."""

    def read(ends: Integers, sizes: Words, negative: Flags) -> _Part:
        words = [(word[ends - _IN_WORD] ^ _NOUGHTS) & _LAST[sizes]]
        if sizes.max() > _IN_WORD:
            words.append((word[ends - _PAIR] ^ _NOUGHTS) & _LAST_BEFORE[sizes])
        return _numbers(words, sizes, negative)

    word = np.ndarray(len(octets) - _IN_WORD + 1, np.uint64, octets, strides=(1,))
    long = np.flatnonzero(sizes > _IN_WORD)
    if not 0 < len(long) * _FEW < len(sizes):
        return read(ends, sizes, negative)
    found = read(ends, np.where(sizes > _IN_WORD, _ZERO, sizes), negative)
    return _with(found, long, read(ends[long], sizes[long], negative[long]))


def _numbers(words: Sequence[Words], sizes: Words, negative: Flags) -> _Part:
    """Of texts whose last 8 bytes are words, and the ones before these; what is no text is 0."""
    digits = sizes
    if negative.any():
        digits = sizes - negative
        words = [word & mask[digits] for word, mask in zip(words, (_LAST, _LAST_BEFORE), strict=False)]
    points = [_points(word) for word in words]
    count = sum(map(np.bitwise_count, points))
    behind = _behind(points)
    before = digits.view(np.int64) - count - behind
    words = _closed_up(words, points)
    plain = (count <= 1) & (before > 0) & ((behind > 0) | (count == 0))
    for word in words:
        plain &= _are_digits(word)
    units = _number(words[0])
    if len(words) > 1:
        units += _number(words[1]) * _TENS[8]
    return _Part(np.where(negative, -units, units) if negative.any() else units, behind, before, plain)


def _words(views: Words, sizes: Words) -> list[Words]:
    """The last 8 characters, and the 4 before them if any text has them; the digit 0 is 0, and so is what is no text.

    A shift by 64 bits or more leaves nothing.
    """
    start, rest = views[:, 0] & _PREFIX, views[:, 1]
    if sizes.max() <= _IN_WORD:
        up = _WORD - (sizes << np.uint64(3))
        return [(start >> _HALF | rest << _HALF) << up ^ _ZEROS[sizes]]
    up = np.uint64(_IN_VIEW * 8) - (sizes << np.uint64(3))
    last = rest << up | start >> (_WORD - up) | start << (up - _WORD)
    return [last ^ _ZEROS[sizes], start << up ^ _ZEROS_BEFORE[sizes]]


def _points(digits: Words) -> Words:
    """The highest bit of each byte that was a point."""
    other = digits ^ _POINT
    return ~(((other & _LOW) + _LOW) | other | _LOW)


def _behind(points: Sequence[Words]) -> Integers:
    """Digits behind the point; 0 where there is none."""
    found = np.zeros(len(points[0]), np.int8)
    for word, last in zip(points, (7, 15), strict=False):
        place = (np.bitwise_count(word - _ONE) >> 3).view(np.int8)  # 8 where there is none
        found += (last - place) * (place < 8)
    return found.astype(np.int64)


def _closed_up(words: Sequence[Words], points: Sequence[Words]) -> list[Words]:
    """The digits without the point: those before it move up by one."""
    moved = [
        (word & ~((point << _ONE) - _ONE)) | (word & ((point >> np.uint64(7)) - _ONE)) << np.where(point, _BYTE, _ZERO)
        for word, point in zip(words, points, strict=True)
    ]
    if len(words) > 1:
        in_last = points[0] != 0
        moved[0] |= np.where(in_last, words[1] >> np.uint64(56), _ZERO)
        moved[1] = np.where(in_last, words[1] << _BYTE, moved[1])
    return moved


def _are_digits(words: Words) -> Flags:
    return (((words + _BEYOND_NINE) | words) & _HIGH) == 0


def _number(digits: Words) -> Integers:
    """The number that 8 digits are: neighbours are put together, three times."""
    pairs = (digits * np.uint64(10 << 8 | 1)) >> _BYTE & np.uint64(0x00FF00FF00FF00FF)
    fours = (pairs * np.uint64(100 << 16 | 1)) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
    return ((fours * np.uint64(10_000 << 32 | 1)) >> _HALF).view(np.int64)
