"""What lies under the data root and the catalog because we put it there: none of it is ever a landing file."""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from hedgegrid_assets.config.paths import RESERVED_PREFIX
from hedgegrid_assets.store import Places, RealPaths

_RAW_DAY: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.")


@dataclass(frozen=True)
class OwnFiles:
    """Tells the product's own files from those that users land; symbolic links are followed first."""

    places: Places
    feed: str
    _feeds: dict[str, bool] = field(default_factory=dict)
    _real: RealPaths = field(default_factory=RealPaths)

    @cached_property
    def _landing(self) -> Path:
        return self.places.landing.resolve()

    @cached_property
    def _folders(self) -> tuple[Path, ...]:
        data, catalog = self.places.home.resolve(), self.places.catalog.scratch().resolve()
        folders = (data / "rejects", data / "cache", catalog, catalog / "data", catalog / ".hedgegrid")
        return tuple(folder for folder in folders if not self._landing.is_relative_to(folder))

    @cached_property
    def _ours(self) -> tuple[str, ...]:
        return tuple(f"{folder}{os.sep}" for folder in self._folders)

    @cached_property
    def _zone(self) -> str:
        return f"{self._landing}{os.sep}"

    def has(self, path: Path) -> bool:
        """A raw day, an index, a cache, a reject, a temporary file or a part of the catalog."""
        real = self._real.of(path)
        if real.startswith(self._ours):
            return True
        if not real.startswith(self._zone):
            return False
        below = Path(real.removeprefix(self._zone)).parts
        if len(below) > 1 and below[1] in {".imports", ".tmp"}:
            return True
        deep = (4, 5)  # versions before made two folders of a symbol with a slash
        return len(below) in deep and (_is_raw_day(Path(real)) or (self._is_feed(below[0]) and below[1] in _channels()))

    def _is_feed(self, name: str) -> bool:
        if name not in self._feeds:
            mine = name == self.feed or name.startswith(RESERVED_PREFIX)
            self._feeds[name] = mine or self.places.imports(name).is_dir() or self.places.raw_temp(name).is_dir()
        return self._feeds[name]


def _is_raw_day(path: Path) -> bool:
    """A file with its manifest beside it."""
    day = _RAW_DAY.match(path.name)
    if day is None:
        return False
    try:
        start = path.with_name(f"{day[1]}.json").read_bytes()[: 1 << 16]
    except OSError:
        return False
    return b'"manifest"' in start or b'"stored"' in start


def _channels() -> frozenset[str]:
    """Names of the folders below a feed's: the channels of all sources."""
    from hedgegrid_assets.sources import SOURCES

    return frozenset(channel.name for source in SOURCES.values() for channel in source.channels)
