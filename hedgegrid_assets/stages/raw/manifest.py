"""The manifest of a raw day: what its file is, and where each of its lines comes from."""

from collections.abc import Iterable
from datetime import date
from typing import Any, ClassVar, Literal

import msgspec

from hedgegrid_assets.dialect import Dialect, View
from hedgegrid_assets.store import AnyFile, Document, read_document
from hedgegrid_assets.venues.markets import Says


class Unplaced(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Lines of a file that have no place: their reasons with their counts, and the first of them.

    ``first``: ``line`` (from 1), ``reason``, ``field`` and ``value`` where they are known.
    """

    reasons: dict[str, int] = msgspec.field(default_factory=dict)
    first: dict[str, Any] = msgspec.field(default_factory=dict)


class Received(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One file of several that a download is made of, as ``FileOrigin`` says it of one."""

    url: str
    bytes: int
    sha256: str
    etag: str | None = None
    last_modified: str | None = None
    checksum: str | None = None
    accepted: str | None = None


class FileOrigin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one landing file, or one download, gives to a raw day. What does not apply to it is None, and not written.

    Attributes:
        path: The landing file, below the data root where it lies there.
        url: Where it was fetched, without secrets; ``slices`` and ``fetched``: of how many parts, and how many were new.
        etag: What the server said of its version, as ``last_modified``.
        checksum: The sha256 that its publisher gives; ``accepted``: the one it has, where another is taken on purpose.
        files: What it was joined from.
        bytes: Of the file as it was received; ``sha256`` likewise.
        content: Digest of what is in it, however it is packed.
        lines: Of the file; ``stored_lines`` and ``stored_bytes``: those that the raw day has of it (no bytes: in place).
        by_stream: Lines by what they call themselves; ``connection``, ``blank``, ``unreadable``: those that are no message.
        decimals: Field -> decimals, as ``model.Decimals``; what is only known of long numbers is left out without one.
        dialect: How its lines are read, for its source's ``Dialect``; ``settings``: what was said of that.
    """

    path: str | None = None
    url: str | None = None
    slices: int | None = None
    fetched: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    checksum: str | None = None
    accepted: str | None = None
    files: list[Received] = msgspec.field(default_factory=list)
    bytes: int
    sha256: str
    lines: int
    by_stream: dict[str, int] | None = None
    connection: int | None = None
    blank: int | None = None
    unreadable: int | None = None
    unplaced: Unplaced | None = None
    content: str | None = None
    decoded_to_end: bool | None = None
    decimals: dict[str, list[Any]] = msgspec.field(default_factory=dict)
    first_local_ns: int | None = None
    last_local_ns: int | None = None
    disconnects_ns: list[int] = msgspec.field(default_factory=list)
    dialect: dict[str, Any] = msgspec.field(default_factory=dict)
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    stored_lines: int | None = None
    stored_bytes: int | None = None


class Manifest(Document, frozen=True, kw_only=True):
    """The manifest of a raw day; it alone holds a wall-clock.

    Attributes:
        stored: The file is a copy, or the landing file itself (``in_place``), whose whole path ``file`` is then.
        request: What the day was made or fetched with.
        replaces: sha256 of the contents that the raw day had before, oldest first.
    """

    kind: ClassVar[str] = "manifest"
    newest: ClassVar[int] = 2
    told: ClassVar[str] = "the manifest of a raw day"
    manifest: int = 1
    feed: str
    source: str
    channel: str
    symbol: str
    date: date
    stored: Literal["copy", "in_place"]
    file: str
    bytes: int
    sha256: str
    lines: int
    decoded_to_end: bool | None = None
    first_local_ns: int | None
    last_local_ns: int | None
    origin: list[FileOrigin]
    request: dict[str, Any] | None
    disconnects_ns: list[int]
    fetched_at: str
    versions: dict[str, str]
    replaces: list[str] = msgspec.field(default_factory=list)

    @property
    def in_place(self) -> bool:
        """The raw file is the landing file itself."""
        return self.stored == "in_place"

    @property
    def files(self) -> list[tuple[str, Says | None]]:
        """(path or nothing, what it says) of each landing file."""
        return [(origin.path or "", Dialect.of(origin.dialect).says) for origin in self.origin]

    def views(self, channel: str) -> list[View]:
        """How a channel reads each landing file, as far as all sources have it in common."""
        return [Dialect.of(origin.dialect).views.get(channel, View()) for origin in self.origin]

    def had(self, sha256s: Iterable[str]) -> bool:
        """The raw day has one of these contents, or had it before."""
        return not {self.sha256, *self.replaces}.isdisjoint(sha256s)


def read_manifest(path: AnyFile) -> Manifest | None:
    """A manifest, or None where there is none. Raises DocumentDamaged."""
    return read_document(path, Manifest)
