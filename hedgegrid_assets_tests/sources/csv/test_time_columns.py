"""The time of a row comes from the column whose values are whole times, never from a day alone."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedgegrid_assets.errors import DaysOnly, TimestampParsingFailed
from hedgegrid_assets.sources.csv.time_columns import Holds, are_clocks, holds
from hedgegrid_assets_tests.csv_cases import MIDNIGHT, SECOND, convert, frame, line_rejects, trades_of, write


def offsets(tmp_path: Path) -> list[float]:
    """Seconds after midnight."""
    return [(trade[0] - MIDNIGHT) / SECOND for trade in trades_of(frame(tmp_path))]


@pytest.mark.parametrize(
    ("names", "row"),
    [
        ("date,timestamp", "2024-01-01,{ms}"),
        ("timestamp,date", "{ms},2024-01-01"),
        ("Date,Time_ms", "01/01/2024,{ms}"),
        ("date,unix", "2024-01-01 00:00:00,{ms}"),
        ("time,timestamp", "10:00:01,{ms}"),
        ("date,time", "2024-01-01,{iso}"),
        ("datetime,ts", "2024-01-01 00:00,{iso}"),
        ("timestamp,datetime", "1.70407E+12,{iso}"),
        ("time,ts", ",{ms}"),
        ("date,time,timestamp", "2024-01-01,00:00:01,{ms}"),
    ],
)
def test_of_several_columns_the_one_with_whole_times_counts(tmp_path: Path, names: str, row: str) -> None:
    made = [row.format(ms=MIDNIGHT // 10**6 + 1000 * n, iso=f"2024-01-01T00:00:{n:02d}Z") for n in range(20)]
    text = f"{names},price,size\n" + "".join(f"{times},{n + 1},1\n" for n, times in enumerate(made))
    done = convert(tmp_path, write(tmp_path, "t.csv", text))
    assert offsets(tmp_path) == list(range(20))
    assert any("timestamp is read from" in note for note in done.notes)


@pytest.mark.parametrize(
    ("day", "clock"),
    [
        ("2024-01-01", "00:00:01.5"),
        ("2024-01-01 00:00:00", "0:00:01.500"),
        ("01/01/2024", "00:00:01.5"),
        ("20240101", "000001.5"),
        ("2024/01/01", "00:00:01.5"),
        ("2024-01-01", "00:00:01.5Z"),
        ("2024-01-01", "02:00:01.5+02"),
        ("01/01/2024", "12:00:01.5 AM"),
    ],
)
@pytest.mark.parametrize("names", ["date,time", "time,date", "trade_date_x,date,time_of_day"])
def test_a_day_and_a_time_of_day_are_one_time(tmp_path: Path, names: str, day: str, clock: str) -> None:
    cells = {"date": day, "time": clock, "time_of_day": clock, "trade_date_x": "x"}
    row = ",".join(cells[name] for name in names.split(","))
    done = convert(tmp_path, write(tmp_path, "t.csv", f"{names},price,size\n{row},1.5,2\n"))
    assert offsets(tmp_path) == [1.5]
    assert any("together" in note for note in done.notes)


def test_a_row_without_its_time_of_day_is_no_trade_at_midnight(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-01,00:00:{n:02d},{n + 1},1\n" for n in range(20))
    text = f"date,time,price,size\n{rows}2024-01-01,,9,1\n,00:00:30,9,1\n"
    convert(tmp_path, write(tmp_path, "t.csv", text))
    assert offsets(tmp_path) == list(range(20))
    assert line_rejects(tmp_path) == [(22, "unknown_time"), (23, "unknown_time")]


@pytest.mark.parametrize("day", ["2024-01-01", "01/01/2024", "20240101"])
def test_trades_with_days_only_are_refused_and_the_hint_works(tmp_path: Path, day: str) -> None:
    path = write(tmp_path, "t.csv", f"date,when,price,size\n{day},00:00:01,1.5,2\n")
    with pytest.raises(DaysOnly, match=rf"Timestamp parsing failed .*line 2, column date.*'{day}'") as caught:
        convert(tmp_path, path)
    config, end = json.JSONDecoder().raw_decode(caught.value.hint[caught.value.hint.index("{") :])
    columns: dict[str, Any] = config["files"]["trades"]["columns"]
    columns["timestamp"] = columns["timestamp"].replace("<your column for the time of day>", "when")
    assert convert(tmp_path, config={"base_path": str(tmp_path), **config}).ok
    assert offsets(tmp_path) == [1]
    rest = caught.value.hint[caught.value.hint.index("{") + end :]
    said, _ = json.JSONDecoder().raw_decode("{" + rest[rest.index('"timestamp_format"') :].replace(" takes", "} takes"))
    other = tmp_path / "other"
    other.mkdir()
    assert convert(other, config={"base_path": str(tmp_path), **said, "files": {"trades": {"file_path": "t.csv"}}}).ok
    assert offsets(other) == [0]


@pytest.mark.parametrize("text", ["2024-01-01 00:00:00", "1704067200000", "2024-01-01T00:00:00.000Z"])
def test_many_trades_at_midnight_are_days_too(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "t.csv", "time,price,size\n" + "".join(f"{text},{n + 1},2\n" for n in range(11)))
    with pytest.raises(DaysOnly):
        convert(tmp_path, path)


def test_a_mapping_to_a_column_of_days_is_refused_as_well(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", "day,price,size\n2024-01-01,1.5,2\n")
    columns = {"timestamp": "day", "price": "price", "size": "size"}
    config = {"base_path": str(tmp_path), "files": {"trades": {"file_path": "t.csv", "columns": columns}}}
    with pytest.raises(DaysOnly):
        convert(tmp_path, config=config)


def test_prices_once_a_day_stay_what_they_are(tmp_path: Path) -> None:
    text = "date,mark_price\n" + "".join(f"2024-01-{n:02d},{100 + n}\n" for n in range(1, 15))
    convert(tmp_path, write(tmp_path, "t.csv", text), tokens="mark")
    assert frame(tmp_path, "mark_price_update")["ts_event"].to_list() == [
        MIDNIGHT + 86_400 * SECOND * n for n in range(14)
    ]


def test_funding_by_day_and_time_of_day_is_read_whole(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-01,{hour:02d}:00:00,0.000{n + 1}\n" for n, hour in enumerate((0, 8, 16)))
    convert(tmp_path, write(tmp_path, "t.csv", f"date,time,funding_rate\n{rows}"), tokens="funding")
    times = frame(tmp_path, "funding_rate_update")["ts_event"].to_list()
    assert times == [MIDNIGHT + hour * 3600 * SECOND for hour in (0, 8, 16)]


def test_times_that_are_all_gone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TimestampParsingFailed, match="all the digits"):
        convert(tmp_path, write(tmp_path, "t.csv", "timestamp,date,price,size\n" + "1.70407E+12,x,1.5,2\n" * 3))


def test_what_columns_hold_is_told_by_their_values() -> None:
    assert holds(pl.Series(["1704067200"])) is Holds.TIMES
    assert holds(pl.Series(["2024-01-01 00:00:00"])) is Holds.TIMES
    assert holds(pl.Series(["2024-01-01 10:00"])) is Holds.MINUTES
    assert holds(pl.Series(["2024-01-01", "2024-01-02"])) is Holds.DAYS
    assert holds(pl.Series(["10:00:00"])) is Holds.NOTHING
    assert holds(pl.Series(["noon"])) is Holds.NOTHING
    assert holds(pl.Series([], dtype=pl.String)) is Holds.NOTHING
    assert holds(pl.Series(["1.1.2024"]), "%d.%m.%Y") is Holds.TIMES
    assert are_clocks(pl.Series(["9:00", "23:59:59.999", "12:00 pm", "093000"]))
    assert not are_clocks(pl.Series(["9:00", "24:00:00"]))
    assert not are_clocks(pl.Series([], dtype=pl.String))
