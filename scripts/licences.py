"""The licences of all packages that an installation brings, with its extras, as a table: ``docs/licences.md``.

``python scripts/licences.py`` prints it; packages are those of ``uv.lock`` that are installed here, from ``hedgegrid-assets`` on.
"""

import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
OURS: Final = "hedgegrid-assets"
SAID_ELSEWHERE: Final = {"tardis-client": "MPL-2.0"}
"""Packages whose metadata name none: what the licence file that they bring says."""
_HEAD: Final = """# Licences

What `pip install hedgegrid-assets` brings, with all extras that are installed where this was made.
Made by `make licences`; a test holds it to the lock file.
nautilus_trader, portion and psycopg2 are under the LGPL: they are used as they are, as separate packages.

| package | licence |
|---|---|
"""


def table() -> str:
    """The page."""
    return _HEAD + "".join(f"| {name} | {licence} |\n" for name, licence in licences().items())


def licences() -> dict[str, str]:
    """Package -> its licence, in the words of its own metadata; empty: it says none."""
    found: dict[str, str] = {}
    for name in sorted(_runtime()):
        with suppress(PackageNotFoundError):  # of another system, or of an extra that is not installed
            found[name] = SAID_ELSEWHERE.get(name) or _licence(metadata(name))
    return found


def _runtime() -> set[str]:
    """The packages that we need, and those that they need."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    by_name = {each["name"]: each for each in locked}
    found: set[str] = set()
    new = [OURS]
    while new:
        name = new.pop()
        if name not in found:
            found.add(name)
            new += _needed(by_name[name])
    return found - {OURS}


def _needed(package: dict[str, Any]) -> Iterator[str]:
    for each in (package.get("dependencies", []), *package.get("optional-dependencies", {}).values()):
        yield from (dependency["name"] for dependency in each)


def _licence(said: PackageMetadata) -> str:
    """An expression of SPDX, else a short text, else the classifiers."""
    expression = said.get("License-Expression")
    classifiers = [each for each in said.get_all("Classifier") or [] if each.startswith("License ::")]
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.count("::") > 1]
    text = (said.get("License") or "").strip()
    return expression or "; ".join(sorted(named)) or (text if text and "\n" not in text else "")


if __name__ == "__main__":
    sys.stdout.write(table())
