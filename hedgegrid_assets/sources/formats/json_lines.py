"""Fast reader of JSON lines that share one shape: a block is split at its commas, as a CSV parser does best.

A venue writes the fields of a message in one order. The first line tells that order; every other line is held against
it, part by part: a part is a key and a value, in ever the same punctuation. A line that differs in anything but values
is not read here, and neither is one with an escape, an array or a comma inside a text.

Each reader gives an expression for the value and one for its proof, over the parts and the value as a column of its name:
the part is punctuation and value, and the value is what JSON allows there. Where the parts of all lines are alike (one
symbol, ids of as many digits), cheaper proofs do.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.sources.formats import tails

_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_BLANKS: Final = r"[ \t]*"
_STAMP: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{7}Z"
_TIME: Final = re.compile(rf"([0-9]{{19}}|{_STAMP}|)(?= ?\{{)")
_PART: Final = re.compile(
    rf'( ?\{{)?({_BLANKS}(?:"[^"]*"{_BLANKS}:{_BLANKS}\{{{_BLANKS})?"([^"]*)"{_BLANKS}:{_BLANKS})'
    rf'(?:"([^"]*)"|({_NUMBER}|true|false))({_BLANKS}(?:\}}{_BLANKS})*)'
)
_ANY_TEXT: Final = r'[^"\\\x00-\x1f]*'
_ANY_OTHER: Final = f"(?:{_NUMBER}|true|false)"
_UNFIT: Final = r'["\\\x00-\x1f]'
_MOST_DIGITS: Final = 18

type Read = tuple[pl.Expr, pl.Expr]
"""(value, whether the value, once it is a column, is proved)"""
_YES: Final = pl.lit(value=True)
_NO: Final = pl.lit(value=False)


class Part(Struct, frozen=True):
    """A key and its value as the first line has them: what stands before and behind the value, and the value.

    ``text``: the value is in quotes, which belong to what is around it.
    """

    before: str
    value: str
    behind: str
    text: bool

    @property
    def whole(self) -> str:
        """The part of the first line, without its receive time."""
        return f"{self.before}{self.value}{self.behind}"


class Shape(Struct, frozen=True):
    """The parts of a line. ``time``: length of the receive time in front: 0 (none), 19 (ns) or 28 (ISO).

    ``places``: key -> number of its part.
    """

    parts: tuple[Part, ...]
    time: int
    places: Mapping[str, int]


def shape_of(line: str) -> Shape | None:
    """The shape of a line of valid, flat JSON (at most one object around it); None where it cannot be told for sure."""
    line = line.rstrip("\r\n")
    time = _TIME.match(line)
    if time is None or "\\" in line:
        return None
    parts: list[Part] = []
    places: dict[str, int] = {}
    for number, text in enumerate(line[time.end() :].split(",")):
        found = _PART.fullmatch(text)
        if found is None or (found[1] is None) != (number > 0) or found[3] in places:
            return None
        places[found[3]] = number
        quote = "" if found[4] is None else '"'
        value = found[5] if found[4] is None else found[4]
        parts.append(Part(f"{found[1] or ''}{found[2]}{quote}", value, f"{quote}{found[6]}", bool(quote)))
    return Shape(tuple(parts), time.end(), places)


def read(data: bytes, lines: int, shape: Shape) -> "Lines | None":
    """The lines of a block as parts; None if they cannot be split."""
    names = [*map(_name, range(len(shape.parts))), "more"]
    try:
        parts = pl.read_csv(
            data,
            separator=",",
            quote_char=None,
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            truncate_ragged_lines=True,
            missing_columns="insert",
            extra_columns="ignore",  # beyond the first cell too many, in the first line
            empty_string_is_null=False,
        )
    except pl.exceptions.ComputeError:
        return None
    if len(parts) != lines:
        return None
    if not tails.are_none(data, lines, len(shape.parts), ",", parts[names[-2]]):
        parts = tails.told(parts, names[-1], dict.fromkeys(tails.longer(data, len(shape.parts), ","), ","))
    return Lines(parts, shape)


class Lines:
    """The parts of many lines, ``p0, p1, ...``, and readers for the lines that have the shape.

    A proof of a line needs all its parts: those that nobody reads are proved by ``unread``.
    """

    def __init__(self, parts: pl.DataFrame, shape: Shape) -> None:
        self.parts = parts
        self.shape = shape
        self._alike = self._find_alike()

    def _find_alike(self) -> Sequence[bool]:
        """Parts that are as those of the first line in all lines: texts the same, numbers of the same length."""
        tests = []
        for number, part in enumerate(self.shape.parts):
            column = pl.col(_name(number))
            tests.append(
                self._is_whole(number) if part.text else column.str.len_bytes() == self._length(number, part.whole)
            )
        return self.parts.select(test.all().alias(_name(n)) for n, test in enumerate(tests)).row(0)

    def _length(self, number: int, text: str) -> int:
        return len(text.encode()) + (0 if number else self.shape.time)

    def _is_whole(self, number: int) -> pl.Expr:
        """The part is to the letter that of the first line, its receive time apart."""
        column, whole = pl.col(_name(number)), self.shape.parts[number].whole
        if number or not self.shape.time:
            return column == whole
        return (column.str.len_bytes() == self._length(number, whole)) & column.str.ends_with(whole)

    def __contains__(self, key: str) -> bool:
        return key in self.shape.places

    def fits(self, key: str, text: str) -> pl.Expr:
        """The value of a key is this text, in quotes."""
        number = self.shape.places[key]
        part = self.shape.parts[number]
        return self._is_whole(number) if part.text and part.value == text else _NO

    def ends(self) -> pl.Expr:
        """The line has no part too many."""
        return pl.col("more") == ""

    def unread(self, keys: Sequence[str]) -> list[pl.Expr]:
        """Proofs of all parts but those of ``keys``."""
        others = {number: self.shape.parts[number] for key, number in self.shape.places.items() if key not in keys}
        return [
            self._spelled(number, _ANY_TEXT if part.text else _ANY_OTHER)
            for number, part in others.items()
            if not (part.text and self._alike[number])
        ]

    def received(self, name: str) -> Read:
        """Receive time of the line in ns; null, and proved, where the lines have none."""
        first, part = pl.col(_name(0)), self.shape.parts[0]
        if self.shape.time == 0:
            return pl.lit(None, pl.Int64), _YES
        if self.shape.time == 19:
            stamp = first.str.strip_suffix(part.whole) if self._alike[0] and part.text else first.str.head(19)
            return stamp.cast(pl.Int64, strict=False), pl.col(name) >= 10**18
        seconds = first.str.head(19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ns", strict=False).cast(pl.Int64)
        hundreds = first.str.slice(20, 7).cast(pl.Int64, strict=False)
        return seconds + hundreds * 100, first.str.contains(_STAMP) & pl.col(name).is_not_null()

    def text(self, key: str, name: str) -> Read:
        """A text; not proved if the shape has a number there."""
        number = self.shape.places[key]
        part, column = self.shape.parts[number], pl.col(_name(number))
        if not part.text:
            return pl.lit(None, pl.String), _NO
        if self._alike[number]:
            return pl.lit(part.value), _YES
        if number == 0:
            column = column.str.slice(self.shape.time)
        around = len(part.before.encode()) + len(part.behind.encode())
        proof = column.str.starts_with(part.before) & column.str.ends_with(part.behind)
        fits = (column.str.len_bytes() >= around) & ~pl.col(name).str.contains(_UNFIT)
        return _without(column, part), proof & fits

    def quoted(self, key: str, name: str) -> Read:
        """A text whatever it holds, of which only what is around it is proved."""
        number = self.shape.places[key]
        part, column = self.shape.parts[number], pl.col(_name(number))
        if not part.text or number == 0:
            return pl.lit(None, pl.String), _NO
        around = len(part.before.encode()) + len(part.behind.encode())
        return _without(column, part), column.str.len_bytes() == pl.col(name).str.len_bytes() + around

    def flag(self, key: str) -> Read:
        """true or false."""
        number = self.shape.places[key]
        part, column = self.shape.parts[number], pl.col(_name(number))
        if part.text or number == 0:
            return pl.lit(None, pl.Boolean), _NO
        is_true, is_false = (column == f"{part.before}{value}{part.behind}" for value in ("true", "false"))
        return is_true, is_true | is_false

    def integer(self, key: str, name: str) -> Read:
        """A whole number of at most 18 digits, spelled as JSON spells it."""
        number = self.shape.places[key]
        part = self.shape.parts[number]
        digits = len(part.value)
        if part.text or number == 0:
            return pl.lit(None, pl.Int64), _NO
        value = _without(pl.col(_name(number)), part).cast(pl.Int64, strict=False)
        if self._alike[number] and digits <= _MOST_DIGITS and part.value.isdigit():
            # of one length: a value of as many digits leaves no room for anything else
            least = 10 ** (digits - 1) if digits > 1 else 0
            return value, pl.col(name).is_between(least, 10**digits, closed="left")
        return value, self._spelled(number, rf"-?(?:0|[1-9][0-9]{{0,{_MOST_DIGITS - 1}}})")

    def _spelled(self, number: int, pattern: str) -> pl.Expr:
        """The part is its punctuation around a value of this pattern."""
        part = self.shape.parts[number]
        before = re.escape(part.before) if number else f"^.{{{self.shape.time}}}{re.escape(part.before)}"
        return pl.col(_name(number)).str.contains(f"^{before}{pattern}{re.escape(part.behind)}$")


def _without(column: pl.Expr, part: Part) -> pl.Expr:
    """The value of a part; what is around it may be missing, of which the proof must tell."""
    value = column.str.strip_prefix(part.before)
    return value.str.strip_suffix(part.behind) if part.behind else value


def _name(number: int) -> str:
    return f"p{number}"
