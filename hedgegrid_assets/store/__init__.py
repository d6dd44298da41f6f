"""Where everything lies and how bytes get in and out: places, blocks of lines, atomic files, locks, threads."""

import bz2
import codecs
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import queue
import re
import shutil
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, cast
from uuid import uuid4

from hedgegrid_assets.errors import DocumentDamaged, EnvironmentFault, HedgegridError, RawDamaged, SeveralInOne
from hedgegrid_assets.names import check_part

if TYPE_CHECKING:
    import zipfile

    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

BLOCK_BYTES: Final = 8 << 20
_READ_BYTES: Final = 64 << 10
LONGEST_LINE: Final = 16 << 20
_UNPACKED_BYTES: Final = 4 << 20
"""Most that is decompressed at a time: a few bytes of a stream can hold gigabytes."""
_ZSTD_FED: Final = 2 << 10
"""Compressed bytes at a time, as its reader does not bound what comes out: a block has 4 at least and gives 128 KiB at most."""
_ZSTD_FED_OF_LARGE: Final = 256
"""As that, for frames whose window alone takes a lot."""
_ZSTD_USUAL_WINDOW: Final = 8 << 20
_MOST_LINES: Final = 1 << 18
"""Lines of a block: some 30 bytes a line on average."""
_ZIP_FED: Final = 4 << 10
"""As that, of a zip file's LZMA."""
GZIP_MAGIC: Final = b"\x1f\x8b"
_MAGIC: Final = {
    GZIP_MAGIC: "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
_LONGEST_WAIT: Final = 1.0
"""Seconds for a thread that is not needed any more."""
_NOT_CONTENT: Final = (".DS_Store", "Thumbs.db", "desktop.ini")
_AREA_PREFIX: Final = ".hedgegrid-"
_OUR_ROOTS: Final = (".tmp", "tmp")
_OUR_PART: Final = re.compile(r"\.[0-9a-f]{12}\.part$")
_ABANDONED_SECONDS: Final = 86_400.0
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_QUOTED_BACK: Final = 64 << 10
_ZSTD_LEVEL: Final = 1
_OUTSIDE_NAME: Final = re.compile(r"[^\w.@+-]")
_NAME_BYTES: Final = 120
"""A file system takes names of 255 bytes; ours have an ending and a digest as well."""


# ---------------------------------------------------------------- places


@dataclass(frozen=True, slots=True)
class Places:
    """Every path of the product, from its two roots: ``data`` (raw files, caches) and ``catalog``.

    Each lies below its root: a name that would lead out of it raises UsageError.
    """

    data: Path
    catalog: Path

    @property
    def landing(self) -> Path:
        """Root of the landing zone; the patterns of a feed start here."""
        return self.data / "raw"

    def imports(self, feed: str) -> Path:
        """Index of the landing files that a feed has imported."""
        return _below(self.data, "raw", feed, ".imports")

    def raw_temp(self, feed: str) -> Path:
        """Temporary raw files, on the same filesystem."""
        return _below(self.data, "raw", feed, ".tmp")

    def raw_folder(self, feed: str, channel: str, symbol: str) -> Path:
        """Daily raw files of a channel and symbol."""
        return _below(self.data, "raw", feed, channel, symbol)

    def raw_manifest(self, feed: str, channel: str, symbol: str, day: date) -> Path:
        """The manifest of a raw day; names its raw file."""
        return self.raw_folder(feed, channel, symbol) / f"{day}.json"

    def raw_lines(self, feed: str, channel: str, symbol: str, day: date) -> Path:
        """Sidecar: landing file and line of each raw line."""
        return self.raw_folder(feed, channel, symbol) / f"{day}.lines.parquet"

    def line_rejects(self, feed: str, landing_name: str) -> Path:
        """Lines of a landing file that belong to no table or day; each name has a file of its own."""
        shown = cut_name(_OUTSIDE_NAME.sub("_", landing_name))
        digest = hashlib.sha256(landing_name.encode()).hexdigest()[:16]
        return _below(self.data, "rejects", feed, "_raw", f"{shown}-{digest}.parquet")

    def line_rejects_before(self, feed: str, landing_name: str) -> Path:
        """Where earlier versions kept them: several files could have one name."""
        return self.line_rejects(feed, "").with_name(f"{_OUTSIDE_NAME.sub('_', landing_name)}.parquet")

    def frame_folder(self, instrument_id: str, folder: str) -> Path:
        """Normalized frames of an (instrument, table): one Parquet file a day."""
        return _below(self.catalog, folder_of(instrument_id), f"{folder}.parquet")

    def frame(self, instrument_id: str, folder: str, day: date) -> Path:
        """One day's normalized frame."""
        return self.frame_folder(instrument_id, folder) / f"{day}.parquet"

    def verdict(self, instrument_id: str, folder: str, day: date) -> Path:
        """The verdict of one day."""
        return _below(self.catalog, folder_of(instrument_id), f"{folder}.verdict", f"{day}.json")

    def rejects(self, instrument_id: str, folder: str, day: date) -> Path:
        """The rejected rows of one day."""
        return _below(self.catalog, folder_of(instrument_id), f"{folder}.rejects", f"{day}.parquet")

    def nautilus_folder(self, kind: str, identifier: str) -> Path:
        """Nautilus' own folder of one type and instrument."""
        return _below(self.catalog, "data", kind, folder_of(identifier))

    @property
    def catalog_temp(self) -> Path:
        """Temporary catalog files: outside ``data/``, where a stray Parquet file breaks every query."""
        return self.catalog / ".hedgegrid" / "tmp"

    @property
    def catalog_lock(self) -> Path:
        """Lock around instruments and series of a catalog."""
        return self.catalog / ".hedgegrid" / "lock"

    @property
    def series(self) -> Path:
        """Which series each (instrument, table) of a catalog holds."""
        return self.catalog / ".hedgegrid" / "series.json"

    def day_lock(self, instrument_id: str, day: date) -> Path:
        """Lock of one instrument-day."""
        return _below(self.catalog, ".hedgegrid", "locks", f"{folder_of(instrument_id)}@{day}.lock")

    @property
    def moves(self) -> Path:
        """What a process is changing in one burst, or was when it was killed."""
        return self.catalog / ".hedgegrid" / "moves.json"

    @property
    def staging(self) -> "Places":
        """A catalog in the making beside this one, on the same filesystem, whose files take the place of ours."""
        return Places(self.data, self.catalog / ".hedgegrid" / "staging")


def folder_of(instrument_id: str) -> str:
    """The folder of an instrument, as Nautilus calls its own: without slashes; verdicts and frames hold the id itself."""
    return instrument_id.replace("/", "")


def _below(root: Path, *parts: str) -> Path:
    """A path below a root, whatever the names are. Raises UsageError for a name that leads out of it, or is none."""
    return root.joinpath(*map(check_part, parts))


# ---------------------------------------------------------------- atomic files and locks


def cut_name(name: str) -> str:
    """The start of a file name, in whole characters, so short that there is room for more behind it."""
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")


@dataclass(slots=True)
class _Area:
    """A folder that this process works in; it holds the lock of it, and ``users`` use it."""

    path: Path
    handle: int
    users: int = 0


_areas: Final[dict[tuple[int, Path], _Area]] = {}
_areas_change: Final = threading.Lock()


@contextmanager
def working_folder(root: Path) -> Iterator[Path]:
    """A folder of this process's own below ``root``, for files in the making; gone when nobody uses it any more.

    It is locked as long as the process lives. Those that no living process holds are what killed runs have left: they
    are removed first. Raises EnvironmentFault that names ``root``.
    """
    key = (os.getpid(), root.absolute())
    with _areas_change:
        if key not in _areas:
            with writing(root):
                _areas[key] = _new_area(root)
        area = _areas[key]
        area.users += 1
    try:
        yield area.path
    finally:
        with _areas_change:
            area.users -= 1
            if not area.users:
                del _areas[key]
                shutil.rmtree(area.path, ignore_errors=True)
                os.close(area.handle)


def _new_area(root: Path) -> _Area:
    make_folder(root)
    handle = os.open(root, os.O_RDONLY)
    try:
        _lock(handle, fcntl.LOCK_EX)  # nobody looks between making a folder and locking it
        _remove_unheld(root)
        path = root / f"{_AREA_PREFIX}{os.getpid()}-{uuid4().hex[:8]}"
        path.mkdir()
        held = os.open(path, os.O_RDONLY)
        _lock(held, fcntl.LOCK_EX)
        return _Area(path, held)
    finally:
        os.close(handle)


def _remove_unheld(root: Path) -> None:
    """What processes have left that do not live any more, and half-written files of a version that made no folders."""
    for path in root.glob(f"{_AREA_PREFIX}*"):
        with contextlib.suppress(OSError):  # its process may just have gone, with all it had
            handle = os.open(path, os.O_RDONLY)
            try:
                if _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)
    if root.name in _OUR_ROOTS:
        for path in root.iterdir():
            if _OUR_PART.search(path.name) and time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink(missing_ok=True)


def _lock(handle: int, how: int) -> bool:
    """False where another holds it, or where the file system has no locks for folders: then nothing is removed."""
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True


@contextmanager
def temporary_file(name: str, tmp_dir: Path) -> Iterator[Path]:
    """A path for a file in the making, gone when the block ends; ``publish_file`` takes it away before that."""
    with working_folder(tmp_dir) as folder:
        temporary = folder / f"{cut_name(name)}.{uuid4().hex[:12]}.part"
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def publish_file(temporary: Path, final: Path) -> None:
    """Let a complete file appear under its final name at once, safe against a power cut."""
    make_folder(final.parent)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    sync_folder(final.parent)


@contextmanager
def atomic_write(final: Path, tmp_dir: Path) -> Iterator[Path]:
    """A temporary path that becomes ``final`` at once when the block ends well, and vanishes when it does not.

    ``tmp_dir`` must be on the same filesystem. Raises EnvironmentFault if the place cannot be written.
    """
    with writing(final), temporary_file(final.name, tmp_dir) as temporary:
        yield temporary
        publish_file(temporary, final)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Whatever the disk refuses in the block becomes an EnvironmentFault that names the file, or else the place."""
    try:
        yield
    except OSError as error:
        raise disk_fault(error, place) from error


def disk_fault(error: OSError, place: Path) -> EnvironmentFault:
    """What the disk refused, where, and what to do; a full disk is told with what is free."""
    if error.errno is not None and error.errno in _FULL:
        where = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
        free = shutil.disk_usage(where).free
        return EnvironmentFault(
            f"cannot write {place}: {os.strerror(error.errno)}; {free / 1e6:,.1f} MB are free there",
            hint="make room, or choose another --output or --data (a run needs about the size of the files that it reads, "
            "twice); then run again: what is published is whole",
            details={"path": str(place), "free_bytes": free},
        )
    named = error.filename if isinstance(error.filename, str) else str(place)
    return EnvironmentFault(
        f"cannot read or write {named}: {error.strerror or error}",
        hint="check that it is there, its permissions and the space",
        details={"path": named},
    )


@contextmanager
def parquet_writer(path: Path, schema: "pa.Schema", options: dict[str, Any]) -> "Iterator[pq.ParquetWriter]":
    """A Parquet file in the making; if the block fails, it is given up without a further word."""
    import pyarrow.parquet as pq

    writer = pq.ParquetWriter(path, schema, **options)
    try:
        yield writer
        writer.close()
    except BaseException:
        give_up(writer)
        raise


def give_up(writer: "pq.ParquetWriter") -> None:
    """Close a Parquet file that is not wanted any more; on a full disk it could not be ended, and would say so when it goes."""
    with contextlib.suppress(Exception):
        writer.close()
    writer.is_open = False


def make_folder(path: Path) -> None:
    """Make a folder and its parents. Raises EnvironmentFault that names it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot make the folder {path}: {error.strerror or error}", hint="choose another --output or --data"
        ) from error


def write_json(final: Path, tmp_dir: Path, value: object) -> None:
    """Publish JSON with sorted keys: the same value gives the same bytes."""
    with atomic_write(final, tmp_dir) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


MADE_ANEW: Final = "remove it and run again: it is made anew"
"""The way out for a document that a run writes where it finds none."""

type Shape = type | tuple[type, ...] | frozenset[str] | Callable[[Any], bool] | list["Shape"] | Mapping[str, "Shape"]
"""What a plain value must be: of a type, one of some texts, what a test says; a list of these, a mapping with these keys."""


def read_json(path: Path, kind: str = "a document", shape: Shape = lambda _: True, remedy: str = MADE_ANEW) -> Any:
    """A document of our own, or None where there is none. Raises DocumentDamaged if it is not of its shape."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_fault(error, path) from error
    except (ValueError, RecursionError) as error:
        raise DocumentDamaged(path, kind, f"no JSON ({error})", remedy) from error
    found = misfit(value, shape)
    if found:
        raise DocumentDamaged(path, kind, found, remedy)
    return value


def misfit(value: Any, shape: Shape, at: str = "") -> str:
    """Where a plain value is not of a shape, and what is there; empty if it is."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                return f"{type(value).__name__} at {at or 'its root'}"
            absent = [key for key in shape if not key.endswith("?") and key not in value]
            if absent:
                return f"no {absent[0]} at {at or 'its root'}"
            inner = ((f"{at}.{key.removesuffix('?')}", key) for key in shape if key.removesuffix("?") in value)
            parts = [misfit(value[key.removesuffix("?")], shape[key], place) for place, key in inner]
        case list():
            if not isinstance(value, list):
                return f"{type(value).__name__} at {at or 'its root'}"
            parts = [misfit(item, shape[0], f"{at}[{number}]") for number, item in enumerate(value)]
        case _:
            return "" if _is_of(value, shape) else f"{value!r:.80} at {at or 'its root'}"
    return next(filter(None, parts), "")


def _is_of(value: Any, shape: Any) -> bool:
    if isinstance(shape, frozenset):
        return isinstance(value, str) and value in shape
    if isinstance(shape, tuple):
        return type(value) in shape
    if isinstance(shape, type):
        return type(value) is shape
    return bool(shape(value))


@contextmanager
def reading(path: Path, kind: str, remedy: str) -> Iterator[None]:
    """Whatever a reader of other people's making says of a file of ours in the block becomes one error that names it."""
    try:
        yield
    except HedgegridError:
        raise
    except FileNotFoundError as error:
        raise disk_fault(error, path) from error
    except PermissionError as error:
        raise disk_fault(error, path) from error
    except BaseException as error:  # a damaged file can make a decoder raise anything
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DocumentDamaged(path, kind, " ".join(str(error).split())[:200] or type(error).__name__, remedy) from error


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold a lock against all other processes of this machine until the block ends."""
    make_folder(path.parent)
    with writing(path):
        file = path.open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sync_folder(folder: Path) -> None:
    """What was renamed or removed in a folder is so after a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, as ``sha256sum`` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- threads


class _End:
    """Marks the end of a queue; carries what went wrong."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead[T](items: Iterable[T], depth: int = 2) -> Generator[T]:
    """The same items, made in a thread of their own, at most ``depth`` ahead of the reader.

    A reader that stops early waits for the thread ``_LONGEST_WAIT`` at most, and not at all while the process ends.
    """
    line: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | _End) -> bool:
        taken = False
        while not taken and not stop.is_set():
            try:
                line.put(item, timeout=0.1)
                taken = True
            except queue.Full:
                taken = False
        return taken

    def run() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as caught:  # noqa: BLE001 - handed to the reader, who raises it
            error = caught
        put(_End(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            item = line.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        if not sys.is_finalizing():  # from then on a thread that is joined may never move again
            thread.join(_LONGEST_WAIT)


def side_by_side[T, R](work: Callable[[T], R], items: Iterable[T], at_once: int = 2) -> Iterator[R]:
    """What ``work`` makes of each item, in order; ``at_once`` items are worked on at a time, in threads of their own."""
    with ThreadPoolExecutor(at_once) as pool:
        line: deque[Future[R]] = deque()
        try:
            for item in items:
                line.append(pool.submit(work, item))
                if len(line) > at_once:
                    yield line.popleft().result()
            while line:
                yield line.popleft().result()
        finally:
            for future in line:
                future.cancel()


class Behind[T]:
    """Calls ``work`` on what it is given, in order, in a thread of its own; errors come out of ``put`` or ``close``."""

    def __init__(self, work: Callable[[T], None], depth: int = 2) -> None:
        self._line: queue.Queue[T | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over one item; waits while ``depth`` items are before it."""
        if self._error is not None:
            self.close()
        self._line.put(item)

    def close(self) -> None:
        """Wait until all is done; not while the process ends. Raises what ``work`` raised."""
        if not sys.is_finalizing():
            self._line.put(None)
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._line.get()) is not None:
            if self._error is None:
                try:
                    self._work(item)
                except BaseException as caught:  # noqa: BLE001 - raised by put or close
                    self._error = caught


# ---------------------------------------------------------------- blocks of lines


_KEPT: Final = "hedgegrid.kept"
"""What is done with bytes that an encoding cannot read."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of a file, as they are (``\\n`` or ``\\r\\n`` kept).

    ``first_line`` counts from 0. ``cut`` is set on the last block if its last line has no newline, ``truncated``
    if besides that the compressed stream ended too early. ``lines`` is their number.
    """

    data: bytes
    first_line: int
    cut: bool = False
    truncated: bool = False
    lines: int = field(init=False)

    def __post_init__(self) -> None:
        """Count once, in the thread that reads."""
        object.__setattr__(self, "lines", self.data.count(b"\n") + (self.cut and bool(self.data)))


def _is_content(name: str) -> bool:
    """A member of an archive that somebody put there: no folder, nothing that a Mac or a file manager adds."""
    *folders, file = name.split("/")
    return bool(file) and "__MACOSX" not in folders and not file.startswith("._") and file not in _NOT_CONTENT


class BlockReader:
    """Reads a plain, gzip (many members), zstd (many frames), bzip2 or zip (one member) file in blocks of lines.

    The first bytes tell which. With ``quoted`` no block ends inside a pair of quotes (but for a stray quote, that has
    no other within 64 KiB). With ``encoding``, a codec of Python, the bytes become UTF-8 on the way; what the codec
    cannot read stays what UTF-8 cannot be.

    A stream that ends too early gives the lines that it holds, and ``truncated`` is set; a stream that is not what
    it says (bad checksum, junk behind the end) raises RawDamaged. After the last block ``sha256`` and ``bytes``
    of the file as stored and ``lines`` are known.
    """

    def __init__(self, path: Path, block_bytes: int | None = None, *, quoted: bool = False) -> None:
        self.path = path
        self.quoted = quoted
        self.sha256 = ""
        self.bytes = 0
        self.lines = 0
        self.truncated = False
        self.encoding: str | None = None
        self._block_bytes = block_bytes or BLOCK_BYTES

    def __iter__(self) -> Iterator[Block]:
        return ahead(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                yield from self._cut(_in_utf8(self._chunks(file, digest), self.encoding))
        except OSError as error:
            raise EnvironmentFault(f"cannot read {self.path}: {error.strerror or error}") from error
        self.sha256 = digest.hexdigest()

    def _chunks(self, file: IO[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
        head = file.read(_READ_BYTES)
        kind = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
        if kind == "zip":
            yield from self._unzip(file, digest)
            return
        stream = _Stream(kind or "", self.path)
        while head:
            digest.update(head)
            self.bytes += len(head)
            if kind is None:
                yield head
            else:
                yield from stream.feed(head)
            head = file.read(_READ_BYTES)
        self.truncated = stream.is_open

    def _unzip(self, file: IO[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
        """The one file in a zip file."""
        import zipfile

        file.seek(0)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            self.bytes += len(chunk)
        try:
            with zipfile.ZipFile(file) as archive:
                members = [member for member in archive.infolist() if _is_content(member.filename)]
                if len(members) != 1:
                    raise SeveralInOne(self.path, [member.filename for member in members])
                if members[0].compress_type == zipfile.ZIP_BZIP2:
                    yield from self._bzip2_member(file, members[0])
                    return
                size = _ZIP_FED if members[0].compress_type == zipfile.ZIP_LZMA else 1 << 20
                with cast("zipfile.ZipExtFile", archive.open(members[0])) as member:
                    while chunk := member.read1(size):
                        yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise RawDamaged(self.path, f"its zip stream is broken ({error})") from None

    def _bzip2_member(self, file: IO[bytes], member: "zipfile.ZipInfo") -> Iterator[bytes]:
        """A member that ``zipfile`` itself would unpack without a bound."""
        if member.flag_bits & 1:
            raise RawDamaged(self.path, "the file in it is encrypted")
        file.seek(member.header_offset)
        head = file.read(30)
        file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), os.SEEK_CUR)
        stream, checksum, left = _Stream("bzip2", self.path), 0, member.compress_size
        while data := file.read(min(left, _READ_BYTES)):
            left -= len(data)
            for chunk in stream.feed(data):
                checksum = zlib.crc32(chunk, checksum)
                yield chunk
        if stream.is_open or checksum != member.CRC:
            raise RawDamaged(self.path, "its zip stream is broken (bad checksum)")

    def _cut(self, chunks: Iterator[bytes]) -> Iterator[Block]:
        held: list[bytes] = []
        size, enough = 0, self._block_bytes
        for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size < enough:
                continue
            data, rest = self._whole_lines(held)
            if not data and size > LONGEST_LINE:
                raise RawDamaged(self.path, f"a line of more than {LONGEST_LINE >> 20} MiB: this is no text of lines")
            if data:
                yield from self._blocks_of(data)
            held, size = [rest], len(rest)
            enough = self._block_bytes if data else size + self._block_bytes
        data = b"".join(held)
        if data or self.truncated:
            yield from self._blocks_of(data, cut=not data.endswith(b"\n"), truncated=self.truncated)

    def _whole_lines(self, chunks: list[bytes]) -> tuple[bytes, bytes]:
        """Chunks as whole lines (maybe none), and the rest; usually only the last chunk is cut, so that all is copied once."""
        if not self.quoted and (end := chunks[-1].rfind(b"\n") + 1):
            return b"".join([*chunks[:-1], memoryview(chunks[-1])[:end]]), chunks[-1][end:]
        data = b"".join(chunks)
        end = (_end_outside_quotes(data) if self.quoted else data.rfind(b"\n")) + 1
        return data[:end], data[end:]

    def _blocks_of(self, data: bytes, *, cut: bool = False, truncated: bool = False) -> Iterator[Block]:
        """A block, or several where the lines are very short: so that memory does not grow with their number."""
        block = Block(data, self.lines, cut, truncated)
        if block.lines > _MOST_LINES:
            head, rest = self._whole_lines([data[: len(data) // 2]])
            if head:
                yield from self._blocks_of(head)
                yield from self._blocks_of(rest + data[len(data) // 2 :], cut=cut, truncated=truncated)
                return
        self.lines += block.lines
        yield block


def _in_utf8(chunks: Iterator[bytes], encoding: str | None) -> Iterator[bytes]:
    """Chunks in UTF-8; bytes that are none of the encoding become bytes that are no UTF-8, so that no line has them."""
    if encoding is None:
        yield from chunks
        return
    codecs.register_error(_KEPT, _kept)
    decoder = codecs.getincrementaldecoder(encoding)(_KEPT)
    for chunk in chunks:
        yield decoder.decode(chunk).encode(errors="surrogateescape")
    yield decoder.decode(b"", final=True).encode(errors="surrogateescape")


def _kept(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + max(byte, 0x80)) for byte in bad), error.end


def _end_outside_quotes(data: bytes) -> int:
    """The last line end with as many quotes before it as can be paired; the very last where there is none near."""
    last = end = data.rfind(b"\n")
    before = data.count(b'"', 0, last + 1)
    while before % 2 and end >= 0 and last - end < _QUOTED_BACK:
        previous = data.rfind(b"\n", 0, end)
        before -= data.count(b'"', previous + 1, end + 1)
        end = previous
    return end if before % 2 == 0 and end >= 0 else last


def content_crc(data: bytes, before: int = 0) -> int:
    """CRC-32 of bytes that follow others, ten times as fast as ``zlib``."""
    from isal import isal_zlib

    return int(isal_zlib.crc32(data, before))


class Decompressor(Protocol):
    """One gzip member, or one frame of another kind."""

    @property
    def eof(self) -> bool:
        """Its end was read."""

    @property
    def unused_data(self) -> bytes:
        """What was fed behind its end."""


class _ZstdFrame:
    """One zstd frame. Its reader gives all that its input holds, so the input comes in small pieces."""

    def __init__(self) -> None:
        import zstandard

        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._fed = 0

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data

    def unpack(self, data: bytes) -> Generator[bytes, None, bytes]:
        """What compressed bytes give; returns what is behind the end of the frame."""
        self._fed = self._fed or _zstd_fed(data)
        end = 0
        while end < len(data):
            start, end = end, end + self._fed
            out = self._frame.decompress(data[start:end])
            if len(out) > _UNPACKED_BYTES:  # more like this will follow
                self._fed = _ZSTD_FED_OF_LARGE
            for part in range(0, len(out), _UNPACKED_BYTES):
                yield out[part : part + _UNPACKED_BYTES]
            del out
            if self._frame.eof:
                return self._frame.unused_data + data[end:]
        return b""


def _zstd_fed(data: bytes) -> int:
    """How many bytes of a frame that begins like this may be decompressed at a time."""
    import zstandard

    try:
        usual = zstandard.get_frame_parameters(data[:18]).window_size <= _ZSTD_USUAL_WINDOW
    except zstandard.ZstdError:  # too short to tell, or broken
        usual = False
    return _ZSTD_FED if usual else _ZSTD_FED_OF_LARGE


def gunzip() -> Decompressor:
    """Decompresses one gzip member, three times as fast as ``zlib``. What is broken raises ``gunzip_error()``."""
    from isal import isal_zlib

    return isal_zlib.decompressobj(wbits=31)


def gunzip_error() -> type[Exception]:
    """Raised by what ``gunzip`` gives."""
    from isal import isal_zlib

    return cast("type[Exception]", isal_zlib.error)  # its stubs take the class for an instance


def gunzipped(member: Any, data: bytes) -> Generator[bytes, None, bytes]:
    """What compressed bytes give, a bounded part at a time; returns what is behind the end of the member (of ``gunzip``)."""
    out = member.decompress(data, _UNPACKED_BYTES)
    while out:
        yield out
        more = member.unconsumed_tail or len(out) == _UNPACKED_BYTES
        out = member.decompress(member.unconsumed_tail, _UNPACKED_BYTES) if more and not member.eof else b""
    return member.unused_data if member.eof else b""


def _bunzipped(member: Any, data: bytes) -> Generator[bytes, None, bytes]:
    out = member.decompress(data, _UNPACKED_BYTES)
    while out:
        yield out
        out = b"" if member.needs_input or member.eof else member.decompress(b"", _UNPACKED_BYTES)
    return member.unused_data if member.eof else b""


type _Unpack = Callable[[Any, bytes], Generator[bytes, None, bytes]]

_DECOMPRESSORS: Final[dict[str, tuple[Callable[[], Decompressor], _Unpack]]] = {
    "gzip": (gunzip, gunzipped),
    "zstd": (_ZstdFrame, _ZstdFrame.unpack),
    "bzip2": (bz2.BZ2Decompressor, _bunzipped),
}


class _Stream:
    """Members of a compressed file, one behind the other; what comes out is bounded at a time, whatever goes in."""

    def __init__(self, kind: str, path: Path) -> None:
        self._kind, self._path = kind, path
        self._member: Decompressor | None = None

    @property
    def is_open(self) -> bool:
        """A member has begun and not ended."""
        return self._member is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take compressed bytes. Raises RawDamaged."""
        import zstandard

        make, unpack = _DECOMPRESSORS[self._kind]
        while data:
            if self._member is None:
                data = data.lstrip(b"\0")  # gzip allows padding between members and at the end
                if not data:
                    return
                if self._kind == "gzip" and not data.startswith(GZIP_MAGIC[: len(data)]):  # isal waits for more
                    raise RawDamaged(self._path, f"behind its gzip stream is something else ({data[:20]!r})")
                self._member = make()
            try:
                data = yield from unpack(self._member, data)
            except (gunzip_error(), zstandard.ZstdError, OSError) as error:
                raise RawDamaged(self._path, f"its {self._kind} stream is broken ({error})") from None
            if self._member.eof:
                self._member = None


class Spool:
    """Frames that wait on disk, in their order, so that memory holds one of them at a time.

    Its file has no name: it is gone with the object, whatever happens.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as the spool
        self._ends: list[int] = [0]

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return self._ends[-1]

    def append(self, frame: "pl.DataFrame") -> None:
        """Add a frame."""
        frame.write_ipc_stream(self._file)
        self._ends.append(self._file.tell())

    def __iter__(self) -> "Iterator[pl.DataFrame]":
        import polars as pl

        self._file.seek(0)
        for start, end in pairwise(self._ends):
            yield pl.read_ipc_stream(self._file.read(end - start))

    def close(self) -> None:
        """Forget all frames."""
        self._file.close()


def line_array(data: bytes) -> "pa.LargeBinaryArray":
    """The lines of a block, line ends kept, without a copy: row number = line number in the block."""
    import numpy as np
    import pyarrow as pa

    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")).astype(np.int64) + 1
    tail = [len(data)] if data and not data.endswith(b"\n") else []
    offsets = np.concatenate(([0], ends, tail)).astype(np.int64)
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def bytes_of(lines: "pa.LargeBinaryArray") -> bytes:
    """The lines of an array, one behind the other."""
    _, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("q")
    return bytes(data[ends[lines.offset] : ends[lines.offset + len(lines)]])


class LineFile:
    """A growing zstd file of lines; knows its own sha256. Holds no file open, as there may be thousands of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._compressor: zstandard.ZstdCompressionObj | None = None
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.lines = 0
        path.unlink(missing_ok=True)

    def append(self, data: bytes | memoryview, lines: int) -> None:
        """Add whole lines, as they are."""
        import zstandard

        if self._compressor is None:
            self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
        self._write(self._compressor.compress(data))
        self.lines += lines

    def pause(self) -> None:
        """End the zstd frame, so that the file holds no memory until lines follow, in a frame of their own."""
        if self._compressor is not None:
            self._write(self._compressor.flush())
            self._compressor = None

    def close(self) -> str:
        """End the file; its sha256."""
        self.pause()
        return self._digest.hexdigest()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        with self._path.open("ab") as file:
            file.write(data)
        self._digest.update(data)
        self.bytes += len(data)


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, if it is there."""
    if path.exists():
        shutil.rmtree(path)
