"""Ports for real servers that tests start: two workers never get the same ones."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FIRST: Final = 10_000
_LAST: Final = 22_000
"""With what SeaweedFS adds to a port for gRPC, 10,000, they end before those that systems hand out by themselves."""
_BLOCK: Final = 8


@contextmanager
def held_ports(count: int) -> Iterator[list[int]]:
    """Ports that nobody has, from a block that no other test of this machine takes until this one gives it back."""
    folder = Path(tempfile.gettempdir(), f"hedgegrid-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    for first in range(_FIRST, _LAST, _BLOCK):
        with (folder / str(first)).open("w") as lock:
            ports = range(first, first + count)
            if _held(lock.fileno()) and all(_is_free(each) for port in ports for each in (port, port + 10_000)):
                yield list(ports)
                return
    raise RuntimeError("no port is free")


def _held(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0
