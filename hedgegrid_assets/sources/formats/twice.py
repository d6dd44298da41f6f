"""Keys that an object of JSON has twice. RFC 8259 leaves open which of the two values counts, so that neither is taken."""

import re
from collections import Counter
from collections.abc import Collection
from typing import Any, Final

import polars as pl

REASON: Final = "doubled_key"
_INSIDE: Final = r'(?:[^"{}]|"[^"]*")*'
_ANYWHERE: Final = r'(?:[^"]|"[^"]*")*'


def has_twice(text: pl.Expr, keys: Collection[str], *, nested: bool = False) -> pl.Expr:
    """An object in a text without escapes has one of these keys twice; ``nested``: whatever objects stand between the two."""
    between = _ANYWHERE if nested else _INSIDE
    names = [rf'"{re.escape(key)}"\s*:' for key in sorted(keys)]
    return text.str.contains("|".join(f"{name}{between}{name}" for name in names))


def count_of(text: pl.Expr, keys: Collection[str]) -> pl.Expr:
    """How often some keys stand in a text without escapes."""
    return text.str.count_matches(rf'"(?:{"|".join(map(re.escape, sorted(keys)))})"\s*:')


class Members(dict[str, Any]):
    """What an object has, by key; of a key that it has twice, the first. ``twice``: those keys."""

    __slots__ = ("twice",)
    twice: frozenset[str]

    def __or__(self, more: "dict[str, Any]") -> "Members":  # type: ignore[override]
        found = Members(super().__or__(more))
        found.twice = self.twice
        return found


def any_twice(value: object, keys: Collection[str]) -> bool:
    """An object in it, at whatever depth, has one of these keys twice."""
    if isinstance(value, Members):
        return not value.twice.isdisjoint(keys) or any(any_twice(each, keys) for each in value.values())
    return isinstance(value, list) and any(any_twice(each, keys) for each in value)


def members(pairs: list[tuple[str, Any]]) -> Members:
    """For Python's JSON (``object_pairs_hook``)."""
    found = Members(reversed(pairs))
    found.twice = frozenset()
    if len(found) < len(pairs):
        found.twice = frozenset(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    return found
