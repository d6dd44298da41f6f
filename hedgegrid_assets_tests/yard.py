"""The four stages on one folder, as the pipeline and Dagster call them, for tests that look at what they leave on disk."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from hedgegrid_assets.model import Channel, InstrumentDay, Source, Thresholds
from hedgegrid_assets.sources import websocket
from hedgegrid_assets.stages import catalog, raw
from hedgegrid_assets.stages.frames import Precisions, read_blocks
from hedgegrid_assets.stages.normalize import FrameSink, Normalized, Recipe, normalize_day
from hedgegrid_assets.stages.raw import FileOrigin, ImportReport, LandingFile, Manifest, RawDay, RawKey
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import AnyFile, BlockReader, Places, blocks, plain
from hedgegrid_assets.tables import TABLES, read_by
from hedgegrid_assets.tables.bar import BARS
from hedgegrid_assets_tests.scenario import BTC, DAY, SYMBOLS

FEED = "captures"
_DEFAULT = {name for name, table in TABLES.items() if table.default}
SOURCE = websocket.SOURCE


def narrowed(*names: str) -> Source:
    """Captured messages, of which these channels alone are known."""
    assert SOURCE.narrowed is not None
    return SOURCE.narrowed(frozenset(names))


USUAL_SOURCE = narrowed(*(channel.name for channel in SOURCE.channels if _DEFAULT & set(channel.tables)))
"""Captured messages, for the tables that are made where none are asked for."""
CHANNELS = {channel.name: channel for channel in SOURCE.channels}
PRECISIONS = Precisions(price=2, size=3, mark=8)
USUAL = Thresholds()
ALIKE = frozenset(bar.name for bar in BARS[1:])
"""Bars of other periods than the first: made as those."""


def instrument_day(symbol: str = BTC, day: date = DAY) -> InstrumentDay:
    """The instrument-day of an exchange symbol."""
    return InstrumentDay(f"{symbol}-PERP.BINANCE", day)


@dataclass(frozen=True)
class Yard:
    """A data folder with a landing zone, and a catalog beside it."""

    root: Path

    @property
    def places(self) -> Places:
        return Places(self.root / "data", self.root / "catalog")

    def drop(self, name: str, data: bytes) -> Path:
        """Put a file into the landing zone, as a user would."""
        path = self.places.landing / "websocket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def landed(self) -> list[LandingFile]:
        return raw.landing_files(self.places.landing, ["websocket/**/*"])

    def bring_in(
        self,
        symbols: Sequence[str] = SYMBOLS,
        channels: Iterable[str] | None = None,
        source: Source = SOURCE,
        **options: Any,
    ) -> ImportReport:
        """Import all that has landed."""
        wanted = [channel for channel in source.channels if channels is None or channel.name in channels]
        return raw.import_landing(self.places, FEED, source, self.landed(), wanted, symbols, **options)

    def raw(self, channel: str = "aggTrade", symbol: str = BTC, day: date = DAY) -> RawDay:
        found = raw.raw_day(self.places, FEED, RawKey(channel, symbol, day))
        assert found is not None
        return found

    def normalize(
        self,
        channel: str = "aggTrade",
        symbol: str = BTC,
        day: date = DAY,
        *,
        precisions: Precisions = PRECISIONS,
        thresholds: Thresholds = USUAL,
        sinks: Mapping[str, FrameSink] | None = None,
    ) -> dict[str, Normalized]:
        """Every table of one raw day; name of the table -> what became of it."""
        made_from: Channel = CHANNELS[channel]
        tables = [TABLES[name] for name in read_by(made_from) if name not in ALIKE]
        recipe = Recipe(SOURCE, made_from, precisions, {table.name: thresholds for table in tables})
        done = normalize_day(
            self.places, instrument_day(symbol, day), self.raw(channel, symbol, day), tables, recipe, sinks=sinks
        )
        return {each.table.name: each for each in done}

    def publish(
        self,
        table: str = "trade_tick",
        symbol: str = BTC,
        day: date = DAY,
        precisions: Precisions = PRECISIONS,
        compression: str = "zstd",
    ) -> catalog.Written:
        return catalog.write_day(self.places, instrument_day(symbol, day), TABLES[table], precisions, compression)

    def frame(self, table: str = "trade_tick", symbol: str = BTC, day: date = DAY) -> pl.DataFrame:
        """The stored frame, in memory form."""
        return pl.concat(read_blocks(self.frame_path(table, symbol, day), TABLES[table]))

    def frame_path(self, table: str = "trade_tick", symbol: str = BTC, day: date = DAY) -> Path:
        return self.places.frame(f"{symbol}-PERP.BINANCE", TABLES[table].folder, day).local()

    def verdict(self, table: str = "trade_tick", symbol: str = BTC, day: date = DAY) -> dict[str, Any]:
        """As it is stored."""
        found = read_verdict(self.places, TABLES[table], instrument_day(symbol, day))
        assert found is not None
        return dict(plain(found))

    def rejects(self, table: str = "trade_tick", symbol: str = BTC, day: date = DAY) -> pl.DataFrame:
        path = self.places.rejects(f"{symbol}-PERP.BINANCE", TABLES[table].folder, day)
        return pl.read_parquet(path.local()) if path.exists() else pl.DataFrame()

    def files(self, *below: str) -> dict[str, bytes]:
        """Every file below some folder, by its name: manifests without wall-clock and history, locks and indexes left out."""
        root = self.root.joinpath(*below)
        found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
        return {
            name: _without_clock(path) if path.suffix == ".json" else path.read_bytes()
            for name, path in sorted(found.items())
            if "lock" not in name and ".imports" not in name
        }


def _without_clock(path: Path) -> bytes:
    content = json.loads(path.read_bytes())
    if "fetched_at" in content:
        del content["fetched_at"], content["checksum"]
    content.pop("replaces", None)
    return json.dumps(content, sort_keys=True).encode()


def lines_of(path: AnyFile) -> list[bytes]:
    """The lines of a stored or landed file, line ends kept."""
    return b"".join(block.data for block in BlockReader(path)).splitlines(keepends=True)


def origins_of(day: RawDay) -> list[tuple[str, int]]:
    """(landing file, line) of each raw line."""
    assert day.lines is not None
    sidecar = pq.read_table(day.lines)
    return list(zip(sidecar.column("file").to_pylist(), sidecar.column("line").to_pylist(), strict=True))


def with_blocks_of(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in blocks of about so many bytes."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    monkeypatch.setattr(blocks, "_READ_BYTES", min(size, 64 << 10))


def of_before(document: dict[str, Any]) -> dict[str, Any]:
    """A document as versions before wrote it: without a checksum of its own."""
    kinds = {"verdict", "manifest"} & document.keys()
    return {key: value for key, value in document.items() if key != "checksum"} | dict.fromkeys(kinds, 1)


def bare_manifest(sha256: str, origins: Sequence[FileOrigin]) -> Manifest:
    """A manifest that says where lines are from, and no more."""
    return Manifest(
        feed="x",
        source="x",
        channel="x",
        symbol="x",
        date=DAY,
        stored="copy",
        file="x",
        bytes=0,
        sha256=sha256,
        lines=0,
        first_local_ns=None,
        last_local_ns=None,
        origin=list(origins),
        request=None,
        disconnects_ns=[],
        fetched_at="",
        versions={},
    )
