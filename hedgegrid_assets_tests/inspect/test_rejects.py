"""Rejects can be browsed: with file, line, reason and raw text, of days and of lines that belong to none."""

import json
import re
from pathlib import Path

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.days import DayFilter
from hedgegrid_assets.inspect.rejects import MEANINGS, read_rejects, samples, show, summary
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.scenario import BAD_ID, BTC, DAY, btc_line, clean_lines, inserted, spoiled
from hedgegrid_assets_tests.yard import Yard

BTC_ID = "BTCUSDT-PERP.BINANCE"


def spoilt_yard(tmp_path: Path, data: bytes) -> Yard:
    yard = Yard(tmp_path)
    yard.drop("day.jsonl", data)
    yard.bring_in([BTC], ["aggTrade"])
    yard.normalize()
    return yard


def test_a_rejected_row_is_listed_with_file_line_reason_and_text(tmp_path: Path) -> None:
    yard = spoilt_yard(tmp_path, spoiled(p="0"))
    rows, count = read_rejects(yard.places, DayFilter())
    assert count == 1
    (row,) = rows.to_dicts()
    assert (row["file"], row["line"], row["reason"]) == ("raw/websocket/day.jsonl", btc_line() + 1, "zero_price")
    assert (row["instrument_id"], row["table"], row["date"]) == (BTC_ID, "trade_tick", DAY)
    assert f'"a":{BAD_ID}' in row["raw"]


def test_lines_of_no_table_are_listed_only_where_nothing_is_asked_for(tmp_path: Path) -> None:
    yard = spoilt_yard(tmp_path, inserted(b'{"e":"aggTrade", broken\n'))
    rows, count = read_rejects(yard.places, DayFilter())
    assert (count, rows["feed"].to_list(), rows["instrument_id"].to_list()) == (1, ["captures"], [None])
    assert read_rejects(yard.places, DayFilter(instrument=BTC_ID))[1] == 0


def test_the_limit_cuts_the_list_and_not_the_count(tmp_path: Path) -> None:
    lines = clean_lines()
    for number in range(1005, 1009):
        lines[btc_line(number)] = re.sub(rb'"q":"[^"]*"', b'"q":"0"', lines[btc_line(number)])
    yard = spoilt_yard(tmp_path, b"".join(lines))
    rows, count = read_rejects(yard.places, DayFilter(), "zero_size", 2)
    assert (len(rows), count) == (2, 4)
    assert summary(yard.places, DayFilter())[0] | {"meaning": ""} == {
        "instrument_id": BTC_ID,
        "table": "trade_tick",
        "date": str(DAY),
        "feed": None,
        "file": None,
        "reason": "zero_size",
        "count": 4,
        "first_line": btc_line(1005) + 1,
        "meaning": "",
    }
    path = yard.places.rejects(BTC_ID, TABLES["trade_tick"].folder, DAY)
    assert [row["count"] for row in samples(path, 2, 20)] == [4, 4]


def test_one_line_is_shown_in_full_by_the_end_of_its_file_name(tmp_path: Path) -> None:
    yard = spoilt_yard(tmp_path, spoiled(p="-1"))
    assert [row["reason"] for row in show(yard.places, "day.jsonl", btc_line() + 1)] == ["negative"]
    assert show(yard.places, "day.jsonl", 1) == []


def test_every_reason_is_explained_in_plain_words() -> None:
    assert all(meaning for meaning in MEANINGS.values())
    assert len(MEANINGS) >= 16


def test_the_commands_list_show_and_sum_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yard = spoilt_yard(tmp_path, spoiled(p="0"))
    catalog, data = str(yard.places.catalog), str(yard.places.data)
    assert run(["rejects", "list", catalog, "--data", data]) == 0
    listed = capsys.readouterr().out
    where = listed.splitlines()[0].split(": zero_price")[0]
    assert run(["rejects", "show", where, "--catalog", catalog, "--data", data]) == 0
    assert "a price of zero is no price" in capsys.readouterr().out
    assert run(["rejects", "summary", catalog, "--data", data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by_reason"] == {"zero_price": 1}
    assert run(["rejects", "list", catalog, "--data", data, "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    for words in (["list", catalog], ["show", where, "--catalog", catalog]):
        assert run(["rejects", *words, "--data", data, "--json"]) == 0
        assert re.search(r'"ts_init": "\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z"', capsys.readouterr().out)
    assert run(["rejects", "show", "day.jsonl:1", "--catalog", catalog, "--data", data]) == 1
    assert run(["rejects", "show", "day.jsonl", "--catalog", catalog, "--data", data]) == 2
    assert run(["rejects", "list", catalog, "--data", data, "--reason", "bad_mood"]) == 2


def test_a_clean_catalog_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yard = spoilt_yard(tmp_path, b"".join(clean_lines()))
    assert run(["rejects", "summary", str(yard.places.catalog), "--data", str(yard.places.data)]) == 0
    assert "no rejects" in capsys.readouterr().err
