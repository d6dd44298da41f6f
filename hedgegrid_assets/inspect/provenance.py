"""Where a judged day came from: the raw day with the sha256 that its verdict names, and the landing files behind it."""

from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.model import Channel
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.stages.raw import Manifest, lines_are_of, read_manifest
from hedgegrid_assets.stages.verdict import Verdict
from hedgegrid_assets.store import AnyFile, Places, StorePath, bytes_in, plain, raw_folder_name

_SHOWN_ORIGINS: Final = 20


class RawFound(Struct, frozen=True):
    """A raw day on disk. ``same_bytes``: its manifest has the sha256 that was judged; else it has changed since."""

    manifest_path: StorePath
    manifest: Manifest
    same_bytes: bool

    @property
    def path(self) -> AnyFile:
        """The raw file; a landing file where the day is stored in place."""
        if self.in_place:
            return Path(self.manifest.file)
        return self.manifest_path.parent / self.manifest.file

    @property
    def has_its_size(self) -> bool:
        """The raw file is there, as large as its manifest says."""
        return self.path.exists() and bytes_in(self.path) == self.manifest.bytes

    @property
    def in_place(self) -> bool:
        """The raw file is the landing file itself."""
        return self.manifest.in_place

    @property
    def lines(self) -> StorePath | None:
        """Sidecar with the landing file and line of each raw row."""
        return self._sidecar if not self.in_place and self._sidecar.exists() else None

    @property
    def lines_fault(self) -> str:
        """What is wrong with the sidecar of a copy of landing files, or nothing."""
        landed = not self.in_place and any(origin.path for origin in self.manifest.origin)
        if not landed or lines_are_of(self._sidecar, self.manifest):
            return ""
        wrong = "not those of its raw file" if self._sidecar.exists() else "gone"
        return f"the line numbers of the raw day are {wrong} ({self._sidecar})"

    @property
    def _sidecar(self) -> StorePath:
        return self.manifest_path.with_name(f"{self.manifest.date}.lines.parquet")

    def origins(self) -> list[dict[str, Any]]:
        """What it is made of, without what only normalizing needs; a made or fetched day has no ``path``."""
        left_out = {"decimals", "disconnects_ns", "dialect", "stored_bytes", "content"}
        return [
            {name: value for name, value in plain(origin).items() if name not in left_out}
            for origin in self.manifest.origin[:_SHOWN_ORIGINS]
        ]


class RawFinder:
    """Finds raw days by instrument, date and sha256, over all feeds of a data root."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._folders: dict[str | None, list[StorePath]] = {}
        self._symbols = {each.id: each.raw_symbol for each in read_definitions(places.catalog).values()}

    def find(self, verdict: Verdict) -> RawFound | None:
        """The raw day with the sha256 that a verdict names, else one of another content, else None.

        Channels that lie in one file in place have its sha256, all of them: the one that gives the table is meant.
        """
        same: list[RawFound] = []
        other: RawFound | None = None
        symbol = self._symbols.get(verdict.instrument_id)
        for folder in self._folders_of(symbol):
            path = folder / f"{verdict.date}.json"
            manifest = read_manifest(path)
            if manifest is None:
                continue
            if manifest.sha256 in verdict.raw_sha256:
                same.append(RawFound(path, manifest, same_bytes=True))
            elif symbol is not None:
                other = other or RawFound(path, manifest, same_bytes=False)
        return max(same, key=lambda raw: _fits(raw.manifest, verdict), default=other)

    def _folders_of(self, symbol: str | None) -> list[StorePath]:
        """Folders of raw days; all of them for an instrument without a definition: the sha256 tells."""
        if symbol not in self._folders:
            every = list(self._places.raw_folders())
            self._folders[symbol] = [folder for folder in every if symbol is None or _is_of(folder, symbol)]
        return self._folders[symbol]


def channel_of(manifest: Manifest) -> Channel | None:
    """The channel of a raw day as its source has it where nothing is set; None: none that is known."""
    source = SOURCES.get(manifest.source)
    return next((each for each in source.channels if each.name == manifest.channel), None) if source else None


def _fits(manifest: Manifest, verdict: Verdict) -> tuple[bool, bool]:
    """Its channel gives the table of a verdict, and the series of it."""
    channel = channel_of(manifest)
    if channel is None:
        return False, False
    series = {view.series or channel.series for view in manifest.views(channel.name)}
    return verdict.table in channel.tables, verdict.series in series


def _is_of(folder: StorePath, symbol: str) -> bool:
    """Its name is the symbol's; versions before made two folders of a symbol with a slash."""
    return folder.name == raw_folder_name(symbol) or ("/" in symbol and folder.parts[-2:] == tuple(symbol.split("/")))
