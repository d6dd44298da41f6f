"""Two states of one day, or two sources of it, row by row: what only one of them has, what differs, what is shifted."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
from msgspec import Struct, field

from hedgegrid_assets.errors import DataError
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, StorePath, list_days
from hedgegrid_assets.tables import TABLES

_EXACT: Final = pl.Decimal(38, 16)
_SHOWN: Final = 10
"""Rows of each kind."""
_WITHOUT_IDS: Final = ("time", "period", "content")
_STEP: Final = re.compile(r"-([0-9]+[smhd])$")
"""Of a series that has a row at each step of time, as candles."""
_NUMBER: Final = r"^[0-9]{1,18}$"


class Difference(Struct, frozen=True):
    """Of one day of one table.

    Attributes:
        matched_by: ``id``, ``members`` (single trades against aggregates of them), ``period`` (bars), ``time`` or ``content``.
        equal: Rows that are the same on both sides, but for their arrival.
        shifted: Rows that are the same but for their time.
        changed: Rows of one id (or time) whose values differ.
        only_left: Rows that the right side does not have; ``only_right`` the other way.
        first: Some of the rows that are not equal, of each kind the first, ``kind`` first. Of a row that both sides have, what
            the right one says is named ``..._right``.
        note: Why the two cannot be equal, where what they are made of says so.
    """

    instrument_id: str
    table: str
    date: date
    rows_left: int
    rows_right: int
    matched_by: str
    equal: int = 0
    shifted: int = 0
    changed: int = 0
    only_left: int = 0
    only_right: int = 0
    first: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    note: str = ""

    @property
    def is_same(self) -> bool:
        """No row differs."""
        return not (self.shifted or self.changed or self.only_left or self.only_right)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            name: str(value) if isinstance(value, date) else [dict(row) for row in value] if name == "first" else value
            for name in self.__struct_fields__
            for value in [getattr(self, name)]
        } | {"same": self.is_same}


def differences(
    left: Path, right: Path, instrument_id: str | None = None, tables: Sequence[str] | None = None
) -> Iterator[Difference]:
    """Of all days that one of two catalogs has. Raises DataError where there is none."""
    places = Places.of_catalog(left), Places.of_catalog(right)
    days = sorted({*_days(places[0]), *_days(places[1])})
    wanted = [
        (name, table, day)
        for name, table, day in days
        if instrument_id in (None, name) and (tables is None or table in tables)
    ]
    if not wanted:
        raise DataError(
            f"no frame to compare ({left}, {right}): expected days of {instrument_id or 'any instrument'}, found none",
            hint="name two catalogs that hold the same instrument, or the sources of a day, as archive:2024-01-02",
        )
    for name, folder, day in wanted:
        table = next(one for one in TABLES.values() if one.folder == folder)
        frames = [_frame(each.frame(name, folder, day)) for each in places]
        yield _noted(compare(name, table, day, *frames), places, table)


def compare(
    instrument_id: str, table: Table, day: date, left: pl.DataFrame | None, right: pl.DataFrame | None
) -> Difference:
    """Two frames of one day; None: that side has no such day."""
    some = left if left is not None else right
    assert some is not None
    left, right = (some.clear() if side is None else side for side in (left, right))
    made = Difference(instrument_id, table.name, day, len(left), len(right), "")
    if table.members is not None and _has_members(left, table) != _has_members(right, table):
        return _by_members(made, table, left, right)
    key = table.id_column
    if key is not None and _share_ids(left, right, key):
        return _by_key(made, [key], _values(table, left, right, but=(key,)), left, right, "id")
    values = _values(table, left, right, but=() if key is None else (key,))
    if key is None and table.tells_of_ns:  # whose stamp is the last of its period, in ms or in ns
        left, right = (side.with_columns(_end_of_period(table)) for side in (left, right))
        return _by_key(made, ["ts_event"], values, left, right, "period")
    if key is None:
        return _by_key(made, ["ts_event"], values, left, right, "time")
    return _by_key(made, ["ts_event", *values], [], left, right, "content")


# ---------------------------------------------------------------- steps


def _end_of_period(table: Table) -> pl.Expr:
    """The last ns of the period that a row tells of, as its time."""
    number = pl.col("ts_event").dt.timestamp("ns") // table.tells_of_ns
    return ((number + 1) * table.tells_of_ns - 1).cast(pl.Datetime("ns", "UTC")).alias("ts_event")


def _days(places: Places) -> Iterator[tuple[str, str, date]]:
    """(instrument, frame folder, day) of all frames of a catalog."""
    for table in TABLES.values():
        for folder in places.catalog.glob(f"*/{table.folder}.parquet"):
            for day in list_days(folder, ".parquet"):
                yield folder.parent.name, table.folder, day


def _noted(found: Difference, places: Sequence[Places], table: Table) -> Difference:
    """The same, with a note where rows had to be matched by their time, and the sides are made of different things."""
    if found.is_same or found.matched_by not in _WITHOUT_IDS:
        return found
    verdicts = [read_verdict(each, table, InstrumentDay(found.instrument_id, found.date)) for each in places]
    left, right = (None if verdict is None else verdict.series for verdict in verdicts)
    if left is None or right is None or left == right:
        return found
    steps = [_STEP.search(series) for series in (left, right)]
    why = (
        "bars of other streams, which need not be cut alike: candles by the venue's clock, bars of trades by arrival"
        if table.tells_of_ns
        else "other streams, whose rows need not have the same times"
        if steps[0] == steps[1] or all(steps)
        else f"a row each {next(step[1] for step in steps if step)} against every update: rows of one moment alone can be equal"
    )
    return msgspec.structs.replace(found, note=f"left is made of {left}, right of {right}: {why}")


def _frame(path: StorePath) -> pl.DataFrame | None:
    return pl.read_parquet(path.local()) if path.exists() else None


def _values(table: Table, left: pl.DataFrame, right: pl.DataFrame, but: Sequence[str]) -> list[str]:
    """Columns that both sides have values in."""
    names = [column.name for column in table.columns if column.name not in but and column.name in left.columns]
    filled = [{name for name in names if side[name].null_count() < len(side)} for side in (left, right)]
    known = [each or set(names) for each in filled]
    return [name for name in names if name in known[0] and name in known[1] and name in right.columns]


def _has_members(frame: pl.DataFrame, table: Table) -> bool:
    assert table.members is not None
    return bool(len(frame)) and frame[table.members[0]].null_count() < len(frame)


def _share_ids(left: pl.DataFrame, right: pl.DataFrame, key: str) -> bool:
    """Ids of both sides are of one kind: some are the same, or one side has no row."""
    if not len(left) or not len(right):
        return True
    return bool(left[key].cast(pl.String).is_in(right[key].cast(pl.String).implode()).any())


def _comparable(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Texts for enums, decimals of one scale, whole numbers for times."""
    casts = {
        name: pl.col(name).cast(_EXACT)
        if isinstance(kind, pl.Decimal)
        else pl.col(name).dt.cast_time_unit("ns").cast(pl.Int64)
        if isinstance(kind, pl.Datetime)
        else pl.col(name).cast(pl.String)
        if isinstance(kind, pl.Categorical | pl.Enum)
        else pl.col(name)
        for name in names
        for kind in [frame.schema[name]]
    }
    return frame.select(**casts)


def _by_key(
    made: Difference,
    key: Sequence[str],
    values: Sequence[str],
    left: pl.DataFrame,
    right: pl.DataFrame,
    matched_by: str,
) -> Difference:
    """Rows of one key are matched in their order, should there be several."""
    names = list(dict.fromkeys([*key, "ts_event", *values]))
    number = pl.int_range(pl.len(), dtype=pl.UInt32).over(key).alias("number")
    sides = [
        _comparable(side, names).with_columns(number).with_columns(here=pl.lit(value=True)) for side in (left, right)
    ]
    joined = sides[0].join(sides[1], on=[*key, "number"], how="full", nulls_equal=True, coalesce=True, suffix="_right")
    differs = pl.any_horizontal(
        [pl.col(name).ne_missing(pl.col(f"{name}_right")) for name in values] or [pl.lit(value=False)]
    )
    shifted = pl.col("ts_event").ne_missing(pl.col("ts_event_right")) if "ts_event" not in key else pl.lit(value=False)
    kinds = joined.with_columns(
        kind=pl.when(pl.col("here_right").is_null())
        .then(pl.lit("only left"))
        .when(pl.col("here").is_null())
        .then(pl.lit("only right"))
        .when(differs)
        .then(pl.lit("changed"))
        .when(shifted)
        .then(pl.lit("shifted"))
        .otherwise(pl.lit("equal"))
    )
    return _told(made, kinds, matched_by)


def _by_members(made: Difference, table: Table, left: pl.DataFrame, right: pl.DataFrame) -> Difference:
    """Aggregates against the trades that they say they are made of."""
    assert table.members is not None
    first, last = table.members
    turned = not _has_members(left, table)
    aggregates, single = (right, left) if turned else (left, right)
    wanted = _comparable(aggregates, [first, last, "price", "size", "ts_event"]).sort(first)
    ids = _comparable(single, ["trade_id", "price", "size"]).with_columns(
        id=pl.when(pl.col("trade_id").str.contains(_NUMBER)).then("trade_id").cast(pl.Int64)
    )
    found = ids.sort("id", nulls_last=True).join_asof(
        wanted.select(pl.col(first).alias("id"), pl.col(first).alias("group"), pl.col(last)), on="id"
    )
    inside = pl.col("group").is_not_null() & (pl.col("id") <= pl.col(last))
    summed = (
        found.filter(inside)
        .group_by("group")
        .agg(pl.col("size").sum(), pl.col("price").n_unique().alias("prices"), pl.col("price").first())
    )
    joined = wanted.join(summed, left_on=first, right_on="group", how="left")
    same = (
        (pl.col("size") == pl.col("size_right")) & (pl.col("prices") == 1) & (pl.col("price") == pl.col("price_right"))
    )
    here, there = ("only right", "only left") if turned else ("only left", "only right")
    kinds = joined.with_columns(
        kind=pl.when(pl.col("size_right").is_null())
        .then(pl.lit(here))
        .when(same.fill_null(value=False))
        .then(pl.lit("equal"))
        .otherwise(pl.lit("changed"))
    ).drop("prices")
    alone = found.filter(~inside.fill_null(value=False)).select("trade_id", "price", "size", kind=pl.lit(there))
    return _told(made, pl.concat([kinds, alone], how="diagonal"), "members")


def _told(made: Difference, kinds: pl.DataFrame, matched_by: str) -> Difference:
    counts = dict(kinds["kind"].value_counts().iter_rows())
    differing = kinds.filter(pl.col("kind") != "equal").drop("number", "here", "here_right", strict=False)
    shown = differing.group_by("kind", maintain_order=True).head(_SHOWN)
    rows = [_of_its_side(row) for row in shown.iter_rows(named=True)]
    return Difference(
        made.instrument_id,
        made.table,
        made.date,
        made.rows_left,
        made.rows_right,
        matched_by,
        *(counts.get(kind, 0) for kind in ("equal", "shifted", "changed", "only left", "only right")),
        first=tuple(rows),
    )


def _of_its_side(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as text, ``kind`` first; of one that the right side alone has, by the names that it has there."""
    said = {name: str(value) for name, value in row.items() if name != "kind" and value is not None}
    if row["kind"] == "only right":
        said = {name.removesuffix("_right"): value for name, value in said.items()}
    return {"kind": str(row["kind"])} | said
