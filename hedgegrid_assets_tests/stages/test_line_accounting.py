"""Every line of a landing file is counted, and a file of which too many have no place blocks its days, run after run."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from hedgegrid_assets.stages.raw import FileCounts, is_too_much
from hedgegrid_assets_tests.dagster_feeds import (
    BTC_DAY,
    CAPTURES,
    drop,
    failures,
    feed_context_of,
    metadata,
    run,
    run_import,
)
from hedgegrid_assets_tests.dagster_feeds import day_of as messages_of
from hedgegrid_assets_tests.landing_cases import HEADER, Home, messages, rows


@pytest.fixture
def home(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Home:
    return Home(workdir, capsys)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def untimed(count: int) -> str:
    return "".join(f"n/a {n},BTCUSDT,42000.50,0.125,buy,{90_000 + n}\n" for n in range(count))


@pytest.mark.parametrize(
    ("lines", "unplaced", "share", "too_much"),
    [
        (2_880, 1_145, 0.001, True),
        (350_000, 350, 0.001, False),
        (350_000, 351, 0.001, True),
        (200, 9, 0.001, False),
        (200, 10, 0.001, True),
        (200, 10, 0.05, False),
        (100, 9, 0.001, False),
        (99, 9, 0.001, False),
        (99, 10, 0.001, True),
        (10, 1, 0.001, False),
        (9, 1, 0.001, True),
        (0, 0, 0.001, False),
        (100_000, 0, 0.0, False),
    ],
)
def test_the_days_of_a_file_are_blocked_above_a_share(lines: int, unplaced: int, share: float, too_much: bool) -> None:
    assert is_too_much(lines, unplaced, share) is too_much


def test_lines_that_do_not_add_up_are_seen() -> None:
    assert FileCounts(10, 6, 1, 2, 1).add_up
    assert not FileCounts(10, 6, 1, 2, 2).add_up
    assert not FileCounts(10, 12, 1, -4, 1).add_up


def test_the_summary_says_where_every_line_went(home: Home) -> None:
    data = HEADER + rows(200) + "\n" + rows(30, first=500, symbol="ETHUSDT") + HEADER + untimed(2)
    home.land("a.csv", data)
    done = home.convert()
    expected = {"lines": 235, "placed": 200, "header": 2, "other": 31, "unplaced": 2}
    assert (done.code, done.out["counts"]) == (0, expected)
    assert done.out["files"] == [{"file": "raw/csv/a.csv", **expected, "reasons": {"unknown_time": 2}}]
    shown = home.run("replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--data-types", "trades")
    assert "lines 235 = placed 200 + header 2 + other 31 + unplaced 2" in shown.out["text"]


def test_a_line_that_gives_two_tables_is_one_line(home: Home) -> None:
    ticker = "".join(f"{1704067200000 + n * 1000},BTCUSDT,1.5,1.25,0.0001\n" for n in range(1, 121))
    home.land("t.csv", f"timestamp,symbol,mark_price,index_price,funding_rate\n{ticker}")
    done = home.convert(types="mark,index,funding")
    assert done.out["counts"] == {"lines": 121, "placed": 120, "header": 1, "other": 0, "unplaced": 0}


def test_times_that_cannot_be_read_block_the_days_of_their_file_and_no_other(home: Home) -> None:
    home.land("bad.csv", HEADER + rows(170) + untimed(115))
    home.land("good.csv", HEADER + rows(20, first=500, day=1))
    for _ in range(2):
        done = home.convert()
        assert done.code == 1
        assert done.rows == {"BTCUSDT 2024-01-02": 20}
        assert [day["status"] for day in done.out["days"]] == ["blocked", "partial"]
        assert "Timestamp parsing failed (raw/csv/bad.csv, line 172, column timestamp)" in done.err
        assert "found 'n/a 0'; 115 of 286 lines have no place" in done.err
        assert "115 lines belong to no table or day (unknown_time 115)" in done.err
        assert done.codes == ["lines_unplaced"]
    assert not list((home.root / "data/catalog/data").rglob("2024-01-01*"))
    assert home.run("validate", "data/catalog").code == 1


def test_a_corrected_file_turns_its_days_green(home: Home) -> None:
    home.land("a.csv", HEADER + rows(170) + untimed(20))
    assert home.convert().code == 1
    home.land("a.csv", HEADER + rows(190))
    done = home.convert()
    assert (done.code, done.rows) == (0, {"BTCUSDT 2024-01-01": 190})


def test_the_same_rows_with_more_junk_around_them_are_judged_again(home: Home) -> None:
    """The copied lines of the day are the same bytes: it is the file that is worse."""
    good = HEADER + rows(170) + rows(5, first=300, symbol="ETHUSDT")
    home.land("a.csv", good)
    assert home.convert().code == 0
    home.land("a.csv", good + untimed(20))
    done = home.convert()
    assert (done.code, [day["status"] for day in done.out["days"]]) == (1, ["blocked"])


@pytest.mark.parametrize(("junk", "code"), [(9, 0), (10, 1)])
def test_broken_messages_count_as_broken_times_do(home: Home, junk: int, code: int) -> None:
    home.land("/websocket/a.jsonl", messages(200) + '{"e":"aggTrade", broken\n' * junk)
    done = home.convert(source="websocket")
    assert done.code == code
    assert done.out["counts"] == {"lines": 200 + junk, "placed": 200, "header": 0, "other": 0, "unplaced": junk}
    assert ("a.jsonl cannot be trusted: line 201 has no place (broken_json)" in done.err) is bool(code)


def test_notes_on_a_file_come_back_though_it_is_not_read_again(home: Home) -> None:
    home.land("BTCUSDT.csv", "time,price,size,id\n1704067200,1.5,1,1\n")
    first, second = home.convert(), home.convert()
    note = "raw/csv/BTCUSDT.csv: no side column: trades have NO_AGGRESSOR"
    assert note in first.out["notes"]
    assert note in second.out["notes"]


def test_in_dagster_the_import_and_the_day_are_red_and_stay_so(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, messages_of(0, trades=range(8)) + b'{"e":"aggTrade", broken\n' * 2)
    for _ in range(2):
        done = run_import(feed_context, instance)
        assert not done.success
        assert "2 of 11 lines have no place (broken_json 2)" in failures(done)["captures__landing"]
        told = metadata(done, "captures/landing")
        told = {name: told.get(name) for name in ("lines", "placed", "header", "other", "unplaced")}
        assert told == {"lines": 11, "placed": 9, "header": None, "other": None, "unplaced": 2}  # no zeros
        day = run(feed_context, instance, BTC_DAY)
        assert not day.success
        assert "failed: rejected_share; lines without a place" in failures(day)["captures/normalized/trade_tick"]
    assert not list(feed_context.places.catalog.glob("data/trade_tick/*/*.parquet"))


def test_a_feed_that_allows_more_lets_the_day_in(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    feed_context = feed_context_of(tmp_path, CAPTURES + "    max_rejected: 0.2\n")
    drop(feed_context, messages_of(0, trades=range(149)) + b'{"e":"aggTrade", broken\n' * 12)
    assert run_import(feed_context, instance).success
    assert run(feed_context, instance, BTC_DAY).success
