"""Copies the lines of ``hedgegrid dev``'s processes to the terminal until ctrl-C; a program of its own, of the standard library alone.

Processes that are still importing end with a traceback each, of which nobody learns anything: what comes after ctrl-C is
dropped. This one gets it as the others do, before any of them has written a word of it.
"""

import os
import signal
from typing import Final

_PASSED_OVER: Final = (b"No cursor for event type",)
"""What Dagster warns of at each start with a history that is new."""
_CHUNK: Final = 1 << 16


class _Ended:
    """Whether ctrl-C came."""

    said = False

    @classmethod
    def say(cls, *_: object) -> None:
        """Take a signal."""
        cls.said = True


def main() -> None:
    """From stdin to stderr, until all who write have gone."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _Ended.say)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    rest = b""
    while data := os.read(0, _CHUNK):
        *lines, rest = (rest + data).split(b"\n")
        _copy(b"".join(line + b"\n" for line in lines if not any(words in line for words in _PASSED_OVER)))
    _copy(rest)


def _copy(data: bytes) -> None:
    try:
        while data and not _Ended.said:
            data = data[os.write(2, data) :]
    except OSError:  # the terminal has gone; who writes must not wait for it
        _Ended.said = True


if __name__ == "__main__":
    main()
