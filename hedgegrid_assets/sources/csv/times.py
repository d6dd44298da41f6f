"""Times of a CSV column: numbers by their own size, or one format for the file, told from a sample; integers in ns, no float."""

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_FLOOR, Context, Decimal
from functools import cache
from typing import Any, Final, Literal

import msgspec
import polars as pl

from hedgegrid_assets.sources.csv.minutes import in_minutes
from hedgegrid_assets.sources.formats.times import billionths, with_fraction
from hedgegrid_assets.timestamps import FACTORS, LARGEST, NS_PER_DAY, NS_PER_SECOND, RANGES, nanoseconds


class TimeSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """How texts are read: as numbers (``unit``), as text (``format``), or what is no number as text (both).

    Attributes:
        unit: Of numbers since 1970; ``any``: each of the unit that its size tells.
        format: ``iso`` or a strptime format.
        exponents: ``shortest``: only zeros are left out of numbers like ``1.7040672E9``.
    """

    unit: str | None = None
    format: str | None = None
    exponents: Literal["shortest"] | None = None


ISO: Final = "iso"
ANY: Final = "any"
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_EXPONENT: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]{1,3}$"
_EXACT: Final = Context(prec=200)
_LONGEST_NUMBER: Final = 60
_FEW: Final = 1_000
_MANY: Final = 1_000
_DIGIT: Final = re.compile("[0-9]")
_LEAST: Final = 0.5
"""Share of the texts in a sample that a spec must be able to read."""

FORMATS: Final = (
    ISO,
    "%m/%d/%Y %H:%M:%S%.f%.z",
    "%m/%d/%Y %H:%M%.z",
    "%m/%d/%Y %I:%M:%S%.f %p%.z",
    "%m/%d/%Y %I:%M %p%.z",
    "%m/%d/%Y",
    "%Y-%m-%dD%H:%M:%S%.f%.z",
    "%Y/%m/%d %H:%M:%S%.f%.z",
    "%d/%m/%Y %H:%M:%S%.f%.z",
    "%d.%m.%Y %H:%M:%S%.f%.z",
    "%Y%m%d %H:%M:%S%.f%.z",
    "%Y%m%d %H%M%S%.f%.z",
    "%Y%m%dT%H%M%S%.f%.z",
    "%Y%m%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
)
"""Tried in this order on text; the one that reads most of the sample wins. ``%.f`` and ``%.z`` may be absent."""
EXAMPLES: Final = (
    *("%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M:%S"),
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
_OFFSET: Final = r"[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?"
_ZONE_TOLD_TWICE: Final = r"(?: (?:[A-Za-z]{3,5}|[+-][0-9]{2,4}))?(?: m=[+-][0-9.]+)?(?:\[[A-Za-z0-9_/+-]+\])?"
"""What Go and Java write behind an offset that says it all: ``+0000 UTC``, ``+0200 CEST m=+0.1``, ``Z[UTC]``."""
_ZONE: Final = rf"(?:(?i:Z|UTC|GMT)|{_OFFSET})"
_MAYBE_ZONE: Final = rf"(?: ?({_ZONE}){_ZONE_TOLD_TWICE})?"
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
    rf"{_MAYBE_ZONE}$"
)
_ISO_PARTS: Final = ("year", "month", "day", "hour", "minute", "second", "fraction", "zone")


# ---------------------------------------------------------------- telling the spec from a sample


def spec_of(sample: pl.Series, fmt: str | None) -> tuple[TimeSpec | None, int | None]:
    """How the texts of a column are read, and the position of the first that is not read so (None: all are).

    No spec where less than half of the texts can be read. An empty sample tells nothing: numbers and ISO are read. ``fmt`` is what the user
    says, a format or a unit; else numbers are read by their size, and text by the first format that reads most.
    """
    if not len(sample) and not fmt:
        return TimeSpec(ANY, ISO), None
    told = [_told(fmt)] if fmt else _candidates(sample)
    best: tuple[int, TimeSpec, int | None] | None = None
    for spec in told:
        read = ns_of(sample, spec)
        count = len(read) - read.null_count()
        if best is None or count > best[0]:
            best = (count, spec, read.is_null().arg_max() if count < len(read) else None)
        if count == len(sample) or (spec.unit and count > len(sample) * _LEAST):
            break
    assert best is not None
    return (None if best[0] < len(sample) * _LEAST else best[1]), best[2]


def _told(fmt: str) -> TimeSpec:
    return TimeSpec(unit=fmt) if fmt in FACTORS else TimeSpec(format=fmt)


def _candidates(sample: pl.Series) -> Iterator[TimeSpec]:
    lacking = [
        _lacks_digits(text) for text in sample.filter(sample.str.contains(_EXPONENT)).head(_FEW) if _is_time(text)
    ]
    if lacking and sum(lacking) * 2 <= len(lacking):
        yield TimeSpec(ANY, exponents="shortest")
    yield TimeSpec(ANY)
    for fmt in FORMATS:
        yield TimeSpec(format=fmt)


def unit_of(texts: pl.Series, spec: TimeSpec) -> str | None:
    """The finest unit that numbers of a column are in; None: they are text."""
    units = reversed(_units(spec.unit)) if spec.unit else ()
    return next((unit for unit in units if ns_of(texts, TimeSpec(unit)).null_count() < len(texts)), None)


def shown(spec: TimeSpec) -> str:
    """A format as people write it in ``timestamp_format``."""
    return (spec.format or "").replace("%.f", "").replace("%.z", "")


def format_for(text: str) -> str | None:
    """A ``timestamp_format`` that reads one text, for a hint."""
    for fmt in (*FORMATS[1:], *EXAMPLES):
        if ns_of(pl.Series([text]), TimeSpec(format=fmt)).null_count() == 0:
            fits = fmt.replace("%.f", ".%f" if "." in text.rpartition(":")[2] else "")
            zone = re.search(rf"( ?){_ZONE}$", text) if "%.z" in fits else None
            return fits.replace("%.z", f"{zone[1]}%z" if zone else "")
    return None


def format_problem(fmt: str) -> str | None:
    """What is wrong with a ``timestamp_format``; None: nothing."""
    if fmt in FACTORS:
        return None
    try:
        _, parts = compiled(fmt)
    except ValueError as error:
        return str(error)
    has_year, has_month = {"year", "short_year"} & set(parts), {"month", "month_name"} & set(parts)
    if has_year and has_month and "day" in parts:
        return None
    return f"expected a year, a month and a day in it, or a unit ({', '.join(FACTORS)})"


# ---------------------------------------------------------------- reading


def ns_of(texts: pl.Series, spec: TimeSpec) -> pl.Series:
    """Nanoseconds since 1970 UTC (Int64), null where a text is no time of this spec. Finer digits are cut off."""
    if spec.unit is None:
        return _texts(texts, spec.format or ISO)
    ns = _numbers(texts, spec.unit, shortest=spec.exponents is not None)
    rest = ns.is_null() & (texts != "")
    if spec.format is None or not rest.any():
        return ns
    return ns.scatter(rest.arg_true(), _texts(texts.filter(rest), spec.format))


def lacking_digits(texts: pl.Series) -> pl.Series:
    """Whether a text is a time without the digits that its unit needs, as spreadsheets write it: ``1.70407E+12``."""
    odd = texts.filter(texts.str.contains(_EXPONENT)).unique()
    return texts.is_in([text for text in odd if _lacks_digits(text)])


def _lacks_digits(text: str) -> bool:
    """The last digit that is written stands for more than one of the unit."""
    if "e" not in text.lower() or not _is_time(text):
        return False
    exponent = Decimal(text).as_tuple().exponent
    return isinstance(exponent, int) and exponent > 0


def _is_time(text: str) -> bool:
    return _exact_number(text, ANY) is not None


def _numbers(texts: pl.Series, unit: str, *, shortest: bool) -> pl.Series:
    whole = texts.cast(pl.Int64, strict=False)
    ns = _whole_numbers(whole, unit)
    if not whole.null_count():
        return ns
    odd = whole.is_null() & (texts != "") & ~texts.str.contains(":", literal=True)  # that is no number
    if not odd.any():
        return ns
    split = pl.DataFrame({"text": texts.filter(odd)}).with_columns(
        whole=pl.col("text").str.extract(r"^([0-9]{1,18})[.,][0-9]{1,40}$", 1).cast(pl.Int64),
        part=billionths(pl.col("text").str.extract(r"[.,]([0-9]+)$", 1)),
    )
    split = split.with_columns(ns=with_fraction(pl.col("whole"), pl.col("part"), _units(unit)))
    strange = split.filter(pl.col("whole").is_null())["text"].unique()
    if len(strange):
        exact = {text: _exact_number(text, unit) for text in strange if shortest or not _lacks_digits(text)}
        split = split.with_columns(
            ns=pl.when(pl.col("whole").is_null())
            .then(pl.col("text").replace_strict(exact, default=None, return_dtype=pl.Int64))
            .otherwise("ns")
        )
    return ns.scatter(odd.arg_true(), split["ns"])


def _whole_numbers(whole: pl.Series, unit: str) -> pl.Series:
    span = [int(str(end)) for end in (whole.min(), whole.max()) if end is not None]
    for name in _units(unit):
        first, last = RANGES[name]
        if all(first <= end <= last for end in span):
            return (whole * FACTORS[name]).alias("ns")
    number = pl.col("whole")
    return pl.DataFrame({"whole": whole}).select(ns=nanoseconds(number, _units(unit)))["ns"]


def _units(unit: str) -> tuple[str, ...]:
    return tuple(FACTORS) if unit == ANY else (unit,)


def _exact_number(text: str, unit: str) -> int | None:
    """By Python's decimals: exponents and other spellings of a number."""
    text = text.strip()
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    if value.adjusted() > _LONGEST_NUMBER:
        return None
    for name in _units(unit):
        first, last = RANGES[name]
        if first <= value < last + 1:
            ns = int(_EXACT.multiply(value, FACTORS[name]).to_integral_value(ROUND_FLOOR, _EXACT))
            return ns if ns <= LARGEST else None
    return None


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
            pattern.append(r"(?:[.,]([0-9]{1,9}))?")
            parts.append("fraction")
            position += 3
        elif fmt.startswith("%.z", position):
            pattern.append(_MAYBE_ZONE)
            parts.append("zone")
            position += 3
        elif fmt[position] == "%":
            letter = fmt[position + 1 : position + 2]
            if letter not in _DIRECTIVES:
                raise ValueError(f"%{letter} is not a directive that is known")
            name, piece = _DIRECTIVES[letter]
            if letter == "Z" and "%z" in fmt:  # the offset says it all
                piece = "[A-Za-z]{1,5}"
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
    found = None
    if len(texts) >= _MANY and (fmt == ISO or not _DIGIT.search(fmt)):
        found = in_minutes(texts, *compiled(fmt), lambda some: _by_pattern(some, fmt))
    if found is None:
        return _by_pattern(texts, fmt)
    ns, left = found
    return ns.scatter(left, _by_pattern(texts.gather(left), fmt)) if len(left) else ns


def _by_pattern(texts: pl.Series, fmt: str) -> pl.Series:
    pattern, parts = compiled(fmt)
    groups = texts.str.extract_groups(pattern).struct.unnest()
    found = dict(zip(parts, groups.columns, strict=True))
    if "zone" in found and not groups[found["zone"]].str.contains("^[+-]").any():
        del found["zone"]
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
    fraction = billionths(pl.col(found["fraction"])).fill_null(0) if "fraction" in found else pl.lit(0)
    offset, is_offset = _offset(found)
    exists = (
        is_offset
        & month.is_between(1, 12)
        & day.is_between(1, _days_in(year, month))
        & hour.is_between(0, 23)
        & (minute < 60)
        & (second < 60)
        & year.is_between(1970, 2261)
    )
    days = _days_since_1970(year, month, day)
    seconds = hour * 3600 + minute * 60 + second - offset
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


def _offset(found: Mapping[str, str]) -> tuple[pl.Expr, pl.Expr]:
    """Seconds east of Greenwich, and whether there is such an offset."""
    if "zone" not in found:
        return pl.lit(0, pl.Int64), pl.lit(value=True)
    zone = pl.col(found["zone"])
    digits = zone.str.replace_all(":", "", literal=True).str.slice(1).str.pad_end(6, "0")
    hours, minutes, seconds = (digits.str.slice(start, 2).cast(pl.Int64, strict=False) for start in (0, 2, 4))
    size = hours * 3600 + minutes * 60 + seconds
    signed = pl.when(zone.str.starts_with("-")).then(-size).when(zone.str.starts_with("+")).then(size)
    exists = ((hours < 24) & (minutes < 60) & (seconds < 60)).fill_null(value=True)
    if "hour" in found:  # 2024-01-01-05 is no day with an offset
        exists &= pl.col(found["hour"]).is_not_null() | (zone.str.len_bytes() > 3) | signed.is_null()
    return signed.fill_null(0), exists.fill_null(value=True)


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
