"""Folders that take each other's place at once."""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

from hedgegrid_assets.store.disk import sync_folder

_HERE: Final = -100  # AT_FDCWD
_EXCHANGE: Final = 2  # RENAME_EXCHANGE
_NOT_HERE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


def exchange(first: Path, second: Path) -> None:
    """Let two folders of one file system, which are both there, change places: at once where the system can.

    Elsewhere they are renamed one after the other, and put back if that fails. Raises OSError.
    """
    if not _exchanged_at_once(first, second):
        between = first.with_name(f".{first.name}.{os.getpid()}.exchanging")
        first.rename(between)
        try:
            second.rename(first)
        except BaseException:
            between.rename(first)
            raise
        between.rename(second)
    sync_folder(first.parent)
    sync_folder(second.parent)


def _exchanged_at_once(first: Path, second: Path) -> bool:
    """False where neither the C library nor the file system knows how."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if rename(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_HERE:
        return False
    raise OSError(code, os.strerror(code), str(first))
