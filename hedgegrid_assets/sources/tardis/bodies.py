"""What Tardis' bodies must be: the slice of a minute, the CSV file of a day. They are read to their end to know it."""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from hedgegrid_assets.sources.client.answers import Damaged
from hedgegrid_assets.sources.client.proof import gzip_members, gzip_start
from hedgegrid_assets.sources.tardis.names import file_symbol
from hedgegrid_assets.store import LONGEST_LINE

_GLANCE: Final = 1 << 16
_BLANKS: Final = re.compile(rb"\n\n+")
_STAMP: Final = re.compile(rb"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}):\d{2}\.", re.MULTILINE)


class Body(Struct, frozen=True):
    """A body that was read to its end: lines with content, blank lines, and whether the last line is whole."""

    lines: int
    blank: int
    whole: bool


def check_slice(path: Path, moment: datetime) -> Body:
    """Read a slice to its end, a bounded part at a time. Raises Damaged if it cannot be the slice of this minute."""
    seen = _SliceSeen(moment)
    gzip_members(path, seen.add)
    return seen.body()


class _SliceSeen:
    """What the parts of a slice have told so far."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._prefix = f"{moment:%Y-%m-%dT%H:%M:}".encode()
        self._rest = self._start = b""
        self._lines = self._blank = self._own = 0
        self._stamps: set[bytes] = set()
        self._has_objects = False

    def add(self, part: bytes) -> None:
        """Take the next part. Raises Damaged for a line that no message is as long as."""
        data = self._rest + part
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        self._see(data[:end])
        if len(self._rest) > LONGEST_LINE:
            raise Damaged(f"the body is foreign: a line of more than {LONGEST_LINE >> 20} MiB")

    def _see(self, data: bytes) -> None:
        """Take whole lines."""
        self._start = self._start or data[:40]
        blank = sum(len(found) - 1 for found in _BLANKS.findall(data)) if b"\n\n" in data else 0
        self._blank += blank + data.startswith(b"\n")
        lines = data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))
        self._lines += lines
        own = data.count(b"\n" + self._prefix) + data.startswith(self._prefix)
        self._own += own
        if own < lines:
            self._stamps.update(_STAMP.findall(data))
            self._has_objects = self._has_objects or b"{" in data
        elif own:
            self._stamps.add(self._prefix[:-1])

    def body(self) -> Body:
        """All parts are there. Raises Damaged if they are of another minute."""
        whole = not self._rest
        self._see(self._rest)
        lines = self._lines - self._blank
        if self._own < lines:
            self._check_stamps()
        return Body(lines, self._blank, whole)

    def _check_stamps(self) -> None:
        """Some lines are not of this minute: broken ones, an overlap, or a body that belongs elsewhere."""
        own, day = self._prefix[:-1], f"{self._moment:%Y-%m-%d}".encode()
        others = sorted(stamp for stamp in self._stamps if stamp != own)
        strange = [stamp for stamp in others if not stamp.startswith(day)]
        if strange or (others and own not in self._stamps):
            raise Damaged(
                f"the body belongs elsewhere: expected lines of {own.decode()}, found {(strange or others)[0].decode()}"
            )
        if not self._stamps and not self._has_objects:
            raise Damaged(f"the body is foreign: it begins with {self._start!r}")


def check_file(path: Path, exchange: str, kind: str, symbol: str) -> bytes:
    """Read a CSV file to its end: its header, empty if there is nothing in it. Raises Damaged if it cannot be this file."""
    head = bytearray()

    def see(data: bytes) -> None:
        if len(head) < _GLANCE:
            head.extend(data)

    gzip_members(path, see)
    return _check_head(bytes(head), exchange, kind, symbol)


def check_start(path: Path, exchange: str, kind: str, symbol: str) -> bytes:
    """As ``check_file``, of its start only."""
    return _check_head(gzip_start(path, _GLANCE), exchange, kind, symbol)


def _check_head(head: bytes, exchange: str, kind: str, symbol: str) -> bytes:
    """The header of a file that begins like this. Raises Damaged if it cannot be the file that was asked for."""
    if not head:
        return b""
    header, first, *_ = [*head.split(b"\n", 2), b"", b""]
    names = header.removeprefix(b"\xef\xbb\xbf").strip().split(b",")
    if names[:2] != [b"exchange", b"symbol"] and not {b"symbol", b"local_timestamp"} <= set(names):
        raise Damaged(f"the file is no {kind} of Tardis: it begins with {bytes(header[:80])!r}")
    row = dict(zip(names, first.strip().split(b","), strict=False))
    found = row.get(b"exchange", b"").decode(errors="replace"), row.get(b"symbol", b"").decode(errors="replace")
    if first and (found[0] != exchange or file_symbol(found[1]) != file_symbol(symbol)):
        raise Damaged(f"the file belongs elsewhere: expected {exchange} {symbol}, found {found[0]} {found[1]}")
    return header
