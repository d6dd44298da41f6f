"""Where everything lies: the name of every object of the product, from its two roots."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from hedgegrid_assets.errors import EnvironmentFault
from hedgegrid_assets.names import check_part
from hedgegrid_assets.store.listing import list_days
from hedgegrid_assets.store.objects import StorePath
from hedgegrid_assets.store.roots import stored

_DAY: Final = "????-??-??"
_OUTSIDE_NAME: Final = re.compile(r"[^\w.@+-]")
_STAGING: Final = (".hedgegrid", "staging")
_NAME_BYTES: Final = 120
"""A file system takes names of 255 bytes; ours have an ending and a digest as well."""


@dataclass(frozen=True, slots=True, init=False)
class Places:
    """Every object of the product, from its two roots: ``data`` (raw days, rejects) and ``catalog``, each in a store.

    Each lies below its root: a name that would lead out of it raises UsageError.

    Attributes:
        home: The folder of this machine that the landing zone and the caches of providers lie in, which are no objects;
            where the raw data are on disk, it is their root.
    """

    data: StorePath
    catalog: StorePath
    home: Path

    def __init__(self, data: str | Path | StorePath, catalog: str | Path | StorePath, home: Path | None = None) -> None:
        roots = stored(data), stored(catalog)
        for name, value in zip(("data", "catalog", "home"), (*roots, home or roots[0].scratch()), strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def of_catalog(cls, catalog: str | Path | StorePath) -> "Places":
        """A catalog alone, wherever its raw data are: nothing of theirs is found below the root that stands for them."""
        return cls(catalog, catalog)

    def remember(self) -> None:
        """A run is at its end: what it has learned of both roots may be kept for runs of other machines."""
        for root in (self.data, self.catalog):
            root.remember()

    @property
    def landing(self) -> Path:
        """Root of the landing zone; the patterns of a feed start here."""
        return self.home / "raw"

    @property
    def cache(self) -> Path:
        """What was fetched from providers."""
        return self.home / "cache"

    def imports(self, feed: str) -> StorePath:
        """Index of the landing files that a feed has imported."""
        return _below(self.data, "raw", feed, ".imports")

    def pruned(self, feed: str) -> StorePath:
        """Which days of a feed were pruned."""
        return _below(self.data, "raw", feed, ".pruned.json")

    def import_lock(self, feed: str) -> StorePath:
        """Lock around an import of a feed's landing files."""
        return self.imports(feed) / "lock"

    def raw_temp(self, feed: str) -> Path:
        """Temporary raw files, where they are published from."""
        return _below(self.data, "raw", feed, ".tmp").scratch()

    def fetch_lock(self, feed: str, channel: str, symbol: str, day: date) -> StorePath:
        """Lock around getting a raw day from a provider."""
        return _below(self.data, "raw", feed, ".tmp", "locks", f"{channel}-{raw_folder_name(symbol)}-{day}")

    def raw_folder(self, feed: str, channel: str, symbol: str) -> StorePath:
        """Daily raw files of a channel and symbol: one folder, whatever is in the symbol.

        Versions before made folders inside each other of a symbol with a slash; where such a one is, it is used on.
        Raises EnvironmentFault where there are both.
        """
        flat = _below(self.data, "raw", feed, channel, raw_folder_name(symbol))
        before = _below(self.data, "raw", feed, channel, symbol)
        if before == flat or not _holds_raw_days(before):
            return flat
        if _holds_raw_days(flat):
            raise EnvironmentFault(
                f"two folders hold raw days of {symbol}: {flat} and {before}",
                hint=f"keep one: move the files of {before} that the other has not there, and remove the rest",
            )
        return before

    def raw_folders(self) -> Iterator[StorePath]:
        """Every folder of raw days, of all feeds, channels and symbols."""
        found = {
            path.parent
            for feed, channel in self.raw_channels()
            for depth in ("*", "*/*")
            for path in self.data.joinpath("raw", feed, channel).glob(f"{depth}/{_DAY}.json")
        }
        yield from sorted(found)

    def raw_channels(self) -> Iterator[tuple[str, str]]:
        """(feed, channel) of all raw days."""
        for feed in (self.data / "raw").folders():
            for channel in feed.folders():
                if not channel.name.startswith("."):
                    yield feed.name, channel.name

    def raw_manifest(self, feed: str, channel: str, symbol: str, day: date) -> StorePath:
        """The manifest of a raw day; names its raw file."""
        return self.raw_folder(feed, channel, symbol) / f"{day}.json"

    def raw_lines(self, feed: str, channel: str, symbol: str, day: date) -> StorePath:
        """Sidecar: landing file and line of each raw line."""
        return self.raw_folder(feed, channel, symbol) / f"{day}.lines.parquet"

    def line_rejects(self, feed: str, landing_name: str) -> StorePath:
        """Lines of a landing file that belong to no table or day; each name has a file of its own."""
        shown = cut_name(_OUTSIDE_NAME.sub("_", landing_name))
        digest = hashlib.sha256(landing_name.encode()).hexdigest()[:16]
        return _below(self.data, "rejects", feed, "_raw", f"{shown}-{digest}.parquet")

    def line_rejects_before(self, feed: str, landing_name: str) -> StorePath:
        """Where earlier versions kept them: several files could have one name."""
        return self.line_rejects(feed, "").with_name(f"{_OUTSIDE_NAME.sub('_', landing_name)}.parquet")

    def frame_folder(self, instrument_id: str, folder: str) -> StorePath:
        """Normalized frames of an (instrument, table): one Parquet file a day."""
        return _below(self.catalog, folder_of(instrument_id), f"{folder}.parquet")

    def frame(self, instrument_id: str, folder: str, day: date) -> StorePath:
        """One day's normalized frame."""
        return self.frame_folder(instrument_id, folder) / f"{day}.parquet"

    def verdict(self, instrument_id: str, folder: str, day: date) -> StorePath:
        """The verdict of one day."""
        return _below(self.catalog, folder_of(instrument_id), f"{folder}.verdict", f"{day}.json")

    def rejects(self, instrument_id: str, folder: str, day: date) -> StorePath:
        """The rejected rows of one day."""
        return _below(self.catalog, folder_of(instrument_id), f"{folder}.rejects", f"{day}.parquet")

    def raw_days(self, feed: str, channel: str, symbol: str) -> list[date]:
        """The days that there are manifests of."""
        return list_days(self.raw_folder(feed, channel, symbol), ".json")

    def frame_days(self, instrument_id: str, folder: str) -> list[date]:
        """The days that there are frames of."""
        return list_days(self.frame_folder(instrument_id, folder), ".parquet")

    def judged_days(self, instrument_id: str, folder: str) -> list[date]:
        """The days that there are verdicts of."""
        return list_days(self.verdict(instrument_id, folder, date.min).parent, ".json")

    def reject_days(self, instrument_id: str, folder: str) -> list[date]:
        """The days that there are rejected rows of."""
        return list_days(self.rejects(instrument_id, folder, date.min).parent, ".parquet")

    def nautilus_folder(self, kind: str, identifier: str) -> StorePath:
        """Nautilus' own folder of one type and instrument."""
        return _below(self.catalog, "data", *kind.split("/"), folder_of(identifier))

    @property
    def catalog_temp(self) -> Path:
        """Temporary catalog files: outside ``data/``, where a stray Parquet file breaks every query."""
        return _below(self.catalog, ".hedgegrid", "tmp").scratch()

    @property
    def catalog_lock(self) -> StorePath:
        """Lock around instruments and series of a catalog."""
        return self.catalog / ".hedgegrid" / "lock"

    @property
    def series(self) -> StorePath:
        """Which series each (instrument, table) of a catalog holds."""
        return self.catalog / ".hedgegrid" / "series.json"

    @property
    def form(self) -> StorePath:
        """For which generation of NautilusTrader a catalog is; not there: for 1.x."""
        return self.published / ".hedgegrid" / "form.json"

    @property
    def twins(self) -> StorePath:
        """Where catalogs of the same frames, for another generation of NautilusTrader, lie."""
        return self.catalog / ".hedgegrid" / "twins.json"

    @property
    def outages(self) -> StorePath:
        """Known outages of a catalog."""
        return self.catalog / ".hedgegrid" / "outages.json"

    @property
    def alerts(self) -> StorePath:
        """What people were told, and what is to be told."""
        return self.data / ".hedgegrid" / "alerts.json"

    @property
    def data_temp(self) -> Path:
        """Temporary files of the data root's own documents."""
        return _below(self.data, ".hedgegrid", "tmp").scratch()

    def day_lock(self, instrument_id: str, day: date) -> StorePath:
        """Lock of one instrument-day."""
        return _below(self.catalog, ".hedgegrid", "locks", f"{folder_of(instrument_id)}@{day}.lock")

    @property
    def widening_lock(self) -> StorePath:
        """Lock around giving an instrument finer precisions."""
        return self.catalog / ".hedgegrid" / "widening.lock"

    @property
    def moves(self) -> StorePath:
        """What a process is changing in one burst, or was when it was killed."""
        return self.catalog / ".hedgegrid" / "moves.json"

    @property
    def staging(self) -> "Places":
        """A catalog in the making beside this one, on the same filesystem, whose files take the place of ours."""
        return Places(self.data, self.catalog.joinpath(*_STAGING), self.home)

    @property
    def published(self) -> StorePath:
        """The catalog, also where this is one in the making beside it."""
        is_staged = self.catalog.parts[-len(_STAGING) :] == _STAGING
        return self.catalog.parent.parent if is_staged else self.catalog


def raw_folder_name(symbol: str) -> str:
    """One part of a path for a symbol: as it is, but for a slash (``BTC%2FUSDT``) and the sign of percent (``%25``).

    Two symbols have two names; ``urllib.parse.unquote`` gives the symbol.
    """
    return symbol.replace("%", "%25").replace("/", "%2F")


def _holds_raw_days(folder: StorePath) -> bool:
    return any(folder.glob(f"{_DAY}.json"))


def folder_of(instrument_id: str) -> str:
    """The folder of an instrument, as Nautilus calls its own: without slashes; verdicts and frames hold the id itself."""
    return instrument_id.replace("/", "")


def _below(root: StorePath, *parts: str) -> StorePath:
    """A name below a root, whatever the names are. Raises UsageError for a name that leads out of it, or is none."""
    return root.joinpath(*map(check_part, parts))


def cut_name(name: str) -> str:
    """The start of a file name, in whole characters, so short that there is room for more behind it."""
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")
