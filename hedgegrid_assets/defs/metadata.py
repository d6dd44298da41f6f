"""What the UI shows of an asset: columns and where they come from, rows, times, sizes, rejects and gaps."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg
import polars as pl
import pyarrow as pa

from hedgegrid_assets.inspect.charts import chart_markdown
from hedgegrid_assets.instruments import Instrument
from hedgegrid_assets.model import Channel, InstrumentDay, Shows, Table
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.raw import ImportReport, LandingFile, RawDay, shown_name
from hedgegrid_assets.stages.verdict import Verdict
from hedgegrid_assets.store import StorePath, plain, uri_of
from hedgegrid_assets.timestamps import iso

type Metadata = dict[str, Any]

FIRST_BAD: Final = 10
_SHOWN_FILES: Final = 50
_NOT_OF_ORIGIN: Final = {"content", "decimals", "disconnects_ns", "first_local_ns", "last_local_ns", "stored_bytes"}
"""Of a part of a raw day: lists, and what is said of the raw day itself."""
_INSTRUMENT: Final = (
    "id",
    "price_precision",
    "size_precision",
    "mark_precision",
    "price_increment",
    "origin",
    "fees_known",
)
_COMMON: Final[Mapping[str, str]] = {
    "instrument_id": "Nautilus' InstrumentId",
    "ts_event": "when it happened, by the exchange's clock",
    "ts_init": "when it arrived (ts_event where the source has no arrival time); the day is cut by it",
    "raw_row": "row in the raw day, from 0",
}
_NAUTILUS_TYPES: Final[Mapping[str, str]] = {
    "fixed_size_binary[16]": "fixed_size_binary[16] (value x 10^16)",
    "uint64": "uint64 (ns)",
}


# ---------------------------------------------------------------- columns and lineage


def raw_columns(channel: Channel) -> dg.TableSchema:
    """The fields that are read from a message."""
    return _schema([(field.key, field.kind, field.doc, not field.required) for field in channel.fields])


def frame_columns(table: Table, precisions: Precisions | None = None) -> dg.TableSchema:
    """The columns of a frame; without precisions, decimals name the one that decides."""
    columns = {column.name: column for column in table.columns}
    found = []
    for field in frames.arrow_schema(table, precisions or Precisions(0, 0, 0), {}):
        column = columns.get(field.name)
        open_scale = precisions is None and column is not None and column.precision is not None
        kind = f"decimal(38, {column.precision}_precision)" if open_scale and column else _told(field.type)
        found.append((field.name, kind, column.doc if column else _COMMON[field.name], field.nullable))
    return _schema(found)


def _told(kind: pa.DataType) -> str:
    """Arrow's name of a type, without what nobody asks for."""
    if pa.types.is_dictionary(kind):
        return f"dictionary<{kind.value_type}>"
    return str(kind).replace("decimal128", "decimal").replace("tz=", "")


def nautilus_columns(table: Table, generation: int) -> dg.TableSchema:
    """The columns of a Nautilus file."""
    kinds = {name: kind for name, kind, _ in nautilus.columns(table, generation)}
    made_from = _made_from(table, generation)
    return _schema(
        [
            (name, _NAUTILUS_TYPES.get(kind, kind), f"from {', '.join(made_from[name])}", False)
            for name, kind in kinds.items()
        ]
    )


def _made_from(table: Table, generation: int) -> dict[str, list[str]]:
    """Nautilus' column -> the columns of the frame that it is made from."""
    found: dict[str, list[str]] = {}
    for name, _, frame in nautilus.columns(table, generation):
        found.setdefault(name, []).append(frame)
    return found


def frame_lineage(raw: dg.AssetKey, channel: Channel, table: Table) -> dg.TableColumnLineage:
    """Raw fields to the columns of a frame."""
    symbol = tuple(field.key for field in channel.fields if field.name == "symbol")
    made_from = {"instrument_id": symbol, **channel.tables[table.name].lineage}
    return dg.TableColumnLineage(
        {column: [dg.TableColumnDep(raw, field) for field in fields] for column, fields in made_from.items()}
    )


def nautilus_lineage(normalized: dg.AssetKey, table: Table, generation: int) -> dg.TableColumnLineage:
    """Columns of a frame to Nautilus' columns."""
    found = _made_from(table, generation)
    return dg.TableColumnLineage(
        {name: [dg.TableColumnDep(normalized, frame) for frame in frames_of] for name, frames_of in found.items()}
    )


def _schema(columns: list[tuple[str, str, str, bool]]) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, kind, doc, constraints=dg.TableColumnConstraints(nullable=nullable))
            for name, kind, doc, nullable in columns
        ]
    )


# ---------------------------------------------------------------- one materialization


def of_raw(raw: RawDay, seconds: float | None) -> Metadata:
    """A raw day, from its manifest. What is zero is left out. ``seconds``: None where its frames tell them."""
    manifest = raw.manifest
    shown = [
        {name: value for name, value in plain(part).items() if value and name not in _NOT_OF_ORIGIN}
        for part in manifest.origin[:FIRST_BAD]
    ]
    disconnects = len(manifest.disconnects_ns)
    return {
        **_rows(manifest.lines),
        "dagster/uri": uri_of(raw.path),
        "sha256": _halves(raw.sha256),
        "bytes": manifest.bytes,
        "first_ts": _time(manifest.first_local_ns),
        "last_ts": _time(manifest.last_local_ns),
        "received_as": manifest.stored,
        "fetched_at": manifest.fetched_at,
        **({"disconnects": disconnects} if disconnects else {}),
        "origin": dg.MetadataValue.json(shown),
        **({"origins": len(manifest.origin)} if len(manifest.origin) > len(shown) else {}),
        **_seconds(seconds),
    }


def of_frame(verdict: Verdict, frame: StorePath, seconds: float) -> Metadata:
    """A frame, from its verdict. What is zero is left out; silences across contiguous ids are quiet, and no gaps."""
    rows = plain(verdict.rows)
    lost = [gap for gap in verdict.gaps if gap.cause.is_loss]
    counted = {
        **{name: rows[name] for name in ("rejected", "exact_duplicates", "other_symbols", "not_applicable")},
        "gaps": verdict.number_of_gaps - verdict.quiet,
        "gap_seconds": round(math.fsum(gap.seconds for gap in lost), 3),
        "longest_gap_seconds": max((gap.seconds for gap in lost), default=0),
        "quiet": verdict.quiet,
        "ids_missing": verdict.ids_missing,
    }
    return {
        "dagster/uri": uri_of(frame),
        **_rows(rows["out"]),
        "rows_in": rows["in"],
        **{name: value for name, value in counted.items() if value},
        **({"rejects_by_reason": dg.MetadataValue.json(verdict.rejects_by_reason)} if rows["rejected"] else {}),
        **({"rules_off": ", ".join(verdict.rules_off)} if verdict.rules_off else {}),
        "first_ts": _time(verdict.first_ts_init),
        "last_ts": _time(verdict.last_ts_init),
        "series": verdict.series,
        "sha256": _halves(verdict.frame_sha256 or ""),
        "bytes": frame.size,
        "seconds": round(seconds, 3),
    }


def of_nothing(why: str) -> Metadata:
    """What is not there, and is not missed."""
    return {**_rows(0), "empty": why}


def chart(feed_context: FeedContext, day: InstrumentDay, table: Table, verdict: Verdict) -> Metadata:
    """A picture of a day: its value with the gaps, rows a minute, latency."""
    found = chart_markdown(feed_context.places, day, table, verdict.status, verdict.gaps) if table.charted else None
    return {} if found is None else {"chart": dg.MetadataValue.md(found)}


def of_catalog(verdict: Verdict, path: StorePath, rows: int, seconds: float | None) -> Metadata:
    """A Nautilus file, and the verdict that let it in. Its first and last times are those of its frame."""
    return {
        **_rows(rows),
        "dagster/uri": uri_of(path),
        "verdict": str(verdict.status),
        "bytes": path.size,
        **_seconds(seconds),
    }


def of_instruments(instruments: Mapping[str, Instrument], unknown: Mapping[str, str]) -> Metadata:
    """Definitions as a table, and why some are not there yet."""
    records = [
        dg.TableRecord({name: getattr(instrument, name) for name in _INSTRUMENT}) for instrument in instruments.values()
    ]
    found: Metadata = {"dagster/row_count": len(instruments)}
    found |= {"instruments": _table(_INSTRUMENT, records)} if records else {}
    return found | ({"unknown": dg.MetadataValue.json(dict(unknown))} if unknown else {})


def of_landing(feed_context: FeedContext, files: list[LandingFile], report: ImportReport, seconds: float) -> Metadata:
    """An import: what was read now, and what lies there altogether. What is zero is left out."""
    read, damaged = set(report.read), {str(error.details["path"]) for error in report.damaged}
    blocked = {str(error.details["path"]) for error in report.blocked}
    names = ("file", "bytes", "changed", "import")
    records = []
    for landing in files[-_SHOWN_FILES:]:
        path = landing.path
        shown = (
            path.relative_to(feed_context.places.landing) if path.is_relative_to(feed_context.places.landing) else path
        )
        said = "refused" if str(path) in damaged else "read now" if path in read else "known"
        said += ", blocked" if shown_name(feed_context.places, path) in blocked else ""
        if not path.exists():  # it has gone since
            continue
        status = path.stat()
        records.append(
            dg.TableRecord(
                {"file": str(shown), "bytes": status.st_size, "changed": _time(status.st_mtime_ns), "import": said}
            )
        )
    first = {"refused": [error.message for error in report.refused], "replaced": report.replaced, "notes": report.notes}
    last = {
        "by_stream": dict(report.by_stream.most_common()),
        "other_lines": dict(report.other),
        "unknown_symbols": dict(report.unknown_symbols.most_common()),
        "rejects": dict(report.unplaced),
    }
    found: Metadata = {
        **{name: dg.MetadataValue.json(value) for name, value in first.items() if value},
        "files": len(files),
        "files_read": len(report.read),
        **{name: count for name, count in plain(report.counts).items() if count},
        **{name: dg.MetadataValue.json(value) for name, value in last.items() if value},
        "raw_days": len(report.days),
        "seconds": round(seconds, 3),
    }
    return found | {"landing_zone": _table(names, records)} if records else found


def _halves(digest: str) -> str:
    """In two, as Dagster wraps no word: one of 64 characters pushes what is beside it out of sight."""
    return f"{digest[:32]} {digest[32:]}"


def _seconds(seconds: float | None) -> Metadata:
    return {} if seconds is None else {"seconds": round(seconds, 3)}


def _rows(rows: int) -> Metadata:
    return {"dagster/row_count": rows, "dagster/partition_row_count": rows}


def _table(names: tuple[str, ...], records: list[dg.TableRecord]) -> dg.TableMetadataValue:
    kinds: dict[type, str] = {bool: "bool", int: "int"}
    first = records[0].data
    return dg.MetadataValue.table(
        records,
        dg.TableSchema(columns=[dg.TableColumn(name, kinds.get(type(first[name]), "string")) for name in names]),
    )


def _time(ns: int | None) -> str:
    return "none" if ns is None else iso(ns)


# ---------------------------------------------------------------- the first rows that a check found


def first_bad(
    feed_context: FeedContext, day: InstrumentDay, table: Table, verdict: Verdict, failed: list[str]
) -> str | None:
    """At most ten of what made the rules fail, as a Markdown table; None where there are no single rows to show."""
    for name in failed:
        shown = bad_rows(feed_context, day, table, verdict, name)
        if shown is not None and len(shown):
            return _markdown(shown)
    return None


def bad_rows(
    feed_context: FeedContext, day: InstrumentDay, table: Table, verdict: Verdict, name: str
) -> pl.DataFrame | None:
    """At most ten rows, rejects or gaps that made a rule fail."""
    shows = next((rule.shows for rule in table.rules if rule.name == name), Shows.ROWS)
    if shows is Shows.REPEATED_IDS and table.id_column:
        return _frame_rows(feed_context, day, table, pl.col(table.id_column).is_duplicated())
    if shows is Shows.REJECTS:
        return _rejects(feed_context, day, table)
    if shows is Shows.GAPS:
        return _gaps(verdict)
    raw_rows = verdict.numbers_of(name).get("first_bad_raw_rows")
    return _frame_rows(feed_context, day, table, pl.col("raw_row").is_in(raw_rows)) if raw_rows else None


def _frame_rows(feed_context: FeedContext, day: InstrumentDay, table: Table, wanted: pl.Expr) -> pl.DataFrame:
    frame = pl.scan_parquet(feed_context.places.frame(day.instrument_id, table.folder, day.date).local())
    return frame.filter(wanted).head(FIRST_BAD).drop("instrument_id").select("raw_row", pl.exclude("raw_row")).collect()


def _rejects(feed_context: FeedContext, day: InstrumentDay, table: Table) -> pl.DataFrame | None:
    path = feed_context.places.rejects(day.instrument_id, table.folder, day.date)
    if not path.exists():
        return None
    return (
        pl.scan_parquet(path.local())
        .head(FIRST_BAD)
        .select("file", "line", "reason", "field", "value", pl.col("raw").str.head(120))
        .collect()
    )


def _gaps(verdict: Verdict) -> pl.DataFrame:
    lost = [gap for gap in verdict.gaps if gap.cause.is_loss]
    longest = sorted(lost, key=lambda gap: -gap.seconds)[:FIRST_BAD]
    return pl.DataFrame([plain(gap) | {"start": iso(gap.start), "end": iso(gap.end)} for gap in longest])


def _markdown(rows: pl.DataFrame) -> str:
    lines = [rows.columns, ["---"] * len(rows.columns), *([_cell(value) for value in row] for row in rows.iter_rows())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
    return "" if value is None else str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
