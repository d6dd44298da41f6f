"""A webhook on this machine: it takes what is posted, as Slack does, or answers what it is told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override


class Webhook(ThreadingHTTPServer):
    """``posted``: the bodies that it has taken; ``answers``: status codes that it gives first, before its 200s."""

    daemon_threads = True

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.location: str | None = None
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Its address, with a secret in it."""
        return f"http://127.0.0.1:{self.server_port}/services/T00/B00/{SECRET}"

    @property
    def texts(self) -> list[str]:
        """What was told."""
        return [body["text"] for body in self.posted]


SECRET = "not-for-any-log"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook = self.server
        assert isinstance(hook, Webhook)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = hook.answers.pop(0) if hook.answers else 200
        if status == 200:
            assert self.headers["Content-Type"] == "application/json"
            hook.posted.append(json.loads(body))
        self.send_response(status)
        if hook.location is not None:
            self.send_header("Location", hook.location)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def webhook() -> Iterator[Webhook]:
    """One that runs while the block does."""
    server = Webhook()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
