"""Days of which frame, verdict and Nautilus file do not go together."""

import shlex
from collections.abc import Iterator
from datetime import date

from msgspec import Struct

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.housekeeping.doctor.documents import DAMAGED
from hedgegrid_assets.housekeeping.doctor.finding import Finding, in_the_way
from hedgegrid_assets.inspect.provenance import RawFinder
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog.files import folder_in, whole_day
from hedgegrid_assets.stages.catalog.series import read_series
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.verdict import Verdict, goes_on, instrument_ids, read_verdict
from hedgegrid_assets.store import Places, StorePath, names_in
from hedgegrid_assets.tables import TABLES

_AGAIN = "run again what made it (hedgegrid backfill, or replay-to-parquet): it is made anew"


def days(places: Places) -> Iterator[Finding]:
    """Verdicts without frames, frames without verdicts or without a file of Nautilus', and series that nobody has noted."""
    try:
        definitions, series = read_definitions(places.catalog), read_series(places)
        finder = RawFinder(places)
    except HedgegridError:  # told as a damaged document
        return
    for instrument_id in sorted(instrument_ids(places).values()):
        for table in TABLES.values():
            look = _Look(places, instrument_id, table, definitions.get(instrument_id), finder)
            good: Verdict | None = None
            for finding, verdict in look.all():
                good = verdict or good
                if finding is not None:
                    yield finding
            if good is not None and table.name not in series.get(instrument_id, {}):
                yield _unclaimed(places, instrument_id, table, good.series)


def _unclaimed(places: Places, instrument_id: str, table: Table, series: str) -> Finding:
    def repair() -> str:
        catalog_stage.claim_series(places, instrument_id, table, series)
        return f"noted as {series}"

    return Finding(
        "series that is not noted",
        f"{instrument_id} {table.token}",
        f"its verdicts say {series}, {places.series.name} does not: the catalog may have been copied without .hedgegrid",
        "noted, as the verdicts say it",
        repair,
    )


class _Look(Struct, frozen=True):
    """At the days of one (instrument, table)."""

    places: Places
    instrument_id: str
    table: Table
    definition: Instrument | None
    finder: RawFinder

    def all(self) -> Iterator[tuple[Finding | None, Verdict | None]]:
        """Each day's finding, and its verdict where it is good and its file is in the catalog."""
        frames = set(self.places.frame_days(self.instrument_id, self.table.folder))
        names = names_in(folder_in(self.places, self.table, self.instrument_id))
        published = {found for name in names if (found := whole_day(name)) is not None}
        judged = self.places.judged_days(self.instrument_id, self.table.folder)
        for day in sorted(frames | set(judged)):
            path = self.places.verdict(self.instrument_id, self.table.folder, day)
            try:
                verdict = read_verdict(self.places, self.table, InstrumentDay(self.instrument_id, day))
            except HedgegridError as error:
                why = f"{error.message}; the next run makes the day anew, once it is gone"
                yield in_the_way(DAMAGED, path, why, self.places.catalog), None
                continue
            if verdict is None:
                yield (
                    self._finding("frame without a verdict", day, "nobody knows what it was judged to be", _AGAIN),
                    None,
                )
            elif (verdict.instrument_id, verdict.table, verdict.date) != (self.instrument_id, self.table.name, day):
                why = f"it is of {verdict.instrument_id} {verdict.table} {verdict.date}"
                yield in_the_way("wrong name", path, why, self.places.catalog), None
            else:
                finding = self._judged(day, verdict, has_frame=day in frames, is_published=day in published)
                good = verdict if verdict.status in catalog_stage.ACCEPTED and day in published else None
                yield finding, good

    def _judged(self, day: date, verdict: Verdict, *, has_frame: bool, is_published: bool) -> Finding | None:
        if verdict.frame_sha256 is None:  # no frame could hold its rows
            return None
        if not has_frame:
            return self._finding("verdict without its frame", day, "its rows are gone", self._ways_back(day, verdict))
        if verdict.status not in catalog_stage.ACCEPTED:
            return None
        if not is_published:
            return self._written(day, "frame without a Nautilus file", "the day is good, and Nautilus does not see it")
        final = catalog_stage.file_of(self.places, InstrumentDay(self.instrument_id, day), self.table)
        made_from = catalog_stage.stamped_digest(final, day)
        if made_from not in (None, verdict.content_digest):
            return self._written(day, "Nautilus file of another frame", "Nautilus reads the day as it was before")
        if not goes_on(self.places, self.table, InstrumentDay(self.instrument_id, day), verdict):
            return self._finding("goes on from another day before", day, "the day before is not what it was", _AGAIN)
        return None

    def _ways_back(self, day: date, verdict: Verdict) -> str:
        raw = self.finder.find(verdict)
        if raw is not None and raw.same_bytes:
            return f"its raw day is there ({raw.path}): {_AGAIN}"
        words = ["reset-day", self.instrument_id, str(day), "--table", self.table.token]
        where = ["--catalog", str(self.places.catalog), "--data", str(self.places.data)]
        return (
            "its raw day is gone as well: take it back from a backup (hedgegrid restore), fetch it again, or give it up: "
            f"hedgegrid {shlex.join([*words, *where, '--yes'])}"
        )

    def _written(self, day: date, kind: str, why: str) -> Finding:
        if self.definition is None:
            return self._finding(kind, day, f"{why}; its instrument has no definition", _AGAIN)
        return write_anew(self.places, self.definition, self.table, day, kind, why)

    def _finding(self, kind: str, day: date, why: str, way_out: str) -> Finding:
        return Finding(kind, f"{self.instrument_id} {self.table.token} {day}", why, way_out)


def write_anew(
    places: Places, definition: Instrument, table: Table, day: date, kind: str, why: str, path: StorePath | None = None
) -> Finding:
    """A file of Nautilus' that is made again from the frame of its day."""
    of = InstrumentDay(definition.id, day)

    def repair() -> str:
        written = catalog_stage.write_day(places, of, table, Precisions.from_instrument(definition))
        return f"written from its frame, read back and compared: {written.rows:,} rows"

    what = f"{definition.id} {table.token} {day}" if path is None else str(path)
    return Finding(kind, what, why, "written from its frame, if its verdict still allows it", repair)


def may_be_written(places: Places, definition: Instrument | None, table: Table, day: date) -> bool:
    """The day has a good verdict at the precision of its definition, and a frame."""
    if definition is None or day not in places.frame_days(definition.id, table.folder):
        return False
    try:
        verdict = read_verdict(places, table, InstrumentDay(definition.id, day))
    except HedgegridError:
        return False
    precisions = Precisions.from_instrument(definition)
    return (
        verdict is not None
        and verdict.status in catalog_stage.ACCEPTED
        and precisions.same_for(table, verdict.precision)
    )
