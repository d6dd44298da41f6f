"""Fields of configuration: what a value may be, and in which words it is refused."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from hedgegrid_assets.names import VENUE, VENUE_EXPECTED, name_problem
from hedgegrid_assets.timestamps import parse_time

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LENGTH: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smh])")
_SECONDS_IN: Final = {"s": 1, "m": 60, "h": 3600}
_LONGEST_GAP_SECONDS: Final = 86_400.0
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2261
_FINEST_DECIMALS: Final = 16
_DECIMAL: Final = re.compile(rf"-?[0-9]{{1,20}}(?:\.[0-9]{{1,{_FINEST_DECIMALS}}})?")
_SHOWN_CHARACTERS: Final = 60


_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n     +\S.*)*)", re.MULTILINE)


def meanings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Fields of a model, each with what the docstrings of its classes say of it."""
    for each in reversed(model.__mro__):
        _, _, attributes = (inspect.cleandoc(each.__doc__ or "")).partition("Attributes:\n")
        yield from ((match[1], " ".join(match[2].split())) for match in _ATTRIBUTE.finditer(attributes))


def _explain(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """A model's JSON Schema says what its docstring says."""
    schema["description"] = " ".join(inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0].split())
    for name, meaning in meanings(model):
        if name in schema["properties"]:
            schema["properties"][name].setdefault("description", meaning)


class Frozen(BaseModel):
    """A value that takes no key besides its own; its validator is built when it is first used."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_explain, defer_build=True)


class Settings(Frozen):
    """What a source takes under ``settings`` in feeds.yaml and in ``--config``: a field a key, with its type, default and meaning.

    ``None`` as a default: nothing is said; it is no value that may be given.
    """

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Its own keys among those given, each with its type; the others are other sources'."""
        return cls.model_validate({key: given[key] for key in cls.model_fields if key in given})


def unsaid(doc: str) -> Any:
    """A field of ``Settings`` without a default, that may be left out."""
    return Field(default=None, description=doc)


def shown(value: object) -> str:
    """A value as a person wrote it, not too long."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str() if len(value) > _SHOWN_CHARACTERS:
            return f"{value[:_SHOWN_CHARACTERS]!r}..."
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
    return repr(value)


@dataclass(frozen=True, slots=True)
class _Matches(AfterValidator):
    """A validator whose pattern an editor is told."""

    pattern: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}


def matches(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    """Text of a pattern; ``expected``: in words."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"expected {expected}, found {shown(text)}")
        return text

    return _Matches(check, pattern.pattern)


def _filled(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError(f"expected text that is not empty, found {shown(text)}")
    return text


def _name_part(value: object) -> str:
    """Text that can stand in an instrument id, a folder and a partition key."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {shown(value)}: quote it")
    if expected := name_problem(value):
        raise ValueError(f"expected {expected}, found {shown(value)}")
    return value


def _pair_part(value: object) -> str:
    """As ``_name_part``; a pair of currencies may have its slash."""
    if not isinstance(value, str):
        return _name_part(value)
    return "/".join(map(_name_part, value.split("/", 1)))


def _day(value: object) -> object:
    """``YYYY-MM-DD`` as text, and nothing else that pydantic would take for a date."""
    wrong = ValueError(f"expected a date YYYY-MM-DD from {_FIRST_YEAR} to {_LAST_YEAR}, found {shown(value)}")
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise wrong from None
    if type(value) is not date or not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise wrong
    return value


def _decimal_text(value: object) -> str:
    """A number as plain text without an exponent, digits kept."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = format(Decimal(str(value)), "f") if number else value
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise ValueError(f"expected a number of at most {_FINEST_DECIMALS} decimals, found {shown(value)}")
    return text


def _positive(text: str) -> str:
    if Decimal(text) <= 0:
        raise ValueError(f"expected a number above 0, found {text}")
    return text


def _fee(text: str) -> str:
    if not -1 < Decimal(text) < 1:
        raise ValueError(f"expected a share between -1 and 1, as 0.0002 for 2 basis points, found {text}")
    return text


def _glob(text: str) -> str:
    if not text or text.startswith("/") or "\\" in text or "\0" in text or ".." in text.split("/"):
        raise ValueError(f"expected a pattern under <data>/raw, as websocket/**/*.jsonl*, found {shown(text)}")
    return text


def _gap_seconds(value: object) -> float:
    """``60s``, ``5m``, ``1h`` to seconds; ``off``, ``false`` and 0 to 0."""
    if value == "off" or value is False or (type(value) is int and value == 0):
        return 0.0
    if isinstance(value, str) and (match := _LENGTH.fullmatch(value)):
        seconds = float(match[1]) * _SECONDS_IN[match[2]]
        if 0 < seconds <= _LONGEST_GAP_SECONDS:
            return seconds
    raise ValueError(f"expected a time of up to a day with its unit, as 60s, 5m or 1h, or off, found {shown(value)}")


def _instant(value: object) -> int:
    """ISO text in UTC, or ns since 1970, to ns."""
    found = parse_time(str(value)) if type(value) in {str, int} else None
    if found is None:
        raise ValueError(f"expected a time as 2024-01-31T10:00:00Z, found {shown(value)}")
    return found


_AS_LENGTH: Final = WithJsonSchema(
    {"anyOf": [{"type": "string", "pattern": f"^(?:{_LENGTH.pattern}|off)$"}, {"enum": [False, 0]}]}
)

type Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": ["string", "integer"]})]
type GapSeconds = Annotated[float, BeforeValidator(_gap_seconds), _AS_LENGTH]
type Text = Annotated[str, AfterValidator(_filled)]
type NamePart = Annotated[str, BeforeValidator(_name_part)]
type Digits = Annotated[int, Field(strict=True, ge=0, le=_FINEST_DECIMALS)]
type Count = Annotated[int, Field(strict=True, ge=1)]
type DecimalText = Annotated[
    str,
    BeforeValidator(_decimal_text),
    WithJsonSchema({"type": ["string", "number"], "pattern": f"^{_DECIMAL.pattern}$"}),
]
type Day = Annotated[date, BeforeValidator(_day)]
type PairPart = Annotated[str, BeforeValidator(_pair_part)]
type Glob = Annotated[str, AfterValidator(_glob)]
type Positive = Annotated[DecimalText, AfterValidator(_positive)]
type Fee = Annotated[DecimalText, AfterValidator(_fee)]
type Venue = Annotated[str, matches(VENUE, VENUE_EXPECTED)]
