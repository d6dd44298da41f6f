"""Replayed days: 1,440 slices, each fetched aside and read to its end before it goes into the cache that tardis-client lays out."""

import contextlib
import gzip
import hashlib
import json
import logging
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
from anyio import to_thread

from hedgegrid_assets.errors import RemoteFault
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import Broken
from hedgegrid_assets.sources.client.loop import at_most, each
from hedgegrid_assets.sources.client.transfers import reliably, save, session
from hedgegrid_assets.sources.tardis.availability import refuse_unavailable, with_availability
from hedgegrid_assets.sources.tardis.bodies import Body, check_slice
from hedgegrid_assets.sources.tardis.connection import Connection, refuse_day
from hedgegrid_assets.store import make_folder

_log: Final = logging.getLogger(__name__)
MINUTES: Final = 1_440


@dataclass(frozen=True, slots=True)
class SliceDay:
    """A day of one channel and symbol, minute by minute, in the cache that tardis-client lays out."""

    exchange: str
    channel: str
    symbol: str
    day: date
    cache: Path

    def __str__(self) -> str:
        return f"{self.exchange} {self.channel} {self.symbol}"

    def moment(self, minute: int) -> datetime:
        """Start of a minute; naive UTC, the only form that tardis-client passes on unharmed."""
        return datetime(self.day.year, self.day.month, self.day.day) + timedelta(minutes=minute)  # noqa: DTZ001

    def _filters(self) -> list[Any]:
        from tardis_client import Channel

        return [Channel(self.channel, [self.symbol.lower()])]

    def path(self, minute: int) -> Path:
        """Where tardis-client looks for a minute."""
        from tardis_client.handy import get_slice_cache_path

        return Path(get_slice_cache_path(str(self.cache), self.exchange, self.moment(minute), self._filters()))

    def query(self) -> str:
        """As tardis-client asks; ``offset`` is added for each minute."""
        filters = json.dumps([{"channel": self.channel, "symbols": [self.symbol.lower()]}], separators=(",", ":"))
        encoded = urllib.parse.quote(filters, safe="~()*!.'")
        return f"/v1/data-feeds/{self.exchange}?from={self.moment(0).isoformat()}&filters={encoded}"

    def cached(self) -> list[int]:
        """The minutes that have a file; what is in it is checked when it is used."""
        return [minute for minute in range(MINUTES) if self.path(minute).is_file()]


async def fetch_slices(wanted: SliceDay, connection: Connection, work: Path) -> tuple[Path, dict[str, Any]]:
    """All minutes of a day, joined in order into one gzip file in ``work``: its path, and its origin."""
    paths = await to_thread.run_sync(lambda: [wanted.path(minute) for minute in range(MINUTES)])
    bodies = await to_thread.run_sync(_usable, wanted, paths)
    missing = [minute for minute in range(MINUTES) if minute not in bodies]
    if missing:
        refuse_day(str(wanted), wanted.day, connection)
        make_folder(work)
        try:
            await _fetch_missing(wanted, missing, paths, bodies, connection, work)
        except RemoteFault as error:
            raise await with_availability(error, wanted.exchange, wanted.symbol, wanted.day, connection) from None
    if not any(body.lines for body in bodies.values()):
        await refuse_unavailable(str(wanted), wanted.exchange, wanted.symbol, None, wanted.day, connection)
    path, sha256, size = await to_thread.run_sync(_joined, paths, bodies, work)
    return path, {
        "url": f"{connection.endpoint}{wanted.query()}",
        "slices": MINUTES,
        "fetched": len(missing),
        "bytes": size,
        "sha256": sha256,
    }


async def _fetch_missing(
    wanted: SliceDay,
    missing: Sequence[int],
    paths: Sequence[Path],
    bodies: dict[int, Body],
    connection: Connection,
    work: Path,
) -> None:
    async with session(connection.provider, limits.in_force.slice_total) as opened:

        async def fetch(minute: int) -> None:
            bodies[minute] = await _fetch_slice(wanted, minute, paths[minute], connection, opened, work)

        await fetch(missing[0])  # alone: what is wrong with all of them costs one request
        if len(missing) == MINUTES and not bodies[missing[0]].lines:
            with contextlib.suppress(RemoteFault):  # told again at the end, should the whole day be empty
                await refuse_unavailable(str(wanted), wanted.exchange, wanted.symbol, None, wanted.day, connection)
        await each(missing[1:], fetch, limits.in_force.slices_at_once * 2)


def _usable(wanted: SliceDay, paths: Sequence[Path]) -> dict[int, Body]:
    """The minutes in the cache that are what they should be; others are removed from it."""
    found: dict[int, Body] = {}
    for minute, path in enumerate(paths):
        if not path.is_file():
            continue
        try:
            found[minute] = check_slice(path, wanted.moment(minute))
        except Broken as error:
            _log.warning("%s %s: the cached slice is discarded: %s", wanted, wanted.moment(minute), error)
            path.unlink(missing_ok=True)
    return found


async def _fetch_slice(
    wanted: SliceDay, minute: int, final: Path, connection: Connection, opened: aiohttp.ClientSession, work: Path
) -> Body:
    """One minute: fetched aside, read to its end, and only then put into the cache."""
    moment = wanted.moment(minute)
    url = f"{connection.endpoint}{wanted.query()}&offset={minute}"

    async def transfer() -> Body:
        staged = work / f"{uuid4().hex}.slice"
        try:
            async with at_most(limits.in_force.slices_at_once, "slices"):
                await save(opened, url, staged, connection.provider)
                body = await to_thread.run_sync(check_slice, staged, moment)
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(final)
        finally:
            staged.unlink(missing_ok=True)
        return body

    return await reliably(transfer, f"{wanted} {moment:%Y-%m-%dT%H:%M}", connection.provider)


def _joined(paths: Sequence[Path], bodies: Mapping[int, Body], work: Path) -> tuple[Path, str, int]:
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
