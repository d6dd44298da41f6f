"""What this process receives: how many bytes, and the transfers under way, for those who show it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hedgegrid_assets.wording import megabytes

APART_SECONDS: Final = 30.0
"""Between two lines of a transfer, where lines are all that can be shown."""


class Transfer:
    """One under way. ``held``: bytes that an earlier one has left; ``length``: of all; None: the server does not say."""

    def __init__(self, what: str, held: int, length: int | None) -> None:
        self.what, self.length = what, length
        self.received, self._held = held, held
        self.started = time.monotonic()

    def told(self, now: float) -> str:
        """How far it is, on one line."""
        rate = (self.received - self._held) / max(now - self.started, 1e-3)
        of = f" of {megabytes(self.length)}" if self.length else ""
        parts = [f"{self.what}: {megabytes(self.received)}{of}", f"{megabytes(int(rate))}/s"]
        if self.length and rate:
            left = int((self.length - self.received) / rate)
            parts.append(f"about {left // 60}:{left % 60:02} left")
        return ", ".join(parts)


class Received:
    """Written on the loop of the client only.

    Attributes:
        bytes: Received so far.
        under_way: The transfers that are not over.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.under_way: dict[int, Transfer] = {}

    @contextmanager
    def transfer(self, what: str, held: int, length: int | None) -> Iterator[Callable[[int], None]]:
        """Inside the block a transfer is under way; what is given takes the number of bytes that came."""
        under_way = Transfer(what, held, length)

        def took(size: int) -> None:
            under_way.received += size
            self.bytes += size

        self.under_way[id(took)] = under_way
        try:
            yield took
        finally:
            del self.under_way[id(took)]

    def long_ones(self, now: float) -> list[str]:
        """Those that take long already, each on a line."""
        return [each.told(now) for each in list(self.under_way.values()) if now - each.started >= APART_SECONDS]


RECEIVED: Final = Received()


class Telling:
    """Called often, from any thread: tells now and then of each transfer that takes long."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._next = time.monotonic() + APART_SECONDS

    def __call__(self) -> None:
        """Tell, if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        with self._lock:
            if now < self._next:
                return
            self._next = now + APART_SECONDS
        for line in RECEIVED.long_ones(now):
            self._tell(line)
