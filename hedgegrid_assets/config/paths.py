"""Where feeds.yaml and the data are, and what begins the names of our own folders."""

import os
from pathlib import Path
from typing import Final

RESERVED_PREFIX: Final = "cli_"


def feeds_path() -> Path:
    """Where feeds.yaml is: ``HEDGEGRID_FEEDS``, else the working directory."""
    return Path(os.environ.get("HEDGEGRID_FEEDS") or "feeds.yaml")


def data_path() -> Path:
    """Root of the data: ``HEDGEGRID_DATA``, else ``data`` in the working directory."""
    return Path(os.environ.get("HEDGEGRID_DATA") or "data")
