"""Locks across machines: an object that its holder renews, and that another takes over when it is not renewed any more.

No clock is compared with another one: who waits looks whether the object's version changes within a time of its own.
"""

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol
from uuid import uuid4

from hedgegrid_assets.errors import HedgegridError, StoreConflict

LEASE: Final = 30.0
"""Seconds without a sign of life after which a lock is anybody's."""
_BEATS: Final = 4
"""Signs of life in that time."""
_LONGEST_PAUSE: Final = 1.0


class Leased(Protocol):
    """What a lock needs of a store."""

    def create(self, key: str, data: bytes) -> str:
        """Put an object where none is; its version. Raises StoreConflict."""
        ...

    def swap(self, key: str, data: bytes, version: str) -> str:
        """Put it in the place of a version; its new one. Raises StoreConflict."""
        ...

    def peek(self, key: str) -> tuple[str, bytes] | None:
        """Version and content of an object, as they are now."""
        ...

    def remove(self, key: str) -> None:
        """Take it away."""
        ...


class _Lease:
    """A lock that is held: renewed in a thread of its own, so that long work keeps it."""

    def __init__(self, store: Leased, key: str, owner: str, version: str, seconds: float) -> None:
        self._store, self._key, self._owner, self._version = store, key, owner, version
        self._seconds = seconds
        self._at, self._beats = time.monotonic(), 0
        self._over = threading.Event()
        self.lost = False
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self.lost and not self._over.wait(self._seconds / _BEATS):
            with suppress(HedgegridError):  # not to be reached: for as long as the lease runs, it may come back
                self._beat(time.monotonic())

    def _beat(self, at: float) -> None:
        """Give a sign of life."""
        self._beats += 1
        try:
            data = content_of(self._owner, self._beats)
            self._version, self._at = self._store.swap(self._key, data, self._version), at
        except StoreConflict:
            held = self._store.peek(self._key)
            if held is not None and held[1].startswith(f"{self._owner} ".encode()):  # the answer to a sign was lost
                self._version, self._at = held[0], at
            else:
                self.lost = True

    def release(self) -> None:
        """Give it back, if it surely still is ours."""
        self._over.set()
        self._thread.join(self._seconds)
        self.lost = self.lost or time.monotonic() - self._at > self._seconds
        if not self.lost and time.monotonic() - self._at < self._seconds / 2:
            with suppress(HedgegridError):  # then it runs out
                self._store.remove(self._key)


def content_of(owner: str, beats: int) -> bytes:
    """What a lock's object says: who holds it, and which sign of life it is, so that each has a version of its own."""
    return f"{owner} {beats}\n".encode()


@contextmanager
def lease(store: Leased, key: str, shown: str, seconds: float = LEASE) -> Iterator[None]:
    """Hold a lock until the block ends; wait for whoever holds it, for as long as they give signs of life.

    Raises StoreConflict at the end of a block that was so long without a server that another may have taken over.
    """
    owner = f"{platform.node()}-{os.getpid()}-{uuid4().hex}"
    held = _Lease(store, key, owner, _taken(store, key, owner, seconds), seconds)
    try:
        yield
    finally:
        held.release()
    if held.lost:
        raise StoreConflict(shown, "the lock to be held to the end", "that it could not be renewed")


def _taken(store: Leased, key: str, owner: str, seconds: float) -> str:
    """Take the lock; its version."""
    mine, seen, since, pause = content_of(owner, 0), "", time.monotonic(), 0.05
    while True:
        with suppress(StoreConflict):
            return store.create(key, mine)
        held = store.peek(key)
        if held is None:  # given back just now
            time.sleep(pause)
            continue
        version, said = held
        if said == mine:  # the answer was lost, and the request sent again
            return version
        if version != seen:
            seen, since = version, time.monotonic()
        elif time.monotonic() - since > seconds:
            with suppress(StoreConflict):
                return store.swap(key, mine, version)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
