"""Processes of this machine."""

import os
from pathlib import Path


def is_alive(process: int, program: str) -> bool:
    """A process of this number is there, and works: one that has ended is not, nor another program that has its number by now.

    ``program``: a part of its command. Where the system does not tell commands, any process of the number counts.
    """
    if not Path("/proc/self/cmdline").exists():
        return _exists(process)
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes()  # empty for one that nobody has asked how it ended
    except OSError:
        return False
    return program.encode() in command


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
