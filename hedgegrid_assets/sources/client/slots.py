"""How many may ask a provider at once, over all processes of this machine that share a cache."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

import anyio

from hedgegrid_assets.sources.client.loop import at_most
from hedgegrid_assets.store import try_file

_FIRST_WAIT: Final = 0.01
_LONGEST_WAIT: Final = 0.5
"""Seconds between two looks for a free slot."""


@asynccontextmanager
async def slot(folder: Path, count: int, what: str) -> AsyncIterator[None]:
    """One of ``count`` slots for one transfer of ``what``, as long as the block lasts.

    A slot is a file in ``folder`` whose lock is held, so that one that a killed process held is free again.
    """
    async with at_most(count, what):  # those of this process wait in a queue, not for each other's files
        held = await _free(folder, count, what)
        try:
            yield
        finally:
            held.close()


async def _free(folder: Path, count: int, what: str) -> IO[str]:
    wait = _FIRST_WAIT
    while True:
        for number in random.sample(range(count), count):  # all from the first one on would meet there
            held = try_file(folder / f"{what}-{number}")
            if held is not None:
                return held
        await anyio.sleep(wait * random.uniform(0.5, 1))
        wait = min(wait * 2, _LONGEST_WAIT)
