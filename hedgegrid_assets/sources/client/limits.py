"""How long and how often a provider is asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct, structs


class Limits(Struct, frozen=True):
    """How long and how often; seconds unless said otherwise.

    Attributes:
        attempts: Of one transfer, the first one included.
        first_wait: Before the second attempt; it doubles each time, up to ``longest_wait``.
        longest_wait: Between two attempts, where the server does not name a time.
        longest_retry_after: Longest wait that the server may ask for; above it the run ends and says so.
        first_answer: Of a provider, however many transfers wait for it; from then on each is tried once, until one works.
        connect: For a connection.
        silence: Without a byte.
        slice_total: For one slice, or another small answer.
        file_total: For one file.
        slices_at_once: Transfers of slices in this process.
        files_at_once: Transfers of files in this process.
        probe: For an answer that only tells whether anyone is there.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0
    first_answer: float = 60.0
    connect: float = 10.0
    silence: float = 60.0
    slice_total: float = 60.0
    file_total: float = 1_800.0
    slices_at_once: int = 30
    files_at_once: int = 8
    probe: float = 5.0


in_force: Limits = Limits()
"""Tests put shorter ones here."""


@contextmanager
def of_a_glance() -> Iterator[None]:
    """Inside the block, of whoever does not answer nothing is waited for: for those who only want to know."""
    global in_force
    before = in_force
    in_force = structs.replace(
        before,
        attempts=min(before.attempts, 2),
        connect=min(before.connect, before.probe),
        longest_retry_after=before.probe,
        first_answer=0.0,
    )
    try:
        yield
    finally:
        in_force = before
