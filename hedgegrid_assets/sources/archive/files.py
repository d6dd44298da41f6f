"""Files of an archive: where they are had, and where they are kept, as the archive lays them out."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from hedgegrid_assets.sources.archive.archives import Archive
from hedgegrid_assets.sources.client.provider import Provider

_log: Final = logging.getLogger(__name__)


class Proof(msgspec.Struct, frozen=True):
    """What a file was when it was received, kept beside it.

    Attributes:
        url: Where it was fetched.
        etag: What the server said of its version, as ``last_modified``; empty: nothing.
        checksum: The sha256 that its publisher gives, where there is one; ``accepted``: the one that it has instead.
    """

    url: str
    bytes: int
    sha256: str
    etag: str = ""
    last_modified: str = ""
    checksum: str | msgspec.UnsetType = msgspec.UNSET
    accepted: str | msgspec.UnsetType = msgspec.UNSET

    def write(self, path: Path) -> None:
        """Keep it."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=1))

    @classmethod
    def read(cls, path: Path) -> "Proof | None":
        """What was kept; None: nothing that is whole."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, ValueError):
            return None


class Missing(Exception):
    """The archive has no such file."""


class Place(Struct, frozen=True):
    """A file of an archive: where it is had, and where it is kept.

    Attributes:
        archive: Of whose files it is.
        endpoint: Replaces scheme and host; empty: the archive's own.
        path: At the server, with its slash.
        cache: Folder of all files.
        instead: The period (``daily`` or ``monthly``) of other files with the same rows; empty: there are none.
    """

    archive: Archive
    endpoint: str
    path: str
    cache: Path
    instead: str = ""

    @property
    def url(self) -> str:
        """Where it is had."""
        return f"{self.endpoint or self.archive.root}{self.path}"

    @property
    def file(self) -> Path:
        """Where it is kept, once it is proved."""
        return self.cache / self.path.lstrip("/")

    @property
    def proof(self) -> Path:
        """What it was proved by, beside it."""
        return self.file.with_name(f"{self.file.name}.proof.json")

    @property
    def lock(self) -> Path:
        """Held while it is fetched or split."""
        name = hashlib.sha256(self.path.encode()).hexdigest()[:16]
        return self.cache / ".locks" / name

    @property
    def slots(self) -> Path:
        """Folder of the slots that all who fetch into this cache share."""
        return self.cache / ".slots"

    @property
    def what(self) -> str:
        """For people."""
        return self.path.rpartition("/")[2]

    @property
    def provider(self) -> Provider:
        """For the client."""
        hints = {
            403: "the archive does not give this file to you: check the network (and a proxy, if there is one)",
            451: "the exchange refuses your country; use a mirror, with the key endpoint",
        }
        return Provider(self.archive.name, hints=hints, slots=self.slots)

    def held(self) -> Proof | None:
        """The proof of a file that is kept; None: it is not, is another one than was proved, or was had elsewhere."""
        proof = Proof.read(self.proof)
        if proof is None or proof.url != self.url:
            return None
        return proof if self.file.is_file() and self.file.stat().st_size == proof.bytes else None

    def forget(self, why: str = "it is damaged") -> None:
        """Remove a file that is not what it was proved to be, or was published."""
        _log.warning("%s: the cached file is discarded: %s", self.what, why)
        self.proof.unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)


def cache_of(settings: Mapping[str, Any], folder: Path) -> Path:
    """``cache_dir`` as it is, else a folder of all archives."""
    given = settings.get("cache_dir")
    return Path(str(given)) if given else folder / "archive"


def have(place: Place, accepted: tuple[str, ...], tick: Callable[[], None] | None) -> Proof:
    """Have a file, proved: its proof. Raises Missing, RemoteFault."""
    proof = place.held()
    if proof is not None:
        return proof
    from hedgegrid_assets.sources.archive.fetching import fetch
    from hedgegrid_assets.sources.client.loop import call

    return call(lambda: fetch(place, accepted), tick)
