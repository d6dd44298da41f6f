"""Other processes that make small days: half of their work is Python's own, of which a process does one thing at a time."""

import gc
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Self

from hedgegrid_assets.errors import HelperDied
from hedgegrid_assets.pipeline.summary import DaySummary
from hedgegrid_assets.pipeline.turns import Work, work_off
from hedgegrid_assets.stages.raw import Progress, RawKey

_PROGRAM: Final = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); from hedgegrid_assets.pipeline.helpers import main; main()"
"""While it imports, it goes without a word."""
_WORTH_A_PROCESS: Final = 60
"""Days; a process takes as long to start as some thirty of them."""
_LONGEST_WAIT: Final = 5.0
"""Seconds for a process to end by itself."""
_ALLOCATIONS: Final = 300_000
"""Between two looks for garbage in cycles, as in ``__main__``."""


class Helpers:
    """At most ``most`` processes for the days of ``turns``, which any thread may give them; used in a ``with`` block.

    As many as are worth their start, begun when the first of them is asked.
    """

    def __init__(self, work: Work, turns: Sequence[Sequence[RawKey]], most: int) -> None:
        self._work = work
        self._turns = {id(turn) for turn in turns}
        days = sum(map(len, turns))
        self._free: queue.SimpleQueue[_Helper] = queue.SimpleQueue()
        self._all = [_Helper(work) for _ in range(min(most, days // _WORTH_A_PROCESS))]
        for helper in self._all:
            self._free.put(helper)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """All processes are gone after that; where the block failed, they leave what they are at."""
        for helper in self._all:
            helper.close(at_once=kind is not None)

    def work_off(self, turn: Sequence[RawKey], tick: Progress) -> list[DaySummary] | None:
        """What became of the days; None where no process is free for them. Raises HelperDied."""
        if id(turn) not in self._turns:
            return None
        try:
            helper = self._free.get_nowait()
        except queue.Empty:
            return None
        done = helper.work_off(turn, tick)
        self._free.put(helper)
        return done


_ONE_THREAD: Final = {"POLARS_MAX_THREADS": "1"}
"""There are as many processes as are wanted to work at once: threads of each would only take turns with the others'."""


class _Helper:
    """One process; it is told of its work, then of turns, and tells what it does and what became of them."""

    def __init__(self, work: Work) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C comes from us, once
            env=_ONE_THREAD | os.environ,
        )
        self._told: list[Work] = [work]

    def work_off(self, turn: Sequence[RawKey], tick: Progress) -> list[DaySummary]:
        """What became of the days. Raises HelperDied."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            for said in (*self._told, list(turn)):
                pickle.dump(said, self._process.stdin)
            self._process.stdin.flush()
            self._told.clear()
            while True:
                answer: tuple[str, int] | list[DaySummary] = pickle.load(self._process.stdout)
                if isinstance(answer, list):
                    return answer
                tick(*answer)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            raise HelperDied(self._process.wait()) from None

    def close(self, *, at_once: bool) -> None:
        """Let it end: it cleans up after itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if at_once and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # one that died has not read all that it was told
                pipe.close()
        try:
            self._process.wait(_LONGEST_WAIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Work off turns from the standard input, until it ends."""
    gc.set_threshold(_ALLOCATIONS)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed is no answer

    def tell(answer: Any) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    try:
        work: Work = pickle.load(sys.stdin.buffer)
        while True:
            turn: list[RawKey] = pickle.load(sys.stdin.buffer)
            tell(work_off(work, turn, lambda what, lines: tell((what, lines)), {}, {}))
    except (EOFError, BrokenPipeError):
        os._exit(0)
    except KeyboardInterrupt:
        os._exit(130)
