"""Take the days before a date out of a catalog and its raw data: told first with their bytes, then done day by day."""

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from hedgegrid_assets.config.origin import Origin
from hedgegrid_assets.housekeeping.reset_day import found_of
from hedgegrid_assets.inspect.documents import refuse_damaged
from hedgegrid_assets.inspect.provenance import RawFinder
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog.files import folder_in, whole_day
from hedgegrid_assets.stages.raw import note_pruned, read_manifest
from hedgegrid_assets.stages.verdict import instrument_ids
from hedgegrid_assets.store import AnyFile, Places, StorePath, exclusive_lock, list_days, names_in, size_of
from hedgegrid_assets.tables import TABLES

KINDS: Final[Mapping[str, str]] = {
    "Nautilus file": "Nautilus files",
    "frame": "frames",
    "rejects": "rejects",
    "verdict": "verdicts",
    "raw day": "raw days",
    "manifest": "manifests",
    "line numbers": "line numbers",
}
"""How what goes begins in the words of ``reset-day`` -> what it is called in the plan."""
_AT_ONCE: Final = 31
"""Days of an instrument that are written down and taken out in one burst."""


class Asked(Struct, frozen=True):
    """What is to go: days before ``before``; of one instrument, table or feed alone, where they are named."""

    before: date
    instrument: str | None = None
    table: Table | None = None
    feed: Origin | None = None

    @property
    def is_all(self) -> bool:
        """Nothing but the date chooses, or a feed: raw days go whatever was made of them."""
        return self.instrument is None and self.table is None

    def tables(self) -> tuple[Table, ...]:
        """Those that go."""
        named = TABLES.values() if self.feed is None else [TABLES[name] for name in self.feed.tables]
        return tuple(table for table in named if self.table in (None, table))

    def has(self, instrument_id: str) -> bool:
        """The instrument goes."""
        of_feed = self.feed is None or instrument_id in self.feed.instrument_ids()
        return of_feed and self.instrument in (None, instrument_id)


class Gone(Struct, frozen=True):
    """Files of one day that go together: of an instrument, or of a raw day of which the catalog holds nothing."""

    what: str
    day: date
    removals: Sequence[tuple[str, StorePath]]
    of: InstrumentDay | None = None


class Plan(Struct, frozen=True):
    """What goes, in this order, with its bytes by kind; ``kept``: (why, file) that stays in the way."""

    asked: Asked
    gone: Sequence[Gone]
    bytes: Mapping[str, int]
    kept: Sequence[tuple[str, AnyFile]] = ()
    marks: Mapping[str, Mapping[tuple[str, str], date]] = field(default_factory=dict)
    """Feed -> (channel, symbol) -> the first day that is kept: its landing files give no earlier ones again."""

    @property
    def files(self) -> int:
        """How many go."""
        return sum(len(each.removals) for each in self.gone)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "before": str(self.asked.before),
            "days": [
                {"what": each.what, "date": str(each.day), "files": [str(path) for _, path in each.removals]}
                for each in self.gone
            ],
            "files": self.files,
            "bytes": dict(self.bytes),
            "kept": [{"why": why, "path": str(path)} for why, path in self.kept],
        }


def plan(places: Places, asked: Asked) -> Plan:
    """What would go. Raises DocumentDamaged where it cannot be told."""
    catalog_stage.finish(places)
    refuse_damaged(places)
    finder = RawFinder(places)
    gone: list[Gone] = []
    kept: dict[AnyFile, str] = {}
    for of in _days(places, asked):
        found = found_of(places, of, asked.tables(), finder)
        kept |= {path: why for why, path in found.kept}
        if found.removals:
            gone.append(Gone(of.instrument_id, of.date, found.removals, of))
    if asked.is_all:
        taken = {path for each in gone for _, path in each.removals}
        gone += _raw_alone(places, asked, taken, kept)
    sizes: dict[str, int] = defaultdict(int)
    for each in gone:
        for what, path in each.removals:
            sizes[_kind(what)] += size_of(path).bytes
    return Plan(asked, gone, sizes, [(why, path) for path, why in kept.items()], _marks(places, gone, asked.before))


def carry_out(places: Places, wanted: Plan, progress: Callable[[str], None]) -> None:
    """Do it. A process that is killed leaves whole days: those that are gone are gone, and the next run does the rest.

    What the raw days were is noted first, so that no import in between gives them again.
    """
    for feed, marks in wanted.marks.items():
        with exclusive_lock(places.import_lock(feed)):
            note_pruned(places, feed, marks)
    for burst in _bursts(wanted.gone):
        progress(f"{burst[0].what} {burst[0].day} .. {burst[-1].day}")
        with ExitStack() as stack:
            for of in (each.of for each in burst if each.of is not None):
                stack.enter_context(exclusive_lock(places.day_lock(of.instrument_id, of.date)))
            removals = [path for each in burst for _, path in each.removals]
            catalog_stage.carry_out(places, catalog_stage.Moves(_what(places, wanted.asked), removals=removals))


# ---------------------------------------------------------------- what there is


def _days(places: Places, asked: Asked) -> Iterator[InstrumentDay]:
    """Days before the date that the catalog holds anything of, oldest first for each instrument."""
    for instrument_id in sorted(filter(asked.has, _instruments(places))):
        days: set[date] = set()
        for table in asked.tables():
            names = names_in(folder_in(places, table, instrument_id))
            days.update(day for name in names if (day := whole_day(name)) is not None)
            for listed in (places.judged_days, places.frame_days, places.reject_days):
                days.update(listed(instrument_id, table.folder))
        yield from (InstrumentDay(instrument_id, day) for day in sorted(days) if day < asked.before)


def _instruments(places: Places) -> list[str]:
    """By our own folders: a catalog's files of others are not ours to prune."""
    return list(instrument_ids(places).values())


def _raw_alone(places: Places, asked: Asked, taken: set[StorePath], kept: dict[AnyFile, str]) -> Iterator[Gone]:
    """Raw days of which the catalog holds nothing (any more)."""
    for folder in places.raw_folders():
        feed = folder.below(places.data / "raw").partition("/")[0]
        if asked.feed is not None and asked.feed.name != feed:
            continue
        for day in list_days(folder, ".json"):
            path = folder / f"{day}.json"
            if day >= asked.before or path in taken:
                continue
            manifest = read_manifest(path)
            if manifest is None:
                continue
            removals = [("manifest", path)]
            if manifest.in_place:
                kept[Path(manifest.file)] = "a landing file"
            else:
                removals.append(("raw day", folder / manifest.file))
            removals.append(("line numbers", path.with_name(f"{day}.lines.parquet")))
            there = [(what, each) for what, each in removals if each.exists()]
            yield Gone(f"raw {feed} {manifest.channel} {manifest.symbol}", day, there)


def _kind(what: str) -> str:
    return next((kind for begin, kind in KINDS.items() if what.startswith(begin)), what)


def _marks(places: Places, gone: Sequence[Gone], before: date) -> dict[str, dict[tuple[str, str], date]]:
    """Of each raw day that goes: feed, channel and symbol are in its manifest."""
    found: dict[str, dict[tuple[str, str], date]] = defaultdict(dict)
    folders = {path.parent: path for each in gone for what, path in each.removals if what.startswith("manifest")}
    for path in folders.values():  # one of each folder
        manifest = read_manifest(path)
        if manifest is not None:
            feed = path.below(places.data / "raw").partition("/")[0]
            found[feed][manifest.channel, manifest.symbol] = before
    return dict(found)


# ---------------------------------------------------------------- doing it


def _bursts(gone: Sequence[Gone]) -> Iterator[list[Gone]]:
    """Days of one instrument, or raw folder, some at once."""
    burst: list[Gone] = []
    for each in gone:
        if burst and (burst[0].what != each.what or len(burst) == _AT_ONCE):
            yield burst
            burst = []
        burst.append(each)
    if burst:
        yield burst


def _what(places: Places, asked: Asked) -> str:
    words = ["hedgegrid", "prune", "--before", str(asked.before)]
    words += ["--catalog", str(places.catalog), "--data", str(places.data)]
    return f"pruning the days before {asked.before}; finish it with: {shlex.join(words)}"
