"""What the stand-ins have in common: a server in a thread of its own, what it is to do wrong, and a log of its requests."""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web


@dataclass(slots=True)
class Fault:
    """One thing to do wrong.

    ``kind``: status, reset, slow, stall, truncated, garbage, html, zero, second_member, zstd, no_slice_size,
    small_slice_size, lines, rows.

    Attributes:
        path: Part of the path and query that it is for.
        minute: Minute of the day of the slice; None: any.
        times: How often; None: for ever.
        after: Matching requests that are answered well before.
        status: For ``status``.
        retry_after: Its header, in seconds or any text.
        body: For ``status``; None: Tardis' JSON.
        seconds: For ``slow`` and ``stall``.
        change: For ``lines`` and ``rows``: the text of the body before and after.
    """

    kind: str
    path: str = ""
    minute: int | None = None
    times: int | None = 1
    after: int = 0
    status: int = 500
    retry_after: str | None = None
    body: str | None = None
    seconds: float = 30.0
    change: Callable[[bytes], bytes] = lambda data: data
    seen: int = field(default=0, init=False)

    def strikes(self, target: str, minute: int | None) -> bool:
        """Whether this request is to be broken; counts those that match."""
        if self.path not in target or (self.minute is not None and self.minute != minute):
            return False
        self.seen += 1
        return self.seen > self.after and (self.times is None or self.seen <= self.after + self.times)


@dataclass(slots=True)
class Logged:
    """One request: times on the monotonic clock, ``status`` as sent (0: broken off)."""

    at: float
    method: str
    target: str
    headers: Mapping[str, str]
    status: int = 0
    ended: float = 0.0


class Server(ABC):
    """A server on 127.0.0.1, in a thread of its own.

    Attributes:
        log: Every request, in order of arrival.
        delay_seconds: Before each answer.
    """

    def __init__(self, port: int) -> None:
        self.log: list[Logged] = []
        self.delay_seconds = 0.0
        self._faults: list[Fault] = []
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def root(self) -> str:
        """Scheme and host."""
        return f"http://127.0.0.1:{self._port}"

    def inject(self, *faults: Fault) -> None:
        """Break the requests that match; the first fault that strikes counts."""
        self._faults += faults

    def clear(self) -> None:
        """Forget faults and log."""
        self._faults.clear()
        self.log.clear()

    def requests(self, part: str = "") -> list[Logged]:
        """The requests with ``part`` in path or query."""
        return [entry for entry in self.log if part in entry.target]

    @abstractmethod
    async def _respond(self, request: web.Request) -> web.StreamResponse:
        """The answer to a request."""

    # -- life

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the stand-in did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self._port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    # -- answers

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        entry = Logged(time.monotonic(), request.method, str(request.rel_url), dict(request.headers))
        self.log.append(entry)
        try:
            response = await self._respond(request)
            entry.status = response.status
            return response
        finally:
            entry.ended = time.monotonic()
