"""Take an instrument-day out of a catalog, with all that it was made of, so that it can be made anew."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from msgspec import Struct, field

from hedgegrid_assets.errors import EnvironmentFault, NoDataFetched, listed
from hedgegrid_assets.inspect.days import instruments, no_catalog
from hedgegrid_assets.inspect.provenance import RawFinder, RawFound
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import AnyFile, Places, StorePath, exclusive_lock
from hedgegrid_assets.tables import TABLES


class Reset(Struct, frozen=True):
    """What goes: (what it is, file), in this order; ``kept``: files in the way that are not ours, or that others need."""

    day: InstrumentDay
    tables: tuple[Table, ...]
    removals: list[tuple[str, StorePath]] = field(default_factory=list)
    kept: list[tuple[str, AnyFile]] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "instrument_id": self.day.instrument_id,
            "date": str(self.day.date),
            "tables": [table.name for table in self.tables],
            "removals": [{"what": what, "path": str(path)} for what, path in self.removals],
            "kept": [{"why": why, "path": str(path)} for why, path in self.kept],
        }


def reset(places: Places, day: InstrumentDay, tables: Sequence[Table], *, remove: bool) -> Reset:
    """Say what goes of a day; with ``remove``, take it away, all or nothing.

    Frame, verdict, rejects, our Nautilus file, and the raw day that they were made from; landing files stay, and give
    the day again if they still hold it. A process that is killed on the way has written down what goes: the next run
    finishes it, and ``validate`` names it until then.

    Raises:
        NoDataFetched: Nothing of the day is there.
    """
    catalog_stage.finish(places)
    with ExitStack() as stack:
        if remove:
            stack.enter_context(exclusive_lock(places.day_lock(day.instrument_id, day.date)))
        found = found_of(places, day, tuple(tables), RawFinder(places))
        if not found.removals:
            raise _nothing_of(places, day, tables)
        if remove:
            names = " ".join(f"--table {table.token}" for table in tables) if len(tables) == 1 else ""
            what = (
                f"taking {day} out; finish it with: hedgegrid reset-day {shlex.quote(day.instrument_id)} {day.date} "
                f"--yes --catalog {shlex.quote(str(places.catalog))} {names}"
            ).strip()
            removals = [path for _, path in found.removals]
            unclaimed = [(day.instrument_id, table.name) for table in tables if _is_last(places, day, table)]
            catalog_stage.carry_out(places, catalog_stage.Moves(what, removals=removals, unclaimed=unclaimed))
        return found


def _nothing_of(places: Places, day: InstrumentDay, tables: Sequence[Table]) -> NoDataFetched:
    """What there is instead."""
    there = instruments(places)
    if not there and not places.catalog.is_dir():
        return no_catalog(places, "")
    wanted = f"{day} {tables[0].token}" if len(tables) == 1 else str(day)
    return NoDataFetched(
        wanted,
        str(places.catalog),
        f"nothing of that day; the catalog holds {listed(there, 10) or 'no instrument'}",
        hint=f"`hedgegrid validate {shlex.quote(str(places.catalog))}` lists the days that are there",
    )


def holds(places: Places, day: InstrumentDay, tables: Sequence[Table]) -> bool:
    """A catalog has anything of a day."""
    return any(any(_files(places, day, table)) for table in tables)


def found_of(places: Places, day: InstrumentDay, tables: tuple[Table, ...], finder: RawFinder) -> Reset:
    """What goes of a day, and what stays; nothing is removed."""
    reset = Reset(day, tables)
    for table in tables:
        for what, path in _files(places, day, table):
            if what == "Nautilus file" and not catalog_stage.is_ours(path, day.date):
                reset.kept.append(("not ours", path))
            else:
                reset.removals.append((f"{what} of {table.name}", path))
    needed = {path for table in TABLES.values() if table not in tables for path in _raw_of(places, day, table, finder)}
    raws = {path: raw for table in tables for path, raw in _raw_of(places, day, table, finder).items()}
    for path, raw in raws.items():
        if path in needed:
            reset.kept.append(("another table was made from it", raw.path))
            continue
        reset.removals.append(("manifest of the raw day", path))
        if isinstance(raw.path, StorePath):
            reset.removals.append(("raw day", raw.path))
        elif ("a landing file", raw.path) not in reset.kept:
            reset.kept.append(("a landing file", raw.path))
        if raw.lines is not None:
            reset.removals.append(("line numbers of the raw day", raw.lines))
    return reset


def _files(places: Places, day: InstrumentDay, table: Table) -> Iterator[tuple[str, StorePath]]:
    """What a catalog may hold of a day; Nautilus' file first, so that nothing of it is without its verdict."""
    at = day.instrument_id, table.folder, day.date
    kinds = {
        "Nautilus file": catalog_stage.file_of(places, day, table),
        "frame": places.frame(*at),
        "rejects": places.rejects(*at),
        "verdict": places.verdict(*at),
    }
    for what, path in kinds.items():
        if path.exists():
            yield what, path


def _raw_of(places: Places, day: InstrumentDay, table: Table, finder: RawFinder) -> dict[StorePath, RawFound]:
    """The raw day that a day of a table was made from, by its manifest; none where it is gone or has changed."""
    try:
        verdict = read_verdict(places, table, day)
    except EnvironmentFault:  # it is damaged, and goes
        return {}
    raw = None if verdict is None else finder.find(verdict)
    return {raw.manifest_path: raw} if raw is not None and raw.same_bytes else {}


def _is_last(places: Places, day: InstrumentDay, table: Table) -> bool:
    """No other day of the table has a verdict: the next one may be of another series."""
    return not set(places.judged_days(day.instrument_id, table.folder)) - {day.date}
