"""The tree that the earlier pipeline wrote: trades by Nautilus' own writer, marks and funding as one pandas file each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.errors import DocumentDamaged
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.catalog.files import days_in
from hedgegrid_assets.stages.catalog.generations import INSTRUMENT_FOLDERS
from hedgegrid_assets.store import files_below, names_in, reading
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_end, day_of, day_start

TRADES: Final = "trade_tick"
MARK: Final = "mark_price_update"
FUNDING: Final = "funding_rate_update"
SIDE_FILES: Final[Mapping[str, tuple[str, str]]] = {
    MARK: ("mark_price.parquet", "mark_price"),
    FUNDING: ("funding_rate.parquet", "funding_rate"),
}
"""Table -> name of its file beside Nautilus' folders, and the column of its value."""
_REMEDY: Final = "leave it out, or rebuild its days"
_TIMES: Final = ("timestamp", "ts_event")
_NEXT: Final = "next_funding_time"
_DECIMALS: Final = 8
"""A double holds prices exactly to so many decimals; the earlier pipeline never wrote more."""
_NATIVE_BYTES: Final = 16


@dataclass(frozen=True)
class Tree:
    """``files``: (instrument, table) -> its files; a side file is one for all days."""

    root: Path
    files: Mapping[tuple[str, str], list[Path]]
    _side: dict[Path, pl.DataFrame] = field(default_factory=dict)

    def days(self) -> Iterator[tuple[str, str, date]]:
        """(instrument, table, day): those with rows, and days of trades that a side file has nothing of."""
        for (instrument_id, table), paths in sorted(self.files.items()):
            held = self.held(instrument_id, table, paths)
            if table != TRADES:
                held |= self.trade_days(instrument_id)
            yield from ((instrument_id, table, day) for day in sorted(held))

    def held(self, instrument_id: str, table: str, paths: list[Path]) -> set[date]:
        """Days that there may be rows of."""
        del instrument_id
        if table == TRADES:
            return {day for path in paths for day in days_in(path.name)}
        days: set[date] = set()
        for path in paths:
            numbers = self.side(path)["ts_event"] // (day_end(date(1970, 1, 1)))
            days |= {day_of(number * day_end(date(1970, 1, 1))) for number in numbers.unique().to_list()}
        return days

    def trade_days(self, instrument_id: str) -> set[date]:
        """Days of an instrument's trades, by the names of its files."""
        return {day for path in self.files.get((instrument_id, TRADES), []) for day in days_in(path.name)}

    def rows(self, instrument_id: str, table: str, day: date) -> pl.DataFrame:
        """A day's rows by exchange time, with the columns of our frames. Raises DocumentDamaged."""
        first, last = day_start(day), day_end(day)
        paths = self.files[instrument_id, table]
        if table != TRADES:
            found = pl.concat(self.side(path) for path in paths)
            return found.filter(pl.col("ts_event").is_between(first, last, closed="left"))
        parts = [part for path in paths if day in days_in(path.name) for part in _native(path, first, last)]
        declared = TABLES[TRADES]
        unkept = [
            pl.lit(None, column.dtype).alias(column.name)
            for column in declared.columns
            if parts and column.name not in parts[0].columns
        ]
        return pl.concat(parts).with_columns(unkept) if parts else pl.DataFrame(schema={"ts_event": pl.Int64})

    def side(self, path: Path) -> pl.DataFrame:
        """A side file: time in ns, its value as decimals, and what it says of the next funding."""
        if path not in self._side:
            with reading(path, "a side file of the earlier pipeline", _REMEDY):
                self._side[path] = _side_frame(path)
        return self._side[path]

    @cached_property
    def definitions(self) -> dict[str, tuple[int, int, str]]:
        """Instrument -> (decimals of prices, of sizes, exchange symbol) as its definition says."""
        found: dict[str, tuple[int, int, str]] = {}
        for kind in INSTRUMENT_FOLDERS:
            for path in files_below(self.root / "data" / kind):
                if path.suffix == ".parquet":
                    found |= _definition(path)
        return found

    def symbol(self, instrument_id: str) -> str:
        """As the exchange writes it."""
        known = self.definitions.get(instrument_id)
        return known[2] if known else instrument_id.rpartition(".")[0].removesuffix("-PERP")

    def notes(self) -> Iterator[str]:
        """What the tree holds besides."""
        bars = names_in(self.root / "data" / "bar")
        if bars:
            yield f"data/bar holds {', '.join(bars[:3])}: candles, which are no mark prices and were not compared"


def read_tree(root: Path) -> Tree:
    """The files of an old tree; ours, which are folders or hold our metadata, are none of them."""
    files: dict[tuple[str, str], list[Path]] = {}
    native = root / "data" / TRADES
    for name in names_in(native):
        paths = [native / name / each for each in names_in(native / name) if each.endswith(".parquet")]
        theirs = [path for path in paths if not _is_ours(path)]
        if theirs:
            files[name, TRADES] = theirs
    for name in names_in(root):
        for table, (file, _) in SIDE_FILES.items():
            if (root / name / file).is_file():
                files[name, table] = [root / name / file]
    return Tree(root, files)


def _is_ours(path: Path) -> bool:
    try:
        return any(key.startswith(b"hedgegrid.") for key in pq.read_metadata(path).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def precisions_of(path: Path) -> tuple[int, int]:
    """Decimals of prices and sizes that a native file says it has; 0 where it does not say it."""
    with reading(path, "a Nautilus file", _REMEDY):
        metadata = pq.read_schema(path).metadata or {}
    return int(metadata.get(b"price_precision", b"0")), int(metadata.get(b"size_precision", b"0"))


def _native(path: Path, first: int, last: int) -> Iterator[pl.DataFrame]:
    """The rows of some time of a native file, row group by row group."""
    with reading(path, "a Nautilus file", _REMEDY), pq.ParquetFile(path) as file:
        width = file.schema_arrow.field("price").type
        if width != pa.binary(_NATIVE_BYTES):
            raise DocumentDamaged(path, "values of 16 bytes", f"{width}: a 64-bit build of Nautilus wrote it", _REMEDY)
        for group in range(file.num_row_groups):
            found = nautilus.from_nautilus(TABLES[TRADES], file.read_row_group(group))
            yield found.filter(pl.col("ts_event").is_between(first, last, closed="left"))


def _side_frame(path: Path) -> pl.DataFrame:
    table = next(table for table, (file, _) in SIDE_FILES.items() if file == path.name)
    value = SIDE_FILES[table][1]
    found = pl.read_parquet(path)
    time = next((name for name in _TIMES if name in found.columns), None)
    if time is None or value not in found.columns:
        raise DocumentDamaged(path, f"columns timestamp and {value}", f"{', '.join(found.columns)}", _REMEDY)
    is_float = found[value].dtype.is_float()
    scale = 16 if table == FUNDING else _DECIMALS
    columns = [
        _ns(found, time).alias("ts_event"),
        pl.col(value).cast(pl.Decimal(38, scale), strict=False),
        pl.lit(is_float).alias("is_float"),
        pl.lit("ts_init" in found.columns).alias("has_arrival"),
    ]
    if _NEXT in found.columns:
        columns.append(_ns(found, _NEXT).alias(_NEXT))
    return found.select(columns).sort("ts_event", maintain_order=True)


def _ns(found: pl.DataFrame, name: str) -> pl.Expr:
    """A time as ns since 1970: what pandas wrote as a datetime, or whole ns."""
    kind = found.schema[name]
    if isinstance(kind, pl.Datetime):
        return pl.col(name).dt.cast_time_unit("ns").cast(pl.Int64)
    return pl.col(name).cast(pl.Int64, strict=False)


def _definition(path: Path) -> dict[str, tuple[int, int, str]]:
    wanted = ("id", "price_precision", "size_precision", "raw_symbol")
    try:
        rows = pq.read_table(path, columns=list(wanted)).to_pylist()
    except (pa.ArrowException, OSError, KeyError):  # whoever needs it is told by Nautilus
        return {}
    return {row["id"]: (int(row["price_precision"]), int(row["size_precision"]), row["raw_symbol"]) for row in rows}
