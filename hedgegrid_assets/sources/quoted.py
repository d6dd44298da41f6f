"""Fast reader of JSON lines that share one shape: a block is split at its quotes, as a CSV parser does best.

A venue writes the fields of a message in one order. The first line of a block tells that order; every other line is
held against it, part by part: what stands between two quotes is a key, a text value, or punctuation with a number in
it. A line that differs in anything but values is not read here, and neither is one with an escape.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_NUMBER_PART: Final = re.compile(rf"(:[ \t]*)({_NUMBER}|true|false)([ \t]*[,}}][^0-9]*)")
_TEXT_FOLLOWS: Final = re.compile(r":[ \t]*")
_OBJECT_FOLLOWS: Final = re.compile(r":[ \t]*\{[ \t]*")
_HEAD: Final = re.compile(r"([0-9]{19}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{7}Z|)( ?\{[ \t]*)")
_UNFIT: Final = r"[\\\x00-\x1f]"


@dataclass(frozen=True, slots=True)
class Shape:
    """Where everything is in a line that is split at its quotes.

    Attributes:
        parts: Number of parts.
        fixed: Part -> text that it must be.
        numbers: Part -> (text before, text after) a number or flag.
        texts: Parts that are text values.
        time: Length of the receive time in the first part: 0 (none), 19 (ns) or 28 (ISO).
        head: Text behind the receive time in the first part.
        places: Key -> part that holds its value.
    """

    parts: int
    fixed: Mapping[int, str]
    numbers: Mapping[int, tuple[str, str]]
    texts: tuple[int, ...]
    time: int
    head: str
    places: Mapping[str, int]


def shape_of(line: str) -> Shape | None:
    """The shape of a line of valid, flat JSON (at most one object around it); None where it cannot be told for sure."""
    parts = line.rstrip("\r\n").split('"')
    head = _HEAD.fullmatch(parts[0])
    if head is None or "\\" in line or len(parts) % 2 == 0:
        return None
    fixed: dict[int, str] = {}
    numbers: dict[int, tuple[str, str]] = {}
    places: dict[str, int] = {}
    number = 1
    while number < len(parts):
        key, after = parts[number], parts[number + 1]
        if key in places:
            return None
        fixed[number] = key
        if _TEXT_FOLLOWS.fullmatch(after) and number + 3 < len(parts):
            places[key] = number + 2
            fixed |= {number + 1: after, number + 3: parts[number + 3]}
            number += 4
            continue
        found = _NUMBER_PART.fullmatch(after)
        if found:
            places[key] = number + 1
            numbers[number + 1] = (found[1], found[3])
        elif _OBJECT_FOLLOWS.fullmatch(after):
            fixed[number + 1] = after
        else:
            return None
        number += 2
    texts = tuple(place for place in places.values() if place not in numbers)
    return Shape(len(parts), fixed, numbers, texts, len(head[1]), head[2], places)


def split(data: bytes, lines: int, shape: Shape) -> pl.DataFrame | None:
    """Parts ``p0, p1, ...`` of all lines, and ``more`` where a line has too many; None if they cannot be split."""
    try:
        parts = pl.read_csv(
            data,
            separator='"',
            quote_char=None,
            has_header=False,
            schema=dict.fromkeys([*(f"p{number}" for number in range(shape.parts)), "more"], pl.String),
            truncate_ragged_lines=True,
            missing_columns="insert",
            empty_string_is_null=False,
        )
    except pl.exceptions.ComputeError:
        return None
    return parts if len(parts) == lines else None


def fits(shape: Shape, values: Mapping[str, str]) -> pl.Expr:
    """Lines of this shape: every part is as it must be; ``values``: key -> text that its value must be.

    Numbers stand between the right marks; whether they are numbers is left to ``whole_number`` and ``bare``.
    """
    must = dict(shape.fixed) | {shape.places[key]: text for key, text in values.items()}
    tests = [pl.col(f"p{number}") == text for number, text in must.items()]
    tests += [~pl.col(f"p{number}").str.contains(_UNFIT) for number in shape.texts if number not in must]
    for number, (before, after) in shape.numbers.items():
        tests += [pl.col(f"p{number}").str.starts_with(before), pl.col(f"p{number}").str.ends_with(after)]
    tests.append(pl.col("p0").str.len_bytes() == shape.time + len(shape.head))
    tests.append(pl.col("p0").str.ends_with(shape.head))
    tests.append(pl.col("more").is_null() | (pl.col("more") == ""))
    return pl.all_horizontal(tests).fill_null(value=False)


def receive_time(shape: Shape) -> pl.Expr:
    """Receive time of a line that fits, ns; null where the lines have none, or it is no time."""
    first = pl.col("p0")
    if shape.time == 0:
        return pl.lit(None, pl.Int64)
    if shape.time == 19:
        return pl.when(first.str.contains("^[0-9]")).then(first.str.head(19)).cast(pl.Int64, strict=False)
    seconds = first.str.head(19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ns", strict=False).cast(pl.Int64)
    is_stamp = (
        (first.str.slice(19, 1) == ".")
        & (first.str.slice(27, 1) == "Z")
        & first.str.slice(20, 7).str.contains("^[0-9]{7}$")
    )
    return pl.when(is_stamp).then(seconds + first.str.slice(20, 7).cast(pl.Int64, strict=False) * 100)


def text(shape: Shape, key: str) -> pl.Expr:
    """A text value; null if the shape has a number there."""
    place = shape.places[key]
    return pl.lit(None, pl.String) if place in shape.numbers else pl.col(f"p{place}")


def bare(shape: Shape, key: str) -> pl.Expr:
    """A number or flag as it is spelled, unproved, in a line that ``fits``; null if the shape has a text there."""
    place = shape.places[key]
    if place not in shape.numbers:
        return pl.lit(None, pl.String)
    before, after = shape.numbers[place]
    return pl.col(f"p{place}").str.strip_prefix(before).str.strip_suffix(after)


def whole_number(shape: Shape, key: str) -> pl.Expr:
    """A whole number of at most 18 digits, spelled as JSON spells it; else null."""
    spelled = bare(shape, key)
    number = spelled.cast(pl.Int64, strict=False)
    is_odd = spelled.str.starts_with("+") | spelled.str.starts_with("-") | spelled.str.starts_with("0")
    return pl.when(pl.when(is_odd).then(number.cast(pl.String) == spelled).otherwise(number < 10**18)).then(number)


def is_number(shape: Shape, key: str) -> pl.Expr:
    """The value, which nobody reads, is a JSON number or flag, so that the line is valid."""
    return bare(shape, key).str.contains(f"^(?:{_NUMBER}|true|false)$")
