"""Whether providers still answer as their rows say: the smallest real file of each, and a free day of Tardis."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from hedgegrid_assets.errors import HedgegridError, ProviderUnreachable
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.sources.archive.archives import ARCHIVES
from hedgegrid_assets.sources.archive.checking import Checked, check, usual_day
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.store import BlockReader, working_folder

FREE_DAY: Final = date(2019, 12, 1)
"""The first of a month, so that no key is needed, and of the first weeks of the exchange: a small file."""
_TARDIS: Final = "tardis"
_SYMBOL: Final = "BTCUSDT"
_CHANNEL: Final = "trades"


class _Stopped(BaseException):
    """Nobody waits for the rows any more."""


def check_online(cache: Path, endpoint: str = "", day: date | None = None) -> Iterator[Checked]:
    """One file of each kind of every archive, one that cannot be there, and a free day of Tardis; nothing is kept.

    Hosts are asked side by side, and rows come as they are found; of a host where nobody answers, one is asked for.
    ``endpoint`` replaces scheme and host of the archives, as of a mirror; Tardis is asked where the environment says.
    """
    on = day or usual_day(datetime.now(UTC).date())
    stop = threading.Event()

    def tick() -> None:
        if stop.is_set():
            raise _Stopped

    with working_folder(cache) as folder, limits.of_a_glance():
        hosts = [check(names, on, endpoint, folder, tick) for names in _by_host(endpoint)]
        try:
            yield from _side_by_side([*hosts, _free_day(folder, tick)])
        finally:
            stop.set()


def _side_by_side(hosts: Sequence[Iterator[Checked]]) -> Iterator[Checked]:
    """The rows of all, each in a thread of its own; the first error is raised."""
    rows: SimpleQueue[Checked | None] = SimpleQueue()

    def work_off(host: Iterator[Checked]) -> None:
        try:
            for row in host:
                rows.put(row)
        finally:
            rows.put(None)

    with ThreadPoolExecutor(len(hosts)) as pool:
        futures = [pool.submit(work_off, host) for host in hosts]
        for _ in hosts:
            yield from iter(rows.get, None)
        for future in futures:
            future.result()


def _by_host(endpoint: str) -> list[list[str]]:
    """Archives, those at one host together."""
    hosts: dict[str, list[str]] = {}
    for exchange, archive in ARCHIVES.items():
        hosts.setdefault(endpoint or archive.root, []).append(exchange)
    return list(hosts.values())


def _free_day(folder: Path, tick: Callable[[], None]) -> Iterator[Checked]:
    """A data set of Tardis is received, proved, read and placed to its last line."""
    remote = SOURCES[_TARDIS].remote
    assert remote is not None
    said = {key: os.environ[name] for key, name in remote.environment.items() if os.environ.get(name)}
    settings: Mapping[str, Any] = said | {"exchange": "binance-futures", "cache_dir": str(folder / _TARDIS)}
    channel = next(each for each in remote.channels(settings) if each.name == _CHANNEL)
    url, why, answered = "", "", True
    try:
        received = remote.download(settings, _SYMBOL, channel, FREE_DAY, folder, folder, tick)
        url = str(received.origin.get("url", ""))
        reader = SOURCES[_TARDIS].open(received.dialect, [_CHANNEL])
        lines = BlockReader(received.path)
        lost = sum(
            placed.lines["reason"].count() for block in lines if (placed := reader.read(block).placed) is not None
        )
        why = f"{lost:,} of {lines.lines:,} lines were not understood" if lost else ""
    except ProviderUnreachable as error:
        why, answered = error.why, False
    except HedgegridError as error:
        why = error.message
    yield Checked(f"{_TARDIS} binance-futures", f"{_CHANNEL} {FREE_DAY}", url, why, answered)
