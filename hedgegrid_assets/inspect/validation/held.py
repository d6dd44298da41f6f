"""Which days a catalog has anything of, what does not belong there, and which are missing between."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.model import Table
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog.files import days_in, folder_in
from hedgegrid_assets.stages.catalog.generations import generation_of
from hedgegrid_assets.stages.verdict import instrument_ids
from hedgegrid_assets.store import Places, StorePath
from hedgegrid_assets.tables import TABLES


def days_held(places: Places) -> set[tuple[str, str, date]]:
    """Every (instrument, name of table, day) with a frame, a verdict, or rows in a Nautilus file."""
    found: set[tuple[str, str, date]] = set()
    ids = instrument_ids(places)
    for table in TABLES.values():
        for instrument_id in ids.values():
            days = {*places.judged_days(instrument_id, table.folder), *places.frame_days(instrument_id, table.folder)}
            found |= {(instrument_id, table.name, day) for day in days}
        form = table.form(generation_of(places))
        for path in places.catalog.joinpath("data", form.folder).glob(f"{form.name_of('*')}/*.parquet"):
            found |= {(_identifier(path), table.name, day) for day in days_in(path.name)}
    return found


def _identifier(path: StorePath) -> str:
    try:
        metadata = pq.read_schema(path.footer()).metadata or {}
    except (pa.ArrowException, OSError):  # its day says so
        return path.parent.name
    return metadata.get(b"instrument_id", path.parent.name.encode()).decode()


def strays(
    places: Places, found: Sequence[tuple[str, Table, date]], start: date | None, end: date | None
) -> Iterator[dict[str, str]]:
    """What does not belong into the Nautilus folders that were looked at, inside the range asked for."""
    for instrument_id, name in sorted({(instrument_id, table.name) for instrument_id, table, _ in found}):
        table = TABLES[name]
        ours = set(places.judged_days(instrument_id, table.folder))
        for stray in catalog_stage.strays(folder_in(places, table, instrument_id), ours):
            held = days_in(stray.path.name)
            if held and ((start and held[-1] < start) or (end and held[0] >= end)):
                continue
            yield {
                "instrument_id": instrument_id,
                "table": name,
                "path": str(stray.path),
                "trouble": stray.trouble,
                "why": stray.why,
            }


NOTHING: Final = "no table of ours or Nautilus'"


def instruments_there(places: Places) -> str:
    """What a catalog has days of, for people."""
    instruments = sorted({instrument_id for instrument_id, _, _ in days_held(places)})
    return ", ".join(instruments[:10]) if instruments else NOTHING


def missing_days(found: Sequence[tuple[str, Table, date]]) -> Iterator[dict[str, str]]:
    """Days inside an (instrument, table)'s range without data."""
    ranges: dict[tuple[str, str], list[date]] = {}
    for instrument_id, table, day in found:
        ranges.setdefault((instrument_id, table.name), []).append(day)
    for (instrument_id, name), days in ranges.items():
        have = set(days)
        for number in range((max(days) - min(days)).days):
            day = min(days) + timedelta(days=number)
            if day not in have:
                yield {"instrument_id": instrument_id, "table": name, "date": str(day)}
