"""Lines of JSON that are to the letter as one of them but for their values, read where these stand, without being split.

A line is taken for stretches of bytes that are the same in all lines, whole numbers in them of as many digits everywhere,
and gaps between the stretches: decimals in quotes, and true or false. Every byte is looked at: it is that of the first
line, or a digit of a number that may begin with it, or of a plain decimal. Where any line of a block is another, none is read.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

import numpy as np
from msgspec import Struct

from hedgegrid_assets.sources.formats.digits import (
    PAD,
    Bytes,
    Flags,
    Integers,
    Short,
    Words,
    short_decimals_in,
    short_decimals_of,
    standing_digits,
    views_of,
)
from hedgegrid_assets.sources.formats.json_lines import Part, Shape

_WORD: Final = 8
"""Bytes that are looked at together."""
_LONGEST: Final = 16
"""Bytes in which the quote behind a decimal is looked for."""
_RECEIVED: Final = 19
"""Digits of nanoseconds in front of a line."""
_IN_FRONT: Final = '"'
"""Key of the receive time: no other can be that."""
_MOST_DIGITS: Final = 18
_NS_FROM: Final = 10**18
_QUOTES, _ONES, _HIGH = (np.uint64(int.from_bytes(bytes([byte]) * 8)) for byte in (ord('"'), 1, 0x80))
_ONE: Final = np.uint64(1)
_TRUE, _FALSE = (np.frombuffer(word, np.uint32)[0] for word in (b"true", b"fals"))


class _Number(NamedTuple):
    """A number in a stretch: its key, and from where to where its digits stand."""

    key: str
    first: int
    last: int


class _Stretch(NamedTuple):
    """Bytes that are the same in all lines, but for the digits of numbers."""

    text: bytes
    numbers: tuple[_Number, ...]


class _Gap(NamedTuple):
    """A value of a length of its own."""

    key: str
    kind: Literal["decimal", "flag"]


class _Texts(NamedTuple):
    """Where texts stand, and the first bytes of each as a view of a text has them (see ``digits``)."""

    starts: Integers
    ends: Integers
    views: Words


class Standing(Struct, frozen=True):
    """What was found: ``received`` (ns), and by key whole numbers, flags, and where decimals stand in ``data``."""

    data: Bytes
    received: Integers | None
    numbers: Mapping[str, Integers]
    flags: Mapping[str, Flags]
    texts: Mapping[str, _Texts]

    def decimals(self, key: str, most: int) -> Short | None:
        """The decimals of a key, of at most so many digits behind the point; None where some are no plain ones, or long."""
        texts = self.texts[key]
        found = short_decimals_of(texts.views, most)
        if found is None and texts.starts[0] >= PAD:
            found = short_decimals_in(self.data, texts.starts, texts.ends, most)
        return found if found is not None and found.plain.all() else None


def read(data: bytes, lines: int, shape: Shape, kinds: Mapping[str, str]) -> Standing | None:
    """The values of whole lines; None where any line differs in more than values, or the shape has others.

    ``kinds``: key -> what its values are; of other keys they are looked at as well. A text is that of the shape in all lines.
    """
    pieces = list(_pieces(shape, kinds))
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets == ord("\n"))
    if None in pieces or not lines or len(ends) != lines or not data.endswith(b"\n"):
        return None
    reading = _Reading(octets, np.concatenate([[0], ends[:-1] + 1]))
    if not all(map(reading.take, pieces)):
        return None
    received = reading.numbers.pop(_IN_FRONT, None)
    return Standing(octets, received, reading.numbers, reading.flags, reading.texts)


# ---------------------------------------------------------------- what a line is made of


def _pieces(shape: Shape, kinds: Mapping[str, str]) -> Iterator[_Stretch | _Gap | None]:
    """Stretches and gaps in turn, stretches first and last; None: a value that is not read here."""
    text = b""
    numbers: list[_Number] = []
    if shape.time == _RECEIVED:
        text = b"0" * _RECEIVED
        numbers.append(_Number(_IN_FRONT, 0, _RECEIVED))
    elif shape.time:
        yield None
    for number, (key, part) in enumerate(zip(shape.places, shape.parts, strict=True)):
        text += ("," * (number > 0) + part.before).encode()
        what = _what(part, kinds.get(key))
        if what in {"decimal", "flag"}:
            yield _Stretch(text, tuple(numbers))
            yield _Gap(key, "decimal" if what == "decimal" else "flag")
            text = b""
            numbers.clear()
        elif what == "integer":
            numbers.append(_Number(key, len(text), len(text) + len(part.value)))
            text += part.value.encode()
        elif what == "text":
            text += part.value.encode()
        else:
            yield None
        text += part.behind.encode()
    yield _Stretch(text + b"\n", tuple(numbers))


def _what(part: Part, kind: str | None) -> str | None:
    """What a value is read as; None: it is not read here."""
    if part.text:
        return {None: "text", "text": "text", "decimal": "decimal"}.get(kind)
    if part.value in {"true", "false"}:
        return "flag" if kind in {None, "flag"} else None
    is_whole = part.value.isascii() and part.value.isdigit() and (part.value[0] != "0" or len(part.value) == 1)
    return "integer" if kind in {None, "integer"} and is_whole and len(part.value) <= _MOST_DIGITS else None


# ---------------------------------------------------------------- all lines at once


class _Reading:
    """Goes through all lines side by side: ``at`` is where each of them is."""

    def __init__(self, octets: Bytes, starts: Integers) -> None:
        self._octets, self._at = octets, starts
        self.numbers: dict[str, Integers] = {}
        self.flags: dict[str, Flags] = {}
        self.texts: dict[str, _Texts] = {}

    def take(self, piece: "_Stretch | _Gap | None") -> bool:
        """Go on behind a piece; False where any line has another."""
        if isinstance(piece, _Stretch):
            return self._stretch(piece)
        return piece is not None and (self._decimal(piece.key) if piece.kind == "decimal" else self._flag(piece.key))

    def _windows(self, at: Integers, width: int, octets: Bytes) -> Bytes | None:
        """So many bytes of each line, one line behind the other; None where there are not as many."""
        last = len(octets) - width
        if last < 0 or at[-1] > last or at[0] < 0:
            return None
        return np.ndarray(last + 1, f"V{width}", octets, strides=(1,))[at].view(np.uint8)

    def _stretch(self, piece: _Stretch) -> bool:
        width = len(piece.text)
        first = min([width, *(min(number.first + _WORD, number.last) for number in piece.numbers)])
        before = max(_WORD - first, 0)  # what is shorter than a word is looked at with what is before it
        data = self._windows(self._at - before, width + before, self._octets)
        if data is None or not _is_alike(data, b"0" * before + piece.text, before, piece.numbers):
            return False
        for number in piece.numbers:
            values = _values(data, width + before, before + number.first, before + number.last)
            if values is None:
                return False
            self.numbers[number.key] = values
        self._at = self._at + width
        return True

    def _decimal(self, key: str) -> bool:
        octets = self._octets
        if self._at[-1] + _LONGEST > len(octets):
            octets = np.concatenate([octets[self._at[0] :], np.zeros(_LONGEST, np.uint8)])
        data = self._windows(self._at - (0 if octets is self._octets else self._at[0]), _LONGEST, octets)
        if data is None:
            return False
        words = data.view(np.uint64)
        sizes = _before_quote(words[::2])
        beyond = np.flatnonzero(sizes == _WORD)
        if len(beyond):
            sizes[beyond] += _before_quote(words[1::2][beyond])
        self.texts[key] = _Texts(self._at, self._at + sizes, views_of(sizes, words[::2], words[1::2]))
        self._at = self._at + sizes
        return bool(sizes.max() < _LONGEST)

    def _flag(self, key: str) -> bool:
        data = self._windows(self._at, 4, self._octets)
        if data is None:
            return False
        words = data.view(np.uint32)
        flags = words == _TRUE
        false = self._at[~flags]
        if not ((words[~flags] == _FALSE).all() and (self._octets[false + 4] == ord("e")).all()):
            return False
        self.flags[key] = flags
        self._at = self._at + 5 - flags
        return True


def _is_alike(data: Bytes, text: bytes, first: int, numbers: tuple[_Number, ...]) -> bool:
    """All are the text from its byte ``first`` on, but for the digits of the numbers, which are counted from there."""
    width = len(text)
    looked_at = np.full(width, 0xFF, np.uint8)
    looked_at[:first] = 0
    for number in numbers:
        looked_at[first + number.first : first + number.last] = 0
    wanted = np.frombuffer(text, np.uint8) & looked_at
    for place in dict.fromkeys([*range(0, width - _WORD, _WORD), width - _WORD]):
        mask, word = (each[place : place + _WORD].copy().view(np.uint64)[0] for each in (looked_at, wanted))
        if mask and not ((np.ndarray(len(data) // width, np.uint64, data, place, (width,)) & mask) == word).all():
            return False
    return True


def _values(data: Bytes, width: int, first: int, last: int) -> Integers | None:
    """Whole numbers that all have as many digits, and begin with another than 0; a nanosecond's is of this century."""
    value: Integers | None = None
    for start in range(first, last, _WORD):
        end = min(start + _WORD, last)
        if end < _WORD:
            return None
        part, are_digits = standing_digits(data, width, start, end)
        if not are_digits.all():
            return None
        value = part if value is None else value * 10 ** (end - start) + part
    digits = last - first
    least = _NS_FROM if digits == _RECEIVED else 10 ** (digits - 1) if digits > 1 else 0
    return value if value is not None and value.min() >= least else None


def _before_quote(words: Words) -> Integers:
    """How many bytes stand before the first quote; 8 where there is none."""
    other = words ^ _QUOTES
    quotes = (other - _ONES) & ~other & _HIGH
    return (np.bitwise_count((quotes & (~quotes + _ONE)) - _ONE) >> 3).astype(np.int64)
