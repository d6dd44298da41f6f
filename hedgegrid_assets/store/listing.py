"""Which days a folder holds: one place that knows how their files are named."""

import contextlib
from datetime import date
from pathlib import Path


def list_days(folder: Path, ending: str) -> list[date]:
    """The days that a folder has a file of, by the names of the files alone: ``2024-01-01`` and the ending."""
    found = []
    for path in folder.glob(f"????-??-??{ending}"):
        with contextlib.suppress(ValueError):  # a name of as many characters, and no day
            found.append(date.fromisoformat(path.name.removesuffix(ending)))
    return sorted(found)
