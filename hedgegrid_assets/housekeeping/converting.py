"""A catalog for the other generation of NautilusTrader, made of the stored frames of one: raw data are not read."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import date
from itertools import batched, groupby
from typing import Any, Final

from msgspec import Struct, field

from hedgegrid_assets.errors import ConversionRefused, HedgegridError
from hedgegrid_assets.inspect.documents import refuse_damaged
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.model import GENERATION, InstrumentDay, Status, Table
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog.definitions import write_definition
from hedgegrid_assets.stages.catalog.files import folder_in, whole_day
from hedgegrid_assets.stages.catalog.twins import lost_twins, note_twins
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.verdict import Verdict, instrument_ids, read_verdict
from hedgegrid_assets.store import (
    LocalStore,
    Places,
    StorePath,
    carry,
    decode,
    exclusive_lock,
    kept_folders,
    names_in,
    read_bytes_of,
    synced_together,
    writing,
)
from hedgegrid_assets.tables import TABLES

_AT_ONCE: Final = 64
"""Days whose folders are synced together."""
_ROWS_TOGETHER: Final = 1 << 18
_OF_A_CATALOG: Final = frozenset(("data", ".hedgegrid", "instruments.parquet"))

type Tick = Callable[[str, int], None]
"""Told of what is being done, and of rows that are done."""


class Converted(Struct, frozen=True):
    """What was done.

    Attributes:
        catalog: The new one.
        nautilus: The generation that it is for.
        days: Written, and their rows.
        unchanged: Days that it had already, as they are.
        blocked: Days that came over without a Nautilus file: their verdict keeps them out.
        left: Days of Nautilus files that no frame of ours stands for; nothing is made of them.
        only_there: Days of the new one that the other has no verdict of (any more); they stay.
        failed: Day -> why it could not be made.
    """

    catalog: StorePath
    nautilus: int
    days: int = 0
    rows: int = 0
    unchanged: int = 0
    blocked: int = 0
    left: list[str] = field(default_factory=list)
    only_there: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "catalog": str(self.catalog),
            "nautilus": self.nautilus,
            "ok": not self.failed,
            "days": self.days,
            "rows": self.rows,
            "unchanged": self.unchanged,
            "blocked": self.blocked,
            "left": self.left,
            "only_there": self.only_there,
            "failed": self.failed,
        }


def convert_catalog(
    places: Places, output: StorePath, nautilus: int, tick: Tick, compression: str = "zstd"
) -> Converted:
    """Make, or bring up to date, a catalog for ``nautilus`` of the frames of another: day by day, with the same verdicts.

    Frames, verdicts and rejects are the same files under a second name where both are on one disk. Each day appears as
    a whole; a run that was killed is finished by the next one, which leaves alone what is there already. Both catalogs
    note where the other lies, so that ``prune`` and ``reset-day`` of one reach both.

    Raises:
        ConversionRefused: ``output`` is the catalog itself, or lies in it, or holds other files; or there is no catalog, or
            it is for ``nautilus`` already.
        OtherForm: ``output`` is a catalog for the other generation.
        FormsMixed: One of them is for two.
        DocumentDamaged: A document of the catalog is.
    """
    catalog_stage.finish(places)
    refuse_damaged(places)
    held = catalog_stage.held_generation(places) or GENERATION
    target = Places.of_catalog(output)
    _refuse(places, target, held, nautilus)
    target.catalog.prepare()
    catalog_stage.claim(target, nautilus, fresh=True)
    catalog_stage.finish(target)
    note_twins(places, target)
    _define(places, target)
    _carry_outages(places, target)
    done = _Converting(places, target, compression)
    for some in batched(_judged(places), _AT_ONCE, strict=False):
        with synced_together(), kept_folders():
            for (_, table), days in groupby(some, key=lambda each: (each[0].instrument_id, each[1])):
                done.days_of(table, [day for day, _ in days], tick)
    left = [f"{day} {table.name}" for day, table in _unjudged(places)]
    return Converted(
        target.catalog,
        nautilus,
        done.days,
        done.rows,
        done.unchanged,
        done.blocked,
        left,
        done.only_there(),
        done.failed,
    )


def _refuse(places: Places, target: Places, held: int, nautilus: int) -> None:
    if held == nautilus:
        raise ConversionRefused(places.catalog, f"it is for NautilusTrader {held}.x already")
    here, there = (f"{each.catalog.address.rstrip('/')}/" for each in (places, target))
    if here.startswith(there) or there.startswith(here):
        why = f"{target.catalog} is the catalog itself, or in it: both forms have one place for definitions and books"
        raise ConversionRefused(places.catalog, why)
    if not read_definitions(places.catalog):
        why = "it is no catalog: it has no definition of an instrument"
        raise ConversionRefused(places.catalog, why, "name the folder of a catalog with --catalog")
    found = names_in(target.catalog)
    if found and not _OF_A_CATALOG & set(found):
        why = f"{target.catalog} holds other files, such as {found[0]}"
        raise ConversionRefused(places.catalog, why, "name a folder that is not there yet, or is empty, with --output")


def _define(places: Places, target: Places) -> None:
    """The same definitions; days that the new catalog has are widened first, all at once."""
    there = read_definitions(target.catalog)
    for each in read_definitions(places.catalog).values():
        before = there.get(each.id)
        wanted = Precisions.from_instrument(each)
        if before is not None and Precisions.from_instrument(before) != wanted:
            # which brings all that configurations are made of, a tenth of a start
            from hedgegrid_assets.housekeeping.widening import widen_instrument

            widen_instrument(target.catalog, each.id, price=wanted.price, size=wanted.size, mark=wanted.mark)
        write_definition(target.catalog, each)


def _carry_outages(places: Places, target: Places) -> None:
    content = read_bytes_of(places.outages)
    if content is None:
        target.outages.unlink(missing_ok=True)
    elif content != read_bytes_of(target.outages):
        carry(places.outages, target.outages, target.catalog_temp)


def _judged(places: Places) -> Iterator[tuple[InstrumentDay, Table]]:
    """Days with a verdict, those of an instrument together, oldest first."""
    for instrument_id in sorted(instrument_ids(places).values()):
        for table in TABLES.values():
            for day in sorted(places.judged_days(instrument_id, table.folder)):
                yield InstrumentDay(instrument_id, day), table


def _unjudged(places: Places) -> Iterator[tuple[InstrumentDay, Table]]:
    """Days of Nautilus files, by their names, that no verdict of ours stands for."""
    for instrument_id in sorted({*instrument_ids(places).values(), *read_definitions(places.catalog)}):
        for table in TABLES.values():
            judged = set(places.judged_days(instrument_id, table.folder))
            for name in names_in(folder_in(places, table, instrument_id)):
                day = whole_day(name)
                if name.endswith(".parquet") and day not in judged:
                    yield InstrumentDay(instrument_id, day or date.min), table


class _Converting(Struct):
    places: Places
    target: Places
    compression: str
    days: int = 0
    rows: int = 0
    unchanged: int = 0
    blocked: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def days_of(self, table: Table, days: Sequence[InstrumentDay], tick: Tick) -> None:
        """Make days of an instrument: new ones that are small together, then the others one after the other."""
        made: set[InstrumentDay] = set()
        for some in self._small(table, days):
            for day, rows in self._together(table, some):
                made.add(day)
                tick(f"{day} {table.name}", rows)
        for day in days:
            if day not in made:
                tick(f"{day} {table.name}", self.day(day, table))

    def _small(self, table: Table, days: Sequence[InstrumentDay]) -> Iterator[list[catalog_stage.Judged]]:
        """Good days of which the new catalog has nothing, so many at a time as have the rows of a few blocks of a large day."""
        here, there = self.places, self.target
        if not all(isinstance(each.catalog.store, LocalStore) for each in (here, there)):
            return
        at = days[0].instrument_id, table.folder
        known = {*there.judged_days(*at), *there.frame_days(*at), *there.reject_days(*at)}
        some: list[catalog_stage.Judged] = []
        rows = 0
        for found in (self._found(day, table) for day in days if day.date not in known):
            if found is None or found.verdict.rows.rows_out > _ROWS_TOGETHER:
                continue
            rows += found.verdict.rows.rows_out
            if some and rows > _ROWS_TOGETHER:
                yield list(some)
                some.clear()
                rows = found.verdict.rows.rows_out
            some.append(found)
        if some:
            yield some

    def _found(self, day: InstrumentDay, table: Table) -> catalog_stage.Judged | None:
        path = self.places.verdict(day.instrument_id, table.folder, day.date)
        try:
            document = path.read_bytes()
            verdict = decode(document, Verdict, path)
        except (HedgegridError, OSError):  # told where the day is made by itself
            return None
        return catalog_stage.Judged(day, verdict, document) if verdict.status in catalog_stage.ACCEPTED else None

    def _together(self, table: Table, days: Sequence[catalog_stage.Judged]) -> Iterator[tuple[InstrumentDay, int]]:
        """Days that were made, and their rows. Whatever is wrong with one is told where it is made by itself."""
        with suppress(HedgegridError), writing(self.target.catalog), ExitStack() as stack:
            first = days[0]
            catalog_stage.claim_series(self.target, first.day.instrument_id, table, first.verdict.series)
            for each in days:
                stack.enter_context(exclusive_lock(self.target.day_lock(each.day.instrument_id, each.day.date)))
                self._carry_files(each.day, table)
            for written in catalog_stage.write_together(self.target, table, days, self.places, self.compression):
                self.days += 1
                self.rows += written.rows
                yield written.day, written.rows

    def day(self, day: InstrumentDay, table: Table) -> int:
        """Make a day, if it is not there yet; the rows that it has written."""
        try:
            verdict = read_verdict(self.places, table, day)
            if verdict is None:
                return 0
            changed = self._carry(day, table)
            if verdict.status not in catalog_stage.ACCEPTED:
                self.blocked += 1
                return 0
            if not changed and catalog_stage.is_current(self.target, day, table):
                self.unchanged += 1
                return 0
            return self._write(day, table, verdict)
        except HedgegridError as error:
            self.failed[f"{day} {table.name}"] = error.message
            return 0

    def _carry(self, day: InstrumentDay, table: Table) -> bool:
        """Frame, rejects and, at last, verdict."""
        at = day.instrument_id, table.folder, day.date
        verdict = self.target.verdict(*at)
        if read_bytes_of(self.places.verdict(*at)) == read_bytes_of(verdict) and all(
            place(self.target, *at).exists() or not place(self.places, *at).exists()
            for place in (Places.frame, Places.rejects)  # of which a power cut may have lost one: see synced_together
        ):
            return False
        with writing(self.target.catalog), exclusive_lock(self.target.day_lock(day.instrument_id, day.date)):
            self._carry_files(day, table)
        return True

    def _carry_files(self, day: InstrumentDay, table: Table) -> None:
        at = day.instrument_id, table.folder, day.date
        for place in (Places.frame, Places.rejects, Places.verdict):
            source, final = place(self.places, *at), place(self.target, *at)
            if source.exists():
                carry(source, final, self.target.catalog_temp)
            else:
                final.unlink(missing_ok=True)

    def _write(self, day: InstrumentDay, table: Table, verdict: Verdict) -> int:
        catalog_stage.claim_series(self.target, day.instrument_id, table, verdict.series)
        written = catalog_stage.write_day(
            self.target, day, table, verdict.precision, self.compression, beside=self.places
        )
        self.days += 1
        self.rows += written.rows
        return written.rows

    def only_there(self) -> list[str]:
        """Days of the new catalog that the other has no verdict of."""
        here = {(day, table.name) for day, table in _judged(self.places)}
        return [f"{day} {table.name}" for day, table in _judged(self.target) if (day, table.name) not in here]


def behind(places: Places, twin: Places) -> Iterator[tuple[InstrumentDay, Table]]:
    """Days that a catalog beside has not, or not as they were judged here."""
    for day, table in _judged(places):
        at = day.instrument_id, table.folder, day.date
        here, there = (read_bytes_of(each.verdict(*at)) for each in (places, twin))
        is_good = verdict_of(places, day, table) in catalog_stage.ACCEPTED
        if here != there or (is_good and not catalog_stage.file_of(twin, day, table).exists()):
            yield day, table


def verdict_of(places: Places, day: InstrumentDay, table: Table) -> Status | None:
    """The status of a day; None where no verdict tells it."""
    try:
        verdict = read_verdict(places, table, day)
    except HedgegridError:  # told as a damaged document
        return None
    return None if verdict is None else verdict.status


def way_to(places: Places, twin: Places, nautilus: int) -> str:
    """The command that brings a catalog beside up to date."""
    words = ["hedgegrid", "catalog", "convert", "--nautilus", str(nautilus)]
    return shlex.join([*words, "--catalog", str(places.catalog), "--output", str(twin.catalog)])


def lost(places: Places) -> list[str]:
    """What is to be said of catalogs beside that are not where they were."""
    return [
        f"the catalog {each} was made of the same frames, and is not there: if it lies elsewhere, it was not changed"
        for each in lost_twins(places)
    ]
