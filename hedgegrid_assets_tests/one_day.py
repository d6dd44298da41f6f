"""A raw day made of some lines, normalized by any source's reader, in blocks of any size."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl

from hedgegrid_assets.batch import Block, Decoded, Placed
from hedgegrid_assets.dialect import Dialect, Stored, stored
from hedgegrid_assets.model import Channel, InstrumentDay, Source
from hedgegrid_assets.stages.frames import Precisions, frame_schema, read_blocks
from hedgegrid_assets.stages.normalize import Recipe, normalize_day
from hedgegrid_assets.stages.raw import FileOrigin, RawDay, RawKey
from hedgegrid_assets.stages.raw.kept import Kept
from hedgegrid_assets.store import BlockReader, Places, blocks, local_file, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.yard import ALIKE, bare_manifest

DAY = date(2024, 1, 1)
ID = "BTCUSDT-PERP.BINANCE"
PRECISIONS = Precisions(price=2, size=3, mark=8)


@dataclass(frozen=True)
class Outcome:
    """What one table of a day came to: the frame in memory form and its bytes, rejects, and the verdict."""

    frame: pl.DataFrame
    bytes: bytes
    rejects: pl.DataFrame
    verdict: dict[str, Any]

    @property
    def rows(self) -> dict[str, int]:
        """The counts of the verdict."""
        return dict(self.verdict["rows"])

    def rule(self, name: str) -> dict[str, Any]:
        """One rule's answer, as stored."""
        return next(rule for rule in self.verdict["rules"] if rule["name"] == name)


@contextmanager
def blocks_of(size: int | None) -> Iterator[None]:
    """Files are read in blocks of about so many bytes; None: as ever."""
    usual = blocks.BLOCK_BYTES
    with patch.object(blocks, "BLOCK_BYTES", size or usual), patch.object(blocks, "_READ_BYTES", size or 64 << 10):
        yield


def raw_day(folder: Path, channel: Channel, files: Sequence[bytes], dialect: Dialect | Stored | None = None) -> RawDay:
    """A raw day of the lines of some landing files, laid end to end."""
    path = folder / f"{hashlib.sha256(b'|'.join(files)).hexdigest()[:12]}.raw"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(files)
    path.write_bytes(data)
    origins = [
        FileOrigin(
            path=f"landing-{number}",
            bytes=len(text),
            sha256="",
            stored_lines=text.count(b"\n"),
            lines=text.count(b"\n"),
            dialect=stored(dialect or {}),
        )
        for number, text in enumerate(files)
    ]
    manifest = bare_manifest(hashlib.sha256(data).hexdigest(), origins)
    return RawDay(RawKey(channel.name, "BTCUSDT", DAY), path, manifest, None)


def outcomes(
    folder: Path,
    source: Source,
    channel: Channel,
    *files: bytes,
    dialect: Dialect | Stored | None = None,
    block: int | None = None,
    kept: bool = False,
) -> dict[str, Outcome]:
    """Table -> what becomes of it. ``kept``: by way of what placing its lines has read, as when a day is imported and made in one go."""
    raw = raw_day(folder, channel, files, dialect)
    places = Places(folder / "data", folder / f"catalog-{block}-{kept}-{local_file(raw.path).stem}-{channel.identity}")
    tables = [TABLES[name] for name in channel.tables if name not in ALIKE]
    with blocks_of(block):
        recipe = Recipe(source, channel, PRECISIONS, {})
        day = InstrumentDay(ID, DAY)
        with closing(_as_imported(folder, source, channel, raw) if kept else raw) as read:
            done = normalize_day(places, day, read, tables, recipe)
    found: dict[str, Outcome] = {}
    for each in done:
        assert each.frame is not None
        rejects = places.rejects(ID, each.table.folder, DAY)
        empty = pl.DataFrame(schema=frame_schema(each.table, PRECISIONS))
        frame = pl.concat([empty, *read_blocks(each.frame, each.table)])
        found[each.table.name] = Outcome(
            frame,
            each.frame.read_bytes(),
            pl.read_parquet(rejects.local()) if rejects.exists() else pl.DataFrame(),
            plain(each.verdict),
        )
    return found


def _as_imported(folder: Path, source: Source, channel: Channel, raw: RawDay) -> RawDay:
    """With what was read of it when its lines were placed."""
    kept = Kept(folder, channel)
    reader = source.open(raw.manifest.origin[0].dialect, [channel.name])
    for block in BlockReader(raw.path, quoted=source.quoted):
        kept.add(reader.read(block))
    return replace(raw, kept=kept)


def placed(source: Source, block: Block, dialect: Dialect | Stored | None = None) -> Placed:
    """Where the lines of a block belong."""
    found = source.open(dialect or {}).read(block).placed
    assert found is not None
    return found


def decoded(source: Source, block: Block, channel: Channel, dialect: Dialect | Stored | None = None) -> Decoded:
    """What the lines of a block give to a channel."""
    return source.open(dialect or {}, [channel.name], placing=False).read(block).decoded[channel.name]


def all_placed(source: Source, data: bytes, dialect: Dialect, size: int, *, rows: bool = False) -> dict[str, Any]:
    """Where lines belong, read in blocks of about so many bytes, with ``rows`` or without."""
    reader = source.open(dialect, [channel.name for channel in source.channels] if rows else [])
    scans = [found for found in (reader.read(part).placed for part in cut(data, size)) if found is not None]
    by_stream: Counter[str] = Counter()
    decimals: dict[tuple[str, str, str], tuple[int, int]] = {}
    for scan in scans:
        by_stream.update(scan.by_stream)
        for key, found in scan.decimals.items():
            before = decimals.get(key, (0, 0))
            decimals[key] = (max(before[0], found[0]), max(before[1], found[1]))
    return {
        "lines": pl.concat([scan.lines for scan in scans]).rows(),
        "by_stream": +by_stream,
        "blank": sum(scan.blank for scan in scans),
        "connection": sum(scan.connection for scan in scans),
        "unreadable": sum(scan.unreadable for scan in scans),
        "decimals": {key: found for key, found in decimals.items() if found != (0, 0)},
    }


def cut(data: bytes, size: int) -> list[Block]:
    """Lines in blocks of about so many bytes, as ``BlockReader`` cuts them."""
    blocks: list[Block] = []
    held, first = b"", 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        held += line
        if len(held) >= size:
            blocks.append(Block(held, first))
            held, first = b"", number
    return [*blocks, Block(held, first)] if held else blocks
