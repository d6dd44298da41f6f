"""Rejected lines and rows, where they came from and why: those of instrument-days, and those that belong to none."""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import polars as pl
from msgspec import Struct

from hedgegrid_assets.errors import UnknownName
from hedgegrid_assets.inspect.days import DayFilter, instruments
from hedgegrid_assets.stages.frames import FORCED
from hedgegrid_assets.stages.raw import REJECT_SCHEMA
from hedgegrid_assets.store import Places, StorePath, reading
from hedgegrid_assets.tables import TABLES

COLUMNS: Final = ("instrument_id", "table", "date", "feed", *REJECT_SCHEMA.names())
_SCHEMA: Final = pl.Schema(
    {"instrument_id": pl.String, "table": pl.String, "date": pl.Date, "feed": pl.String} | dict(REJECT_SCHEMA)
)

_RAW_LINES: Final = "_raw"

MEANINGS: Final = {
    "broken_json": "the line is no JSON message",
    "doubled_key": "an object has a key that is read twice, and nobody can tell which value is meant",
    "not_utf8": "the line is no UTF-8 text",
    "zero_bytes": "the line holds zero bytes, as a power cut leaves them",
    "missing_field": "a field that must be there is not",
    "wrong_type": "a field is of another type than the format says",
    "id_too_large": "an integer of more than 63 bits",
    "other_symbol": "of another symbol than the file was asked for",
    "unknown_time": "no time that could place it",
    "time_rounded": "a time without the digits that its unit needs, as spreadsheets write it (1.70407E+12)",
    "bad_decimal": "no decimal number (such as abc, 1,5 or nan), or one of more than 16 decimals or beyond Nautilus' largest",
    "too_fine": "far finer than the instrument, and as long as a binary float written out",
    "zero_price": "a price of zero is no price",
    "zero_size": "a size of zero is no trade",
    "negative": "below zero",
    "excluded_kind_na": "the venue marks it as no market trade (X = NA)",
    "excluded_kind_adl": "the venue marks it as auto-deleveraging (X = ADL)",
    "excluded_kind_insurance_fund": "the venue marks it as its insurance fund (X = INSURANCE_FUND)",
    "missing_side": "it does not say who was the taker",
    "bad_trade_id": "no id that Nautilus can hold",
    "truncated_tail": "the file ends in the middle of this line",
}
"""The closed list of reasons, in plain words."""


class RejectFile(Struct, frozen=True):
    """One stored file of rejects: of an (instrument, table, day), or of a landing file of a feed."""

    path: StorePath
    instrument_id: str | None = None
    table: str | None = None
    day: date | None = None
    feed: str | None = None

    def read(self) -> pl.DataFrame:
        """Its rows, with what they belong to."""
        return _stored(self.path).select(
            pl.lit(self.instrument_id, pl.String).alias("instrument_id"),
            pl.lit(self.table, pl.String).alias("table"),
            pl.lit(self.day, pl.Date).alias("date"),
            pl.lit(self.feed, pl.String).alias("feed"),
            *REJECT_SCHEMA.names(),
        )


def reject_files(places: Places, wanted: DayFilter) -> Iterator[RejectFile]:
    """The files that may hold what is wanted; lines that belong to no table or day only if no such thing is asked for."""
    for instrument_id in instruments(places):
        for table in TABLES.values():
            for day in places.reject_days(instrument_id, table.folder):
                if wanted.has(instrument_id, table.name, day):
                    yield RejectFile(places.rejects(instrument_id, table.folder, day), instrument_id, table.name, day)
    if wanted == DayFilter():
        for path in (places.data / "rejects").glob(f"*/{_RAW_LINES}/*.parquet"):
            yield RejectFile(path, feed=path.parent.parent.name)


def read_rejects(
    places: Places, wanted: DayFilter, reason: str | None = None, limit: int | None = None
) -> tuple[pl.DataFrame, int]:
    """The first ``limit`` rejects that are wanted, and how many there are in all."""
    if reason is not None and reason not in MEANINGS:
        raise UnknownName("reason", "--reason", reason, MEANINGS)
    taken: list[pl.DataFrame] = []
    held = count = 0
    for file in reject_files(places, wanted):
        rows = file.read()
        rows = rows if reason is None else rows.filter(pl.col("reason") == reason)
        count += len(rows)
        if limit is None or held < limit:
            taken.append(rows if limit is None else rows.head(limit - held))
            held += len(taken[-1])
    return (pl.concat(taken) if taken else pl.DataFrame(schema=_SCHEMA)), count


def summary(places: Places, wanted: DayFilter) -> list[dict[str, Any]]:
    """Counts by instrument, table, day (or feed and landing file) and reason."""
    found: list[dict[str, Any]] = []
    for file in reject_files(places, wanted):
        rows = file.read()
        groups = rows.group_by("file", "reason") if file.feed else rows.group_by("reason")
        counts = groups.agg(count=pl.len(), first_line=pl.col("line").min()).sort(
            "count", "reason", descending=[True, False]
        )
        found += [
            {
                "instrument_id": file.instrument_id,
                "table": file.table,
                "date": None if file.day is None else str(file.day),
                "feed": file.feed,
                "file": row.get("file"),
                "reason": row["reason"],
                "count": row["count"],
                "first_line": row["first_line"],
                "meaning": MEANINGS.get(row["reason"], ""),
            }
            for row in counts.iter_rows(named=True)
        ]
    return found


def show(places: Places, file: str, line: int) -> list[dict[str, Any]]:
    """All rejects of one line of a file, in full: a message may feed several tables. The file by its name or its end."""
    found: list[dict[str, Any]] = []
    for each in reject_files(places, DayFilter()):
        rows = each.read().filter((pl.col("line") == line) & pl.col("file").str.ends_with(file))
        found += with_iso_times(rows).iter_rows(named=True)
    return found


def with_iso_times(rows: pl.DataFrame) -> pl.DataFrame:
    """Rejects with their time as other commands write it, ``2024-01-01T00:00:00.000000000Z``."""
    return rows.with_columns(pl.col("ts_init").dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ"))


def samples(path: StorePath, each: int, characters: int) -> list[dict[str, Any]]:
    """The first few rejects of every reason of a file of rejects, their text cut, most frequent reason first."""
    if not path.exists():
        return []
    rows = _stored(path).select("file", "line", "reason", "field", "value", "raw")
    counts = rows.group_by("reason").agg(count=pl.len())
    first = rows.group_by("reason", maintain_order=True).head(each).join(counts, on="reason", maintain_order="left")
    first = first.sort("count", "reason", descending=[True, False], maintain_order=True)
    return first.with_columns(pl.col("raw").str.head(characters)).to_dicts()


def _stored(path: StorePath) -> pl.DataFrame:
    with reading(path, "rejects", FORCED):
        return pl.read_parquet(path.local()).select(pl.col(name).cast(kind) for name, kind in REJECT_SCHEMA.items())
