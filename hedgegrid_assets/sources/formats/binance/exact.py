"""One message at a time, by Python's JSON: exact, for the few lines that the fast readers refuse."""

import json
import re
from collections.abc import Collection
from typing import Any, Final

from msgspec import Struct

from hedgegrid_assets.model import Channel, Field
from hedgegrid_assets.sources.formats.binance.depth import as_update, has_levels
from hedgegrid_assets.sources.formats.binance.grammar import TIME
from hedgegrid_assets.sources.formats.decimals import exact_decimal, exact_decimals
from hedgegrid_assets.sources.formats.twice import REASON, Members, members
from hedgegrid_assets.tables import read_by

TIME_AT_START: Final = re.compile(TIME)
AT_ONCE: Final = 8_192
"""Lines that are objects of Python at a time: they take some hundred times what they take as text."""
_LARGEST: Final = 2**63 - 1
_OF_SNAPSHOTS: Final = ("lastUpdateId", "symbol", "bids", "asks")
_OF_WRAPPERS: Final = ("stream", "data")


class Refusal(Struct, frozen=True):
    """Why a message, or one of its fields, cannot be read."""

    reason: str
    field: str | None = None
    value: str | None = None


class _Number(str):
    """A JSON number with a fraction or exponent, as written: the messages have their decimals in strings."""

    __slots__ = ()


def read_message(text: str) -> Members | str:
    """The message of a line, wrapper and receive time taken off; or why not: ``broken_json``.

    Of a key that it has twice the first counts, as where lines are placed by expressions; rows are not made of such a one.
    """
    body = text.strip()
    prefix = TIME_AT_START.match(body)
    try:
        value = json.loads(body[prefix.end() if prefix else 0 :], parse_float=_Number, object_pairs_hook=members)
    except (ValueError, RecursionError):
        return "broken_json"
    if "\\u" in body and not _is_text(value):
        return "not_utf8"
    if not isinstance(value, Members):
        return members([]) if isinstance(value, list) else "broken_json"
    data = value.get("data")
    if isinstance(data, Members):
        stream = str(value.get("stream", ""))
        data.twice |= value.twice & set(_OF_WRAPPERS)
        return (
            data if "e" in data or "@" not in stream else data | {"e": stream.split("@")[1]} | _symbol_in(stream, data)
        )
    return value


def _symbol_in(stream: str, data: dict[str, Any]) -> dict[str, Any]:
    """A snapshot is of the symbol that its stream is named after."""
    return {"s": stream.split("@")[0].upper()} if "lastUpdateId" in data and "s" not in data else {}


def flat(message: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """The members of a message, with those of the object inside it that its channel reads."""
    if "lastUpdateId" in message and has_levels(channel):
        return as_update(message, str(message.get("s", "")))
    inner = message.get(channel.inside) if channel.inside else None
    return inner | message if isinstance(inner, dict) else message


def _is_text(value: object) -> bool:
    """False with half of a surrogate pair in it, which JSON can spell and no text can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def read_fields(
    text: str, channel: Channel, single: Collection[str], wrong: dict[str, Refusal]
) -> dict[str, str | None] | Refusal:
    """Texts of the fields; what is wrong with one of the fields ``single`` goes into ``wrong``, and is no refusal."""
    message = read_message(text)
    if isinstance(message, str):
        return Refusal(message)
    if (key := _twice(message, channel)) is not None:
        return Refusal(REASON, key)
    message = flat(message, channel)
    values: dict[str, str | None] = {}
    for field in channel.fields:
        value = message.get(field.key)
        absent = Refusal(field.missing, field.key) if field.required else None
        read = absent if value is None else _read_value(value, field)
        if isinstance(read, Refusal):
            if field.name not in single or (len(read_by(channel)) == 1 and read.reason != "id_too_large"):
                return read
            wrong[field.name], read = read, None
        values[field.name] = read
    return values


def _twice(message: Members, channel: Channel) -> str | None:
    """A key that is read, and that the message, the object inside it or the wrapper around it has twice."""
    keys = [*(field.key for field in channel.fields), "e", channel.inside, *_OF_SNAPSHOTS, *_OF_WRAPPERS]
    inner = message.get(channel.inside) if channel.inside else None
    found = message.twice | inner.twice if isinstance(inner, Members) else message.twice
    return next((key for key in keys if key in found), None)


def _levels(value: list[Any], field: Field) -> str | Refusal:
    """Levels, each of a price and a size at least, in the usual spelling."""
    if all(map(_is_level, value)):
        exact = exact_decimals([cell for level in value for cell in level[:2]], field.decimals)
        if None not in exact:
            pairs = zip(exact[::2], exact[1::2], strict=True)
            return f"[{','.join([f'["{price}","{size}"]' for price, size in pairs])}]"
    return next(refused for level in value if (refused := _refused(level, field)))


def _is_level(level: object) -> bool:
    return isinstance(level, list) and len(level) >= 2 and isinstance(level[0], str) and isinstance(level[1], str)


def _refused(level: Any, field: Field) -> Refusal | None:
    """What is wrong with a level; None: nothing."""
    shown = str(level)[:200]
    if not _is_level(level):
        return Refusal("wrong_type", field.key, shown)
    is_bad = None in exact_decimals(level[:2], field.decimals)
    return Refusal("bad_decimal", field.key, shown) if is_bad else None


def _read_value(value: Any, field: Field) -> str | Refusal | None:
    shown = str(value)[:200]
    match field.kind:
        case "flag" if isinstance(value, bool):
            return "true" if value else "false"
        case "text" if isinstance(value, str) and not isinstance(value, _Number):
            return value
        case "integer" if isinstance(value, int) and not isinstance(value, bool):
            return str(value) if -_LARGEST <= value <= _LARGEST else Refusal("id_too_large", field.key, shown)
        case "levels" if isinstance(value, list):
            return _levels(value, field)
        case "decimal" if isinstance(value, str) and not isinstance(value, _Number):
            if value == "" and not field.required:
                return None
            return exact_decimal(value, field.decimals) or Refusal("bad_decimal", field.key, shown)
        case _:
            return Refusal("wrong_type", field.key, shown)
