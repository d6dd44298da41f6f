"""Files that do not belong where they lie: in Nautilus' folders, and in those of our frames, verdicts and rejects."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.housekeeping.doctor.days import may_be_written, write_anew
from hedgegrid_assets.housekeeping.doctor.finding import Finding, in_the_way
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog.files import Stray, days_in, folder_in, interval, stamped_digest, whole_day
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.verdict import instrument_ids, read_verdict
from hedgegrid_assets.store import SET_ASIDE, Places, StorePath, names_in, put_back, sha256_of, writing
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import nautilus_file_name

_DAY_NAME: Final = re.compile(r"\d{4}-\d\d-\d\d\.(parquet|json)", re.ASCII)
_STRAY: Final = "stray file"
_OVERLAP: Final = "overlapping interval"
_NAME: Final = "wrong name"
_UNKNOWN: Final = "file that was never judged"
_PRECISION: Final = "foreign precision"
_UNREADABLE: Final = "file that cannot be read"


def nautilus_folders(places: Places) -> Iterator[Finding]:
    """Of ``data/``: files at the wrong depth, overlaps, names without a time, precisions that are not the definition's."""
    root = places.catalog / "data"
    for path in sorted(root.tree()):
        if path.name.endswith(".parquet") and len(path.parts) - len(root.parts) < 3:
            yield in_the_way(_STRAY, path, "Nautilus takes it for a table, and fails", places.catalog)
    known = _known_folders(places)
    for kind, tables in _by_kind(catalog_stage.generation_of(places)).items():
        for name in names_in(root / kind):
            folder = root / kind / name
            if folder.is_dir():
                yield from _nautilus_folder(places, folder, known.get(folder) or _Folder(tables[0], name, None))


class _Folder(Struct, frozen=True):
    """Whose folder of Nautilus' it is; ``definition`` is None where there is none of ours."""

    table: Table
    instrument_id: str
    definition: Instrument | None


def _by_kind(generation: int) -> dict[str, list[Table]]:
    """Folder in ``data/`` -> the tables that lie in it: bars of all periods share one."""
    found: dict[str, list[Table]] = {}
    for table in TABLES.values():
        found.setdefault(table.form(generation).folder, []).append(table)
    return found


def _known_folders(places: Places) -> dict[StorePath, _Folder]:
    definitions: dict[str, Instrument] = {}
    with contextlib.suppress(HedgegridError):  # told as a damaged document
        definitions = read_definitions(places.catalog)
    ids = dict.fromkeys([*definitions, *instrument_ids(places).values()])
    return {
        folder_in(places, table, each): _Folder(table, each, definitions.get(each))
        for each in ids
        for table in TABLES.values()
    }


def _nautilus_folder(places: Places, folder: StorePath, of: _Folder) -> Iterator[Finding]:
    table = of.table
    ours = {*places.judged_days(of.instrument_id, table.folder), *places.frame_days(of.instrument_id, table.folder)}
    found: dict[StorePath, Finding] = {}
    for stray in catalog_stage.strays(folder, ours):
        for path, finding in _stray(places, stray, folder):
            if path not in found or finding.kind == _OVERLAP:
                found[path] = finding
    yield from found.values()
    for path in (folder / name for name in names_in(folder) if name.endswith(".parquet")):
        if path not in found:
            yield from _precision(places, table, path, of.definition)


def _stray(places: Places, stray: Stray, folder: StorePath) -> Iterator[tuple[StorePath, Finding]]:
    """Ours goes back to its name; another's is moved out of the way where it breaks queries or doubles rows."""
    path = stray.path
    own = _own_day(path)
    if own is not None and not (folder / nautilus_file_name(own)).exists():
        yield path, _renamed(path, folder / nautilus_file_name(own))
    elif own is not None:
        why = f"a file of this catalog's own for {own}, which is there under its name as well"
        yield path, in_the_way(_NAME, path, why, places.catalog)
    elif stray.trouble == "no time in its name":
        yield path, in_the_way(_NAME, path, stray.why, places.catalog)
    elif stray.trouble == "overlaps":
        for other in _overlapping(path) if _is_ours(path) else [path]:
            why = stray.why if other == path else f"{path.name} holds the same times: Nautilus gives the rows of both"
            yield other, in_the_way(_OVERLAP, other, why, places.catalog)
    else:
        aside = places.catalog / SET_ASIDE
        command = f"mkdir -p {shlex.quote(str(aside))} && mv {shlex.quote(str(path))} {shlex.quote(str(aside))}"
        yield path, Finding(_UNKNOWN, str(path), stray.why, f"it may be wanted, so it stays; if it is not: {command}")


def _overlapping(ours: StorePath) -> list[StorePath]:
    """Files of others that hold the times of one of ours; where there is none, that is two of ours, and one is it."""
    mine = interval(ours.name)
    found = []
    for name in names_in(ours.parent):
        theirs = interval(name)
        if mine and theirs and name != ours.name and theirs[0] <= mine[1] and theirs[1] >= mine[0]:
            found.append(ours.with_name(name))
    return [path for path in found if not _is_ours(path)] or [ours]


def _own_day(path: StorePath) -> date | None:
    """The day that our stamp in a file's footer names, where its name is not that of this day."""
    try:
        keys = [key.decode() for key in pq.read_metadata(path.footer()).metadata or {}]
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None
    stamped = next((key for key in keys if key.startswith("hedgegrid.frame.")), None)
    day = None if stamped is None else date.fromisoformat(stamped.split(".")[2])
    return day if day is not None and whole_day(path.name) != day else None


def _is_ours(path: StorePath) -> bool:
    return any(catalog_stage.is_ours(path, day) and stamped_digest(path, day) for day in days_in(path.name)[:1])


def _renamed(path: StorePath, final: StorePath) -> Finding:
    def repair() -> str:
        with writing(final):
            put_back(path, final)
        return f"has its name again: {final.name}"

    return Finding(_NAME, str(path), "this catalog's own file of a day, renamed", "given its name back", repair)


def _precision(places: Places, table: Table, path: StorePath, definition: Instrument | None) -> Iterator[Finding]:
    """Nautilus reads nothing of a folder whose files differ in precision."""
    day = whole_day(path.name)
    try:
        metadata = pq.read_schema(path.footer()).metadata or {}
    except (pa.ArrowException, OSError) as error:
        why = f"{str(error).strip().splitlines()[0]}; Nautilus fails at it"
        if day is not None and definition is not None and may_be_written(places, definition, table, day):
            yield write_anew(places, definition, table, day, _UNREADABLE, why, path)
        else:
            yield in_the_way(_UNREADABLE, path, why, places.catalog)
        return
    if definition is None:
        return
    of_day = InstrumentDay(definition.id, day or date.min)
    wanted = catalog_stage.schema_of(places, of_day, table, Precisions.from_instrument(definition)).metadata or {}
    differing = [
        f"{key.decode()} {metadata.get(key, b'none').decode(errors='replace')} instead of {value.decode()}"
        for key, value in wanted.items()
        if metadata.get(key) != value
    ]
    if not differing:
        return
    why = f"{', '.join(differing)}: Nautilus reads nothing of a folder whose files differ"
    if day is not None and may_be_written(places, definition, table, day):
        yield write_anew(places, definition, table, day, _PRECISION, why, path)
    elif day is not None and catalog_stage.is_ours(path, day):
        way = f"hedgegrid instruments widen {shlex.quote(definition.id)} --catalog {shlex.quote(str(places.catalog))}"
        yield Finding(_PRECISION, str(path), why, f"written anew with all days of the instrument: {way}")
    else:
        yield in_the_way(_PRECISION, path, why, places.catalog)


# ---------------------------------------------------------------- ours


def own_folders(places: Places) -> Iterator[Finding]:
    """Of frames, verdicts and rejects: files that are not called after a day."""
    for folder, instrument_id in sorted(instrument_ids(places).items()):
        for table in TABLES.values():
            for ending in ("parquet", "verdict", "rejects"):
                below = places.catalog / folder / f"{table.folder}.{ending}"
                for name in names_in(below):
                    if not _DAY_NAME.fullmatch(name) and not name.startswith("."):
                        yield _misnamed(places, InstrumentDay(instrument_id, date.min), table, below / name)


def _misnamed(places: Places, of: InstrumentDay, table: Table, path: StorePath) -> Finding:
    final = _judged_place(places, of, table, path) if path.name.endswith(".parquet") and path.exists() else None
    if final is not None:
        return _renamed(path, final)
    return in_the_way(_STRAY, path, "a reader of the folder takes it for a day of the table", places.catalog)


def _judged_place(places: Places, of: InstrumentDay, table: Table, path: StorePath) -> StorePath | None:
    """Where a frame belongs that a verdict was given of, by the sha256 of its bytes; None: nowhere, or it is there."""
    have = set(places.frame_days(of.instrument_id, table.folder))
    lost = [day for day in places.judged_days(of.instrument_id, table.folder) if day not in have]
    sha256 = sha256_of(path) if lost else ""
    for day in lost:
        try:
            verdict = read_verdict(places, table, InstrumentDay(of.instrument_id, day))
        except HedgegridError:  # told where days are looked at
            return None
        if verdict is not None and verdict.frame_sha256 == sha256:
            return places.frame(of.instrument_id, table.folder, day)
    return None
