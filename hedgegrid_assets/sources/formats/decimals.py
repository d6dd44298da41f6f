"""Decimals of texts, exact: what is held as it stands, what in plain digits, and how finely numbers are written."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

import polars as pl

from hedgegrid_assets.batch import Decimals
from hedgegrid_assets.instruments import FLOAT_DIGITS

_DIGITS_TRIED: Final = 40
_SHORT: Final = 16
_SHORT_TEXT: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
"""Told without a ``Decimal``, for a tenth of the time."""
_SHORT_TEXTS: Final = re.compile(rf"(?:(?=[0-9.]{{1,{_SHORT}}}\n){_SHORT_TEXT.pattern}\n)*", re.ASCII)
_NOUGHTS_BEHIND: Final = re.compile(r"(\.[0-9]*[1-9])0+\n|\.0+\n")
_DECIMAL_TEXT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")


def number_of(decimals: int) -> str:
    """Pattern of plain numbers that a decimal of 38 digits, so many of them behind the point, holds exactly."""
    return rf"-?[0-9]{{1,{38 - decimals}}}(?:\.[0-9]{{1,{decimals}}})?"


def exact_decimal(text: str, decimals: int = 16) -> str | None:
    """Plain digits of any decimal text that 38 digits, so many of them behind the point, hold exactly; else None."""
    if len(text) <= min(_SHORT, 38 - decimals) and _SHORT_TEXT.fullmatch(text):
        whole, _, behind = text.partition(".")
        behind = behind.rstrip("0")
        return None if len(behind) > decimals else f"{whole}.{behind}" if behind else whole
    if not _DECIMAL_TEXT.fullmatch(text.strip()):
        return None
    value = Decimal(text.strip())
    if not value:  # however many noughts it is written with
        value = Decimal(0).copy_sign(value)
    if abs(value.adjusted()) > _DIGITS_TRIED:
        return None
    plain = f"{value:f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return plain if re.fullmatch(number_of(decimals), plain) else None


def exact_decimals(texts: Sequence[str], decimals: int = 16) -> list[str | None]:
    """The same of many texts at once; a tenth of the time where all are short."""
    lines = "\n".join([*texts, ""])
    short = _SHORT <= decimals <= 38 - _SHORT and lines.count("\n") == len(texts) and _SHORT_TEXTS.fullmatch(lines)
    if not short:
        return [exact_decimal(text, decimals) for text in texts]
    found: list[str | None] = [*_NOUGHTS_BEHIND.sub(r"\1\n", lines).split("\n")]
    return found[:-1]


def usual(decimals: int) -> str:
    """Pattern of whole texts as all but a few are spelled: see ``number_of``."""
    return f"^{number_of(decimals)}$"


def plain_digits(texts: pl.Series, decimals: int = 16) -> dict[str, str | None]:
    """Texts with an exponent, a sign or many digits -> plain digits; None where they cannot be held exactly."""
    odd = texts.filter((texts != "") & ~texts.str.contains(usual(decimals))).unique()
    return {text: exact_decimal(text, decimals) for text in odd}


def decimals_of(texts: pl.Series, decimals: int = 16) -> pl.Series:
    """Exact decimals of texts, null where 38 digits, so many of them behind the point, do not hold them exactly."""
    plain = texts.str.contains(usual(decimals))
    if plain.all():
        return texts.cast(pl.Decimal(38, decimals))
    exact = plain_digits(texts, decimals)
    found = (
        pl.col("text").replace_strict(exact, default=None, return_dtype=pl.String) if exact else pl.lit(None, pl.String)
    )
    frame = pl.DataFrame({"text": texts, "plain": plain})
    made = frame.select(pl.when("plain").then("text").otherwise(found).cast(pl.Decimal(38, decimals)).alias("value"))
    return made["value"]


type DecimalsOf = dict[tuple[str, str, str], Decimals]
"""(channel, symbol, field) -> decimals of its numbers."""


def most_decimals(texts: pl.Series, lines: pl.Series | None = None) -> Decimals:
    """Decimals of plain numbers; ``lines``: where each of them stands."""
    point = texts.str.find(".", literal=True)
    length = texts.str.len_bytes()
    written = int(str((length - point - 1).max() or 0))
    if not (texts.str.ends_with("0") & point.is_not_null()).any():
        needed = written
    else:
        needed = int(str((texts.str.strip_chars_end("0").str.len_bytes() - point - 1).max() or 0))
    if int(str(length.max() or 0)) <= FLOAT_DIGITS:
        return Decimals(written, needed, needed)
    return _with_long(Decimals(written, needed), texts, lines)


def _with_long(all_of_them: Decimals, texts: pl.Series, lines: pl.Series | None) -> Decimals:
    text = pl.col("text")
    digits = pl.when(text.str.contains(".", literal=True)).then(text.str.strip_chars_end("0")).otherwise(text)
    numbers = pl.DataFrame({"text": texts, "line": lines if lines is not None else None}).select(
        "line",
        "text",
        fine=(digits.str.len_bytes() - digits.str.find(".", literal=True) - 1).fill_null(0),
        long=digits.str.strip_chars_start("-0.").str.replace(".", "", literal=True).str.len_bytes() >= FLOAT_DIGITS,
    )
    found = numbers.filter(pl.col("long") & (pl.col("fine") > 0))
    short = int(str(numbers.filter(~(pl.col("long") & (pl.col("fine") > 0)))["fine"].max() or 0))
    if not len(found):
        return all_of_them._replace(short=short)
    finest = found.row(int(str(found["fine"].arg_max())), named=True)
    return all_of_them._replace(short=short, long=len(found), example=finest["text"], line=finest["line"])


def merged(found: Iterable[DecimalsOf]) -> DecimalsOf:
    """Of all together, in the order that they came."""
    most: DecimalsOf = {}
    for decimals in found:
        for key, more in decimals.items():
            most[key] = most[key].with_more(more) if key in most else more
    return most
