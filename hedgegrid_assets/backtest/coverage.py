"""What a catalog holds of what a run asks for: days with their verdicts, the files of them, gaps, arrivals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
import pyarrow.parquet as pq

from hedgegrid_assets.backtest.files import DELTAS, events_of_book
from hedgegrid_assets.errors import CoverageRefused, InstrumentNotHeld, NoDataFetched, NoSuchCatalog
from hedgegrid_assets.instruments import definitions_file
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages.catalog import ACCEPTED, is_current
from hedgegrid_assets.stages.catalog.files import days_in, folder_in
from hedgegrid_assets.stages.catalog.generations import INSTRUMENT_FOLDERS
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import LocalStore, Places, StorePath, local_file, make_folder
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_end, day_of, day_start
from hedgegrid_assets.wording import counted

type Arrival = Literal["recorded", "assumed"]
"""Of ``ts_init``: a time of its own, or the exchange's time again."""

MISSING: Final = "missing"
STALE: Final = "stale"
UNJUDGED: Final = "not judged"


@dataclass(frozen=True, slots=True)
class DayFile:
    """A day of a stream: its status, and the files that hold it; none: it is left out."""

    date: date
    status: str
    files: Sequence[Path] = ()
    rows: int = 0
    gaps: Sequence[tuple[int, int]] = ()
    gaps_unlisted: int = 0

    @property
    def number_of_gaps(self) -> int:
        """Also those that are counted and not listed."""
        return len(self.gaps) + self.gaps_unlisted

    @property
    def is_good(self) -> bool:
        """A run may take it."""
        return bool(self.files)


@dataclass(frozen=True, slots=True)
class Covered:
    """One stream: each day of the run."""

    table: str
    instrument_id: str
    days: Sequence[DayFile]
    arrival: Arrival
    series: str

    @property
    def files(self) -> list[Path]:
        """Each once, in time order."""
        return list(dict.fromkeys(file for day in self.days for file in day.files))

    @property
    def left_out(self) -> list[DayFile]:
        """Days that a run would be without."""
        return [day for day in self.days if not day.is_good]

    def to_dict(self) -> dict[str, Any]:
        """For result.json."""
        return {
            "table": self.table,
            "instrument_id": self.instrument_id,
            "series": self.series,
            "arrival": self.arrival,
            "days": [
                {
                    "date": str(day.date),
                    "status": day.status,
                    "rows": day.rows,
                    "gaps": day.number_of_gaps,
                    "gap_seconds": round(sum(end - start for start, end in day.gaps) / 1e9, 1),
                }
                for day in self.days
            ],
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """All streams of a run, and its range in ns, the end exclusive; ``root``: the catalog, or what was copied of it."""

    root: Path
    start_ns: int
    end_ns: int
    streams: Sequence[Covered]

    def stream(self, table: str, instrument_id: str) -> Covered | None:
        """One of them."""
        return next((each for each in self.streams if (each.table, each.instrument_id) == (table, instrument_id)), None)


def cover(
    catalog: Path,
    streams: Sequence[tuple[str, str]],
    start_ns: int | None,
    end_ns: int | None,
    *,
    allow_gaps: bool,
    copies: Path = Path(),
) -> Coverage:
    """What of the streams, (table, instrument) each, the catalog has; without a range: all that it holds of them.

    An engine reads files: of a bucket, those that it needs are copied to ``copies``, where they lie as in the catalog.
    Raises NoSuchCatalog, InstrumentNotHeld, NoDataFetched, and CoverageRefused where days are missing or not good and
    that is not allowed.
    """
    places = Places.of_catalog(catalog)
    if not (places.catalog / "data").is_dir():
        raise NoSuchCatalog(places.catalog.address)
    here = _Here(places.catalog, copies)
    _check_instruments(places, {instrument_id for _, instrument_id in streams}, here)
    files_of = {stream: _held(places, *stream) for stream in streams}
    start_ns, end_ns = _range(files_of, start_ns, end_ns, catalog)
    dates = _dates(start_ns, end_ns)
    covered = [_covered(places, *stream, files, dates, here) for stream, files in files_of.items()]
    for each in covered:
        if all(day.status == MISSING for day in each.days):
            there = sorted(files_of[each.table, each.instrument_id])
            found = f"{there[0]} .. {there[-1]}" if there else f"no {each.table} of it"
            raise NoDataFetched(f"{each.table} of {each.instrument_id}, {dates[0]} .. {dates[-1]}", str(catalog), found)
    left_out = [(each, day) for each in covered for day in each.left_out if not allow_gaps or not each.files]
    if left_out:
        raise CoverageRefused(list(_told(left_out)))
    return Coverage(here.root, start_ns, end_ns, covered)


def _told(left_out: Sequence[tuple[Covered, DayFile]]) -> Iterator[str]:
    """Days in words, those that follow each other together."""
    following: list[tuple[Covered, DayFile]] = []
    for stream, day in left_out:
        if following and _follows(following[-1], stream, day):
            following.append((stream, day))
            continue
        yield from map(_spelled, [following] if following else [])
        following = [(stream, day)]
    yield _spelled(following)


def _follows(before: tuple[Covered, DayFile], stream: Covered, day: DayFile) -> bool:
    last_stream, last = before
    return last_stream is stream and last.status == day.status and day.date - last.date == timedelta(days=1)


def _spelled(days: Sequence[tuple[Covered, DayFile]]) -> str:
    (stream, first), (_, last) = days[0], days[-1]
    whose = f"{stream.instrument_id} {stream.table}"
    if len(days) == 1:
        return f"{whose} {first.date} is {first.status}"
    return f"{whose} {first.date} .. {last.date} ({counted(len(days), 'day')}) are {first.status}"


@dataclass(frozen=True, slots=True)
class _Here:
    """A catalog for a reader of files: itself on a disk, copies of a bucket's."""

    catalog: StorePath
    copies: Path

    @property
    def root(self) -> Path:
        """Where its files lie on this machine."""
        return local_file(self.catalog) if isinstance(self.catalog.store, LocalStore) else self.copies

    def file(self, path: StorePath) -> Path:
        """One of its files, which is here from now on."""
        file = self.root / path.below(self.catalog)
        if not file.exists() and not isinstance(self.catalog.store, LocalStore):
            make_folder(file.parent)
            path.store.get(path.key, file)
        return file


def _check_instruments(places: Places, wanted: set[str], here: _Here) -> None:
    there = {
        folder.name: folder
        for kind in INSTRUMENT_FOLDERS
        for folder in places.catalog.joinpath("data", kind).folders()
        if any(folder.files(".parquet"))
    }
    for instrument_id in sorted(wanted):
        folder = there.get(instrument_id.replace("/", ""))
        if folder is None:
            raise InstrumentNotHeld(instrument_id, places.catalog, sorted(there))
        for path in folder.files(".parquet"):
            here.file(path)
    if (plain := definitions_file(places.catalog)).exists():  # what 2.x leaves out of a definition
        here.file(plain)


def _held(places: Places, table: str, instrument_id: str) -> dict[date, list[StorePath]]:
    """Day -> files that may have rows of it, by their names."""
    held: dict[date, list[StorePath]] = {}
    for path in folder_in(places, TABLES[table], instrument_id).files(".parquet"):
        for day in days_in(path.name):
            held.setdefault(day, []).append(path)
    return held


def _range(
    held: Mapping[tuple[str, str], Mapping[date, object]], start_ns: int | None, end_ns: int | None, catalog: Path
) -> tuple[int, int]:
    days = sorted({day for files in held.values() for day in files})
    if not days and (start_ns is None or end_ns is None):
        wanted = ", ".join(f"{table} of {instrument_id}" for table, instrument_id in held)
        raise NoDataFetched(wanted, str(catalog), "no day of it")
    start_ns = day_start(days[0]) if start_ns is None else start_ns
    end_ns = day_end(days[-1]) if end_ns is None else end_ns
    if end_ns <= start_ns:
        found = f"{days[0]} .. {days[-1]}" if days else "no days"
        raise NoDataFetched(f"from {day_of(start_ns)} up to, and without, {day_of(end_ns)}", str(catalog), found)
    return start_ns, end_ns


def _dates(start_ns: int, end_ns: int) -> list[date]:
    first, last = day_of(start_ns), day_of(end_ns - 1)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _covered(
    places: Places,
    table: str,
    instrument_id: str,
    held: Mapping[date, Sequence[StorePath]],
    dates: Sequence[date],
    here: _Here,
) -> Covered:
    rows = TABLES[table]
    found = [_day(places, rows, InstrumentDay(instrument_id, day), held.get(day, ()), here) for day in dates]
    days = [day for day, _ in found]
    series = ", ".join(dict.fromkeys(each for _, each in found if each))
    first = next((day.files[0] for day in days if day.files and day.rows), None)
    return Covered(table, instrument_id, days, _arrival(first), series)


def _day(
    places: Places, table: Table, day: InstrumentDay, held: Sequence[StorePath], here: _Here
) -> tuple[DayFile, str]:
    """A day and its series. Another writer may have several files of a day."""
    verdict = read_verdict(places, table, day)
    if verdict is None:
        if not held:
            return DayFile(day.date, MISSING), ""
        files = list(map(here.file, held))
        return DayFile(day.date, UNJUDGED, files, sum(map(_rows, files))), ""
    status, series = str(verdict.status), verdict.series
    if status not in ACCEPTED:
        return DayFile(day.date, status), series
    if not held:
        return DayFile(day.date, MISSING), series
    if not is_current(places, day, table):
        return DayFile(day.date, STALE), series
    gaps = [(gap.start, gap.end) for gap in verdict.gaps if gap.cause.is_loss]
    return DayFile(
        day.date, status, list(map(here.file, held)), verdict.rows.rows_out, gaps, verdict.gaps_unlisted
    ), series


def _rows(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows)


def _arrival(file: Path | None) -> Arrival:
    if file is None:
        return "assumed"
    differs = pl.scan_parquet(file).select((pl.col("ts_init") != pl.col("ts_event")).any()).collect().item()
    return "recorded" if differs else "assumed"


def data_span(coverage: Coverage) -> tuple[int, int]:
    """First and last arrival of the run; its whole range if there are not two."""
    edges = [edge for stream in coverage.streams for file in _outer(stream) for edge in _arrivals(file)]
    inside = [edge for edge in edges if coverage.start_ns <= edge < coverage.end_ns]
    whole = coverage.start_ns, coverage.end_ns
    if len(set(inside)) < len(whole):
        return whole
    first, last = min(edges), max(edges)
    return max(first, coverage.start_ns), min(last, coverage.end_ns)


def _outer(stream: Covered) -> list[Path]:
    """The first and the last file of a stream that have rows."""
    files = [day.files for day in stream.days if day.files and day.rows]
    return [files[0][0], files[-1][-1]] if files else []


def _arrivals(file: Path) -> tuple[int, int]:
    arrivals = pl.col("ts_init").cast(pl.Int64)
    times = pl.scan_parquet(file).select(first=arrivals.min(), last=arrivals.max()).collect()
    return int(times["first"][0]), int(times["last"][0])


def whole_rows(coverage: Coverage, stream: Covered) -> int | None:
    """Rows (of a book: events) that a run must be given of a stream; None where a day is cut, or files hold several days."""
    whole = coverage.start_ns == day_start(day_of(coverage.start_ns)) and coverage.end_ns == day_start(
        day_of(coverage.end_ns)
    )
    if not whole or any(len(days_in(file.name)) != 1 for file in stream.files):
        return None
    return sum(map(events_of_book if stream.table == DELTAS else _rows, stream.files))


def inputs_of(coverage: Coverage) -> Iterator[tuple[Covered, DayFile | None, Path]]:
    """Every file that a run reads, with its stream and, where it is of one day, that day."""
    for stream in coverage.streams:
        by_file = {file: day for day in stream.days for file in day.files}
        for file in stream.files:
            yield stream, by_file[file] if len(days_in(file.name)) == 1 else None, file
