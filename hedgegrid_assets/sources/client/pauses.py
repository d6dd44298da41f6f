"""When a provider may be asked again, where it has said so: for all processes of this machine that share a cache."""

import contextlib
import os
import time
from pathlib import Path

from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.store import make_folder


def pause(folder: Path, who: str, seconds: float) -> None:
    """Nobody asks ``who`` before so many seconds are over. A file in ``folder`` says so by its time of change."""
    path = folder / f"{who}.not-before"
    until = time.time() + max(seconds, left(folder, who))
    with contextlib.suppress(OSError):  # this process waits all the same
        make_folder(folder)
        path.touch()
        os.utime(path, (until, until))


def left(folder: Path, who: str) -> float:
    """Seconds that are left of a pause. One that no server may ask for is none: a clock was set."""
    try:
        seconds = (folder / f"{who}.not-before").stat().st_mtime - time.time()
    except OSError:
        return 0.0
    return seconds if 0 < seconds <= limits.in_force.longest_retry_after else 0.0
