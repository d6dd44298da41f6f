"""Files in a cache, and raw days that are the same files."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

from hedgegrid_assets.store import make_folder


def linked(path: Path, work: Path) -> Path:
    """The same file once more under a name in ``work``: without a copy where the file system can do that."""
    make_folder(work)
    other = work / f"{uuid4().hex}.day.part"
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
    return other
