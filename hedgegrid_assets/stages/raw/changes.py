"""Was a landing file changed while it was read?"""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

_READ_BACK: Final = 1 << 20


class State(NamedTuple):
    """Tells whether a file was changed in between."""

    bytes: int
    number: int
    changed: int
    touched: int


def state_of(path: Path) -> State:
    """Of a file as it is now; of none, what no file has."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return State(0, 0, 0, 0)
    return State(status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def begins_with(path: Path, size: int, sha256: str) -> bool:
    """A file begins with so many bytes that were read: it was written to behind them, or only touched."""
    left, digest = size, hashlib.sha256()
    try:
        with path.open("rb") as file:
            while left and (data := file.read(min(left, _READ_BACK))):
                digest.update(data)
                left -= len(data)
    except OSError:
        return False
    return not left and digest.hexdigest() == sha256
