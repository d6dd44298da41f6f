"""The raw days that a catalog's days were made of, held against their manifests byte for byte."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date

from hedgegrid_assets.errors import HedgegridError, RawDayDamaged
from hedgegrid_assets.inspect.provenance import RawFinder, RawFound
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import raw as raw_stage
from hedgegrid_assets.stages.raw import Progress
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import AnyFile, Places


def damaged_raw_days(
    places: Places, days: Iterable[tuple[str, Table, date]], progress: Progress | None
) -> Iterator[RawDayDamaged]:
    """Those that are not what they were; a raw day is read once, however many tables are made of it."""
    finder = RawFinder(places)
    seen: set[AnyFile] = set()
    for raw in _raw_days(places, days, finder):
        if raw.path in seen:  # several channels of one file in place
            continue
        seen.add(raw.path)
        if progress:
            progress(f"reading {raw.path}", 0)
        if raw.in_place and not raw.has_its_size:  # moved away, or to be imported by the next run
            continue
        try:
            raw_stage.verify(raw.path, raw.manifest)
        except RawDayDamaged as error:
            yield error


def _raw_days(places: Places, days: Iterable[tuple[str, Table, date]], finder: RawFinder) -> Iterator[RawFound]:
    for instrument_id, table, day in days:
        with suppress(HedgegridError):  # told of its day
            verdict = read_verdict(places, table, InstrumentDay(instrument_id, day))
            raw = finder.find(verdict) if verdict is not None else None
            if raw is not None and raw.same_bytes:
                yield raw
