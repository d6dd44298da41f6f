"""The stored frames of an instrument, for whoever works with them: all at once in pandas, or lazily in Polars."""

import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from hedgegrid_assets.errors import DocumentDamaged, NoDataFetched, UnknownName
from hedgegrid_assets.model import InstrumentDay, Status, Table
from hedgegrid_assets.names import check_lookup
from hedgegrid_assets.stages.frames import FORCED, every_column, refuse_lacking, with_all_digits
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, StorePath, reading
from hedgegrid_assets.tables import TABLES, TOKENS, WORDS
from hedgegrid_assets.timestamps import parse_day
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    import pandas as pd

_NAMED: Final = 5
"""Blocked days that a warning names."""


class BlockedDays(UserWarning):
    """Days that were asked for break an ERROR rule: their rows are read, and are in no Nautilus table."""


def read_frame(
    instrument_id: str,
    table: str,
    start: str | date | None = None,
    end: str | date | None = None,
    *,
    catalog: str | Path | StorePath = "./data/catalog",
    decimals: Literal["float", "exact"] = "float",
) -> "pd.DataFrame":
    """A normalized table as a pandas frame.

    Args:
        instrument_id: Such as ``BTCUSDT-PERP.BINANCE``.
        table: Name or token of one of ``tables.TABLES``.
        start: First UTC day (inclusive); None: all.
        end: Last UTC day (exclusive); None: all.
        catalog: Root of the catalog.
        decimals: ``float`` for floats (quick, for plots and statistics), ``exact`` for ``decimal.Decimal`` objects.

    Returns:
        All columns of the frame (times as ``datetime64[ns, UTC]``), sorted by ``ts_init``.

    Warns:
        BlockedDays: Some of the days are blocked; ``hedgegrid validate`` says why.

    Raises:
        UsageError: Unknown table, or no name of an instrument.
        NoDataFetched: No frame in the range.
        DocumentDamaged: A frame cannot be read, or lacks a column.
    """
    found, days = _days(instrument_id, table, start, end, catalog)
    frame = pl.concat(
        (_stored_frame(day, found) for day in days), how="diagonal_relaxed"
    )  # an older day may have fewer decimals, or columns
    if decimals == "float":
        frame = frame.with_columns(pl.selectors.decimal().cast(pl.Float64))
    return frame.to_pandas()


def scan_frame(
    instrument_id: str,
    table: str,
    start: str | date | None = None,
    end: str | date | None = None,
    *,
    catalog: str | Path | StorePath = "./data/catalog",
) -> pl.LazyFrame:
    """A normalized table as a Polars query that has read no row yet: only what it asks for is, of the days it asks for.

    Takes, raises and warns of what ``read_frame`` does. Days of a bucket are brought to this machine first.

    Returns:
        All columns of the frame, sorted by ``ts_init``; times as ``Datetime("ns", "UTC")``, decimals exact, with the digits
        of the finest day.
    """
    found, days = _days(instrument_id, table, start, end, catalog)
    alike = [pl.scan_parquet(files) for files in _alike(days, found)]
    scales: dict[str, int] = {}
    for name, kind in (column for scan in alike for column in scan.collect_schema().items()):
        if isinstance(kind, pl.Decimal):
            scales[name] = max(kind.scale, scales.get(name, 0))
    whole = [pl.col(name).cast(pl.Decimal(38, scale)) for name, scale in scales.items()]
    return pl.concat([scan.with_columns(whole) for scan in alike], how="diagonal")


def _days(
    instrument_id: str,
    table: str,
    start: str | date | None,
    end: str | date | None,
    catalog: str | Path | StorePath,
) -> tuple[Table, list[StorePath]]:
    """The table, and the files of the days."""
    found = TABLES.get(table) or TOKENS.get(table)
    if found is None:
        raise UnknownName("table", "", table, TOKENS, other=WORDS)
    check_lookup(instrument_id, "instrument_id")
    places = Places.of_catalog(catalog)
    first, last = (parse_day(str(day), name) if day else None for name, day in (("start", start), ("end", end)))
    days = [
        day
        for day in places.frame_days(instrument_id, found.folder)
        if (first is None or day >= first) and (last is None or day < last)
    ]
    if not days:
        folder = str(places.frame_folder(instrument_id, found.folder))
        raise NoDataFetched(
            f"{instrument_id} {found.name} {start or ''}..{end or ''}", folder, "no frame of these days"
        )
    _warn_of_blocked(places, found, [InstrumentDay(instrument_id, day) for day in days])
    return found, [places.frame(instrument_id, found.folder, day) for day in days]


def _warn_of_blocked(places: Places, table: Table, days: Sequence[InstrumentDay]) -> None:
    """A frame is stored whatever is judged of it, so that what is wrong with it can be looked at."""
    blocked = [str(day.date) for day in days if _is_blocked(places, table, day)]
    if blocked:
        named = ", ".join(blocked[:_NAMED]) + (", ..." if len(blocked) > _NAMED else "")
        warnings.warn(
            f"{days[0].instrument_id} {table.name}: {len(blocked)} of {counted(len(days), 'day')} blocked ({named}); "
            f"their rows are here, but in no Nautilus table: `hedgegrid validate {places.catalog}` says why",
            BlockedDays,
            stacklevel=4,
        )


def _is_blocked(places: Places, table: Table, day: InstrumentDay) -> bool:
    with suppress(DocumentDamaged):  # validate names it
        verdict = read_verdict(places, table, day)
        return verdict is not None and verdict.status is Status.BLOCKED
    return False


def _alike(days: Iterable[StorePath], table: Table) -> list[list[Path]]:
    """Files that follow each other and have the same columns and types, together."""
    files: list[tuple[Path, pl.Schema]] = []
    for day in days:
        with reading(day, f"a frame of {table.name}", FORCED):
            file = day.local()
            schema = pl.Schema(pl.read_parquet_schema(file))
            refuse_lacking(day, table, schema, every_column(table))
            files.append((file, schema))
    return [[path for path, _ in group] for _, group in groupby(files, key=lambda file: file[1])]


def _stored_frame(path: StorePath, table: Table) -> pl.DataFrame:
    with reading(path, f"a frame of {table.name}", FORCED):
        frame = pl.read_parquet(path.local())
        refuse_lacking(path, table, frame.columns, every_column(table))
        return with_all_digits(frame)
