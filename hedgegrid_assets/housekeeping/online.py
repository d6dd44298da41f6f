"""Whether providers still answer as their rows say: the smallest real file of each, and a free day of Tardis."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.sources.archive.archives import ARCHIVES
from hedgegrid_assets.sources.archive.checking import Checked, check, usual_day
from hedgegrid_assets.store import BlockReader, working_folder

FREE_DAY: Final = date(2019, 12, 1)
"""The first of a month, so that no key is needed, and of the first weeks of the exchange: a small file."""
_TARDIS: Final = "tardis"
_SYMBOL: Final = "BTCUSDT"
_CHANNEL: Final = "trades"


def check_online(cache: Path, endpoint: str = "", day: date | None = None) -> Iterator[Checked]:
    """One file of each kind of every archive, one that cannot be there, and a free day of Tardis; nothing is kept.

    ``endpoint`` replaces scheme and host of the archives, as of a mirror; Tardis is asked where the environment says.
    """
    with working_folder(cache) as folder:
        for exchange in ARCHIVES:
            yield from check(exchange, day or usual_day(datetime.now(UTC).date()), endpoint, folder)
        yield _free_day(folder)


def _free_day(folder: Path) -> Checked:
    """A data set of Tardis is received, proved, read and placed to its last line."""
    remote = SOURCES[_TARDIS].remote
    assert remote is not None
    said = {key: os.environ[name] for key, name in remote.environment.items() if os.environ.get(name)}
    settings: Mapping[str, Any] = said | {"exchange": "binance-futures", "cache_dir": str(folder / _TARDIS)}
    channel = next(each for each in remote.channels(settings) if each.name == _CHANNEL)
    url, why = "", ""
    try:
        received = remote.download(settings, _SYMBOL, channel, FREE_DAY, folder, folder, None)
        url = str(received.origin.get("url", ""))
        reader = SOURCES[_TARDIS].open(received.dialect, [_CHANNEL])
        lines = BlockReader(received.path)
        lost = sum(
            placed.lines["reason"].count() for block in lines if (placed := reader.read(block).placed) is not None
        )
        why = f"{lost:,} of {lines.lines:,} lines were not understood" if lost else ""
    except HedgegridError as error:
        why = error.message
    return Checked(f"{_TARDIS} binance-futures", f"{_CHANNEL} {FREE_DAY}", url, why)
