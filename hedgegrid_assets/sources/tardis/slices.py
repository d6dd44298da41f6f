"""Replayed days: 1,440 slices in the cache that tardis-client lays out, and the raw day that is made of them."""

import gzip
import hashlib
import json
import logging
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from msgspec import Struct

from hedgegrid_assets.sources.client.answers import Broken
from hedgegrid_assets.sources.tardis.bodies import Body, check_slice
from hedgegrid_assets.store import make_folder

_log: Final = logging.getLogger(__name__)
MINUTES: Final = 1_440
_TOGETHER: Final[Mapping[str, tuple[str, ...]]] = {"depth": ("depth", "depthSnapshot")}
"""Channels that make one stream: of a book, changes and the snapshots that Tardis fetches beside them."""


class SliceDay(Struct, frozen=True):
    """A day of one channel and symbol, minute by minute, in the cache that tardis-client lays out.

    ``slots``: folder of the slots that all who ask Tardis share.
    """

    exchange: str
    channel: str
    symbol: str
    day: date
    cache: Path
    slots: Path

    def __str__(self) -> str:
        return f"{self.exchange} {self.channel} {self.symbol}"

    def moment(self, minute: int) -> datetime:
        """Start of a minute; naive UTC, the only form that tardis-client passes on unharmed."""
        return datetime(self.day.year, self.day.month, self.day.day) + timedelta(minutes=minute)  # noqa: DTZ001

    def _filters(self) -> list[Any]:
        from tardis_client import Channel

        return [Channel(name, [self.symbol.lower()]) for name in self._channels]

    @property
    def _channels(self) -> tuple[str, ...]:
        return _TOGETHER.get(self.channel, (self.channel,))

    def path(self, minute: int) -> Path:
        """Where tardis-client looks for a minute."""
        from tardis_client.handy import get_slice_cache_path

        return Path(get_slice_cache_path(str(self.cache), self.exchange, self.moment(minute), self._filters()))

    def query(self) -> str:
        """As tardis-client asks; ``offset`` is added for each minute."""
        wanted = [{"channel": name, "symbols": [self.symbol.lower()]} for name in self._channels]
        filters = json.dumps(wanted, separators=(",", ":"))
        encoded = urllib.parse.quote(filters, safe="~()*!.'")
        return f"/v1/data-feeds/{self.exchange}?from={self.moment(0).isoformat()}&filters={encoded}"

    def cached(self) -> list[int]:
        """The minutes that have a file; what is in it is checked when it is used."""
        return [minute for minute in range(MINUTES) if self.path(minute).is_file()]


def usable(wanted: SliceDay, paths: Sequence[Path], tick: Callable[[], None] | None = None) -> dict[int, Body]:
    """The minutes in the cache that are what they should be; others are removed from it."""
    found: dict[int, Body] = {}
    for minute, path in enumerate(paths):
        if tick and not minute % 60:
            tick()
        if not path.is_file():
            continue
        try:
            found[minute] = check_slice(path, wanted.moment(minute))
        except Broken as error:
            _log.warning("%s %s: the cached slice is discarded: %s", wanted, wanted.moment(minute), error)
            path.unlink(missing_ok=True)
    return found


def joined(paths: Sequence[Path], bodies: Mapping[int, Body], work: Path) -> tuple[Path, str, int]:
    """Slices laid end to end, as received: gzip members; a slice without a last newline gets one as a member of its own."""
    make_folder(work)
    joined = work / f"{uuid4().hex}.day.part"
    digest, size = hashlib.sha256(), 0
    newline = gzip.compress(b"\n", mtime=0)
    with joined.open("wb") as out:
        for minute, path in enumerate(paths):
            for data in (path.read_bytes(), b"" if bodies[minute].whole else newline):
                out.write(data)
                digest.update(data)
                size += len(data)
    return joined, digest.hexdigest(), size
