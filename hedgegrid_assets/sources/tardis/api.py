"""Getting bytes from Tardis: slices and files that are read to their end before anyone trusts them, within limits.

tardis-client and tardis-dev carry out single transfers, and lay out the cache that other users of them share. All that
surrounds a transfer is here: which answers are final, how long to wait, what a body must be. Everything runs on one
event loop in a thread of its own, so that limits hold for the whole process and any caller can stop its own work.
"""

import asyncio
import concurrent.futures
import contextlib
import gzip
import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import sys
import threading
import time
import urllib.error
import urllib.parse
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, override
from uuid import uuid4

from hedgegrid_assets.errors import DataError, EnvironmentFault, KeyRequired, NoDataFetched, RateLimited, RemoteFault
from hedgegrid_assets.store import GZIP_MAGIC, LONGEST_LINE, gunzip, gunzip_error, gunzipped, make_folder

if TYPE_CHECKING:
    import aiohttp

_log: Final = logging.getLogger(__name__)

ENDPOINT: Final = "https://api.tardis.dev"
DATASETS_ENDPOINT: Final = "https://datasets.tardis.dev"
KEY_VARIABLE: Final = "TARDIS_API_KEY"
MINUTES: Final = 1_440

_GLANCE: Final = 1 << 16
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_BLANKS: Final = re.compile(rb"\n\n+")
_STAMP: Final = re.compile(rb"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}):\d{2}\.", re.MULTILINE)
_SHOWN: Final = 300
_LONGEST_ANSWER: Final = 16 << 20
_DETAILS_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often; seconds unless said otherwise.

    Attributes:
        attempts: Of one transfer, the first one included.
        first_wait: Before the second attempt; it doubles each time, up to ``longest_wait``.
        longest_wait: Between two attempts, where the server does not name a time.
        longest_retry_after: Longest wait that the server may ask for; above it the run ends and says so.
        connect: For a connection.
        silence: Without a byte.
        slice_total: For one slice.
        file_total: For one file.
        slices_at_once: Transfers of slices in this process.
        files_at_once: Transfers of files in this process.
        probe: For an answer that only tells whether anyone is there.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0
    connect: float = 10.0
    silence: float = 60.0
    slice_total: float = 60.0
    file_total: float = 1_800.0
    slices_at_once: int = 30
    files_at_once: int = 8
    probe: float = 5.0


limits: Limits = Limits()
"""In force; tests put shorter ones here."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to ask, and as whom; the key is never shown."""

    endpoint: str
    datasets_endpoint: str
    key: str = field(repr=False)
    key_variable: str = KEY_VARIABLE

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Connection":
        """From a source's settings: ``api_key`` (a secret), else the environment variable named by ``api_key_env``."""
        variable = str(settings.get("api_key_env", KEY_VARIABLE))
        given = settings.get("api_key")
        key = given.get_secret_value() if hasattr(given, "get_secret_value") else given
        return cls(
            _root(settings.get("endpoint", ENDPOINT)),
            _root(settings.get("datasets_endpoint", DATASETS_ENDPOINT)),
            str(key or os.environ.get(variable, "")).strip(),
            variable,
        )

    def without_key(self, text: str) -> str:
        """Text that a server sent, should it repeat the key."""
        return text.replace(self.key, "***") if self.key else text


def _root(address: object) -> str:
    """Without the ``/v1`` that every request adds."""
    return str(address).rstrip("/").removesuffix("/v1")


# ---------------------------------------------------------------- one loop for the process


class _Background:
    """An event loop in a thread; limits on it count for all callers."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._semaphores: dict[tuple[str, int], asyncio.Semaphore] = {}
        self.not_before = 0.0
        self.details: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
        threading.Thread(target=self.loop.run_forever, name="tardis", daemon=True).start()

    def at_most(self, what: str, count: int) -> asyncio.Semaphore:
        return self._semaphores.setdefault((what, count), asyncio.Semaphore(count))


_starting: Final = threading.Lock()
_running: list[_Background] = []


def _background() -> _Background:
    with _starting:
        if not _running or _running[0].process != os.getpid():
            _running[:] = [_Background()]
        return _running[0]


def unfinished() -> int:
    """Tasks that are still at work on the loop."""
    return len(asyncio.all_tasks(_running[0].loop)) if _running else 0


def call[T](work: Coroutine[Any, Any, T], tick: Callable[[], None] | None = None) -> T:
    """Run ``work`` to its end on the loop. An error here, or raised by ``tick``, first stops it with all its tasks."""
    ended = threading.Event()

    async def whole() -> T:
        try:
            return await work
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(whole(), _background().loop)
    try:
        while not concurrent.futures.wait([future], timeout=0.1).done:
            if tick:
                tick()
        return future.result()
    except BaseException:
        if future.cancel():
            ended.wait(10)
        raise


# ---------------------------------------------------------------- answers


class _Broken(Exception):
    """A transfer that may work when it is tried again."""


@dataclass
class _Answered(Exception):
    """An answer that is no 200."""

    status: int
    text: str
    retry_after: float | None

    @override
    def __str__(self) -> str:
        return f"{self.status}: {self.text}" if self.text else str(self.status)

    @property
    def is_transient(self) -> bool:
        return (
            self.status in {408, 429} or self.status >= 500 or (self.status == 400 and "ISO 8601 format" in self.text)
        )


def _retry_after(text: str | None) -> float | None:
    """Seconds, from seconds or a date."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _told(body: str) -> str:
    """What an error's body says, in one line."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if isinstance(value, dict) and "message" in value:
        return str(value["message"])[:_SHOWN]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())[:_SHOWN]


@asynccontextmanager
async def _session(connection: Connection, total: float) -> "AsyncIterator[aiohttp.ClientSession]":
    """A session whose every answer but 200 raises ``_Answered``; bodies are kept as they come."""
    import aiohttp

    async def refuse(response: aiohttp.ClientResponse) -> None:
        if response.status != 200:
            body = b""
            while len(body) < _GLANCE and (chunk := await response.content.read(_GLANCE - len(body))):
                body += chunk
            if response.headers.get("Content-Encoding") == "gzip":
                with contextlib.suppress(zlib.error):
                    body = zlib.decompressobj(wbits=31).decompress(body, _GLANCE)
            text = connection.without_key(_told(body.decode(errors="replace")))
            raise _Answered(response.status, text, _retry_after(response.headers.get("Retry-After")))

    from importlib.metadata import version

    # gzip only: what tardis-client calls .gz must be gzip, even where aiohttp could take zstd
    headers = {"Accept-Encoding": "gzip", "User-Agent": f"hedgegrid-assets/{version('hedgegrid-assets')}"}
    if connection.key:
        headers["Authorization"] = f"Bearer {connection.key}"
    async with aiohttp.ClientSession(
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=total, sock_connect=limits.connect, sock_read=limits.silence),
        headers=headers,
        trust_env=True,
        raise_for_status=refuse,
    ) as session:
        yield session


async def _reliably[T](transfer: Callable[[], Awaitable[T]], what: str, connection: Connection) -> T:
    """Carry out a transfer, again where that may help, within the limits. Raises RemoteFault."""
    import aiohttp
    import stamina

    _keep_off_stdout()
    background = _background()

    async def once() -> T:
        await asyncio.sleep(max(0.0, background.not_before - time.monotonic()))
        try:
            return await transfer()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _Broken(str(error) or f"no answer within the limits ({type(error).__name__})") from error

    def again(error: Exception) -> bool | float:
        if isinstance(error, _Broken):
            _log.info("%s: %s; trying again", what, error)
            return True
        if not isinstance(error, _Answered) or not error.is_transient:
            return False
        if error.retry_after is None:
            _log.info("%s: %s; trying again", what, error)
            return True
        if error.retry_after > limits.longest_retry_after:
            return False
        _log.info("%s: %s; waiting %.0f s, as asked", what, error, error.retry_after)
        background.not_before = max(background.not_before, time.monotonic() + error.retry_after)
        return error.retry_after

    try:
        async for attempt in stamina.retry_context(
            on=again,
            attempts=limits.attempts,
            timeout=None,
            wait_initial=limits.first_wait,
            wait_max=limits.longest_wait,
            wait_jitter=limits.first_wait / 2,
        ):
            with attempt:
                return await once()
    except _Broken as error:
        raise RemoteFault(
            what,
            f"{limits.attempts} attempts failed, the last one with: {error}",
            hint="check the network (and a proxy, if there is one); then run again: what is fetched already is kept",
            transient=True,
        ) from None
    except _Answered as error:
        raise _fault(error, what, connection) from None
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write {what}: {error.strerror or error}", hint="check space and permissions of the cache"
        ) from None
    raise AssertionError("stamina ended without a result")


def _keep_off_stdout() -> None:
    """Where structlog is installed but not configured, stamina tells of retries on stdout, where only data may go."""
    from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks

    structlog = sys.modules.get("structlog")
    hooks = get_on_retry_hooks()
    kept = tuple(hook for hook in hooks if "structlog" not in getattr(hook, "__module__", ""))
    if len(kept) < len(hooks) and not (structlog and structlog.is_configured()):
        set_on_retry_hooks(kept)


def _fault(answer: _Answered, what: str, connection: Connection) -> RemoteFault:
    """An answer that is final, with the way out."""
    if answer.status == 429:
        seconds = answer.retry_after
        until = datetime.now(UTC) + timedelta(seconds=seconds or 0)
        return RateLimited(what, seconds, f"{until:%Y-%m-%dT%H:%M:%SZ}")
    if answer.status in {401, 403} and not connection.key:
        return KeyRequired(what, f"the server answers {answer}", connection.key_variable)
    hints = {
        400: "check exchange, symbol and dates: hedgegrid replay-to-parquet --dry-run shows what is asked for",
        401: f"the key in use was not accepted for this: check {connection.key_variable}, its plan and its days",
        403: f"the key in use has no right to this: check {connection.key_variable} and its plan",
        404: "check exchange, symbol and data types",
    }
    hint = hints.get(answer.status, "it is on their side: run again later; what is fetched already is kept")
    return RemoteFault(
        what,
        f"the server answers {answer}",
        hint=hint,
        transient=answer.is_transient,
        details={"status": answer.status},
    )


# ---------------------------------------------------------------- what a body must be


@dataclass(frozen=True, slots=True)
class _Body:
    """A body that was read to its end: lines with content, blank lines, and whether the last line is whole."""

    lines: int
    blank: int
    whole: bool


def _members(path: Path, see: Callable[[bytes], None]) -> None:
    """Decompress every member of a gzip file. Raises _Broken for anything that is not gzip from its first byte to its last."""
    size = path.stat().st_size
    if size == 0:
        raise _Broken("the body is empty: expected gzip, which is 20 bytes even without data")
    stream, first = gunzip(), True
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            if first and not data.startswith(GZIP_MAGIC):
                kind = "zstd" if data.startswith(_ZSTD_MAGIC) else f"{data[:40]!r}"
                raise _Broken(f"the body is no gzip: it begins with {kind}")
            first = False
            while data:
                if stream.eof:
                    if not data.startswith(GZIP_MAGIC[: len(data)]):
                        raise _Broken(f"behind the gzip body is something else: {data[:40]!r}")
                    stream = gunzip()
                try:
                    data = _hand_on(gunzipped(stream, data), see)
                except gunzip_error() as error:
                    raise _Broken(f"the gzip body is broken: {error}") from None
    if not stream.eof:
        raise _Broken(f"the gzip body ends too early ({size:,} bytes)")


def _hand_on(parts: Generator[bytes, None, bytes], see: Callable[[bytes], None]) -> bytes:
    """Show all parts; what they return at their end."""
    while True:
        try:
            part = next(parts)
        except StopIteration as end:
            return bytes(end.value)
        see(part)


def _check_slice(path: Path, moment: datetime) -> _Body:
    """Read a slice to its end, a bounded part at a time. Raises _Broken if it cannot be the slice of this minute."""
    seen = _SliceSeen(moment)
    _members(path, seen.add)
    return seen.body()


class _SliceSeen:
    """What the parts of a slice have told so far."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._prefix = f"{moment:%Y-%m-%dT%H:%M:}".encode()
        self._rest = self._start = b""
        self._lines = self._blank = self._own = 0
        self._stamps: set[bytes] = set()
        self._has_objects = False

    def add(self, part: bytes) -> None:
        """Take the next part. Raises _Broken for a line that no message is as long as."""
        data = self._rest + part
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        self._see(data[:end])
        if len(self._rest) > LONGEST_LINE:
            raise _Broken(f"the body is foreign: a line of more than {LONGEST_LINE >> 20} MiB")

    def _see(self, data: bytes) -> None:
        """Take whole lines."""
        self._start = self._start or data[:40]
        blank = sum(len(found) - 1 for found in _BLANKS.findall(data)) if b"\n\n" in data else 0
        self._blank += blank + data.startswith(b"\n")
        lines = data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))
        self._lines += lines
        own = data.count(b"\n" + self._prefix) + data.startswith(self._prefix)
        self._own += own
        if own < lines:
            self._stamps.update(_STAMP.findall(data))
            self._has_objects = self._has_objects or b"{" in data
        elif own:
            self._stamps.add(self._prefix[:-1])

    def body(self) -> _Body:
        """All parts are there. Raises _Broken if they are of another minute."""
        whole = not self._rest
        self._see(self._rest)
        lines = self._lines - self._blank
        if self._own < lines:
            self._check_stamps()
        return _Body(lines, self._blank, whole)

    def _check_stamps(self) -> None:
        """Some lines are not of this minute: broken ones, an overlap, or a body that belongs elsewhere."""
        own, day = self._prefix[:-1], f"{self._moment:%Y-%m-%d}".encode()
        others = sorted(stamp for stamp in self._stamps if stamp != own)
        strange = [stamp for stamp in others if not stamp.startswith(day)]
        if strange or (others and own not in self._stamps):
            raise _Broken(
                f"the body belongs elsewhere: expected lines of {own.decode()}, found {(strange or others)[0].decode()}"
            )
        if not self._stamps and not self._has_objects:
            raise _Broken(f"the body is foreign: it begins with {self._start!r}")


def _check_file(path: Path, exchange: str, kind: str, symbol: str) -> bytes:
    """Read a CSV file to its end: its header, empty if there is nothing in it. Raises _Broken if it cannot be this file."""
    head = bytearray()

    def see(data: bytes) -> None:
        if len(head) < _GLANCE:
            head.extend(data)

    _members(path, see)
    return _check_head(bytes(head), exchange, kind, symbol)


def _check_start(path: Path, exchange: str, kind: str, symbol: str) -> bytes:
    """As ``_check_file``, of its start only."""
    with path.open("rb") as file:
        data = file.read(_GLANCE)
    if not data.startswith(GZIP_MAGIC):
        raise _Broken(f"the body is no gzip: it begins with {data[:40]!r}")
    try:
        return _check_head(next(gunzipped(gunzip(), data), b"")[:_GLANCE], exchange, kind, symbol)
    except gunzip_error() as error:
        raise _Broken(f"the gzip body is broken: {error}") from None


def _check_head(head: bytes, exchange: str, kind: str, symbol: str) -> bytes:
    """The header of a file that begins like this. Raises _Broken if it cannot be the file that was asked for."""
    if not head:
        return b""
    header, first, *_ = [*head.split(b"\n", 2), b"", b""]
    names = header.removeprefix(b"\xef\xbb\xbf").strip().split(b",")
    if names[:2] != [b"exchange", b"symbol"] and not {b"symbol", b"local_timestamp"} <= set(names):
        raise _Broken(f"the file is no {kind} of Tardis: it begins with {bytes(header[:80])!r}")
    row = dict(zip(names, first.strip().split(b","), strict=False))
    found = row.get(b"exchange", b"").decode(errors="replace"), row.get(b"symbol", b"").decode(errors="replace")
    if first and (found[0] != exchange or file_symbol(found[1]) != file_symbol(symbol)):
        raise _Broken(f"the file belongs elsewhere: expected {exchange} {symbol}, found {found[0]} {found[1]}")
    return header


def file_symbol(symbol: str) -> str:
    """A symbol as datasets are named."""
    return symbol.replace(":", "-").replace("/", "-").upper()


# ---------------------------------------------------------------- replay


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
    paths = await asyncio.to_thread(lambda: [wanted.path(minute) for minute in range(MINUTES)])
    bodies = await asyncio.to_thread(_usable, wanted, paths)
    missing = [minute for minute in range(MINUTES) if minute not in bodies]
    if missing:
        _refuse_without_key(str(wanted), wanted.day, connection)
        _refuse_unfinished(str(wanted), wanted.day)
        make_folder(work)
        async with _session(connection, limits.slice_total) as session:

            async def fetch(minute: int) -> None:
                bodies[minute] = await _fetch_slice(wanted, minute, paths[minute], connection, session, work)

            try:
                await fetch(missing[0])  # alone: what is wrong with all of them costs one request
                if len(missing) == MINUTES and not bodies[missing[0]].lines:
                    with contextlib.suppress(RemoteFault):  # told again at the end, should the whole day be empty
                        await _refuse_unavailable(
                            str(wanted), wanted.exchange, wanted.symbol, None, wanted.day, connection
                        )
                await _gathered(map(fetch, missing[1:]))
            except RemoteFault as error:
                raise await _with_availability(error, wanted.exchange, wanted.symbol, wanted.day, connection) from None
    if not any(body.lines for body in bodies.values()):
        await _refuse_unavailable(str(wanted), wanted.exchange, wanted.symbol, None, wanted.day, connection)
    path, sha256, size = await asyncio.to_thread(_joined, paths, bodies, work)
    return path, {
        "url": f"{connection.endpoint}{wanted.query()}",
        "slices": MINUTES,
        "fetched": len(missing),
        "bytes": size,
        "sha256": sha256,
    }


def _usable(wanted: SliceDay, paths: Sequence[Path]) -> dict[int, _Body]:
    """The minutes in the cache that are what they should be; others are removed from it."""
    found: dict[int, _Body] = {}
    for minute, path in enumerate(paths):
        if not path.is_file():
            continue
        try:
            found[minute] = _check_slice(path, wanted.moment(minute))
        except _Broken as error:
            _log.warning("%s %s: the cached slice is discarded: %s", wanted, wanted.moment(minute), error)
            path.unlink(missing_ok=True)
    return found


async def _fetch_slice(
    wanted: SliceDay, minute: int, final: Path, connection: Connection, session: "aiohttp.ClientSession", work: Path
) -> _Body:
    """One minute: fetched aside, read to its end, and only then put into the cache."""
    from tardis_client.data_downloader import _fetch_and_cache_slice

    moment = wanted.moment(minute)
    url = f"{connection.endpoint}{wanted.query()}&offset={minute}"

    async def transfer() -> _Body:
        staged = work / f"{uuid4().hex}.slice"
        try:
            async with _background().at_most("slices", limits.slices_at_once):
                await _to_its_end(_fetch_and_cache_slice(session, _as_is(url), str(staged), None), session)
                if not staged.is_file():
                    raise _Broken("nothing was received")
                body = await asyncio.to_thread(_check_slice, staged, moment)
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(final)
        finally:
            staged.unlink(missing_ok=True)
        return body

    return await _reliably(transfer, f"{wanted} {moment:%Y-%m-%dT%H:%M}", connection)


async def _to_its_end(transfer: Coroutine[Any, Any, object], session: "aiohttp.ClientSession") -> None:
    """Let a client's transfer end by itself, also when we are cancelled: cut in half, it would leave its file open.

    Closing the session makes it fail at once, and clean up.
    """
    task = asyncio.create_task(transfer)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await session.close()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


def _as_is(url: str) -> Any:
    """An address that aiohttp does not write anew: filters keep their percent signs."""
    from yarl import URL

    return URL(url, encoded=True)


async def _gathered(tasks: "map[Coroutine[Any, Any, None]]") -> None:
    """All of them, a bounded number of tasks at a time; the first failure stops the rest, and is the one that is told."""
    rest = iter(tasks)
    at_work: set[asyncio.Task[None]] = set()
    try:
        while True:
            at_work |= {
                asyncio.create_task(task) for task in itertools.islice(rest, limits.slices_at_once * 2 - len(at_work))
            }
            if not at_work:
                return
            done, at_work = await asyncio.wait(at_work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        for task in rest:
            task.close()


def _joined(paths: Sequence[Path], bodies: Mapping[int, _Body], work: Path) -> tuple[Path, str, int]:
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


# ---------------------------------------------------------------- datasets


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
    found = await asyncio.to_thread(_usable_file, wanted, final)
    fetched = found is None
    if found is None:
        _refuse_without_key(str(wanted), wanted.day, connection)
        _refuse_unfinished(str(wanted), wanted.day)
        make_folder(work)
        try:
            found = await _fetch_file(wanted, final, connection, work)
        except RemoteFault as error:
            raise await _with_availability(error, wanted.exchange, wanted.symbol, wanted.day, connection) from None
    header = found
    if not header and fetched:
        try:
            await _refuse_unavailable(str(wanted), wanted.exchange, wanted.symbol, wanted.kind, wanted.day, connection)
        except BaseException:
            final.unlink(missing_ok=True)
            raise
    path, sha256, size = await asyncio.to_thread(_linked, final, work)
    return path, header, {"url": f"{connection.datasets_endpoint}{wanted.query()}", "bytes": size, "sha256": sha256}


def _usable_file(wanted: DatasetDay, path: Path) -> bytes | None:
    """The header of a cached file; it was read to its end before it came there, and will be when it is looked through."""
    if not path.is_file():
        return None
    try:
        return _check_start(path, wanted.exchange, wanted.kind, wanted.symbol)
    except _Broken as error:
        _log.warning("%s %s: the cached file is discarded: %s", wanted, wanted.day, error)
        path.unlink(missing_ok=True)
        return None


def discard(wanted: DatasetDay) -> None:
    """Remove a cached file that could not be read to its end."""
    _log.warning("%s %s: the cached file is discarded: it is damaged", wanted, wanted.day)
    wanted.path().unlink(missing_ok=True)


async def _fetch_file(wanted: DatasetDay, final: Path, connection: Connection, work: Path) -> bytes:
    from tardis_dev._http import reliable_download

    url = f"{connection.datasets_endpoint}{wanted.query()}"
    async with _session(connection, limits.file_total) as session:

        async def transfer() -> bytes:
            staged = work / f"{uuid4().hex}.file"
            try:
                async with _background().at_most("files", limits.files_at_once):
                    await _to_its_end(reliable_download(session, _as_is(url), str(staged), max_attempts=1), session)
                    found = await asyncio.to_thread(_check_file, staged, wanted.exchange, wanted.kind, wanted.symbol)
                final.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(final)
            finally:
                staged.unlink(missing_ok=True)
            return found

        return await _reliably(transfer, f"{wanted} {wanted.day}", connection)


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


# ---------------------------------------------------------------- what there is


def is_free(day: date) -> bool:
    """The first day of each month needs no key."""
    return day.day == 1


def _refuse_without_key(what: str, day: date, connection: Connection) -> None:
    if not connection.key and not is_free(day):
        raise KeyRequired(
            f"{what} {day}", "the day is not the first of a month, and there is no key", connection.key_variable
        )


def _refuse_unfinished(what: str, day: date) -> None:
    today = datetime.now(UTC).date()
    if day >= today:
        raise NoDataFetched(f"{what} {day}", "Tardis", f"the day is not over (today is {today}, UTC)")


async def details(exchange: str, connection: Connection) -> dict[str, Any]:
    """What Tardis says of an exchange; asked once in ten minutes. Raises RemoteFault."""
    from tardis_dev import get_exchange_details_async

    background = _background()
    key = (connection.endpoint, exchange)
    held = background.details.get(key)
    if held is not None and time.monotonic() - held[0] < _DETAILS_SECONDS:
        return held[1]
    found = await _metadata(
        lambda: get_exchange_details_async(
            exchange, endpoint=f"{connection.endpoint}/v1", timeout=int(limits.silence) or 1
        ),
        f"the details of {exchange}",
        connection,
    )
    background.details[key] = (time.monotonic(), found)
    return found


async def _metadata(ask: Callable[[], Awaitable[Any]], what: str, connection: Connection) -> Any:
    """A call of tardis-dev's metadata functions, with our patience."""

    async def transfer() -> Any:
        try:
            return await asyncio.wait_for(ask(), limits.slice_total)
        except urllib.error.HTTPError as error:
            text = connection.without_key(_told(str(error.msg)))
            raise _Answered(
                error.code, text, _retry_after(error.headers.get("Retry-After") if error.headers else None)
            ) from None
        except ValueError as error:
            raise _Broken(f"the answer is no JSON: {error}") from None

    return await _reliably(transfer, what, connection)


async def instrument(exchange: str, symbol: str, connection: Connection) -> dict[str, Any] | None:
    """Tardis' definition of an instrument, or None where the key does not reach it."""
    if not connection.key and exchange != "bitmex":
        return None
    from tardis_dev import get_instrument_info_async

    try:
        found = await _metadata(
            lambda: get_instrument_info_async(
                exchange,
                symbol=symbol,
                api_key=connection.key,
                endpoint=f"{connection.endpoint}/v1",
                timeout=int(limits.silence) or 1,
            ),
            f"the definition of {exchange} {symbol}",
            connection,
        )
    except RemoteFault as error:
        if error.transient:
            raise
        _log.info("no definition from Tardis: %s", error.message)
        return None
    return found if isinstance(found, dict) else None


async def key_info(connection: Connection) -> list[dict[str, Any]]:
    """What the key allows. Raises RemoteFault."""

    async def transfer() -> list[dict[str, Any]]:
        async with (
            _session(connection, limits.slice_total) as session,
            session.get(f"{connection.endpoint}/v1/api-key-info") as answer,
        ):
            body = await answer.read()
            if answer.headers.get("Content-Encoding") == "gzip":
                body = zlib.decompressobj(wbits=31).decompress(body, _LONGEST_ANSWER)
            return list(json.loads(body))

    return await _reliably(transfer, "what the key allows", connection)


async def reachable(connection: Connection) -> bool:
    """Whether anyone answers at the endpoint, soon."""
    import aiohttp

    try:
        async with (
            asyncio.timeout(limits.probe),
            aiohttp.ClientSession(trust_env=True) as session,
            session.get(f"{connection.endpoint}/v1/exchanges/binance-futures") as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def _with_availability(
    error: RemoteFault, exchange: str, symbol: str, day: date, connection: Connection
) -> RemoteFault | NoDataFetched:
    """Where the server refused what may not exist, say what does."""
    if error.details.get("status") not in {400, 404}:
        return error
    try:
        why = unavailable(await details(exchange, connection), symbol, None, day)
    except RemoteFault as other:
        if other.details.get("status") == 404:
            return RemoteFault(
                str(error.details["what"]),
                f"Tardis has no exchange {exchange!r}",
                hint="its exchanges are listed at https://api.tardis.dev/v1/exchanges; the venue, such as BINANCE, is another key",
                transient=False,
            )
        return error
    return NoDataFetched(str(error.details["what"]), "Tardis", why) if why else error


async def _refuse_unavailable(
    what: str, exchange: str, symbol: str, kind: str | None, day: date, connection: Connection
) -> None:
    """An empty day counts as proven empty only where Tardis says that it has the symbol and the day."""
    why = unavailable(await details(exchange, connection), symbol, kind, day)
    if why:
        raise NoDataFetched(f"{what} {day}", "Tardis", why)


def unavailable(found: Mapping[str, Any], symbol: str, kind: str | None, day: date) -> str:
    """Why a day of a symbol cannot be had, from an exchange's details; empty if it should be there.

    ``kind``: the data set; None: messages.
    """
    datasets = found.get("datasets") or {}
    listed = datasets.get("symbols", []) if kind else found.get("availableSymbols", [])
    entry = next((one for one in listed if file_symbol(str(one.get("id", ""))) == file_symbol(symbol)), None)
    if entry is None:
        import difflib

        names = [str(one.get("id")) for one in listed]
        near = difflib.get_close_matches(symbol.upper(), names, 3) or names[:5]
        return f"no symbol {symbol} on {found.get('id')} (such as {', '.join(near)})"
    if kind and kind not in entry.get("dataTypes", [kind]):
        return f"no {kind} of {symbol}: there is {', '.join(entry['dataTypes'])}"
    since = max(
        filter(
            None,
            (entry.get("availableSince"), found.get("availableSince"), datasets.get("exportedFrom") if kind else None),
        )
    )
    if str(day) < str(since)[:10]:
        return f"{symbol} on {found.get('id')} is available since {str(since)[:10]}"
    until = entry.get("availableTo")
    if until and str(day) >= str(until)[:10]:
        return f"{symbol} on {found.get('id')} was available until {str(until)[:10]}"
    exported = datasets.get("exportedUntil")
    if kind and exported and str(day) >= str(exported)[:10]:
        return f"data sets are exported until {str(exported)[:10]}; a day is ready about 06:00 UTC of the next"
    return ""


def definition_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Tardis' definition in the words of ``instruments:``: the finest increments that ever held.

    Raises DataError where it has none that could be used.
    """
    from decimal import Decimal, InvalidOperation

    def decimals(name: str) -> list[Decimal]:
        said = [entry[name] for entry in (found, *found.get("changes", ())) if entry.get(name) not in (None, "", 0)]
        try:
            return [Decimal(str(value)) for value in said]
        except InvalidOperation:
            raise DataError(
                f"Tardis' definition of {found.get('id')}: expected a number in {name}, found {said}"
            ) from None

    def text(value: Any) -> str:
        return f"{Decimal(str(value)):f}"

    made: dict[str, Any] = {}
    for name, key in (("price", "priceIncrement"), ("size", "amountIncrement")):
        steps = decimals(key)
        if steps:
            finest = min(steps)
            precision = max(0, *(-int(step.normalize().as_tuple().exponent) for step in steps))
            made |= {f"{name}_increment": text(finest), f"{name}_precision": precision}
    for name, key in (("base", "baseCurrency"), ("quote", "quoteCurrency"), ("settlement", "settlementCurrency")):
        if found.get(key):
            made[name] = str(found[key]).upper()
    for name, key in (("multiplier", "contractMultiplier"), ("maker_fee", "makerFee"), ("taker_fee", "takerFee")):
        if found.get(key) is not None:
            made[name] = text(found[key])
    return made
