"""Where feeds.yaml, the data and Dagster's history are, and what begins the names of our own folders."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

RESERVED_PREFIX: Final = "cli_"


def feeds_path() -> Path:
    """Where feeds.yaml is: ``HEDGEGRID_FEEDS``, else the working directory."""
    return Path(os.environ.get("HEDGEGRID_FEEDS") or "feeds.yaml")


def data_path() -> Path:
    """Root of the data: ``HEDGEGRID_DATA``, else ``data`` in the working directory."""
    return Path(os.environ.get("HEDGEGRID_DATA") or "data")


def dagster_home() -> Path:
    """Where Dagster's history is: ``DAGSTER_HOME``, as it is given; else ``.dagster_home`` in the working directory."""
    given = os.environ.get("DAGSTER_HOME")
    return Path(given).expanduser() if given else Path(".dagster_home").absolute()


def placed(settings: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Settings of a file in a folder: where they name files, ``base_path`` counts from it, else from the working directory."""
    if "files" not in settings:
        return settings
    given = Path(settings.get("base_path", "."))
    base = _without_detours(folder / given)
    return {**settings, "base_path": str(given if not base.is_dir() and given.is_dir() else base)}


def _without_detours(folder: Path) -> Path:
    """The same folder, without ``..`` where a link does not make that another one."""
    plain = Path(os.path.normpath(folder))
    return plain if plain.resolve() == folder.resolve() else folder
