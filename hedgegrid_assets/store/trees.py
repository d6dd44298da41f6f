"""Whole folders: what lies in them, and how much of the disk that takes."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from hedgegrid_assets.store.local import LocalStore, on_disk
from hedgegrid_assets.store.objects import AnyFile, StorePath, local_file

_BLOCK: Final = 512
"""Bytes in a unit of ``st_blocks``."""


class Size(Struct, frozen=True):
    """How much there is: files, their bytes, and the bytes that they and their folders take on disk, as ``du`` tells."""

    files: int = 0
    bytes: int = 0
    on_disk: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.files + other.files, self.bytes + other.bytes, self.on_disk + other.on_disk)


def size_of(*roots: AnyFile) -> Size:
    """What some files or folders take, each file once; what is not there takes nothing. Links are not followed."""
    away = [root for root in roots if isinstance(root, StorePath) and not isinstance(root.store, LocalStore)]
    here = [local_file(root) for root in roots if root not in away]
    return sum(map(_size_away, away), _size_here(here))


def _size_away(root: StorePath) -> Size:
    sizes = [entry.size for entry in root.store.list(root.key)]
    return Size(len(sizes), sum(sizes), sum(sizes))


def _size_here(roots: list[Path]) -> Size:
    files = total = on_disk = 0
    seen: set[tuple[int, int]] = set()
    waiting = [root for root in roots if os.path.lexists(root)]
    while waiting:
        path = waiting.pop()
        status = path.lstat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            seen.add((status.st_dev, status.st_ino))
        on_disk += status.st_blocks * _BLOCK
        if stat.S_ISDIR(status.st_mode):
            waiting += path.iterdir()
        else:
            files += 1
            total += status.st_size
    return Size(files, total, on_disk)


def files_below(root: Path) -> Iterator[Path]:
    """Every file below a folder of this machine, in order of its path; none where there is no folder."""
    for folder, names, files in os.walk(root):
        names.sort()
        yield from (Path(folder, name) for name in sorted(files))


def names_in(folder: AnyFile) -> list[str]:
    """Names of what lies in a folder, sorted; none where there is no folder."""
    if isinstance(folder, StorePath):
        level = folder.store.level(folder.key)
        return sorted([*level.folders, *level.files])
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


SET_ASIDE: Final = "set-aside"
"""Folder, below a root, of what was taken out of the way and may be wanted again."""


def set_aside(path: StorePath, root: StorePath) -> StorePath:
    """Move a file below ``root`` out of the way, into ``set-aside`` there; where it is now. Nothing is replaced."""
    final = target = root / SET_ASIDE / path.below(root)
    number = 0
    while target.exists() or target.is_dir():
        number += 1
        target = final.with_name(f"{path.name}.{number}")
    put_back(path, target)
    return target


def put_back(path: StorePath, target: StorePath) -> None:
    """Move a file to a place where nothing is."""
    on_disk(path, "moving a file").move(path.key, target.key)
    target.parent.settle()
    path.parent.settle()
