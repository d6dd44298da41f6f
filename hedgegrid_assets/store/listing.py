"""Which days a folder holds: one place that knows how their files are named."""

import contextlib
from datetime import date
from typing import Final

from hedgegrid_assets.store.objects import StorePath

_LENGTH: Final = len("2024-01-01")


def list_days(folder: StorePath, ending: str) -> list[date]:
    """The days that a folder has a file of, by the names of the files alone: ``2024-01-01`` and the ending."""
    found = []
    level = folder.store.level(folder.key)
    for name in (*level.files, *level.folders):  # whoever reads a folder in the place of a file is told
        if len(name) == _LENGTH + len(ending) and name.endswith(ending):
            with contextlib.suppress(ValueError):  # a name of as many characters, and no day
                found.append(date.fromisoformat(name[:_LENGTH]))
    return sorted(found)
