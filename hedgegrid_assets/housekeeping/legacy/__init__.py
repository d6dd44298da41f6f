"""A tree of the earlier pipeline (naut_hedgegrid), day by day: what of it cannot be trusted, and how it compares with the same
days rebuilt. Nothing in it is changed, and nothing of it is taken over: its rows have lost what a catalog must tell.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
from msgspec import Struct, field

from hedgegrid_assets.errors import HedgegridError, NoDataFetched
from hedgegrid_assets.housekeeping.legacy.doubts import DOUBTS, Doubt, Facts
from hedgegrid_assets.housekeeping.legacy.tree import Tree, read_tree
from hedgegrid_assets.inspect.diff import Difference, compare
from hedgegrid_assets.model import Table
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_end, day_start

type Act = Literal["switch", "rebuild", "look", "keep"]

ACTS: Final[Mapping[Act, str]] = {
    "switch": "the rebuilt day holds every row of the old one, or a better one: use it",
    "rebuild": "it cannot be trusted, and nothing is rebuilt to take its place yet: the command is below",
    "look": "the old day has rows that the rebuilt one lacks: another source or kind of trades? keep both until you know",
    "keep": "nothing speaks against it",
}
"""What to do about a day -> what that means."""


class LegacyDay(Struct, frozen=True):
    """One (instrument, table, day by exchange time) of the old tree.

    Attributes:
        doubts: Why it cannot be trusted -> how many of its rows that concerns; None: it cannot be told.
        difference: Against the rebuilt rows of the same exchange time; None: there are none.
        moved: Rows that arrived on another day than their exchange time says; the rebuilt catalog has them there.
        unreadable: Why nothing could be said of it.
    """

    instrument_id: str
    table: str
    date: date
    rows: int
    doubts: Mapping[str, int | None]
    difference: Difference | None = None
    moved: int = 0
    unreadable: str = ""

    @property
    def act(self) -> Act:
        """What to do about it."""
        if self.difference is not None:
            return "look" if self.difference.only_left else "switch"
        return "rebuild" if self.doubts or self.unreadable else "keep"

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "instrument_id": self.instrument_id,
            "table": self.table,
            "date": str(self.date),
            "rows": self.rows,
            "trusted": not self.doubts and not self.unreadable,
            "doubts": dict(self.doubts),
            "act": self.act,
            "difference": None if self.difference is None else self.difference.to_dict(),
            "arrived_on_another_day": self.moved,
            "unreadable": self.unreadable or None,
        }


class Legacy(Struct, frozen=True):
    """What an old tree holds. ``rebuild``: commands that rebuild the days that need it, one for each instrument."""

    root: Path
    rebuilt: Path
    days: Sequence[LegacyDay]
    rebuild: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def doubts(self) -> list[Doubt]:
        """Those that were found, in the order of ``DOUBTS``."""
        found = {code for day in self.days for code in day.doubts}
        return [doubt for doubt in DOUBTS if doubt.code in found]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        acts = {act: sum(day.act == act for day in self.days) for act in ACTS}
        return {
            "tree": str(self.root),
            "rebuilt": str(self.rebuilt),
            "acts": acts,
            "days": [day.to_dict() for day in self.days],
            "why": {doubt.code: doubt.why for doubt in self.doubts},
            "rebuild": list(self.rebuild),
            "notes": list(self.notes),
        }


def look(root: Path, rebuilt: Path, progress: Callable[[str], None]) -> Legacy:
    """Look at every day of an old tree, and compare it with the catalog ``rebuilt`` where that has it; one day in memory at once.

    Raises NoDataFetched where there is no such tree.
    """
    tree = read_tree(root)
    if not tree.files:
        raise NoDataFetched(
            "trades, mark prices or funding rates of the earlier pipeline",
            str(root),
            "no data/trade_tick/<instrument>/*.parquet, and no <instrument>/mark_price.parquet or funding_rate.parquet",
            hint="name the folder that the earlier pipeline wrote to",
        )
    places = Places.of_catalog(rebuilt)
    days: list[LegacyDay] = []
    order = list(TABLES)
    for instrument_id, table, day in sorted(tree.days(), key=lambda of: (of[0], of[2], order.index(of[1]))):
        progress(f"{instrument_id} {TABLES[table].token} {day}")
        days.append(_looked_at(tree, places, instrument_id, table, day))
    return Legacy(root, rebuilt, days, list(_commands(tree, days, rebuilt)), list(tree.notes()))


def _looked_at(tree: Tree, places: Places, instrument_id: str, table: str, day: date) -> LegacyDay:
    try:
        rows = tree.rows(instrument_id, table, day)
    except HedgegridError as error:
        return LegacyDay(instrument_id, table, day, 0, {}, unreadable=error.message)
    facts = Facts(tree, instrument_id, table, day)
    doubts = {
        doubt.code: found.rows for doubt in DOUBTS if table in doubt.tables and (found := doubt.look(rows, facts)).yes
    }
    again, moved = _rebuilt(places, instrument_id, table, day)
    if again is None:
        return LegacyDay(instrument_id, table, day, len(rows), doubts)
    difference = compare(instrument_id, TABLES[table], day, rows, _alike(TABLES[table], rows, again))
    return LegacyDay(instrument_id, table, day, len(rows), doubts, difference, moved)


def _alike(table: Table, rows: pl.DataFrame, again: pl.DataFrame) -> pl.DataFrame:
    """Rebuilt aggregates are compared with old ones by their own ids, and with single trades by what they are made of."""
    key, members = table.id_column, table.members
    if key is None or members is None or not len(rows):
        return again
    shared = rows[key].cast(pl.String).is_in(again[key].cast(pl.String).implode()).sum()
    if 2 * shared < len(rows):
        return again
    return again.with_columns(pl.lit(None, again.schema[name]).alias(name) for name in members)


def _rebuilt(places: Places, instrument_id: str, table: str, day: date) -> tuple[pl.DataFrame | None, int]:
    """Rebuilt rows whose exchange time is of a day, from its frame and those beside it; how many are in those beside it."""
    folder = TABLES[table].folder
    if not places.frame(instrument_id, folder, day).exists():
        return None, 0
    parts: list[pl.DataFrame] = []
    moved = 0
    for near in (day - timedelta(days=1), day, day + timedelta(days=1)):
        path = places.frame(instrument_id, folder, near)
        if path.exists():
            times = pl.col("ts_event", "ts_init").cast(pl.Int64)
            of_day = pl.col("ts_event").is_between(day_start(day), day_end(day), closed="left")
            frame = pl.read_parquet(path.local()).with_columns(times).filter(of_day)
            moved += len(frame) if near != day else 0
            parts.append(frame)
    return pl.concat(parts, how="vertical_relaxed"), moved


def _commands(tree: Tree, days: Sequence[LegacyDay], rebuilt: Path) -> Iterator[str]:
    """One for each instrument of which days have to be rebuilt."""
    wanted: dict[str, list[LegacyDay]] = {}
    for day in days:
        if day.act == "rebuild":
            wanted.setdefault(day.instrument_id, []).append(day)
    for instrument_id, its in wanted.items():
        tokens = [table.token for table in TABLES.values() if table.name in {day.table for day in its}]
        first, last = min(day.date for day in its), max(day.date for day in its) + timedelta(days=1)
        words = ["hedgegrid", "replay-to-parquet", "--source", "tardis", "--symbol", tree.symbol(instrument_id)]
        words += ["--start", str(first), "--end", str(last), "--data-types", ",".join(tokens), "--output", str(rebuilt)]
        yield shlex.join(words)
