"""Files as spreadsheets and data frames write them: read, or refused with advice that works to the letter."""

import json
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.errors import DecimalComma, MissingColumns, UsageError
from hedgegrid_assets.feeds import check_settings
from hedgegrid_assets_tests.csv_cases import MIDNIGHT, SECOND, convert, frame, rejects, trades_of, write

TRADES = [
    (MIDNIGHT + 123_000_000, "42324.15", "0.001", "BUYER", None),
    (MIDNIGHT + SECOND, "42324.25", "0.002", "SELLER", None),
]


# ---------------------------------------------------------------- an index without a name


@pytest.mark.parametrize("zone", ["", "+00:00"])
def test_an_index_of_times_without_a_name_is_the_timestamp(tmp_path: Path, zone: str) -> None:
    text = (
        f",price,qty,side\n2024-01-01 00:00:00.123000{zone},42324.15,0.001,buy\n"
        f"2024-01-01 00:00:01.000000{zone},42324.25,0.002,sell\n"
    )
    done = convert(tmp_path, write(tmp_path, "t.csv", text + text))
    assert any("the first column, which has no name" in note for note in done.notes)
    assert trades_of(frame(tmp_path)) == [TRADES[0], TRADES[0], TRADES[1], TRADES[1]]


@pytest.mark.parametrize("values", [("0", "1"), ("1704067200", "1704067201"), ("2024-01-01", "2024-01-02")])
def test_an_index_of_numbers_or_days_is_no_timestamp_and_the_hint_counts_columns(
    tmp_path: Path, values: tuple[str, str]
) -> None:
    path = write(tmp_path, "t.csv", f",price,qty,side\n{values[0]},1.5,2,buy\n{values[1]},1.5,2,buy\n")
    with pytest.raises(MissingColumns) as caught:
        convert(tmp_path, path)
    assert 'by its position, here 0, as in "timestamp": 0' in caught.value.hint


def test_a_position_given_as_the_hint_says_is_taken(tmp_path: Path) -> None:
    path = write(
        tmp_path, "t.csv", ",price,qty,side\n1704067200123,42324.15,0.001,buy\n1704067201000,42324.25,0.002,sell\n"
    )
    with pytest.raises(MissingColumns) as caught:
        convert(tmp_path, path)
    example, _, _ = caught.value.hint.partition("; a column without a name")
    config = json.loads(example[example.index("{") :])
    config["files"]["trades"]["columns"]["timestamp"] = 0
    config["files"]["trades"]["file_path"] = str(path)
    assert convert(tmp_path, config=config).ok
    assert trades_of(frame(tmp_path)) == TRADES


def test_a_counted_index_stays_out_of_a_file_with_a_time(tmp_path: Path) -> None:
    text = ",time,price,qty,side\n0,2024-01-01 00:00:00.123,42324.15,0.001,buy\n1,2024-01-01 00:00:01,42324.25,0.002,sell\n"
    assert convert(tmp_path, write(tmp_path, "t.csv", text)).ok
    assert trades_of(frame(tmp_path)) == TRADES


@pytest.mark.parametrize("place", ["", "\0", -1, 1.5, None, True, [0]])
def test_a_column_that_cannot_be_is_told_in_our_words(place: Any) -> None:
    files = {"trades": {"file_path": "t.csv", "columns": {"timestamp": place}}}
    with pytest.raises(UsageError) as caught:
        check_settings("csv", {"files": files})
    assert "files.trades.columns.timestamp: expected the name of a column, or its position" in caught.value.message
    assert not any(word in caught.value.message for word in ("function-", "constrained", "_filled"))


# ---------------------------------------------------------------- numbers of a spreadsheet


@pytest.mark.parametrize("price", ["42324,15", "42.324,15", "42,324.15", "42 324,15", "42\u202f324,15", "1.042.324"])
def test_numbers_with_a_comma_refuse_the_file_and_name_the_first(tmp_path: Path, price: str) -> None:
    text = "timestamp;price;qty;side\n" + "".join(f"2024-01-01 00:00:0{n};{price};1;buy\n" for n in range(3))
    with pytest.raises(DecimalComma, match=r"t\.csv, line 2, column price") as caught:
        convert(tmp_path, write(tmp_path, "t.csv", text))
    assert repr(price) in caught.value.message
    assert "decimal point" in caught.value.hint
    assert convert(tmp_path, write(tmp_path, "t.csv", text.replace(price, "42324.15"))).ok


def test_a_quoted_number_with_a_comma_refuses_the_file_too(tmp_path: Path) -> None:
    text = 'timestamp,price,qty,side\n2024-01-01 00:00:00,1.5,"0,001",buy\n'
    with pytest.raises(DecimalComma, match="column qty"):
        convert(tmp_path, write(tmp_path, "t.csv", text))


def test_a_single_number_with_a_comma_is_one_rejected_row(tmp_path: Path) -> None:
    rows = ["2024-01-01 00:00:00;42324,15;1;buy\n", *(f"2024-01-01 00:00:0{n};1.5;1;buy\n" for n in (1, 2, 3))]
    convert(tmp_path, write(tmp_path, "t.csv", "timestamp;price;qty;side\n" + "".join(rows)))
    assert rejects(tmp_path) == [(2, "bad_decimal")]
    assert len(frame(tmp_path)) == 3
