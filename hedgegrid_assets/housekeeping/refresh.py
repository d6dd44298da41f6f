"""Published files that were replaced since: their days are fetched and made again, and what changed is said."""

from collections.abc import Callable, Iterator, Mapping, Set
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final, override

import msgspec
import polars as pl
from msgspec import Struct, field

from hedgegrid_assets.config.origin import Origin
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.inspect.diff import Difference, compare
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.fetch import has_months
from hedgegrid_assets.pipeline.request import Request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets.pipeline.summary import DaySummary
from hedgegrid_assets.stages import raw as raw_stage
from hedgegrid_assets.stages.raw import Manifest, RawKey, Received, raw_days
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, write_document
from hedgegrid_assets.tables import TABLES

type Progress = Callable[[str, int], None]

_SAID: Final = ("etag", "last_modified", "bytes")


class Replaced(Struct, frozen=True):
    """A published file that is not the one that was fetched; ``now`` is None where it is gone."""

    url: str
    days: tuple[RawKey, ...]
    before: Mapping[str, str]
    now: Mapping[str, str] | None

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "url": self.url,
            "days": [f"{key.symbol} {key.channel} {key.day}" for key in self.days],
            "before": dict(self.before),
            "now": None if self.now is None else dict(self.now),
        }


class Moved(Struct, frozen=True):
    """A day whose status is another one than before; None: it has no verdict."""

    instrument_id: str
    table: str
    date: date
    before: str | None
    after: str | None

    @override
    def __str__(self) -> str:
        return (
            f"{self.instrument_id} {self.table} {self.date}: was {self.before or 'not there'}, "
            f"is {self.after or 'not there'}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return msgspec.structs.asdict(self) | {"date": str(self.date)}


class Refreshed(Struct, frozen=True):
    """What a look at the published files has found, and what became of it."""

    files: int
    replaced: tuple[Replaced, ...] = ()
    made: tuple[DaySummary, ...] = ()
    differences: tuple[Difference, ...] = ()
    moved: tuple[Moved, ...] = ()

    @property
    def is_same(self) -> bool:
        """No row and no status of the days that were made again is another one than before."""
        return not self.moved and all(one.is_same for one in self.differences)

    @property
    def ok(self) -> bool:
        """Every day that was made again is good."""
        return not any(day.error for day in self.made)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "files": self.files,
            "replaced": [one.to_dict() for one in self.replaced],
            "days": [day.to_dict() for day in self.made],
            "differences": [one.to_dict() for one in self.differences],
            "statuses": [one.to_dict() for one in self.moved],
            "ok": self.ok,
        }


def refresh(feed: Origin, places: Places, progress: Progress, *, remake: bool = True) -> Refreshed:
    """Look whether published files were replaced, and make their days again. Raises UsageError, RemoteFault.

    A file that is gone from its server is told, and its days stay as they are.
    """
    context = FeedContext(feed, places)
    files = dict(_published(context))
    replaced = tuple(_replaced(context, files, progress))
    again = [one for one in replaced if one.now is not None]
    if not remake or not again:
        return Refreshed(len(files), replaced)
    keys = sorted({key for one in again for key in one.days}, key=lambda key: (key.symbol, key.channel, key.day))
    before = {key: _frames(context, key) for key in keys}
    statuses = dict(_statuses(context, keys))
    _forget(context, again, keys)
    of_month = {key for one in again if len(one.days) > 1 for key in one.days}
    made = tuple(day for row in _in_a_row(keys) for day in _made(context, row, of_month, progress))
    found = tuple(difference for key in keys for difference in _compared(context, key, before[key]))
    after = dict(_statuses(context, keys))
    moved = tuple(Moved(*day, was, after[day]) for day, was in statuses.items() if was != after[day])
    return Refreshed(len(files), replaced, made, found, moved)


def forget_replaced(context: FeedContext, since: date, progress: Progress) -> Refreshed:
    """Look whether published files of days from ``since`` on were replaced: their days are stale then, and made again by whoever does.

    Raises UsageError, RemoteFault.
    """
    files = dict(_published(context, since))
    replaced = tuple(_replaced(context, files, progress))
    again = [one for one in replaced if one.now is not None]
    _forget(context, again, sorted({key for one in again for key in one.days}))
    return Refreshed(len(files), replaced)


# ---------------------------------------------------------------- steps


class _File(Struct):
    """A published file as it was when it was fetched, and the raw days that were made from it."""

    said: Mapping[str, str]
    days: list[RawKey] = field(default_factory=list)


def _published(context: FeedContext, since: date = date.min) -> Iterator[tuple[str, _File]]:
    """Address -> file, of all raw days of a feed from a day on."""
    if context.source.remote is None or context.source.remote.published is None:
        raise UsageError(
            f"nothing of source {context.source.name} is published as files: expected a feed of the source archive, "
            f"found {context.feed.name}"
        )
    found: dict[str, _File] = {}
    for channel in context.channels:
        for symbol in context.feed.symbols:
            for day in raw_days(context.places, context.feed.name, channel.name, symbol):
                key = RawKey(channel.name, symbol, day)
                raw = context.noted(key) if day >= since else None
                for one in _received(raw.manifest) if raw else ():
                    said = {name: str(getattr(one, name) or "") for name in _SAID}
                    found.setdefault(one.url or "", _File(said)).days.append(key)
    yield from found.items()


def _received(manifest: Manifest) -> Iterator[raw_stage.FileOrigin | Received]:
    """Each file that a raw day was fetched from."""
    for origin in manifest.origin:
        yield from origin.files or [origin]


def _replaced(context: FeedContext, files: Mapping[str, _File], progress: Progress) -> Iterator[Replaced]:
    assert context.source.remote is not None
    assert context.source.remote.published is not None
    cache = context.places.cache
    now = context.source.remote.published.versions(
        context.settings, list(files), cache, lambda: progress(f"looking at {len(files)} files", 0)
    )
    for url, file in files.items():
        current = now[url]
        if current is None or any(
            file.said[name] and current[name] and file.said[name] != current[name] for name in _SAID
        ):
            yield Replaced(url, tuple(file.days), file.said, current)


def _forget(context: FeedContext, replaced: list[Replaced], keys: list[RawKey]) -> None:
    """Their files are fetched anew: none is in the cache, and no raw day is what would be asked for."""
    assert context.source.remote is not None
    assert context.source.remote.published is not None
    for one in replaced:
        context.source.remote.published.forget(context.settings, one.url, context.places.cache)
    for key in keys:
        raw = context.noted(key)
        if raw is not None:
            path = context.places.raw_manifest(context.feed.name, key.channel, key.symbol, key.day)
            anew = msgspec.structs.replace(raw.manifest, request=None)
            write_document(path, context.places.raw_temp(context.feed.name), anew)


def _in_a_row(keys: list[RawKey]) -> Iterator[list[RawKey]]:
    """Keys of a symbol and channel whose days follow each other."""
    row: list[RawKey] = []
    for key in keys:
        if row and key != RawKey(row[-1].channel, row[-1].symbol, row[-1].day + timedelta(days=1)):
            yield row
            row = []
        row.append(key)
    if row:
        yield row


def _made(context: FeedContext, row: list[RawKey], of_month: Set[RawKey], progress: Progress) -> Iterator[DaySummary]:
    """Days in a row, each from the kind of file that it was made from."""
    for monthly, part in groupby(row, key=lambda key: key in of_month and has_months(context)):
        days = list(part)
        period = {"settings": {**context.feed.settings, "period": "monthly"}} if monthly else {}
        tables = tuple(name for name, _ in _tables(context, days[0]))
        origin = context.feed.model_copy(update={"symbols": (days[0].symbol,), "tables": tables, **period})
        end = days[-1].day + timedelta(days=1)
        asked = Request(origin, days[0].day, end, context.places.catalog, context.places.data)
        yield from run(asked, progress=progress).days


def _tables(context: FeedContext, key: RawKey) -> Iterator[tuple[str, str]]:
    """Tables that are made from a raw day, and their frames' folders."""
    for name, (_, tables) in context.by_channel().items():
        if name == key.channel:
            yield from ((table.name, table.folder) for table in tables)


def _frames(context: FeedContext, key: RawKey) -> dict[str, pl.DataFrame | None]:
    """Table -> its frame of a day, as it is."""
    made = context.feed.instrument_id(key.symbol)
    paths = {name: context.places.frame(made, folder, key.day) for name, folder in _tables(context, key)}
    return {name: pl.read_parquet(path.local()) if path.exists() else None for name, path in paths.items()}


def _statuses(context: FeedContext, keys: list[RawKey]) -> Iterator[tuple[tuple[str, str, date], str | None]]:
    """(InstrumentId, table, day) -> the status that its verdict gives it; None: there is no verdict."""
    for key in keys:
        made = context.feed.instrument_id(key.symbol)
        for name, _ in _tables(context, key):
            verdict = read_verdict(context.places, TABLES[name], InstrumentDay(made, key.day))
            yield (made, name, key.day), None if verdict is None else str(verdict.status)


def _compared(context: FeedContext, key: RawKey, before: Mapping[str, pl.DataFrame | None]) -> Iterator[Difference]:
    after = _frames(context, key)
    for name, frame in before.items():
        if frame is not None or after[name] is not None:
            yield compare(context.feed.instrument_id(key.symbol), TABLES[name], key.day, frame, after[name])
