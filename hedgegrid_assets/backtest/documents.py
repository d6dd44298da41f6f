"""YAML files of a backtest: plain values with the line of each key, ``${VAR:-default}`` filled in, problems placed."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from hedgegrid_assets.config.notes import KeyPath, Note, dotted, unknown
from hedgegrid_assets.config.yaml_lines import Unreadable, Walk, plain_file
from hedgegrid_assets.errors import BacktestFileError
from hedgegrid_assets.fields import shown

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)")
_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None}
_EXPECTED: Final[Mapping[str, str]] = {
    **{"string_type": "text", "int_type": "a whole number", "float_type": "a number", "bool_type": "true or false"},
    **{"tuple_type": "a list", "dict_type": "a mapping", "mapping_type": "a mapping", "model_type": "a mapping"},
    **{"literal_error": "{expected}", "greater_than_equal": "at least {ge}", "greater_than": "more than {gt}"},
    **{
        "less_than_equal": "at most {le}",
        "too_short": "at least {min_length} of them",
        "model_attributes_type": "a mapping",
    },
}
"""pydantic's kinds of error in our words; the braces are its own details."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file's values, and where each of them stands."""

    path: Path
    tree: dict[str, Any]
    walk: Walk

    def line(self, at: KeyPath) -> int:
        """The line of a key; of one that is not there, that of what it is missing from."""
        return self.walk.place(at, [((), "")])[0][0]

    def refuse(self, problems: Iterable[Note]) -> None:
        """Raises BacktestFileError if there are any."""
        told = [f"line {self.line(at)}: {dotted(at) or 'the file'}: {message}" for at, message in problems]
        if told:
            raise BacktestFileError(self.path, told)

    def checked[M: BaseModel](self, model: type[M], tree: object, root: KeyPath = ()) -> M:
        """The part of the file at ``root`` as a model. Raises BacktestFileError with all problems."""
        try:
            return model.model_validate(tree)
        except ValidationError as error:
            self.refuse([((*root, *at), message) for at, message in problems_of(error, model)])
            raise


def read(path: Path) -> Document:
    """Raises BacktestFileError: no such file, no YAML, no mapping, a key twice, an unset variable."""
    try:
        tree, walk = plain_file(path)
    except Unreadable as error:
        if not path.exists():
            hint = "name one that is there; configs/backtest/ and configs/strategies/ of `hedgegrid init` are whole examples"
            raise BacktestFileError(path, [str(error)], hint) from None
        raise BacktestFileError(path, [str(error)]) from None
    if walk.findings:
        raise BacktestFileError(path, [f"line {line}: {dotted(at)}: {message}" for line, at, message in walk.findings])
    if not isinstance(tree, dict):
        raise BacktestFileError(path, [f"expected a mapping, found {shown(tree)}"])
    unset: list[Note] = []
    filled = _filled(tree, (), unset)
    document = Document(path, filled, walk)
    document.refuse(unset)
    return document


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Note]:
    """All that pydantic found, in our words."""
    problems: list[Note] = []
    for details in error.errors(include_url=False):
        context = details.get("ctx", {})
        at = tuple(details["loc"])
        match details["type"]:
            case "missing":
                problems.append((at, "expected a value, found no such key"))
            case "extra_forbidden":
                problems.append((at, unknown("key", str(at[-1]), _fields_at(model, at[:-1]))))
            case "value_error":
                problems.append((at, str(context["error"])))
            case kind if kind in _EXPECTED:
                expected = _EXPECTED[kind].format(**context)
                problems.append((at, f"expected {expected}, found {shown(details['input'])}"))
            case _:
                problems.append((at, details["msg"]))
    return problems


def _fields_at(model: type[BaseModel], at: KeyPath) -> Sequence[str]:
    """The keys of the model that stands at a place."""
    for part in at:
        if isinstance(part, int) or part not in model.model_fields:
            continue
        found = _model_in(model.model_fields[part].annotation)
        if found is None:
            return ()
        model = found
    return tuple(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None


def _filled(value: Any, at: KeyPath, unset: list[Note]) -> Any:
    match value:
        case dict():
            return {key: _filled(inner, (*at, key), unset) for key, inner in value.items()}
        case list():
            return [_filled(inner, (*at, number), unset) for number, inner in enumerate(value)]
        case str() if "${" in value:
            return _substituted(value, at, unset)
    return value


def _substituted(text: str, at: KeyPath, unset: list[Note]) -> Any:
    for name, _ in _VARIABLE.findall(text):
        if name not in os.environ and f"${{{name}}}" in text:
            unset.append((at, f"expected the environment variable {name}, found it unset: write ${{{name}:-default}}"))
    filled = _VARIABLE.sub(lambda match: os.environ.get(match[1], match[2] or ""), text)
    return filled if not _VARIABLE.fullmatch(text) else _plain(filled)


def _plain(text: str) -> Any:
    """What the text would be if it stood in the file itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
