"""Small raw days read as one block: of a few lines it costs as much as of thousands."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
import polars as pl

from hedgegrid_assets.batch import Batch, Block, Decoded
from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.stages.raw.days import RawDay, RawKey
from hedgegrid_assets.store import BlockReader

TOGETHER: Final = 1 << 15
"""Lines of a block of days."""
SMALL: Final = TOGETHER >> 1
"""Lines of a day that is not worth a block of its own."""


class _Finds(Protocol):
    """Where a raw day is: as its manifest tells, whether its file is there or not."""

    def __call__(self, key: RawKey, /) -> RawDay | None: ...


class Together:
    """The rows of days of one channel and symbol, read some days at a time when one of them is asked for.

    Only days of which every line gives one row, and nothing else, are taken from a block of several: where a line is
    odd, the day is read by itself. So are files that are not as their manifest says, which is told there. Ask in the
    order of ``keys``: what comes before is forgotten.
    """

    def __init__(self, find: _Finds, keys: Sequence[RawKey], source: Source, channel: Channel) -> None:
        self._find, self._source, self._channel = find, source, channel
        self._waiting = list(keys) if source.joins else []
        self._read: dict[RawKey, tuple[str, Batch]] = {}

    def with_rows(self, raw: RawDay) -> RawDay:
        """The day, with its rows at hand if they can be had together with those of others; nothing is read yet."""
        return replace(raw, kept=_Rows(self, raw)) if self._is_small(raw) else raw

    def batch_of(self, raw: RawDay) -> Batch | None:
        """The day's rows, as it would give them by itself; None where it has to be read so."""
        if raw.key in self._waiting:
            del self._waiting[: self._waiting.index(raw.key)]
            self._read = self._of_days(self._next())
        sha256, batch = self._read.get(raw.key, ("", None))
        return batch if sha256 == raw.sha256 else None

    def _is_small(self, raw: RawDay) -> bool:
        manifest = raw.manifest
        return self._source.joins and manifest.stored == "copy" and 0 < manifest.lines <= SMALL

    def _next(self) -> Iterator[RawDay]:
        """Days of one dialect, as far as there is room; they wait no more."""
        room, dialects = TOGETHER, None
        while self._waiting:
            raw = None
            with contextlib.suppress(HedgegridError):  # the day is asked for, and says so
                raw = self._find(self._waiting[0])
            if raw is not None and self._is_small(raw):
                dialects = dialects or raw.dialects
                room -= raw.manifest.lines
                if room < 0 or raw.dialects != dialects or len(dialects) > 1:
                    return
                yield raw
            del self._waiting[0]

    def _of_days(self, days: Iterator[RawDay]) -> dict[RawKey, tuple[str, Batch]]:
        """The rows of each day of which all is as usual."""
        read = [(raw, data) for raw in days if (data := _lines_of(raw, self._source)) is not None]
        if len(read) < 2:
            return {}
        counts = [data.count(b"\n") for _, data in read]
        reader = self._source.open(read[0][0].dialects[0], [self._channel.name], placing=False)
        found = reader.read(Block(b"".join(data for _, data in read), 0)).decoded.get(self._channel.name)
        if found is None or found.without_rows or found.hollow:
            return {}
        parts = _parts(found, np.cumsum([0, *counts]))
        return {
            raw.key: (raw.sha256, Batch(count, None, {self._channel.name: part}))
            for (raw, _), count, part in zip(read, counts, parts, strict=True)
            if part is not None
        }


class _Rows:
    """What ``Together`` has of one day, in the place of what was kept of it."""

    def __init__(self, together: Together, raw: RawDay) -> None:
        self._together, self._raw = together, raw
        self._batch: Batch | None = None

    @property
    def whole(self) -> bool:
        self._batch = self._batch or self._together.batch_of(self._raw)
        return self._batch is not None

    def __iter__(self) -> Iterator[Batch]:
        return iter(() if self._batch is None else (self._batch,))

    def close(self) -> None:
        self._batch = None


def _lines_of(raw: RawDay, source: Source) -> bytes | None:
    """The whole lines of a file that is the one of its manifest."""
    reader = BlockReader(raw.path, quoted=source.quoted)
    with contextlib.suppress(HedgegridError):
        blocks = list(reader)
        if not reader.truncated and reader.sha256 == raw.sha256 and not any(block.cut for block in blocks):
            return b"".join(block.data for block in blocks)
    return None


def _parts(found: Decoded, starts: np.ndarray) -> Iterator[Decoded | None]:
    """The rows of each day, numbered from its first line; None where some line gives none, several, or a reject."""
    numbers = found.rows["raw_row"].to_numpy()
    odd = [each["raw_row"].to_numpy() for each in (found.rejects, found.faults) if each is not None and len(each)]
    doubtful = np.sort(np.concatenate([*odd, np.empty(0, numbers.dtype)]))
    rows, faulty = np.searchsorted(numbers, starts), np.searchsorted(doubtful, starts)
    none = found.rejects.clear()
    for day, (first, end) in enumerate(zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True)):
        own = numbers[first:end] - numbers.dtype.type(starts[day])
        if faulty[day] < faulty[day + 1] or not np.array_equal(own, np.arange(starts[day + 1] - starts[day])):
            yield None
            continue
        mine = found.rows[first:end]
        yield Decoded(mine.replace_column(mine.get_column_index("raw_row"), pl.Series("raw_row", own)), none)
