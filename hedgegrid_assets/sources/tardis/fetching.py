"""Getting bytes from Tardis: each slice and file is fetched aside, and read to its end before it goes into the cache."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import aiohttp
from anyio import to_thread

from hedgegrid_assets.errors import RemoteFault
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.loop import each
from hedgegrid_assets.sources.client.slots import slot
from hedgegrid_assets.sources.client.transfers import reliably, save, session
from hedgegrid_assets.sources.tardis.availability import refuse_unavailable, with_availability
from hedgegrid_assets.sources.tardis.bodies import Body, check_file, check_slice
from hedgegrid_assets.sources.tardis.connection import Connection, refuse_day
from hedgegrid_assets.sources.tardis.files import DatasetDay
from hedgegrid_assets.sources.tardis.slices import MINUTES, SliceDay
from hedgegrid_assets.store import make_folder

# ---------------------------------------------------------------- slices


async def fetch_slices(
    wanted: SliceDay, paths: Sequence[Path], bodies: dict[int, Body], connection: Connection, work: Path
) -> None:
    """Put the minutes that ``bodies`` lacks into the cache, and what they are into ``bodies``."""
    missing = [minute for minute in range(MINUTES) if minute not in bodies]
    refuse_day(str(wanted), wanted.symbol, wanted.day, connection)
    make_folder(work)
    try:
        await _fetch_missing(wanted, missing, paths, bodies, connection, work)
    except RemoteFault as error:
        raise await with_availability(error, wanted.exchange, wanted.symbol, wanted.day, connection) from None


async def refuse_empty(wanted: SliceDay, connection: Connection) -> None:
    """A day without a message: raises NoDataFetched unless Tardis says that it has the day."""
    await refuse_unavailable(str(wanted), wanted.exchange, wanted.symbol, None, wanted.day, connection)


async def _fetch_missing(
    wanted: SliceDay,
    missing: Sequence[int],
    paths: Sequence[Path],
    bodies: dict[int, Body],
    connection: Connection,
    work: Path,
) -> None:
    async with session(connection.provider_of(wanted.slots), limits.in_force.slice_total) as opened:

        async def fetch(minute: int) -> None:
            bodies[minute] = await _fetch_slice(wanted, minute, paths[minute], connection, opened, work)

        await fetch(missing[0])  # alone: what is wrong with all of them costs one request
        if len(missing) == MINUTES and not bodies[missing[0]].lines:
            with contextlib.suppress(RemoteFault):  # told again at the end, should the whole day be empty
                await refuse_unavailable(str(wanted), wanted.exchange, wanted.symbol, None, wanted.day, connection)
        await each(missing[1:], fetch, limits.in_force.slices_at_once * 2)


async def _fetch_slice(
    wanted: SliceDay, minute: int, final: Path, connection: Connection, opened: aiohttp.ClientSession, work: Path
) -> Body:
    """One minute: fetched aside, read to its end, and only then put into the cache."""
    moment = wanted.moment(minute)
    url = f"{connection.endpoint}{wanted.query()}&offset={minute}"

    async def transfer() -> Body:
        staged = work / f"{uuid4().hex}.slice"
        try:
            async with slot(wanted.slots, limits.in_force.slices_at_once, "slices"):
                await save(opened, url, staged, connection.provider_of(wanted.slots))
                body = await to_thread.run_sync(check_slice, staged, moment)
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(final)
        finally:
            staged.unlink(missing_ok=True)
        return body

    return await reliably(transfer, f"{wanted} {moment:%Y-%m-%dT%H:%M}", connection.provider_of(wanted.slots))


# ---------------------------------------------------------------- datasets


async def fetch_dataset(wanted: DatasetDay, connection: Connection, work: Path) -> bytes:
    """Put a file into the cache: its header (empty for a day without data)."""
    refuse_day(str(wanted), wanted.symbol, wanted.day, connection)
    make_folder(work)
    final = wanted.path()
    try:
        header = await _fetch_file(wanted, final, connection, work)
    except RemoteFault as error:
        fault = await with_availability(error, wanted.exchange, wanted.symbol, wanted.day, connection, dataset=True)
        raise fault from None
    if not header:
        try:
            await refuse_unavailable(str(wanted), wanted.exchange, wanted.symbol, wanted.kind, wanted.day, connection)
        except BaseException:
            final.unlink(missing_ok=True)
            raise
    return header


async def _fetch_file(wanted: DatasetDay, final: Path, connection: Connection, work: Path) -> bytes:
    url = f"{connection.datasets_endpoint}{wanted.query()}"
    async with session(connection.provider_of(wanted.slots), limits.in_force.file_total) as opened:

        async def transfer() -> bytes:
            staged = work / f"{uuid4().hex}.file"
            try:
                async with slot(wanted.slots, limits.in_force.files_at_once, "files"):
                    await save(opened, url, staged, connection.provider_of(wanted.slots))
                    found = await to_thread.run_sync(check_file, staged, wanted.exchange, wanted.kind, wanted.symbol)
                final.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(final)
            finally:
                staged.unlink(missing_ok=True)
            return found

        return await reliably(transfer, f"{wanted} {wanted.day}", connection.provider_of(wanted.slots))
