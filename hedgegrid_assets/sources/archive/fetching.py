"""Fetching files of an archive: by parts, proved by their checksums."""

from collections.abc import Mapping

import aiohttp
from anyio import to_thread

from hedgegrid_assets.errors import RemoteFault
from hedgegrid_assets.sources.archive.bodies import Published, look, proved, published_in
from hedgegrid_assets.sources.archive.files import Missing, Place, Proof
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import Broken
from hedgegrid_assets.sources.client.loop import each
from hedgegrid_assets.sources.client.slots import slot
from hedgegrid_assets.sources.client.transfers import body_of, head_of, reliably, resume, session
from hedgegrid_assets.store import make_folder


async def fetch(place: Place, accepted: tuple[str, ...]) -> Proof:
    """Put a file into its place: its proof. Raises Missing, RemoteFault."""
    make_folder(place.file.parent)
    part = place.file.with_name(f"{place.file.name}.partial")
    provider = place.provider
    async with session(provider, limits.in_force.file_total) as opened:

        async def transfer() -> Proof:
            async with slot(place.slots, limits.in_force.files_at_once, place.archive.exchange):
                headers = await resume(opened, place.url, part, provider)
                try:
                    proof, flaw = await to_thread.run_sync(look, place, part, headers)
                    published = await _published(opened, place) if place.archive.checksum else None
                    return proved(place, proof, flaw, published, accepted)
                except (Broken, RemoteFault):  # it came to its end: nothing goes on from there
                    part.unlink(missing_ok=True)
                    raise

        try:
            proof = await reliably(transfer, place.what, provider)
        except RemoteFault as error:
            if error.details.get("status") in place.archive.missing:
                raise Missing(place.path) from None
            raise
    part.replace(place.file)
    proof.write(place.proof)
    return proof


async def versions(places: Mapping[str, Place]) -> dict[str, Mapping[str, str] | None]:
    """What the archive has at each address now; None: nothing. Raises RemoteFault."""
    found: dict[str, Mapping[str, str] | None] = {}
    if not places:
        return found
    provider = next(iter(places.values())).provider
    async with session(provider, limits.in_force.slice_total) as opened:

        async def look(url: str) -> None:
            place = places[url]
            try:
                headers = await reliably(lambda: head_of(opened, place.url, provider), place.what, provider)
            except RemoteFault as error:
                if error.details.get("status") not in place.archive.missing:
                    raise
                found[url] = None
                return
            names = {"etag": "ETag", "last_modified": "Last-Modified", "bytes": "Content-Length"}
            found[url] = {name: headers.get(header, "") for name, header in names.items()}

        await each(places, look, limits.in_force.files_at_once)
    return found


async def _published(opened: aiohttp.ClientSession, place: Place) -> Published:
    """What the checksum file beside a file says. Raises RemoteFault."""
    what, provider = f"{place.what}{place.archive.checksum}", place.provider

    async def checksum() -> Published:
        return published_in(await body_of(opened, f"{place.url}{place.archive.checksum}", provider), place)

    try:
        return await reliably(checksum, what, provider)
    except RemoteFault as error:
        if error.details.get("status") not in place.archive.missing:
            raise
        return Published("")
