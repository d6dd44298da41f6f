"""What a process has taken: memory and processor time."""

import os
import resource
import sys
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def peak_bytes() -> int:
    """The most that this process has held.

    On Linux not ``ru_maxrss``, which starts with what the process held that started this one.
    """
    if _STATUS.exists():
        _, _, rest = _STATUS.read_text().partition("VmHWM:")
        return int(rest.split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def cpu_seconds() -> float:
    """Processor time of this process, and of those that it has waited for."""
    return sum(os.times()[:4])
