"""Checksum files beside landing files, as venues publish them and ``sha256sum`` writes them."""

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from hedgegrid_assets.errors import ChecksumDiffers

_ENDINGS: Final = (".CHECKSUM", ".checksum", ".sha256", ".sha256sum")
_LINE: Final = re.compile(r"\\?([0-9a-fA-F]{64})(?:[ \t]+\*?(.+?))?\s*")
_BSD_LINE: Final = re.compile(r"SHA256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})\s*")
_LONGEST: Final = 1 << 20


def checksum_file(path: Path) -> Path | None:
    """The checksum file that belongs to a file: its name, and an ending."""
    beside = (f"{path}{ending}" for ending in _ENDINGS)
    return next((Path(found) for found in beside if os.path.isfile(found)), None)  # noqa: PTH113 - a name too long is no file


def expected_sha256(path: Path) -> str | None:
    """The sha256 that a file must have by the checksum file beside it; None if there is none that says so."""
    beside = checksum_file(path)
    if beside is None:
        return None
    try:
        with beside.open("rb") as file:
            text = file.read(_LONGEST).decode("utf-8-sig", errors="replace")
    except OSError:
        return None
    entries = [entry for line in text.splitlines() if (entry := _entry(line.strip())) is not None]
    named = [sha256 for name, sha256 in entries if name == path.name]
    of_it = named or ([entries[0][1]] if len(entries) == 1 else [])
    return of_it[0] if of_it else None


def verify_checksum(path: Path, sha256: str) -> bool:
    """A file is the one that the checksum file beside it was made of; False if there is none. Raises ChecksumDiffers."""
    expected = expected_sha256(path)
    if expected is not None and expected != sha256:
        beside = checksum_file(path)
        raise ChecksumDiffers(path, beside.name if beside else "its checksum file", expected, sha256)
    return expected is not None


def _entry(line: str) -> tuple[str | None, str] | None:
    """(file name, sha256) of a line."""
    if match := _LINE.fullmatch(line):
        return _base(match[2]), match[1].lower()
    if match := _BSD_LINE.fullmatch(line):
        return _base(match[1]), match[2].lower()
    return None


def _base(name: str | None) -> str | None:
    return None if name is None else PureWindowsPath(PurePosixPath(name).name).name
