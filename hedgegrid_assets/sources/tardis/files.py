"""CSV files of a day: fetched aside and read to their end before they go into the cache."""

import hashlib
import logging
import os
import shutil
import urllib.parse
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from anyio import to_thread

from hedgegrid_assets.errors import RemoteFault
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import Broken
from hedgegrid_assets.sources.client.loop import at_most
from hedgegrid_assets.sources.client.transfers import reliably, save, session
from hedgegrid_assets.sources.tardis.availability import refuse_unavailable, with_availability
from hedgegrid_assets.sources.tardis.bodies import check_file, check_start
from hedgegrid_assets.sources.tardis.connection import Connection, refuse_day
from hedgegrid_assets.sources.tardis.names import file_symbol
from hedgegrid_assets.store import make_folder

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DatasetDay:
    """A CSV file of one day, type and symbol."""

    exchange: str
    kind: str
    symbol: str
    day: date
    cache: Path

    def __str__(self) -> str:
        return f"{self.exchange} {self.kind} {self.symbol}"

    def path(self) -> Path:
        """Its place in the cache; named as tardis-dev does, whose import would cost a third of a second."""
        name = f"{self.exchange}_{self.kind}_{self.day}_{file_symbol(self.symbol)}.csv.gz"
        return self.cache / "datasets" / name

    def query(self) -> str:
        """As tardis-dev asks."""
        name = urllib.parse.quote(file_symbol(self.symbol), safe="")
        return f"/v1/{self.exchange}/{self.kind}/{self.day:%Y/%m/%d}/{name}.csv.gz"


async def fetch_dataset(wanted: DatasetDay, connection: Connection, work: Path) -> tuple[Path, bytes, dict[str, Any]]:
    """The file in ``work``, its header (empty for a day without data), and its origin."""
    final = wanted.path()
    found = await to_thread.run_sync(_usable_file, wanted, final)
    fetched = found is None
    if found is None:
        refuse_day(str(wanted), wanted.day, connection)
        make_folder(work)
        try:
            found = await _fetch_file(wanted, final, connection, work)
        except RemoteFault as error:
            raise await with_availability(error, wanted.exchange, wanted.symbol, wanted.day, connection) from None
    header = found
    if not header and fetched:
        try:
            await refuse_unavailable(str(wanted), wanted.exchange, wanted.symbol, wanted.kind, wanted.day, connection)
        except BaseException:
            final.unlink(missing_ok=True)
            raise
    path, sha256, size = await to_thread.run_sync(_linked, final, work)
    return path, header, {"url": f"{connection.datasets_endpoint}{wanted.query()}", "bytes": size, "sha256": sha256}


def _usable_file(wanted: DatasetDay, path: Path) -> bytes | None:
    """The header of a cached file; it was read to its end before it came there, and will be when it is looked through."""
    if not path.is_file():
        return None
    try:
        return check_start(path, wanted.exchange, wanted.kind, wanted.symbol)
    except Broken as error:
        _log.warning("%s %s: the cached file is discarded: %s", wanted, wanted.day, error)
        path.unlink(missing_ok=True)
        return None


def discard(wanted: DatasetDay) -> None:
    """Remove a cached file that could not be read to its end."""
    _log.warning("%s %s: the cached file is discarded: it is damaged", wanted, wanted.day)
    wanted.path().unlink(missing_ok=True)


async def _fetch_file(wanted: DatasetDay, final: Path, connection: Connection, work: Path) -> bytes:
    url = f"{connection.datasets_endpoint}{wanted.query()}"
    async with session(connection.provider, limits.in_force.file_total) as opened:

        async def transfer() -> bytes:
            staged = work / f"{uuid4().hex}.file"
            try:
                async with at_most(limits.in_force.files_at_once, "files"):
                    await save(opened, url, staged, connection.provider)
                    found = await to_thread.run_sync(check_file, staged, wanted.exchange, wanted.kind, wanted.symbol)
                final.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(final)
            finally:
                staged.unlink(missing_ok=True)
            return found

        return await reliably(transfer, f"{wanted} {wanted.day}", connection.provider)


def _linked(path: Path, work: Path) -> tuple[Path, str, int]:
    """The same file once more under a name in ``work``: without a copy where the file system can do that."""
    make_folder(work)
    other = work / f"{uuid4().hex}.day.part"
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
    with other.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return other, digest, other.stat().st_size
