"""Whether a body is the file of an archive that was asked for, and if not, whether another answer may be better."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from hedgegrid_assets.errors import ArchiveFileDamaged, ArchiveFileForeign, ArchiveFileUnproven, RawDamaged
from hedgegrid_assets.sources.archive.files import Place, Proof
from hedgegrid_assets.sources.client.answers import Broken, Damaged, refuse_web_page
from hedgegrid_assets.sources.client.proof import gzip_members
from hedgegrid_assets.store import BlockReader, sha256_of
from hedgegrid_assets.store.zips import ZIP_ERRORS

_GLANCE: Final = 1 << 12
_SHOWN: Final = 40
_CHECKSUM_DIGITS: Final = 64


class Flaw(Struct, frozen=True):
    """Why a body is not the file; ``sealed``: it is sound in itself, so that it came as it was sent."""

    text: str
    sealed: bool = False


class Published(Struct, frozen=True):
    """The sum that is published of a file; empty: none is, or ``instead`` of it something else, in words."""

    sha256: str
    instead: str = ""


def look(place: Place, part: Path, headers: Mapping[str, str]) -> tuple[Proof, Flaw | None]:
    """What a body is, and what speaks against it. Raises WebPage."""
    with part.open("rb") as file:
        head = file.read(_GLANCE)
    refuse_web_page(head, place.url)
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    proof = Proof(place.url, part.stat().st_size, sha256_of(part), etag, modified)
    if not head:
        return proof, Flaw("the body is empty")
    if place.path.endswith(".zip"):
        return proof, _flaw_of_zip(part, head, place)
    return proof, _flaw_of_gzip(part)


def published_in(body: bytes, place: Place) -> Published:
    """The sum in a checksum file, or what stands there instead. Raises WebPage."""
    refuse_web_page(body, f"{place.url}{place.archive.checksum}")
    words = body.decode(errors="replace").split()
    if not words or len(words[0]) != _CHECKSUM_DIGITS or not set(words[0].lower()) <= set("0123456789abcdef"):
        return Published("", f"it begins with {body[:_SHOWN]!r}" if body else "it is empty")
    name = words[1].lstrip("*").rpartition("/")[2] if len(words) > 1 else place.what
    return Published(words[0].lower()) if name == place.what else Published("", f"it is that of {name}")


def proved(
    place: Place, proof: Proof, flaw: Flaw | None, published: Published | None, accepted: tuple[str, ...]
) -> Proof:
    """With what says that it is the file that was published; ``published`` is None where the archive has no sums.

    Raises Damaged where another answer may be better, else ArchiveFileForeign or ArchiveFileUnproven.
    """
    agrees = published is not None and proof.sha256 == published.sha256
    taken = agrees or (published is not None and proof.sha256 in accepted)
    if flaw is not None:
        if taken or (published is None and flaw.sealed):
            raise ArchiveFileForeign(place.url, flaw.text, proof.sha256, place.instead)
        raise Damaged(flaw.text, fault=ArchiveFileDamaged(place.url, flaw.text))
    if published is None:
        return proof
    if taken:
        said = structs.replace(proof, checksum=published.sha256)
        return said if agrees else structs.replace(said, accepted=proof.sha256)
    checksum_file = f"{place.what}{place.archive.checksum}"
    fault = ArchiveFileUnproven(place.url, checksum_file, published.sha256, proof.sha256, published.instead)
    if published.sha256:  # one of the two may have been about to be replaced
        raise Damaged(fault.message, fault=fault, more=1)
    raise fault


# ---------------------------------------------------------------- flaws


def _flaw_of_zip(path: Path, head: bytes, place: Place) -> Flaw | None:
    """One file is in it, named as it is; of an archive without sums, it is read to its end."""
    if not head.startswith(b"PK"):
        return Flaw(f"the body is no zip: it begins with {head[:_SHOWN]!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (*ZIP_ERRORS, OSError) as error:
        return Flaw(f"the zip is broken: {error}")
    expected = f"{place.what.removesuffix('.zip')}.csv"
    if members != [expected]:
        found = ", ".join(members[:5]) or "none"
        return Flaw(f"the zip is foreign: expected one file {expected} in it, found {found}", sealed=True)
    if not place.archive.checksum and not _is_sound(path):
        return Flaw(f"the zip is broken: {expected} is damaged")
    return None


def _flaw_of_gzip(path: Path) -> Flaw | None:
    try:
        gzip_members(path, lambda _: None)
    except Broken as error:
        return Flaw(str(error))
    return None


def _is_sound(path: Path) -> bool:
    """It can be read to its end, and its checksums agree."""
    try:
        for _ in BlockReader(path):
            pass
    except RawDamaged:
        return False
    return True
