"""Rows come out in order and each once, as if their day were held in memory, whatever the memory and the blocks are."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hedgegrid_assets.model import Channel, Identity, InstrumentDay, Order, Table
from hedgegrid_assets.sources.csv import SOURCE
from hedgegrid_assets.sources.formats import synthetic_ids
from hedgegrid_assets.stages.frames import Precisions, frame_schema, read_blocks
from hedgegrid_assets.stages.normalize import Recipe, buckets, held
from hedgegrid_assets.stages.normalize import identity as identity_of_rows
from hedgegrid_assets.stages.normalize.identity import Likeness
from hedgegrid_assets.stages.normalize.order import InOrder
from hedgegrid_assets.stages.normalize.sink import DayFrame
from hedgegrid_assets.stages.raw import FileOrigin, RawDay, RawKey
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.stages.normalize.in_memory import InMemory, ordered
from hedgegrid_assets_tests.yard import bare_manifest

DAY = date(2024, 1, 1)
SECOND = 1_000_000_000
MIDNIGHT = 1_704_067_200 * SECOND
CHANNELS = {name: channel for channel in SOURCE.channels for name in channel.tables}
PRECISIONS = Precisions(price=2, size=3, mark=2)

type Line = tuple[int, int, str | None, int, int]
"""(second of arrival, second of the exchange, id, price, messages on the line)."""


def rising(number: int) -> str:
    return str(100 + number)


def hexadecimal(number: int) -> str:
    return str(UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)))


IDS: dict[str, Callable[[int, int], str | None]] = {
    "rising": lambda number, _: rising(number),
    "of any order": lambda _, drawn: rising(drawn),
    "UUIDs": lambda number, _: hexadecimal(number),
    "UUIDs, some shared": lambda _, drawn: hexadecimal(drawn),
    "none": lambda *_: None,
    "some": lambda number, drawn: rising(number) if drawn % 2 else None,
    "like numbered ones": lambda _, drawn: f"~a-{drawn % 3 + 1}",
}


@st.composite
def days(draw: st.DrawFn) -> list[Line]:
    """Lines of a small day: sorted, newest first or shuffled, with or without repetitions."""
    ids = IDS[draw(st.sampled_from(list(IDS)))]
    count = draw(st.integers(1, 24))
    moments = st.integers(0, draw(st.sampled_from([0, 2, 40])))
    arrivals = sorted(draw(st.lists(moments, min_size=count, max_size=count)))
    lines: list[Line] = []
    for number, at in enumerate(arrivals):
        drawn = draw(st.integers(0, 12))
        event = at - draw(st.sampled_from([0, 0, 1, 3]))
        lines.append((at, event, ids(number, drawn), draw(st.integers(1, 2)), draw(st.sampled_from([1, 1, 1, 2]))))
    again = draw(st.lists(st.sampled_from(lines), max_size=6)) if draw(st.booleans()) else []
    late = draw(st.integers(0, 3))
    lines += [(line[0] + late, *line[1:]) for line in again]
    order = draw(st.sampled_from(["as it is", "sorted", "newest first", "shuffled"]))
    if order == "sorted":
        lines.sort(key=lambda line: line[0])
    elif order == "newest first":
        lines.sort(key=lambda line: -line[0])
    elif order == "shuffled":
        lines = draw(st.permutations(lines))
    return lines


def frame_of(table: Table, lines: Sequence[Line]) -> pl.DataFrame:
    """Rows of a table, in the order of the lines."""
    rows = [(number, *line[:-1]) for number, line in enumerate(lines) for _ in range(line[-1])]
    columns = ["raw_row", "ts_init", "ts_event", "id", "value"]
    told = pl.DataFrame(rows, columns, orient="row", schema_overrides={"id": pl.String})
    times = [(MIDNIGHT + pl.col(name) * SECOND).alias(name) for name in ("ts_init", "ts_event")]
    values: dict[str, pl.Expr] = {"trade_id": pl.col("id")}
    decimals = {column.name: pl.col("value") for column in table.columns if isinstance(column.dtype, pl.Decimal)}
    values |= decimals
    schema = frame_schema(table, PRECISIONS)
    usual: dict[str, Any] = {"aggressor_side": "BUYER", "is_settlement": False, "next_funding_time": MIDNIGHT}
    return told.with_columns(times).select(
        (values.get(name, pl.lit(usual.get(name))) if name not in told.columns else pl.col(name))
        .cast(dtype)
        .alias(name)
        for name, dtype in schema.items()
    )


def blocks_of(table: Table, lines: Sequence[Line], cuts: Sequence[int], *, counted: bool) -> list[pl.DataFrame]:
    """The rows in blocks of whole lines, with ids made where there are none; ``counted``: the source numbers the rows of a line."""
    frame = frame_of(table, lines)
    if counted:
        frame = frame.with_columns(part=pl.int_range(pl.len(), dtype=pl.UInt32).over("raw_row"))
    if table.id_column:
        frame = synthetic_ids.filled(frame, table.id_column)
    edges = sorted({0, *(cut for cut in cuts if cut < len(lines)), len(lines)})
    number = pl.col("raw_row")
    return [frame.filter((number >= first) & (number < end)) for first, end in pairwise(edges)]


def recipe_of(table: Table, identity: Identity) -> Recipe:
    channel: Channel = replace(CHANNELS[table.name], identity=identity)
    return Recipe(SOURCE, channel, PRECISIONS, {})


def through_the_stage(
    folder: Path, table: Table, recipe: Recipe, blocks: Sequence[pl.DataFrame], origins: Sequence[int]
) -> InMemory:
    places = Places(folder / "data", folder / "catalog")
    lengths = [end - first for first, end in pairwise([0, *origins])]
    given = [FileOrigin(bytes=0, sha256="", lines=0, stored_lines=length) for length in (*lengths, 1)]
    manifest = bare_manifest("0", given)
    raw = RawDay(RawKey("x", "X", DAY), folder, manifest, None)
    with ExitStack() as stack:
        frame = DayFrame(places, InstrumentDay("X.Y", DAY), raw, table, recipe, None, lambda: iter(blocks))
        stack.callback(frame.close)
        order = InOrder(places.catalog_temp, raw, table, recipe, frame)
        stack.callback(order.close)
        for block in blocks:
            order.add(block)
        order.finish()
        stored = pl.concat(read_blocks(frame.complete(), table))
        return InMemory(stored, order.out_of_order, order.duplicates, order.conflicting_ids)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows of a day are all that memory holds."""
    monkeypatch.setattr(buckets, "AT_ONCE", 5)
    monkeypatch.setattr(held, "_SMALLEST_BLOCK", 2)
    monkeypatch.setattr(identity_of_rows, "REMEMBERED_ROWS", 3)


@pytest.mark.slow
@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("table", "identity"),
    [
        ("trade_tick", Identity.ID),
        ("trade_tick", Identity.CONTENT),
        ("trade_tick", Identity.EVERY_ROW),
        ("mark_price_update", Identity.CONTENT),
        ("mark_price_update", Identity.MOMENT),
        ("mark_price_update", Identity.EVERY_ROW),
        ("funding_rate_update", Identity.CONTENT),
    ],
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    lines=days(),
    cuts=st.lists(st.integers(1, 24), max_size=4),
    origins=st.lists(st.integers(1, 20), max_size=1),
    counted=st.booleans(),
)
def test_a_day_comes_out_as_if_it_were_held_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    table: str,
    identity: Identity,
    lines: list[Line],
    cuts: list[int],
    origins: list[int],
    counted: bool,
) -> None:
    made = TABLES[table]
    recipe = recipe_of(made, identity)
    blocks = blocks_of(made, lines, [*cuts, *origins], counted=counted)
    likeness = Likeness(made, recipe)
    expected = ordered(blocks, likeness.identity, likeness.content, made.id_column, origins)
    got = through_the_stage(tmp_path_factory.mktemp("day"), made, recipe, blocks, origins)
    flags = list(made.whole_day)
    assert got.frame.drop(flags).equals(expected.frame.select(got.frame.columns).drop(flags))
    assert (got.out_of_order, got.duplicates, got.conflicting_ids) == (
        expected.out_of_order,
        expected.duplicates,
        expected.conflicting_ids,
    )


def test_a_line_that_is_repeated_for_ever_takes_no_memory(tmp_path: Path) -> None:
    table = TABLES["trade_tick"]
    day = held.HeldDay(tmp_path, Likeness(table, recipe_of(table, Identity.ID)), Order.ARRIVAL, ())
    block = synthetic_ids.filled(frame_of(table, [(5, 5, "7", 1, 1)] * 10_000), "trade_id")
    for _ in range(3):
        day.add(block)
    assert day._rows.rows <= 6
    assert sum(len(rows) for rows in day.released()) == 1
    assert day.duplicates == 29_999
    day.close()
