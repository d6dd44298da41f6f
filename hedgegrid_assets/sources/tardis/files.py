"""CSV files of a day in the cache, and the raw days that they are."""

import logging
import urllib.parse
from datetime import date
from pathlib import Path
from typing import Final

from msgspec import Struct

from hedgegrid_assets.sources.client.answers import Broken
from hedgegrid_assets.sources.client.cache import linked
from hedgegrid_assets.sources.tardis.bodies import check_start
from hedgegrid_assets.sources.tardis.names import file_symbol

_log: Final = logging.getLogger(__name__)


class DatasetDay(Struct, frozen=True):
    """A CSV file of one day, type and symbol. ``slots``: folder of the slots that all who ask Tardis share."""

    exchange: str
    kind: str
    symbol: str
    day: date
    cache: Path
    slots: Path

    def __str__(self) -> str:
        return f"{self.exchange} {self.kind} {self.symbol}"

    def path(self) -> Path:
        """Its place in the cache; named as tardis-dev does, whose import would cost a third of a second."""
        name = f"{self.exchange}_{self.kind}_{self.day}_{file_symbol(self.symbol)}.csv.gz"
        return self.cache / "datasets" / name

    def query(self) -> str:
        """As tardis-dev asks."""
        name = urllib.parse.quote(file_symbol(self.symbol), safe="")
        return f"/v1/{self.exchange}/{self.kind}/{self.day:%Y/%m/%d}/{name}.csv.gz"


def usable(wanted: DatasetDay) -> bytes | None:
    """The header of a cached file; it was read to its end before it came there, and will be when it is looked through."""
    path = wanted.path()
    if not path.is_file():
        return None
    try:
        return check_start(path, wanted.exchange, wanted.kind, wanted.symbol)
    except Broken as error:
        _log.warning("%s %s: the cached file is discarded: %s", wanted, wanted.day, error)
        path.unlink(missing_ok=True)
        return None


def discard(wanted: DatasetDay) -> None:
    """Remove a cached file that could not be read to its end."""
    _log.warning("%s %s: the cached file is discarded: it is damaged", wanted, wanted.day)
    wanted.path().unlink(missing_ok=True)


def as_raw(wanted: DatasetDay, work: Path) -> tuple[Path, int]:
    """The file once more in ``work``, and its size; its sha256 is taken when it is looked through."""
    other = linked(wanted.path(), work)
    return other, other.stat().st_size
