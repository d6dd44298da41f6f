"""What is wrong in a configuration: where it stands, in our words."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, TypeAliasType, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from hedgegrid_assets.fields import shown
from hedgegrid_assets.wording import nearest

type KeyPath = tuple[str | int, ...]
type Note = tuple[KeyPath, str]
"""Where, from the root of the feed or of the configuration, and what is wrong there."""


KEY_IN_FILE: Final = (
    "a key is never kept in this file: put it in the environment, and its name here: api_key_env: TARDIS_API_KEY"
)
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "tuple_type": "a list",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
}
"""pydantic's kinds of error in our words; the braces are its own details."""
_NOT_A_PROBLEM: Final = "default_factory_not_called"


def notes_of(
    error: ValidationError,
    model: type[BaseModel],
    at: KeyPath = (),
    hidden: Collection[str] = (),
    *,
    lists_keys: bool = True,
) -> list[Note]:
    """All that pydantic found wrong with a model's values, in our words.

    ``at`` is where these stand; ``hidden``: keys of the model that nobody needs to say; ``lists_keys``: of the model itself
    too, not of what is inside of it alone.
    """
    notes: list[Note] = []
    for details in error.errors(include_url=False):
        context = details.get("ctx", {})
        path = (*at, *details["loc"])
        match details["type"]:
            case "several":
                notes += context["notes"]
            case "too_short" if details["input"]:
                continue  # its items are told one by one
            case "missing":
                notes.append((path, "expected a value, found no such key"))
            case "extra_forbidden":
                keys = [key for key in _keys_at(model, details["loc"][:-1]) if key not in hidden]
                told = unknown if lists_keys or details["loc"][:-1] else unlisted
                notes.append((path, told("key", str(path[-1]), keys)))
            case "value_error":
                notes.append((path, str(context["error"])))
            case kind if kind in _EXPECTED:
                notes.append((path, f"expected {_EXPECTED[kind].format(**context)}, found {shown(details['input'])}"))
            case kind if kind != _NOT_A_PROBLEM:
                notes.append((path, details["msg"]))
    return notes


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that may stand at a place inside of a model's values."""
    kind: Any = model
    for part in path:
        inner = [each for each in get_args(kind) if each is not Ellipsis]  # of a list, or of what a mapping holds
        kind = _plain(kind.model_fields[part].annotation if _is_model(kind) else inner[-1])
    return list(kind.model_fields)


def _plain(kind: Any) -> Any:
    """A type without its name, its marks and its None."""
    if isinstance(kind, TypeAliasType):
        return _plain(kind.__value__)
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    return next((each for each in get_args(kind) if _is_model(each)), kind) if isinstance(kind, UnionType) else kind


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def unknown(what: str, found: str, known: Iterable[str]) -> str:
    """``unknown <what>`` with what is known and, where one is near, what was probably meant."""
    if what == "key" and found == "api_key":
        return KEY_IN_FILE
    names = list(known)
    near = nearest(found, names)
    return f"unknown {what} (expected one of: {', '.join(names)}{f'; did you mean {near[0]}?' if near else ''})"


def unlisted(what: str, found: str, known: Iterable[str]) -> str:
    """The same, where what is known is told elsewhere."""
    if what == "key" and found == "api_key":
        return KEY_IN_FILE
    near = nearest(found, known)
    return f"unknown {what} (expected one that the hint names{f'; did you mean {near[0]}?' if near else ''})"


def refuse(notes: Sequence[Note]) -> None:
    """Raise one error for all of them; each has its own place."""
    if notes:
        summary = "; ".join(f"{dotted(at)}: {message}" for at, message in notes)
        raise PydanticCustomError("several", "{summary}", {"summary": summary, "notes": notes})


def twice(key: str, values: Sequence[str]) -> list[Note]:
    """Values that are there already, of a list under a key."""
    return [
        ((key, n), f"expected each once, found {value!r} again")
        for n, value in enumerate(values)
        if value in values[:n]
    ]


def dotted(at: KeyPath) -> str:
    """``("symbols", 2)`` as ``symbols[2]``, counted from 0."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).removeprefix(".")
