"""A catalog, and its raw data if wanted, as one archive with checksums; and back, into a new place, proved before it counts.

An archive is a tar file (compressed by zstd, if its name ends so): ``catalog/...`` and ``data/...``, then ``SHA256SUMS`` of all of
them in their order (``sha256sum -c`` reads it), and last ``hedgegrid-backup.json``, without which it is not whole.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final

from msgspec import Struct

from hedgegrid_assets.errors import BackupRefused, DocumentDamaged, NoSuchCatalog, UsageError
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.store import (
    SET_ASIDE,
    Document,
    Member,
    Places,
    TarFault,
    atomic_write,
    exchange,
    exclusive_lock,
    files_below,
    make_folder,
    on_disk,
    remove_abandoned,
    remove_tree,
    sync_folder,
    tar_members,
    tar_writer,
    working_folder,
    writing,
)
from hedgegrid_assets.store.documents import decode, encode

type Progress = Callable[[str], None]

ENDINGS: Final[Mapping[str, bool]] = {".tar": False, ".tar.zst": True, ".tzst": True}
"""Ending of an archive's name -> it is compressed."""
_CATALOG: Final = "catalog"
_DATA: Final = "data"
_SUMS: Final = "SHA256SUMS"
_MANIFEST: Final = "hedgegrid-backup.json"
_OF_DATA: Final = ("raw", "rejects")
_ROOTS: Final = (_CATALOG, *(f"{_DATA}/{name}" for name in _OF_DATA))
_WORKING: Final = ".hedgegrid"
_KEPT: Final = ("series.json", "outages.json")
"""The files of ``.hedgegrid`` that are no locks and nothing in the making."""
_LEFT_OUT: Final = frozenset({".tmp", "lock"})
_IN_THE_MAKING: Final = ".hedgegrid-"
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK})


class Backup(Document, frozen=True, kw_only=True):
    """The manifest of an archive: how much is in it, and the sha256 of its ``SHA256SUMS``."""

    kind: ClassVar[str] = "backup"
    newest: ClassVar[int] = 1
    told: ClassVar[str] = "the manifest of a backup"
    remedy: ClassVar[str] = "take another copy of the archive"
    backup: int = 0
    made_at: str
    files: int
    bytes: int
    roots: list[str]
    sums_sha256: str
    versions: dict[str, str]


class Restored(Struct, frozen=True):
    """What came back, and where; ``replaced``: where what stood there before is now."""

    manifest: Backup
    places: tuple[Path, ...]
    replaced: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "made_at": self.manifest.made_at,
            "files": self.manifest.files,
            "bytes": self.manifest.bytes,
            "restored": [str(path) for path in self.places],
            "replaced": [str(path) for path in self.replaced],
        }


# ---------------------------------------------------------------- backup


def back_up(places: Places, archive: Path, progress: Progress, *, raw: bool = False) -> Backup:
    """Write all of a catalog into one archive, with ``raw`` also landing files, raw days and rejected lines.

    The files are as they stood at one moment: they are linked first, in a few moments, and read then. Working files, locks
    and what was set aside stay out. The archive appears when it is complete; one that is there is not replaced.

    Raises:
        NoSuchCatalog: There is none.
        UsageError: The archive's name, or its place.
    """
    folders = targets_of(places)
    if folders[_CATALOG].is_dir():  # also where there is nothing more to do: a killed one may have left its links
        catalog_stage.finish(places)
        for folder in (places.landing, archive.absolute().parent):
            remove_abandoned(folder)
    compressed = _checked(places, archive)
    with writing(archive), working_folder(places.catalog_temp) as work, contextlib.ExitStack() as stack:
        with exclusive_lock(places.catalog_lock):
            snapshots = {_CATALOG: _linked(folders[_CATALOG], work / _CATALOG, _is_kept)}
        if raw and places.landing.is_dir():
            beside = stack.enter_context(working_folder(places.landing))
            for root in _ROOTS[1:]:
                snapshots[root] = _linked(folders[root], beside / Path(root).name, _is_data)
        temporary = stack.enter_context(atomic_write(archive, archive.absolute().parent))
        manifest = _write(temporary, snapshots, progress, compressed=compressed)
        for folder in snapshots.values():
            remove_tree(folder)
    return manifest


def _checked(places: Places, archive: Path) -> bool:
    """Whether the archive is to be compressed."""
    ending = next((ending for ending in ENDINGS if archive.name.endswith(ending) and archive.name != ending), None)
    if ending is None:
        raise UsageError(f"unknown kind of archive: expected a name that ends in {', '.join(ENDINGS)}, found {archive}")
    catalog, *data = targets_of(places).values()
    if not catalog.is_dir():
        raise NoSuchCatalog(str(catalog))
    if archive.exists():
        raise UsageError(f"{archive} is there already: expected a new name; a backup is never replaced")
    for root in (catalog, *data):
        if archive.resolve().is_relative_to(root.resolve()):
            raise UsageError(f"{archive} lies in what is backed up ({root}): expected another place")
    return ENDINGS[ending]


def _is_kept(parts: tuple[str, ...]) -> bool:
    """Of a catalog: all but working files and what was set aside."""
    return parts[0] != SET_ASIDE and (parts[0] != _WORKING or (len(parts) == 2 and parts[1] in _KEPT))


def _is_data(parts: tuple[str, ...]) -> bool:
    return not _LEFT_OUT.intersection(parts) and not parts[0].startswith((SET_ASIDE, _IN_THE_MAKING))


def _linked(root: Path, to: Path, is_kept: Callable[[tuple[str, ...]], bool]) -> Path:
    """The files of a folder under other names: published files are replaced, never written into."""
    for path in files_below(root):
        below = path.relative_to(root)
        if path.is_symlink() or not is_kept(below.parts):
            continue
        make_folder((to / below).parent)
        with contextlib.suppress(FileNotFoundError):  # it has gone just now
            _link(path, to / below)
    make_folder(to)
    return to


def _link(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(path, to)


def _write(archive: Path, snapshots: Mapping[str, Path], progress: Progress, *, compressed: bool) -> Backup:
    sums: list[bytes] = []
    size = 0
    with tar_writer(archive, compressed=compressed) as tar:
        for root, folder in snapshots.items():
            for path in files_below(folder):
                name = f"{root}/{path.relative_to(folder).as_posix()}"
                sums.append(f"{tar.add(name, path)}  {name}\n".encode())
                size += path.stat().st_size
                progress(name)
        text = b"".join(sums)
        tar.add_bytes(_SUMS, text)
        manifest = Backup(
            made_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            files=len(sums),
            bytes=size,
            roots=list(snapshots),
            sums_sha256=hashlib.sha256(text).hexdigest(),
            versions={"hedgegrid_assets": version("hedgegrid-assets")},
        )
        tar.add_bytes(_MANIFEST, encode(manifest))
    return manifest


# ---------------------------------------------------------------- restore


def targets_of(places: Places) -> dict[str, Path]:
    """Root in an archive -> the folder that it is of. Raises NeedsDisk."""
    catalog, data = (on_disk(place, "a backup").path(place.key) for place in (places.catalog, places.data))
    return dict(zip(_ROOTS, (catalog, *(data / name for name in _OF_DATA)), strict=True))


def restore(places: Places, archive: Path, progress: Progress, *, check_only: bool = False) -> Restored:
    """Unpack an archive beside the places that it is for, prove every file, then let it take their place at once.

    What stood there before is kept beside it (``<name>.replaced``). A run that is killed, or an archive that is not whole,
    leaves every folder as it was or replaced whole; the next run removes what was unpacked, and keeps what was replaced.
    With ``check_only`` it is only proved.

    Raises:
        BackupRefused: It is damaged, cut, not ours, or holds what may lead out of its place.
    """
    if not archive.is_file():
        raise UsageError(f"no such archive: expected a file of `hedgegrid backup`, found none at {archive}")
    targets = targets_of(places)
    if check_only:
        return Restored(_unpack(archive, {}, progress), ())
    with writing(places.catalog), contextlib.ExitStack() as stack:
        beside = {root: restoring(target) for root, target in targets.items()}
        for target in targets.values():
            stack.enter_context(_alone(target))
        manifest = _unpack(archive, beside, progress)
        os.sync()
        new = [root for root in reversed(_ROOTS) if beside[root].is_dir()]  # the catalog last: it is what is looked at
        replaced = [_put(beside[root], targets[root]) for root in new]
    return Restored(
        manifest, tuple(targets[root] for root in new), tuple(path for path in replaced if path is not None)
    )


def restoring(target: Path) -> Path:
    """Where what is to take a folder's place is unpacked; its lock beside it is held meanwhile."""
    return target.absolute().with_name(f".{target.name}.restoring")


def lock_of(folder: Path) -> Path:
    """The lock of a place where something is unpacked."""
    return folder.with_name(f"{folder.name}.lock")


def clear(target: Path) -> Path | None:
    """Take away what a killed restore has left beside a folder, under its lock; where it kept what had stood there, if it is that."""
    folder = restoring(target)
    if not folder.is_dir():
        return None
    unpacked = lock_of(folder).read_text()
    if unpacked and unpacked != _identity(folder):
        return _kept(folder, target)
    remove_tree(folder)
    return None


def _identity(folder: Path) -> str:
    """Tells two folders apart that change places."""
    found = folder.stat()
    return f"{found.st_dev}:{found.st_ino}"


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """A place to unpack to beside a folder, empty at first and gone in the end."""
    folder = restoring(target)
    is_new = not folder.parent.exists()
    make_folder(folder.parent)
    with exclusive_lock(lock_of(folder)):
        try:
            clear(target)
            lock_of(folder).write_bytes(b"")
            yield
        finally:
            clear(target)
            lock_of(folder).unlink(missing_ok=True)
            if is_new:
                with contextlib.suppress(OSError):  # what was restored is in it
                    folder.parent.rmdir()


def _put(new: Path, target: Path) -> Path | None:
    """Let a folder take another's place; where the other is now."""
    if not target.exists():
        new.rename(target)
        sync_folder(target.parent)
        return None
    with lock_of(new).open("w") as noted:  # who is killed behind the exchange has left what stood there under this name
        noted.write(_identity(new))
        noted.flush()
        os.fsync(noted.fileno())
    exchange(new, target)
    return _kept(new, target)


def _kept(old: Path, target: Path) -> Path:
    """Give what stood at a place a name beside it."""
    replaced = target.with_name(f"{target.name}.replaced")
    number = 1
    while replaced.exists():
        number += 1
        replaced = target.with_name(f"{target.name}.replaced-{number}")
    old.rename(replaced)
    sync_folder(target.parent)
    return replaced


def _unpack(archive: Path, beside: Mapping[str, Path], progress: Progress) -> Backup:
    """Read all of an archive, write its files where they are wanted, and prove them. Raises BackupRefused."""
    found: list[bytes] = []
    sums = manifest = b""
    size = 0
    try:
        for member in tar_members(archive):
            if manifest:
                raise BackupRefused(archive, f"{member.name} comes after its end")
            if member.name == _SUMS:
                sums = b"".join(member.chunks())
            elif member.name == _MANIFEST:
                manifest = b"".join(member.chunks())
            else:
                root = _root_of(archive, member, after_sums=bool(sums))
                digest = _copied(member, beside[root] / member.name.removeprefix(f"{root}/") if beside else None)
                found.append(f"{digest}  {member.name}\n".encode())
                size += member.size
                progress(member.name)
    except TarFault as fault:
        raise BackupRefused(archive, str(fault)) from None
    return _proved(archive, found, size, sums, manifest)


def _root_of(archive: Path, member: Member, *, after_sums: bool) -> str:
    root = next((root for root in _ROOTS if member.name.startswith(f"{root}/")), None)
    if root is None or after_sums:
        raise BackupRefused(archive, f"{member.name!a} is not a part of a backup")
    return root


def _copied(member: Member, target: Path | None) -> str:
    """The sha256 of a member, which is written to the target."""
    digest = hashlib.sha256()
    with contextlib.ExitStack() as stack:
        out = None
        if target is not None:
            make_folder(target.parent)
            out = stack.enter_context(target.open("xb"))
        for chunk in member.chunks():
            digest.update(chunk)
            if out is not None:
                out.write(chunk)
    if target is not None:
        os.utime(target, ns=(member.mtime_ns, member.mtime_ns))
    return digest.hexdigest()


def _proved(archive: Path, found: list[bytes], size: int, sums: bytes, manifest: bytes) -> Backup:
    if not manifest:
        raise BackupRefused(archive, f"it has no {_MANIFEST} at its end: it is cut, or no backup")
    try:
        told = decode(manifest, Backup, Path(_MANIFEST))
    except DocumentDamaged as error:
        raise BackupRefused(archive, error.message) from None
    if hashlib.sha256(sums).hexdigest() != told.sums_sha256:
        raise BackupRefused(archive, f"its {_SUMS} is not the one that its manifest names")
    wanted = sums.splitlines(keepends=True)
    differing = [line for line, other in zip(found, wanted, strict=False) if line != other]
    if differing:
        names = ", ".join(line.decode().split("  ", 1)[1].strip() for line in differing[:3])
        raise BackupRefused(archive, f"{len(differing):,} of its files are not what was written, such as {names}")
    if (len(found), size) != (len(wanted), told.bytes) or len(found) != told.files:
        raise BackupRefused(archive, f"it holds {len(found):,} files instead of {told.files:,}")
    return told
