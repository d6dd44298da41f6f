"""What looking through the lines of a fetched day tells, on the way from where they are had."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
from msgspec import Struct, field

from hedgegrid_assets.batch import Batch, Block, Reader
from hedgegrid_assets.dialect import Dialect
from hedgegrid_assets.errors import RawDamaged
from hedgegrid_assets.model import Channel, Download, OutOfPlace, Source
from hedgegrid_assets.stages.raw.days import RawKey, Tally
from hedgegrid_assets.stages.raw.kept import Kept
from hedgegrid_assets.store import BlockReader, ordered_map
from hedgegrid_assets.timestamps import day_end, day_start

_LOOKING: Final = threading.Lock()
"""Days are fetched together, but looked through one by one: so memory does not grow with their number."""


class Seen(Struct):
    """What looking through a download has told; ``sha256`` and ``bytes``: of its file."""

    sha256: str = ""
    bytes: int = 0
    lines: int = 0
    tally: Tally = field(default_factory=Tally)
    disconnects: set[int] = field(default_factory=set)
    unplaced: list[pl.DataFrame] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    kept: Kept | None = None

    def add(self, batch: Batch) -> None:
        """Take in what a block has told."""
        placed = batch.placed
        assert placed is not None
        self.tally.add(placed)
        self.disconnects.update(placed.disconnects_ns)
        if placed.lines["reason"].null_count() < len(placed.lines):
            lost = placed.lines.filter(pl.col("reason").is_not_null())
            self.unplaced.append(lost)
            self.reasons.update(dict(lost["reason"].value_counts().iter_rows()))
        if self.kept is not None:
            self.kept.add(batch)

    def close(self) -> None:
        """Forget the rows."""
        if self.kept is not None:
            self.kept.close()


def look_through(
    download: Download, source: Source, channel: Channel, tick: Callable[[], None], keep: Path | None
) -> Seen:
    """Read all blocks (and keep their rows, in a file in the folder ``keep``). Raises RawDamaged if the file is not what was received."""
    seen, blocks = Seen(), BlockReader(download.path)
    reader = source.open(download.dialect, [channel.name] if keep is not None else [])
    with _LOOKING, ExitStack() as stack:
        if keep is not None:
            seen.kept = Kept(keep, channel)
            stack.callback(seen.close)
        for batch in ordered_map(reader.read, blocks):
            seen.add(batch)
            tick()
        if blocks.truncated or blocks.sha256 != download.origin.get("sha256", blocks.sha256):
            raise RawDamaged(download.path, "it is not what was received")
        stack.pop_all()
    seen.sha256, seen.bytes, seen.lines = blocks.sha256, blocks.bytes, blocks.lines
    return seen


class Ahead:
    """Days that were looked through while the file that they are cut out of was read, until each is asked for.

    ``wanted``: the days whose rows are of use. The caller closes it.
    """

    def __init__(self, source: Source, wanted: Collection[RawKey]) -> None:
        self._source = source
        self._wanted = frozenset(wanted)
        self._seen: dict[RawKey, Seen] = {}

    def watch(self, channel: Channel, symbol: str, folder: Path) -> "Watch":
        """For a source that cuts a file of a symbol; rows wait in files in ``folder``, that have no name."""
        days = {key.day for key in self._wanted if (key.channel, key.symbol) == (channel.name, symbol)}
        return Watch(self, symbol, self._source, channel, days, folder)

    def keep(self, channel: Channel, symbol: str, day: date, seen: Seen) -> None:
        """What was seen of a day, in the place of what was seen of it before."""
        before = self._seen.pop(key := RawKey(channel.name, symbol, day), None)
        if before is not None:
            before.close()
        self._seen[key] = seen

    def pop(self, key: RawKey, sha256: str) -> Seen | None:
        """What was seen of a day whose file has this sum, once; the caller closes it."""
        seen = self._seen.pop(key, None)
        if seen is not None and seen.sha256 != sha256:
            seen.close()
            return None
        return seen

    def has(self, key: RawKey, sha256: str) -> bool:
        """What was seen of a day whose file has this sum is still to be asked for."""
        seen = self._seen.get(key)
        return seen is not None and seen.sha256 == sha256

    def close(self) -> None:
        """Forget what nobody has asked for."""
        while self._seen:
            self._seen.popitem()[1].close()


class Watch:
    """See ``WatchesCut``."""

    def __init__(
        self,
        ahead: Ahead,
        symbol: str,
        source: Source,
        channel: Channel,
        days: Collection[date],
        folder: Path,
    ) -> None:
        self._ahead, self._symbol, self._source, self._channel = ahead, symbol, source, channel
        self._days, self._folder = days, folder
        self._seen: dict[date, Seen] = {}

    def through(self, pieces: Iterable[tuple[date, Block]], dialect: Dialect) -> Generator[tuple[date, Block]]:
        """Give each piece back once it was looked through."""
        readers = {rows: self._source.open(dialect, [self._channel.name] if rows else []) for rows in (True, False)}

        def read(piece: tuple[date, Block]) -> tuple[date, Block, Batch]:
            day, block = piece
            return day, block, _read(readers[day in self._days], day, block)

        with _LOOKING:
            try:
                for day, block, batch in ordered_map(read, pieces):
                    if day in self._days:
                        seen = self._of(day)
                        seen.add(batch)
                        seen.lines += block.lines
                    yield day, block
            except BaseException:
                self.close()
                raise

    def seal(self, day: date, sha256: str, size: int) -> None:
        """Keep what was seen of a day."""
        seen = self._seen.pop(day, None)
        if seen is not None:
            seen.sha256, seen.bytes = sha256, size
            self._ahead.keep(self._channel, self._symbol, day, seen)

    def saw(self, day: date, sha256: str) -> bool:
        """See ``WatchesCut``."""
        return self._ahead.has(RawKey(self._channel.name, self._symbol, day), sha256)

    def close(self) -> None:
        """Forget what is not sealed."""
        while self._seen:
            self._seen.popitem()[1].close()

    def _of(self, day: date) -> Seen:
        if day not in self._seen:
            self._seen[day] = Seen(kept=Kept(self._folder, self._channel))
        return self._seen[day]


def _read(reader: Reader, day: date, block: Block) -> Batch:
    """What a block gives. Raises OutOfPlace unless each of its lines is of the day."""
    batch = reader.read(block)
    placed = batch.placed
    assert placed is not None
    times, reasons = placed.lines["ts_init"], placed.lines["reason"]
    whole = len(times) == block.lines and reasons.null_count() == len(reasons) and not times.null_count()
    if not whole or not times.is_between(day_start(day), day_end(day), "left").all():
        raise OutOfPlace
    return batch
