"""The small JSON documents of our own: written with sorted keys, read against their shape."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.errors import DocumentDamaged, HedgegridError
from hedgegrid_assets.store.disk import disk_fault
from hedgegrid_assets.store.publish import atomic_write

MADE_ANEW: Final = "remove it and run again: it is made anew"
"""The way out for a document that a run writes where it finds none."""

type Shape = type | tuple[type, ...] | frozenset[str] | Callable[[Any], bool] | list["Shape"] | Mapping[str, "Shape"]
"""What a plain value must be: of a type, one of some texts, what a test says; a list of these, a mapping with these keys."""


def write_json(final: Path, tmp_dir: Path, value: object) -> None:
    """Publish JSON with sorted keys: the same value gives the same bytes."""
    with atomic_write(final, tmp_dir) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, kind: str = "a document", shape: Shape = lambda _: True, remedy: str = MADE_ANEW) -> Any:
    """A document of our own, or None where there is none. Raises DocumentDamaged if it is not of its shape."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_fault(error, path) from error
    except (ValueError, RecursionError) as error:
        raise DocumentDamaged(path, kind, f"no JSON ({error})", remedy) from error
    found = misfit(value, shape)
    if found:
        raise DocumentDamaged(path, kind, found, remedy)
    return value


def misfit(value: Any, shape: Shape, at: str = "") -> str:
    """Where a plain value is not of a shape, and what is there; empty if it is."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                return f"{type(value).__name__} at {at or 'its root'}"
            absent = [key for key in shape if not key.endswith("?") and key not in value]
            if absent:
                return f"no {absent[0]} at {at or 'its root'}"
            inner = ((f"{at}.{key.removesuffix('?')}", key) for key in shape if key.removesuffix("?") in value)
            parts = [misfit(value[key.removesuffix("?")], shape[key], place) for place, key in inner]
        case list():
            if not isinstance(value, list):
                return f"{type(value).__name__} at {at or 'its root'}"
            parts = [misfit(item, shape[0], f"{at}[{number}]") for number, item in enumerate(value)]
        case _:
            return "" if _is_of(value, shape) else f"{value!r:.80} at {at or 'its root'}"
    return next(filter(None, parts), "")


def _is_of(value: Any, shape: Any) -> bool:
    if isinstance(shape, frozenset):
        return isinstance(value, str) and value in shape
    if isinstance(shape, tuple):
        return type(value) in shape
    if isinstance(shape, type):
        return type(value) is shape
    return bool(shape(value))


@contextmanager
def reading(path: Path, kind: str, remedy: str) -> Iterator[None]:
    """Whatever a reader of other people's making says of a file of ours in the block becomes one error that names it."""
    try:
        yield
    except HedgegridError:
        raise
    except FileNotFoundError as error:
        raise disk_fault(error, path) from error
    except PermissionError as error:
        raise disk_fault(error, path) from error
    except BaseException as error:  # a damaged file can make a decoder raise anything
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DocumentDamaged(path, kind, " ".join(str(error).split())[:200] or type(error).__name__, remedy) from error
