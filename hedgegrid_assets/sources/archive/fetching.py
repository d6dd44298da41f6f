"""Fetching files of an archive: by parts, proved by their checksums."""

import zipfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from anyio import to_thread
from msgspec import structs

from hedgegrid_assets.errors import ArchiveFileUnproven, RawDamaged, RemoteFault
from hedgegrid_assets.sources.archive.files import Missing, Place, Proof
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.sources.client.answers import Broken
from hedgegrid_assets.sources.client.loop import each
from hedgegrid_assets.sources.client.proof import gzip_members
from hedgegrid_assets.sources.client.slots import slot
from hedgegrid_assets.sources.client.transfers import body_of, head_of, reliably, resume, session
from hedgegrid_assets.store import BlockReader, make_folder, sha256_of
from hedgegrid_assets.store.zips import ZIP_ERRORS

_CHECKSUM_DIGITS: Final = 64


async def fetch(place: Place, accepted: tuple[str, ...]) -> Proof:
    """Put a file into its place: its proof. Raises Missing, RemoteFault, ArchiveFileUnproven."""
    make_folder(place.file.parent)
    part = place.file.with_name(f"{place.file.name}.partial")
    provider = place.provider
    async with session(provider, limits.in_force.file_total) as opened:

        async def transfer() -> Proof:
            async with slot(place.slots, limits.in_force.files_at_once, place.archive.exchange):
                headers = await resume(opened, place.url, part, provider)
                try:
                    return await to_thread.run_sync(_look, place, part, headers)
                except Broken:
                    part.unlink(missing_ok=True)
                    raise

        async def checksum() -> str:
            return _sha256_in(await body_of(opened, f"{place.url}{place.archive.checksum}", provider), place)

        try:
            proof = await reliably(transfer, place.what, provider)
        except RemoteFault as error:
            if error.details.get("status") in place.archive.missing:
                raise Missing(place.path) from None
            raise
        if place.archive.checksum:
            try:
                proof = await _proved(place, proof, checksum, accepted)
            except ArchiveFileUnproven:
                part.unlink(missing_ok=True)
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


async def _proved(
    place: Place, proof: Proof, checksum: Callable[[], Awaitable[str]], accepted: tuple[str, ...]
) -> Proof:
    """With what says that the file is the one that was published. Raises ArchiveFileUnproven."""
    try:
        expected = await reliably(checksum, f"{place.what}{place.archive.checksum}", place.provider)
    except RemoteFault as error:
        if error.details.get("status") not in place.archive.missing:
            raise
        expected = ""
    if proof.sha256 == expected:
        return structs.replace(proof, checksum=expected)
    if proof.sha256 in accepted:
        return structs.replace(proof, checksum=expected, accepted=proof.sha256)
    raise ArchiveFileUnproven(place.url, f"{place.what}{place.archive.checksum}", expected, proof.sha256)


def _sha256_in(body: bytes, place: Place) -> str:
    """The sum in a checksum file. Raises Broken for a body that has none, or that of another file."""
    words = body.decode(errors="replace").split()
    is_sum = bool(words) and len(words[0]) == _CHECKSUM_DIGITS and set(words[0].lower()) <= set("0123456789abcdef")
    if not is_sum or (len(words) > 1 and words[1].lstrip("*").rpartition("/")[2] != place.what):
        raise Broken(f"the checksum file is no sha256 of {place.what}: it begins with {body[:80]!r}")
    return words[0].lower()


def _look(place: Place, part: Path, headers: Mapping[str, str]) -> Proof:
    """What a body is. Raises Broken for one that is no file of this archive, or not whole."""
    if place.path.endswith(".zip"):
        _check_zip(part, place.what, whole=not place.archive.checksum)
    else:
        gzip_members(part, lambda _: None)
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    return Proof(place.url, part.stat().st_size, sha256_of(part), etag, modified)


def _check_zip(path: Path, name: str, *, whole: bool) -> None:
    """One file is in it, named as it is. ``whole``: it is read to its end."""
    with path.open("rb") as file:
        head = file.read(40)
    if not head.startswith(b"PK"):
        raise Broken(f"the body is no zip: it begins with {head!r}" if head else "the body is empty: expected a zip")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (*ZIP_ERRORS, OSError) as error:
        raise Broken(f"the zip is broken: {error}") from None
    expected = f"{name.removesuffix('.zip')}.csv"
    if members != [expected]:
        raise Broken(
            f"the zip is foreign: expected one file {expected} in it, found {', '.join(members[:5]) or 'none'}"
        )
    if whole and not _is_sound(path):
        raise Broken(f"the zip is broken: {expected} is damaged")


def _is_sound(path: Path) -> bool:
    """It can be read to its end, and its checksums agree."""
    try:
        for _ in BlockReader(path):
            pass
    except RawDamaged:
        return False
    return True
