"""Small days that are written together have the bytes of days that are written alone, and are compared as those are."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow.parquet as pq

from hedgegrid_assets.model import GENERATIONS, InstrumentDay, Table
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages.catalog.together import SmallDay, hold, proven_files
from hedgegrid_assets.stages.frames import FrameWriter, arrow_schema
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.stages.catalog.test_proof import DAY, PRECISIONS, ROWS, rows_of, with_others
from hedgegrid_assets_tests.yard import ALIKE

TRADES: Final = TABLES["trade_tick"]


def stored(places: Places, table: Table, blocks: Sequence[pl.DataFrame]) -> list[SmallDay]:
    """A day of each block, one after the other."""
    days = []
    for number, block in enumerate(blocks):
        day = InstrumentDay(DAY.instrument_id, DAY.date + timedelta(days=number))
        path = places.frame(day.instrument_id, table.folder, day.date)
        path.parent.prepare()
        file = FrameWriter(path.local(), day.instrument_id, table, arrow_schema(table, PRECISIONS, {}))
        file.write(block)
        file.close()
        days.append(SmallDay(day, path, len(block), f"digest {number}"))
    return days


def alone(places: Places, table: Table, day: SmallDay, block: pl.DataFrame) -> bytes:
    """The file of a day that is written by itself."""
    draft = catalog.Draft(places, day.day, table, PRECISIONS)
    draft.add(block)
    draft.finish(day.digest)
    content = draft.path.read_bytes()
    draft.close()
    return content


def test_each_has_the_bytes_of_a_day_that_is_written_alone(tmp_path: Path) -> None:
    for name, generation in ((name, number) for name in TABLES if name not in ALIKE for number in GENERATIONS):
        places, table = Places.of_catalog(tmp_path / f"{name}-{generation}"), TABLES[name]
        catalog.claim(places, generation)
        blocks = [rows_of(name), rows_of(name, ROWS).head(1), rows_of(name, 2 * ROWS).head(3)]
        days = stored(places, table, blocks)
        with proven_files(places, table, days, PRECISIONS, "zstd") as files:
            made = {each.day: each.path.read_bytes() for each in files}
        expected = [alone(places, table, day, block) for day, block in zip(days, blocks, strict=True)]
        assert made == {day.day: content for day, content in zip(days, expected, strict=True)}, (name, generation)


def test_a_file_that_holds_anything_else_is_seen(tmp_path: Path) -> None:
    places = Places.of_catalog(tmp_path)
    catalog.claim(places, 2)
    days = stored(places, TRADES, [rows_of("trade_tick", number * ROWS) for number in range(3)])
    target = catalog.schema_of(places, DAY, TRADES, PRECISIONS)
    with proven_files(places, TRADES, days, PRECISIONS, "zstd") as files:
        written = [pq.read_table(each.path, schema=target) for each in files]
        whole = pq.read_table([each.path for each in files], schema=target).combine_chunks()
        assert hold(files, whole, target)
        last, data = files[-1].path, written[-1]
        lies = {name: with_others(data, name, first=True) for name in target.names}
        lies |= {"fewer": data.slice(1), "other words": data.replace_schema_metadata({"type_name": "QuoteTick"})}
        for lie, changed in lies.items():
            pq.write_table(changed, last)
            assert changed.equals(data, check_metadata=True) or not hold(files, whole, target), lie
        last.write_bytes(b"PAR1")
        assert not hold(files, whole, target)


def test_frames_that_have_other_rows_than_were_judged_are_left_to_those_who_tell_it(tmp_path: Path) -> None:
    places = Places.of_catalog(tmp_path)
    first, second = stored(places, TRADES, [rows_of("trade_tick"), rows_of("trade_tick", ROWS)])
    fewer = SmallDay(second.day, second.frame, ROWS - 1, second.digest)
    gone = SmallDay(second.day, second.frame.with_name("gone"), ROWS, second.digest)
    for days in ([first, fewer], [first, gone], [first, second][:0]):
        with proven_files(places, TRADES, days, PRECISIONS, "zstd") as files:
            assert files == []


def test_frames_of_few_digits_and_of_many_go_together(tmp_path: Path) -> None:
    places = Places.of_catalog(tmp_path)
    usual = rows_of("trade_tick")
    many = usual.with_columns(size=(usual["size"].cast(pl.Int64) + 10**16).cast(usual["size"].dtype))
    days = stored(places, TRADES, [usual, many, rows_of("trade_tick", ROWS)])
    kinds = [pq.read_schema(day.frame.local()).field("size").type.precision for day in days]
    assert kinds == [18, 38, 18]
    with proven_files(places, TRADES, days, PRECISIONS, "zstd") as files:
        assert [each.day.date for each in files] == [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)]
