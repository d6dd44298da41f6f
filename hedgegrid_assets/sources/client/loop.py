"""One event loop for all who fetch in this process, so that limits hold for them together, and each can stop its own work."""

import concurrent.futures
import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from anyio import CapacityLimiter, create_task_group
from anyio.from_thread import BlockingPortalProvider
from anyio.lowlevel import RunVar

_TICK_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 10.0
_portals: Final[dict[int, BlockingPortalProvider]] = {}
"""By process: a loop does not survive a fork."""
_pools: Final[RunVar[dict[str, CapacityLimiter]]] = RunVar("pools")


def call[T](work: Callable[[], Awaitable[T]], tick: Callable[[], None] | None = None) -> T:
    """Run ``work`` to its end on the loop. An error here, or raised by ``tick``, first stops it with all its tasks."""
    ended = threading.Event()

    async def whole() -> T:
        try:
            return await work()
        finally:
            ended.set()

    with _portals.setdefault(os.getpid(), BlockingPortalProvider()) as portal:
        future = portal.start_task_soon(whole)
        try:
            while not concurrent.futures.wait([future], timeout=_TICK_SECONDS).done:
                if tick:
                    tick()
            return future.result()
        except BaseException:
            if future.cancel():
                ended.wait(_STOP_SECONDS)
            raise


def at_most(count: int, what: str) -> CapacityLimiter:
    """So many at a time, of all callers together."""
    pools = _pools.get({})
    _pools.set(pools)
    return pools.setdefault(f"{what} {count}", CapacityLimiter(count))


async def each[T](items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Work on all items, so many at a time; the first failure stops the rest, and is the one that is raised."""
    rest = iter(items)

    async def next_ones() -> None:
        for item in rest:
            await work(item)

    try:
        async with create_task_group() as group:
            for _ in range(at_once):
                group.start_soon(next_ones)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
