"""Stands between a client and a real S3 server on loopback: counts what is asked, and answers some of it with faults."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, override
from urllib.parse import urlsplit

_ANSWER: Final = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>no</Message></Error>'


@dataclass(frozen=True)
class Fault:
    """What happens to a request in the place of being answered.

    Attributes:
        status: An answer of the stand-in's own; with the ``code`` of an error, if it is none of 200.
        slow: Seconds before it is passed on.
        cut: The connection is cut after so many bytes of the request's content; the server gets no more either.
        unheard: The server does what it is asked, and the connection is cut before its answer.
    """

    status: int = 0
    code: str = "InternalError"
    slow: float = 0.0
    cut: int | None = None
    unheard: bool = False


@dataclass
class Between:
    """``asked``: method and path of each request. ``fault`` is asked for each; None: it is passed on."""

    address: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    fault: Callable[[str, str], Fault | None] = lambda _method, _path: None

    def once(self, fault: Fault, method: str, part: str = "", times: int = 1) -> None:
        """A fault for the next requests of a method whose path has a part."""
        left = [fault] * times

        def found(asked: str, path: str) -> Fault | None:
            return left.pop() if left and asked == method and part in path else None

        self.fault = found


@contextmanager
def between(server: str) -> Iterator[Between]:
    """One in front of a server, until the block ends."""
    host = urlsplit(server).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Nothing is told."""

        def _pass(self) -> None:
            found.asked.append((self.command, self.path))
            fault = found.fault(self.command, self.path) or Fault()
            length = int(self.headers.get("Content-Length") or 0)
            if fault.cut is not None:
                _pass_half(host, self, self.rfile.read(min(fault.cut, length)))
                _cut(self.connection)
                self.close_connection = True
                return
            content = self.rfile.read(length)
            time.sleep(fault.slow)
            if fault.status:
                self._answer(fault.status, {"ETag": '"0"'}, _ANSWER.format(code=fault.code).encode())
                return
            try:
                status, headers, data = _asked_of(host, self, content)
            except OSError:
                self.close_connection = True
                return
            if fault.unheard:
                _cut(self.connection)
                self.close_connection = True
            else:
                self._answer(status, headers, data)

        def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            told = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", told)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815 - names of http.server

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        @override
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away."""

    running = Server(("127.0.0.1", 0), Handler)
    found = Between(f"http://127.0.0.1:{running.server_address[1]}")
    thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        running.shutdown()
        running.server_close()


def _asked_of(host: str, request: BaseHTTPRequestHandler, content: bytes) -> tuple[int, dict[str, str], bytes]:
    """The server's answer; signatures hold, as the name of the host is passed on."""
    with closing(http.client.HTTPConnection(host, timeout=60)) as connection:
        connection.request(request.command, request.path, content, dict(request.headers.items()))
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def _pass_half(host: str, request: BaseHTTPRequestHandler, content: bytes) -> None:
    """The server gets the beginning of a request, and then a cut connection."""
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port))) as to:
        lines = [f"{request.command} {request.path} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
        to.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        _cut(to)


def _cut(connection: socket.socket) -> None:
    """Gone without a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
