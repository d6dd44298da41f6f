"""YAML and JSON as plain values, with the line of each key, and what YAML allows but we do not."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, override

from msgspec import Struct, field

from hedgegrid_assets.config.notes import KeyPath, Note

_MOST_BYTES: Final = 512 << 10
"""Of a YAML file; as the number of values, what takes a few seconds to read."""
_MOST_JSON_BYTES: Final = 8 << 20
_MOST_LEVELS: Final = 20
_MOST_VALUES: Final = 20_000
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq"))
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,19}")
_OTHER_INTEGER: Final = re.compile(r"0o[0-7]{1,21}|0x[0-9a-fA-F]{1,16}")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

type Finding = tuple[int, KeyPath, str]
"""Line, key and message."""


class Unreadable(Exception):
    """The file is no YAML that could be looked into."""


class Walk(Struct):
    """What is learnt on the way through the nodes: the line of each key, and what YAML allows but we do not."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    inside: set[int] = field(default_factory=set)
    values: int = 0

    def place(self, root: KeyPath, notes: Iterable[Note]) -> list[Finding]:
        """Notes with their lines; a key that is not in the file has the line of what it is missing from.

        What the walk itself found wrong is not told a second time.
        """
        told = {at for _, at, _ in self.findings}
        placed = [((*root, *at), message) for at, message in notes]
        return [(self._line(at), at, message) for at, message in placed if at not in told]

    def _line(self, at: KeyPath) -> int:
        return next((self.lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.lines), 1)


def plain_file(path: Path) -> tuple[Any, Walk]:
    """Plain values of a YAML or JSON file, dates still text, and the walk. Raises Unreadable."""
    walk = Walk()
    text = _text(path)
    if path.suffix.lower() == ".json" and text.strip():
        _refuse_broken(text)
    try:
        node = _composed(text)
        return (None if node is None else _value(node, (), walk)), walk
    except RecursionError:
        raise Unreadable("expected a few levels, found them nested too deep to read") from None


def plain_json(path: Path) -> dict[str, Any] | None:
    """A JSON object without a key twice; None for anything else, of which the walk tells what it is, line by line.

    Most files of ``--config`` are JSON, and importing a YAML reader takes a tenth of a second.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        with path.open("rb") as file:
            content = file.read(_MOST_JSON_BYTES + 1)
        if len(content) > _MOST_JSON_BYTES:
            return None
        tree = json.loads(content, object_pairs_hook=once, parse_constant=refuse)
    except (OSError, ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) and b"\\u" not in content else None


def _refuse_broken(text: str) -> None:
    """YAML takes much that is no JSON, and not always for what was meant. Raises Unreadable."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}: expected JSON, {error.msg} (column {error.colno})") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise Unreadable(f"expected a file, found none at {path.absolute()}") from None
    except OSError as error:
        raise Unreadable(f"expected a readable file, found {error.strerror} at {path.absolute()}") from None
    if len(content) > _MOST_BYTES:
        raise Unreadable(f"expected a file of at most {_MOST_BYTES:,} bytes, found more at {path.absolute()}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line}: expected UTF-8, found the byte 0x{content[error.start]:02x}") from None


def _composed(text: str) -> Any:
    """The root node; None: nothing in it. Raises Unreadable."""
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    class Bounded(Composer):
        """Stops at what no file of ours has, before it is read to its end."""

        levels = nodes = 0

        @override
        def compose_node(self, parent: Any, index: Any) -> Any:
            self.levels += 1
            self.nodes += 1
            if self.levels > _MOST_LEVELS:
                raise Unreadable(f"expected at most {_MOST_LEVELS} levels, found them nested too deep")
            if self.nodes > _MOST_VALUES:
                raise Unreadable(f"expected at most {_MOST_VALUES:,} values, found more")
            node = super().compose_node(parent, index)
            self.levels -= 1
            return node

    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = Bounded
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(
            f"line {mark.line + 1 if mark else 1}: expected YAML, {error.problem or error.context}"
        ) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"line {line}: expected text, found the control character {error.character!r}") from None
    except YAMLError as error:
        raise Unreadable(f"expected YAML: {error}") from None


def _value(node: Any, at: KeyPath, walk: Walk) -> Any:
    """A node as plain values. Raises Unreadable for aliases of aliases that stand for too much."""
    line = node.start_mark.line + 1
    walk.values += 1
    if walk.values > _MOST_VALUES:
        raise Unreadable(f"expected at most {_MOST_VALUES:,} values, found more (aliases stand for what they name)")
    if str(node.tag).removeprefix(_TAG) not in _PLAIN_TAGS:
        walk.findings.append((line, at, f"expected a plain value, found the tag {node.tag}"))
        return None
    if node.id == "scalar":
        return _scalar(node)
    if id(node) in walk.inside:
        walk.findings.append((line, at, "expected values, found an alias of what it is inside of"))
        return None
    walk.inside.add(id(node))
    value = _mapping(node, at, walk) if node.id == "mapping" else _sequence(node, at, walk)
    walk.inside.remove(id(node))
    return value


def _mapping(node: Any, at: KeyPath, walk: Walk) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.id != "scalar":
            walk.findings.append((line, at, f"expected text as a key, found a {key_node.id}"))
            continue
        key = _unicode(key_node.value)
        if key in values:
            walk.findings.append((line, (*at, key), f"duplicate key (first on line {walk.lines[*at, key]})"))
            continue
        walk.lines[*at, key] = line
        values[key] = _value(value_node, (*at, key), walk)
    return values


def _sequence(node: Any, at: KeyPath, walk: Walk) -> list[Any]:
    for position, item in enumerate(node.value):
        walk.lines[*at, position] = item.start_mark.line + 1
    return [_value(item, (*at, position), walk) for position, item in enumerate(node.value)]


def _scalar(node: Any) -> str | int | float | bool | None:
    """YAML 1.2's core schema: text unless plainly something else, whatever an older YAML made of it."""
    kind, text = str(node.tag).removeprefix(_TAG), str(node.value)
    if kind == "null":
        return None
    if kind == "bool" and text in _BOOLEANS:
        return _BOOLEANS[text]
    if kind == "int" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "int" and _OTHER_INTEGER.fullmatch(text):
        return int(text, 0)
    if kind in ("int", "float") and _NUMBER.fullmatch(text):
        return float(text)
    return _unicode(text)


def _unicode(text: str) -> str:
    """Joins the surrogate pairs that JSON escapes characters beyond the first plane with."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
