"""One row all the way back: catalog row, normalized row, raw row, landing file and line, and where that file came from."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq
from msgspec import Struct

from hedgegrid_assets.errors import DocumentDamaged, NoDataFetched, RawDayDamaged, UsageError
from hedgegrid_assets.inspect.days import DayFilter, Judged, judged_days, some
from hedgegrid_assets.inspect.provenance import RawFinder, RawFound, channel_of
from hedgegrid_assets.model import Table, TableMapping
from hedgegrid_assets.sources.formats import synthetic_ids as made_ids
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.raw import LINES_REMEDY, check_size, is_own_line, verify
from hedgegrid_assets.stages.verdict import Verdict
from hedgegrid_assets.store import AnyFile, BlockReader, Places, bytes_in, reading, sha256_of
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_of, iso, parse_time

type Row = Mapping[str, Any]

_LONGEST_CHECKED: Final = 1 << 30
_LINES_AGAIN: Final = (
    "hedgegrid doctor --deep --fix moves the raw day out of the way if its landing files are there, and the next run "
    "imports them again"
)


class Trace(Struct, frozen=True):
    """The way of one row. ``steps`` are what is known at each station, in order, as plain values."""

    instrument_id: str
    table: str
    asked: str
    found_by: str
    steps: Mapping[str, Mapping[str, Any]]

    @property
    def whole(self) -> bool:
        """Every station was found, and each holds what the one before says."""
        return all(step.get("ok") is not False for step in self.steps.values())

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "instrument_id": self.instrument_id,
            "table": self.table,
            "asked": self.asked,
            "found_by": self.found_by,
            "whole": self.whole,
            "steps": {name: dict(step) for name, step in self.steps.items()},
        }


def trace(places: Places, instrument_id: str, table: Table, asked: str) -> Trace:
    """Follow one row back to its line.

    Args:
        places: Catalog and data root.
        instrument_id: Such as ``BTCUSDT-PERP.BINANCE``.
        table: One of ``tables``.
        asked: A trade id (tables with ids), or a time: ns since 1970 or ISO, UTC; of ``ts_init``, else ``ts_event``;
            if no row has exactly this time, the first one after it.

    Raises:
        NoDataFetched: No such row.
        DocumentDamaged: The frame of the day asked for is, or that of another and no other day has the row.
        UsageError: Neither an id nor a time.
    """
    wanted = DayFilter(instrument_id, table.name)
    days = some(list(judged_days(places, wanted)), places, wanted)
    damaged: list[DocumentDamaged] = []
    found = _by_id(places, days, table, asked, damaged) if table.id_column else None
    by = f"{table.id_column} = {asked}"
    if found is None:
        at = parse_time(asked)
        if at is None and table.id_column is None:
            raise UsageError(f"{asked!r} is no time: expected ISO such as 2024-01-01T12:00:00Z, or ns since 1970")
        found = None if at is None else _by_time(places, days, at, damaged)
        by = "" if at is None or found is None else _how(at, found[2])
    if found is None:
        if damaged:
            raise damaged[0]
        ends = (
            f"{days[0].day.date} .. {days[-1].day.date}, ids {days[0].verdict.first_id} .. {days[-1].verdict.last_id}"
        )
        raise NoDataFetched(
            f"{wanted} {asked}", str(places.catalog), f"days {ends}", hint="name an id or a time of these"
        )
    judged, number, row = found
    raw = RawFinder(places).find(judged.verdict)
    steps: dict[str, Mapping[str, Any]] = {
        "catalog": _in_catalog(places, judged, row),
        "normalized": _in_frame(places, judged, number, row),
    }
    steps |= _in_raw(places, judged, row, raw)
    return Trace(instrument_id, table.name, asked, by, steps)


# ---------------------------------------------------------------- finding the row


type _Found = tuple[Judged, int, Row]


def _by_id(
    places: Places, days: "list[Judged] | Any", table: Table, asked: str, damaged: list[DocumentDamaged]
) -> _Found | None:
    """By the days whose id range holds it first, then by all others."""
    likely = [judged for judged in days if _may_hold(judged.verdict, asked)]
    others = [judged for judged in days if judged not in likely]
    return _first_of(places, [*likely, *others], _is_named(str(table.id_column), asked), damaged)


def _is_named(column: str, asked: str) -> pl.Expr:
    """Rows of an id: as the frame has it, or as the catalog holds one that is too long for it."""
    if re.fullmatch(made_ids.SHORTENED, asked) is None:
        return pl.col(column) == asked
    return pl.col(column).map_batches(made_ids.shortened, return_dtype=pl.String) == asked


def _may_hold(verdict: Verdict, asked: str) -> bool:
    first, last = str(verdict.first_id), str(verdict.last_id)
    return all(text.isdigit() for text in (first, asked, last)) and int(first) <= int(asked) <= int(last)


def _by_time(places: Places, days: "list[Judged] | Any", at: int, damaged: list[DocumentDamaged]) -> _Found | None:
    """Exactly ``ts_init``, else exactly ``ts_event`` (which may lie in the day before or after), else the first later row."""
    near = [judged for judged in days if abs((judged.day.date - day_of(at)).days) <= 1]
    for time in ("ts_init", "ts_event"):
        found = _first_of(places, near, pl.col(time) == at, damaged, day_of(at))
        if found is not None:
            return found
    later = [judged for judged in days if judged.verdict.last_ts_init is not None and judged.verdict.last_ts_init >= at]
    return _first_of(places, later[:1], pl.col("ts_init") >= at, damaged, later[0].day.date) if later else None


def _first_of(
    places: Places,
    days: Iterable[Judged],
    wanted: pl.Expr,
    damaged: list[DocumentDamaged],
    asked: date | None = None,
) -> _Found | None:
    """The first row that fits, in days in this order; a damaged frame is passed over and noted, unless its day is asked for."""
    for judged in days:
        try:
            found = _first_row(places, judged, wanted)
        except DocumentDamaged as error:
            if judged.day.date == asked:
                raise
            damaged.append(error)
            continue
        if found is not None:
            return (judged, *found)
    return None


def _how(at: int, row: Row) -> str:
    for time in ("ts_init", "ts_event"):
        if row[time] == at:
            return f"{time} = {iso(at)}"
    return f"first row after {iso(at)}, by {(row['ts_init'] - at) / NS_PER_SECOND:.3f} s"


def _first_row(places: Places, judged: Judged, wanted: pl.Expr) -> tuple[int, Row] | None:
    """Row number in the frame (from 0) and values of the first row that fits."""
    path = places.frame(judged.day.instrument_id, judged.table.folder, judged.day.date)
    if not path.exists():
        return None
    before = 0
    for block in frames.read_blocks(path, judged.table):
        rows = block.with_row_index("row").filter(wanted).head(1)
        if len(rows):
            row = rows.row(0, named=True)
            return before + int(row.pop("row")), row
        before += len(block)
    return None


# ---------------------------------------------------------------- the stations


def _in_catalog(places: Places, judged: Judged, row: Row) -> dict[str, Any]:
    path = catalog_stage.file_of(places, judged.day, judged.table)
    generation = catalog_stage.generation_of(places)
    if not path.exists():
        return {"ok": False, "file": str(path), "why": f"the day is {judged.status}: it is not in the catalog"}
    before = 0
    same = (pl.col("ts_init") == row["ts_init"]) & (pl.col("ts_event") == row["ts_event"])
    if judged.table.id_column:
        (held,) = made_ids.shortened(pl.Series([row[judged.table.id_column]], dtype=pl.String))
        row = {**row, judged.table.id_column: held}
        same &= pl.col(judged.table.id_column) == held
    with reading(path, "a Nautilus file", frames.FORCED), pq.ParquetFile(path.local()) as file:
        for group in range(file.num_row_groups):
            block = nautilus.from_nautilus(judged.table, file.read_row_group(group), generation)
            rows = block.with_row_index("row").filter(same)
            if len(rows):
                found = min(rows.iter_rows(named=True), key=lambda each: len(_differing(each, row)))
                differing = _differing(found, row)
                number = before + int(found.pop("row"))
                return {
                    "ok": not differing,
                    "file": str(path),
                    "row": number,
                    "values": _shown(found, judged.table),
                    "why": f"differs from the frame in {', '.join(differing)}" if differing else "",
                }
            before += len(block)
    kept = judged.table.form().kept
    if kept is not None:
        return {"ok": True, "file": str(path), "row": None, "why": kept.why}
    return {"ok": False, "file": str(path), "row": None, "why": "the Nautilus file has no such row"}


def _differing(found: Row, row: Row) -> list[str]:
    """Columns of a catalog row that are not as in the frame; of rows that share an id, the one with fewest is meant."""
    return [name for name, value in found.items() if name != "row" and row[name] != value]


def _in_frame(places: Places, judged: Judged, number: int, row: Row) -> dict[str, Any]:
    path = places.frame(judged.day.instrument_id, judged.table.folder, judged.day.date)
    small = path.size <= _LONGEST_CHECKED
    same = sha256_of(path) == judged.verdict.frame_sha256 if small else None
    return {
        "ok": same,
        "file": str(path),
        "row": number,
        "values": _shown(row, judged.table),
        "sha256": judged.verdict.frame_sha256,
        "status": judged.status,
        "verdict": str(places.verdict(judged.day.instrument_id, judged.table.folder, judged.day.date)),
        "why": "the frame is not the one that was judged: its sha256 differs" if same is False else "",
    }


def _in_raw(places: Places, judged: Judged, row: Row, raw: RawFound | None) -> dict[str, Mapping[str, Any]]:
    if raw is None:
        why = f"no manifest of this day under {places.landing}: give the data root with --data"
        return {"raw": {"ok": False, "row": row["raw_row"], "sha256": judged.verdict.raw_sha256, "why": why}}
    damage = _damage(raw)
    why = damage or ("" if raw.same_bytes else "the raw day has changed since it was judged: its sha256 differs")
    if _is_made_up(judged.table, row):
        made_up = "made of the book of the day before: no line of this day says it"
        return {"raw": {"ok": not why, "row": None, "sha256": raw.manifest.sha256, "why": why or made_up}}
    text = None if damage else _line(raw.path, row["raw_row"])
    raw_step = {
        "ok": not why and text is not None,
        "file": str(raw.path),
        "row": row["raw_row"],
        "text": text,
        "is": _made_of(raw, judged.table),
        "sha256": raw.manifest.sha256,
        "columns": _fields(raw, judged.table),
        "why": why or ("" if text is not None else "the raw file cannot be read up to this row"),
    }
    manifest = {
        "file": str(raw.manifest_path),
        "feed": raw.manifest.feed,
        "source": raw.manifest.source,
        "channel": raw.manifest.channel,
        "symbol": raw.manifest.symbol,
        "fetched_at": raw.manifest.fetched_at,
        "request": raw.manifest.request,
        "versions": raw.manifest.versions,
        "origin": raw.origins(),
    }
    steps: dict[str, Mapping[str, Any]] = {"raw": raw_step}
    landing = _in_landing(places, raw, row["raw_row"], text, damaged=bool(damage))
    if landing is not None:
        steps["landing"] = landing
    return steps | {"origin": manifest}


def _damage(raw: RawFound) -> str:
    """Why the raw file is not the one of its manifest, and what to do; a long one is held against its size alone."""
    short = raw.path.exists() and bytes_in(raw.path) <= _LONGEST_CHECKED
    try:
        (verify if short else check_size)(raw.path, raw.manifest)
    except RawDayDamaged as error:
        return f"{error.message}; {error.hint}"
    return ""


def _is_made_up(table: Table, row: Row) -> bool:
    if table.made_up is None:
        return False
    values = pl.DataFrame({name: [row[name]] for name in table.made_up.meta.root_names()})
    return bool(values.select(table.made_up).item())


def _made_of(raw: RawFound, table: Table) -> str:
    """What the line of a row is, where the row is made of several."""
    mapping = _mapping(raw, table)
    return f"the last row of {mapping.made_of} that it is made of" if mapping is not None and mapping.made_of else ""


def _in_landing(
    places: Places, raw: RawFound, raw_row: int, text: str | None, *, damaged: bool
) -> dict[str, Any] | None:
    if fault := raw.lines_fault:
        return {"ok": False, "why": f"{fault}; {_LINES_AGAIN}"}
    if raw.in_place:
        name, line = str(raw.manifest.origin[0].path), raw_row + 1
    elif raw.lines is not None:
        with reading(raw.lines, "the lines of a raw day", LINES_REMEDY):
            origin = pq.ParquetFile(raw.lines.local()).read().slice(raw_row, 1).to_pylist()[0]
            name, line = str(origin["file"]), int(origin["line"])
    else:
        return None
    about = next((each for each in raw.manifest.origin if each.path == name), None)
    path = places.home / name
    step: dict[str, Any] = {
        "file": name,
        "line": line,
        "sha256": about and about.sha256,
        "bytes": about and about.bytes,
    }
    if damaged:
        return step | {"ok": None, "text": None, "why": "not compared, as the raw day has changed"}
    if not path.exists():
        return step | {"ok": None, "text": None, "why": "the landing file is gone; the raw day keeps its lines"}
    found = _line(path, line - 1, about.settings.get("encoding") if about else None)
    same = found is not None and text is not None and (found == text or is_own_line(text, found))
    return step | {
        "ok": same,
        "text": found,
        "why": "" if same else "the landing file holds another text on this line now",
    }


def _line(path: AnyFile, row: int, encoding: str | None = None) -> str | None:
    """One line of a file, counted from 0, without its line end; None if the file has no such line."""
    if not path.exists():
        return None
    reader = BlockReader(path)
    reader.encoding = encoding
    for block in reader:
        count = block.data.count(b"\n") + (1 if block.cut else 0)
        if row < block.first_line + count:
            return (
                block.data.split(b"\n", row - block.first_line + 1)[row - block.first_line]
                .decode(errors="backslashreplace")
                .rstrip("\r")
            )
    return None


def _fields(raw: RawFound, table: Table) -> dict[str, list[str]]:
    """Columns of the frame -> the fields of the message that they are made from."""
    mapping = _mapping(raw, table)
    return {column: list(keys) for column, keys in mapping.lineage.items()} if mapping else {}


def _mapping(raw: RawFound, table: Table) -> TableMapping | None:
    channel = channel_of(raw.manifest)
    return channel.tables.get(table.name) if channel else None


def _shown(row: Row, table: Table) -> dict[str, Any]:
    """Values for people and for JSON: times as ISO, decimals as text without zeros at the end."""
    times = frames.time_columns(table)
    return {name: iso(value) if name in times and value is not None else _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:

    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value
