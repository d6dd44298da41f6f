"""Times of a CSV column: one unit or one format for the whole file, told from a sample; integers in ns, no float."""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_FLOOR, Context, Decimal
from functools import cache
from typing import Any, Final

import polars as pl

from hedgegrid_assets.timestamps import NS_PER_DAY, NS_PER_SECOND

type TimeSpec = Mapping[str, str]
"""``{"unit": "ms"}`` for numbers since 1970, ``{"format": "iso"}`` or a strptime format for text."""

ISO: Final = "iso"
LARGEST: Final = 2**63 - 1
_FACTORS: Final[Mapping[str, int]] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "s": (10**8, 10**11),
    "ms": (10**11, 10**14),
    "us": (10**14, 10**17),
    "ns": (10**17, 2**63),
}
"""Unit -> smallest value, and the first that is too large: years after 1973, so that a number has one unit only."""
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_EXACT: Final = Context(prec=200)
_LONGEST_NUMBER: Final = 60
_FEW: Final = 1_000

FORMATS: Final = (
    ISO,
    "%m/%d/%Y %H:%M:%S%.f",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S%.f %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y",
    "%Y-%m-%dD%H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S%.f",
    "%d/%m/%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M:%S%.f",
    "%Y%m%d %H:%M:%S%.f",
    "%Y%m%d %H%M%S%.f",
    "%Y%m%dT%H%M%S%.fZ",
    "%Y%m%d",
)
"""Tried in this order on text; the one that reads most of the sample wins."""
EXAMPLES: Final = (
    *("%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M:%S"),
    *("%d %b %Y %H:%M:%S", "%b %d %Y %H:%M:%S", "%b %d, %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y", "%d-%b-%Y %H:%M:%S"),
    *("%Y.%m.%d %H:%M:%S%.f", "%Y.%m.%d %H:%M", "%Y_%m_%d %H:%M:%S", "%Y-%m-%d %H-%M-%S", "%Y-%m-%d-%H:%M:%S"),
    *("%d.%m.%y %H:%M:%S", "%m/%d/%y %H:%M:%S", "%m/%d/%y %H:%M", "%Y-%m-%d_%H:%M:%S", "%Y%m%d%H%M%S"),
)
"""Formats that are not guessed, but offered where they fit the first bad value."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES: Final = "|".join(
    f"{short}{rest}"
    for short, rest in zip(
        _MONTHS,
        (
            "(?:uary)?",
            "(?:ruary)?",
            "(?:ch)?",
            "(?:il)?",
            "",
            "(?:e)?",
            "(?:y)?",
            "(?:ust)?",
            "(?:tember)?",
            "(?:ober)?",
            "(?:ember)?",
            "(?:ember)?",
        ),
        strict=True,
    )
)
_WEEKDAYS: Final = "(?:mon|tue|wed|thu|fri|sat|sun)(?:day|sday|nesday|rsday|urday)?"
_ZONE: Final = r"(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})"
_DIRECTIVES: Final[Mapping[str, tuple[str, str]]] = {
    "Y": ("year", "([0-9]{4})"),
    "y": ("short_year", "([0-9]{2})"),
    "m": ("month", "([0-9]{1,2})"),
    "d": ("day", "([0-9]{1,2})"),
    "H": ("hour", "([0-9]{1,2})"),
    "I": ("hour12", "([0-9]{1,2})"),
    "M": ("minute", "([0-9]{1,2})"),
    "S": ("second", "([0-9]{1,2})"),
    "f": ("fraction", "([0-9]{1,9})"),
    "p": ("noon", "(AM|PM)"),
    "b": ("month_name", f"({_MONTH_NAMES})"),
    "B": ("month_name", f"({_MONTH_NAMES})"),
    "a": ("", _WEEKDAYS),
    "A": ("", _WEEKDAYS),
    "z": ("zone", f"({_ZONE})"),
    "Z": ("", "(?:UTC|GMT|Z)"),
    "%": ("", "%"),
}
"""strptime directive -> (what it gives, pattern)."""
_SHORTHANDS: Final = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%D": "%m/%d/%y", "%R": "%H:%M"}
_ISO_PATTERN: Final = (
    r"^([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)?"
    rf" ?({_ZONE})?$"
)
_ISO_PARTS: Final = ("year", "month", "day", "hour", "minute", "second", "fraction", "zone")


# ---------------------------------------------------------------- telling the spec from a sample


def spec_of(sample: pl.Series, fmt: str | None) -> tuple[TimeSpec | None, int | None]:
    """How the texts of a column are read, and the position of the first that is not read so (None: all are).

    No spec where less than half of the texts can be read. An empty sample is read as ISO. ``fmt`` is what the user
    says; else numbers have the unit of most of them, and text the first format that reads most.
    """
    told = [{"format": fmt}] if fmt else list(_candidates(sample))
    best: tuple[int, TimeSpec, int | None] | None = None
    for spec in told:
        read = ns_of(sample, spec)
        count = len(read) - read.null_count()
        if best is None or count > best[0]:
            best = (count, spec, read.is_null().arg_max() if count < len(read) else None)
        if count == len(sample):
            break
    assert best is not None
    return (None if best[0] * 2 < len(sample) else best[1]), best[2]


def _candidates(sample: pl.Series) -> Iterator[TimeSpec]:
    whole = sample.str.extract(r"^\+?([0-9]{1,19})(?:\.[0-9]*)?$", 1).cast(pl.Int64, strict=False).drop_nulls()
    if not len(whole):
        few = [Decimal(text) for text in sample.head(_FEW) if _NUMBER.fullmatch(text) and len(text) <= _LONGEST_NUMBER]
        whole = pl.Series([int(value) for value in few if 0 <= value.adjusted() < 19], dtype=pl.Int64)
    counts = {unit: int(whole.is_between(low, high - 1).sum()) for unit, (low, high) in _RANGES.items()}
    if any(counts.values()):
        yield {"unit": max(counts, key=lambda unit: counts[unit])}
    for fmt in FORMATS:
        yield {"format": fmt}


def format_for(text: str) -> str | None:
    """A ``timestamp_format`` that reads one text, for a hint."""
    for fmt in (*FORMATS[1:], *EXAMPLES):
        if ns_of(pl.Series([text]), {"format": fmt}).null_count() == 0:
            return fmt.replace("%.f", ".%f" if "." in text.rpartition(":")[2] else "")
    return None


def format_problem(fmt: str) -> str | None:
    """What is wrong with a ``timestamp_format``; None: nothing."""
    try:
        _, parts = compiled(fmt)
    except ValueError as error:
        return str(error)
    has_year, has_month = {"year", "short_year"} & set(parts), {"month", "month_name"} & set(parts)
    return None if has_year and has_month and "day" in parts else "expected a year, a month and a day in it"


# ---------------------------------------------------------------- reading


def ns_of(texts: pl.Series, spec: TimeSpec) -> pl.Series:
    """Nanoseconds since 1970 UTC (Int64), null where a text is no time of this spec. Finer digits are cut off."""
    if "unit" in spec:
        return _numbers(texts, spec["unit"])
    return _texts(texts, spec["format"])


def _numbers(texts: pl.Series, unit: str) -> pl.Series:
    low, high = _RANGES[unit]
    factor = _FACTORS[unit]
    whole = texts.cast(pl.Int64, strict=False)
    good = whole.is_between(low, min(high - 1, LARGEST // factor))
    ns = pl.select(pl.when(good).then(whole * factor).alias("ns")).to_series()
    odd = whole.is_null() & (texts != "")
    if not odd.any():
        return ns
    digits = len(str(factor)) - 1
    split = pl.DataFrame({"text": texts.filter(odd)}).with_columns(
        whole=pl.col("text").str.extract(r"^([0-9]{1,18})\.[0-9]{1,40}$", 1).cast(pl.Int64),
        fraction=pl.col("text").str.extract(r"\.([0-9]+)$", 1).str.pad_end(digits, "0").str.head(digits),
    )
    fits = pl.col("whole").is_between(low, min(high - 1, LARGEST // factor - 1))
    fraction = pl.col("fraction").cast(pl.Int64, strict=False).fill_null(0) if digits else pl.lit(0, pl.Int64)
    split = split.with_columns(ns=pl.when(fits).then(pl.col("whole") * factor + fraction))
    strange = split.filter(pl.col("whole").is_null())["text"].unique()
    if len(strange):
        exact = {text: _exact_number(text, unit) for text in strange}
        split = split.with_columns(
            ns=pl.when(pl.col("whole").is_null())
            .then(pl.col("text").replace_strict(exact, default=None, return_dtype=pl.Int64))
            .otherwise("ns")
        )
    return ns.scatter(odd.arg_true(), split["ns"])


def _exact_number(text: str, unit: str) -> int | None:
    """By Python's decimals: exponents and other spellings of a number."""
    text = text.strip()
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    if value.adjusted() > _LONGEST_NUMBER:
        return None
    low, high = _RANGES[unit]
    if not low <= value < high:
        return None
    ns = int(_EXACT.multiply(value, _FACTORS[unit]).to_integral_value(ROUND_FLOOR, _EXACT))
    return ns if ns <= LARGEST else None


@cache
def compiled(fmt: str) -> tuple[str, tuple[str, ...]]:
    """Pattern of a format, and what each of its groups gives. Raises ValueError."""
    if fmt == ISO:
        return _ISO_PATTERN, _ISO_PARTS
    for short, long in _SHORTHANDS.items():
        fmt = fmt.replace(short, long)
    pattern: list[str] = []
    parts: list[str] = []
    position = 0
    while position < len(fmt):
        if fmt.startswith("%.f", position):
            pattern.append(r"(?:\.([0-9]{1,9}))?")
            parts.append("fraction")
            position += 3
        elif fmt[position] == "%":
            letter = fmt[position + 1 : position + 2]
            if letter not in _DIRECTIVES:
                raise ValueError(f"%{letter} is not a directive that is known")
            name, piece = _DIRECTIVES[letter]
            if name in parts:
                raise ValueError(f"%{letter} repeats what is said already")
            parts += [name] if name else []
            pattern.append(piece)
            position += 2
        else:
            pattern.append(re.escape(fmt[position]))
            position += 1
    return f"(?i)^{''.join(pattern)}$", tuple(parts)


def _texts(texts: pl.Series, fmt: str) -> pl.Series:
    pattern, parts = compiled(fmt)
    groups = texts.str.extract_groups(pattern).struct.unnest()
    found = dict(zip(parts, groups.columns, strict=True))
    return groups.select(_ns(found).alias("ns"))["ns"]


def _ns(found: Mapping[str, str]) -> pl.Expr:
    """Nanoseconds from the texts of the groups; null for no match and for days and hours that do not exist."""

    def number(name: str, default: int) -> pl.Expr:
        if name not in found:
            return pl.lit(default, pl.Int64)
        return pl.col(found[name]).cast(pl.Int64, strict=False).fill_null(default)

    year = (
        pl.col(found["year"]).cast(pl.Int64, strict=False)
        if "year" in found
        else _full_year(pl.col(found["short_year"]))
    )
    month = _month(found)
    day = number("day", 0)
    hour = _hour(found, number)
    minute, second = number("minute", 0), number("second", 0)
    fraction = (
        pl.col(found["fraction"]).fill_null("").str.pad_end(9, "0").cast(pl.Int64) if "fraction" in found else pl.lit(0)
    )
    exists = (
        month.is_between(1, 12)
        & day.is_between(1, _days_in(year, month))
        & hour.is_between(0, 23)
        & (minute < 60)
        & (second < 60)
        & year.is_between(1970, 2261)
    )
    days = _days_since_1970(year, month, day)
    seconds = hour * 3600 + minute * 60 + second - _offset_seconds(found)
    ns = days * NS_PER_DAY + seconds * NS_PER_SECOND + fraction
    return pl.when(exists & (ns > 0)).then(ns)


def _full_year(short: pl.Expr) -> pl.Expr:
    two = short.cast(pl.Int64, strict=False)
    return pl.when(two < 69).then(two + 2000).otherwise(two + 1900)


def _month(found: Mapping[str, str]) -> pl.Expr:
    if "month_name" not in found:
        return pl.col(found["month"]).cast(pl.Int64, strict=False)
    names = {name: number for number, name in enumerate(_MONTHS, 1)}
    return (
        pl.col(found["month_name"])
        .str.to_lowercase()
        .str.head(3)
        .replace_strict(names, default=None, return_dtype=pl.Int64)
    )


def _hour(found: Mapping[str, str], number: Any) -> pl.Expr:
    if "hour12" not in found:
        hour: pl.Expr = number("hour", 0)
        return hour
    half: pl.Expr = number("hour12", 0)
    afternoon = pl.col(found["noon"]).str.to_uppercase() == "PM" if "noon" in found else pl.lit(value=False)
    twelve = half % 12 + pl.when(afternoon).then(12).otherwise(0)
    return pl.when(half.is_between(1, 12)).then(twelve).otherwise(99)


def _offset_seconds(found: Mapping[str, str]) -> pl.Expr:
    if "zone" not in found:
        return pl.lit(0, pl.Int64)
    zone = pl.col(found["zone"]).str.replace(":", "", literal=True)
    size = (
        zone.str.slice(1, 2).cast(pl.Int64, strict=False) * 3600
        + zone.str.slice(3, 2).cast(pl.Int64, strict=False) * 60
    )
    return pl.when(zone.str.starts_with("-")).then(-size).when(zone.str.starts_with("+")).then(size).otherwise(0)


def _days_in(year: pl.Expr, month: pl.Expr) -> pl.Expr:
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    return (
        pl.when(month == 2)
        .then(pl.when(leap).then(29).otherwise(28))
        .when(month.is_in([4, 6, 9, 11]))
        .then(30)
        .otherwise(31)
    )


def _days_since_1970(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    """Proleptic Gregorian calendar, by whole numbers: years begin in March, so that the leap day is the last."""
    shifted = year - (month <= 2).cast(pl.Int64)
    of_year = (153 * ((month + 9) % 12) + 2).floordiv(5) + day - 1
    return shifted * 365 + shifted.floordiv(4) - shifted.floordiv(100) + shifted.floordiv(400) + of_year - 719_468


def numeric_share(sample: Sequence[str]) -> float:
    """How many of the texts are numbers."""
    return sum(1 for text in sample if _NUMBER.fullmatch(text)) / max(len(sample), 1)
