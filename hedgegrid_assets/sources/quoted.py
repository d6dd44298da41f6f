"""Fast reader of JSON lines that share one shape: a block is split at its quotes, as a CSV parser does best.

A venue writes the fields of a message in one order. The first line of a block tells that order; every other line is
held against it, part by part: what stands between two quotes is a key, a text value or punctuation with a number in
it. A line that differs in anything but values is not read here, and neither is one with a backslash.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from hedgegrid_assets.model import Field

_NUMBER: Final = re.compile(r"(:\s*)(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false)(\s*[,}][^\d]*)")
_NUMBER_PART: Final = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"


@dataclass(frozen=True, slots=True)
class Shape:
    """Where everything is in a line that is split at its quotes.

    Attributes:
        parts: Number of parts.
        fixed: Part -> text that it must be.
        numbers: Part -> (text before, text after) a number or flag that varies.
        texts: Parts that are text values.
        head: Text behind the receive time in the first part; None if lines have no receive time.
        places: Field name -> part that holds its value.
    """

    parts: int
    fixed: dict[int, str]
    numbers: dict[int, tuple[str, str]]
    texts: tuple[int, ...]
    head: str | None
    places: dict[str, int]


def shape_of(line: str, fields: Sequence[Field]) -> Shape | None:
    """The shape of a message line, or None where it cannot be told for sure (escapes, repeated keys, nested values)."""
    parts = line.rstrip("\r\n").split('"')
    if "\\" in line or len(parts) % 2 == 0:
        return None
    timed = re.fullmatch(r"\d{19}( \{\s*)", parts[0])
    if timed is None and not re.fullmatch(r"\{\s*", parts[0]):
        return None
    fixed: dict[int, str] = {} if timed else {0: parts[0]}
    numbers: dict[int, tuple[str, str]] = {}
    texts: list[int] = []
    values: dict[str, int] = {}
    number = 1
    while number < len(parts):
        key, after = parts[number], parts[number + 1]
        fixed[number] = key
        if key in values:
            return None
        if re.fullmatch(r":\s*", after) and number + 2 < len(parts):
            texts.append(number + 2)
            values[key] = number + 2
            fixed[number + 1], fixed[number + 3] = after, parts[number + 3]
            number += 4
            continue
        found = _NUMBER.fullmatch(after)
        if found:
            numbers[number + 1] = (found[1], found[3])
            values[key] = number + 1
        elif re.fullmatch(r":\s*\{\s*", after):
            fixed[number + 1] = after
        else:
            return None
        number += 2
    places = {field.name: values[field.key] for field in fields if field.key in values}
    return Shape(len(parts), fixed, numbers, tuple(texts), timed[1] if timed else None, places)


def split(data: bytes, count: int, shape: Shape) -> pl.DataFrame | None:
    """Parts of all lines, and whether each line has the shape: columns ``p0..pn`` and ``fits``; None if it cannot be split."""
    names = [f"p{number}" for number in range(shape.parts)]
    try:
        parts = pl.read_csv(
            data,
            separator='"',
            quote_char=None,
            has_header=False,
            schema=dict.fromkeys([*names, "more"], pl.String),
            truncate_ragged_lines=True,
            missing_columns="insert",
            empty_string_is_null=False,
        )
    except pl.exceptions.ComputeError:
        return None
    if len(parts) != count:
        return None
    return parts.with_columns(fits=_fits(shape))


def _fits(shape: Shape) -> pl.Expr:
    tests = [pl.col(f"p{number}") == text for number, text in shape.fixed.items()]
    tests += [~pl.col(f"p{number}").str.contains("\\", literal=True) for number in shape.texts]
    known = set(shape.places.values())
    for number, (before, after) in shape.numbers.items():
        if number not in known:
            pattern = f"^{re.escape(before)}(?:{_NUMBER_PART}|true|false){re.escape(after)}$"
            tests.append(pl.col(f"p{number}").str.contains(pattern))
    tests.append(pl.col("more").is_null() | (pl.col("more") == ""))
    return pl.all_horizontal(tests).fill_null(value=False)


def value(shape: Shape, field: Field) -> pl.Expr:
    """A field's value as text; null where the line does not have it in the field's own form."""
    place = shape.places[field.name]
    part = pl.col(f"p{place}")
    if place not in shape.numbers:
        return part if field.kind in {"text", "decimal"} else pl.lit(None, pl.String)
    before, after = shape.numbers[place]
    bare = pl.when(part.str.starts_with(before) & part.str.ends_with(after)).then(
        part.str.slice(len(before), part.str.len_bytes() - len(before) - len(after))
    )
    return bare if field.kind in {"integer", "flag"} else pl.lit(None, pl.String)


def receive_time(shape: Shape) -> pl.Expr:
    """Receive time in ns, null where the line has none or one of another form."""
    if shape.head is None:
        return pl.lit(None, pl.Int64)
    first = pl.col("p0")
    is_time = (first.str.len_bytes() == 19 + len(shape.head)) & first.str.ends_with(shape.head)
    return pl.when(is_time).then(first.str.head(19)).cast(pl.Int64, strict=False)
