"""Work in threads of their own: made in advance, several at once, written behind; errors come out where they are waited for."""

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import Final

_LONGEST_WAIT: Final = 1.0
"""Seconds for a thread that is not needed any more."""


class _End:
    """Marks the end of a queue; carries what went wrong."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch[T](items: Iterable[T], depth: int = 2) -> Generator[T]:
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


def ordered_map[T, R](work: Callable[[T], R], items: Iterable[T], at_once: int = 2) -> Iterator[R]:
    """What ``work`` makes of each item, in order; ``at_once`` items are worked on at a time, in threads of their own.

    One item alone needs no thread.
    """
    given = iter(items)
    first = list(islice(given, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    with ThreadPoolExecutor(at_once) as pool:
        line: deque[Future[R]] = deque()
        try:
            for item in chain(first, given):
                line.append(pool.submit(work, item))
                if len(line) > at_once:
                    yield line.popleft().result()
            while line:
                yield line.popleft().result()
        finally:
            for future in line:
                future.cancel()


class BackgroundWriter[T]:
    """Calls ``work`` on what it is given, in order, in a thread of its own, and ``at_end`` behind the last of it.

    Errors come out of ``put`` or ``close``.
    """

    def __init__(self, work: Callable[[T], None], depth: int = 2, at_end: Callable[[], None] | None = None) -> None:
        self._line: queue.Queue[T | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._work, self._at_end = work, at_end
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
            self._try(partial(self._work, item))
        if self._at_end is not None:
            self._try(self._at_end)

    def _try(self, work: Callable[[], None]) -> None:
        if self._error is None:
            try:
                work()
            except BaseException as caught:  # noqa: BLE001 - raised by put or close
                self._error = caught
