"""A row is followed back to its line, and every station is compared with the one before."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.errors import NoDataFetched, UsageError
from hedgegrid_assets.inspect.trace import Trace, trace
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import iso, parse_time
from hedgegrid_assets_tests.kept import FIRST, new_home
from hedgegrid_assets_tests.scenario import BTC, CLEAN, SYMBOLS, btc_line, clean_lines
from hedgegrid_assets_tests.yard import Yard

BTC_ID = "BTCUSDT-PERP.BINANCE"
START_MS = 1_704_067_200_000
TRADES = TABLES["trade_tick"]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    yard = Yard(tmp_path)
    yard.drop("day.jsonl.gz", gzip.compress(CLEAN))
    yard.bring_in(SYMBOLS)
    yard.normalize()
    yard.publish()
    yard.normalize("markPrice")
    yard.publish("mark_price_update")
    yard.publish("funding_rate_update")
    return yard


def by_id(yard: Yard, number: int) -> Trace:
    return trace(yard.places, BTC_ID, TRADES, str(number))


def test_a_trade_is_followed_to_its_line_in_the_landing_file(yard: Yard) -> None:
    found = by_id(yard, 1020)
    expected = clean_lines()[btc_line(1020)].decode().rstrip("\n")
    assert found.whole
    assert list(found.steps) == ["catalog", "normalized", "raw", "landing", "origin"]
    assert found.steps["landing"]["line"] == btc_line(1020) + 1
    assert found.steps["landing"]["text"] == found.steps["raw"]["text"] == expected
    assert found.steps["catalog"]["values"]["size"] == "0.021"
    assert found.steps["raw"]["columns"]["price"] == ["p"]
    assert found.steps["origin"]["origin"][0]["path"] == "raw/websocket/day.jsonl.gz"


def test_the_same_row_is_found_by_its_times_and_by_the_time_before_it(yard: Yard) -> None:
    row = yard.frame().row(20, named=True)
    for asked in (str(row["ts_init"]), iso(row["ts_init"]), iso(row["ts_event"])):
        found = trace(yard.places, BTC_ID, TRADES, asked)
        assert found.steps["normalized"]["row"] == 20
    late = trace(yard.places, BTC_ID, TRADES, iso(row["ts_event"] - 1))
    assert late.steps["normalized"]["row"] == 20
    assert late.found_by.startswith("first row after")


def test_a_day_stored_in_place_is_followed_too(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.drop("one.jsonl", b"".join(text for text in clean_lines() if b"BTCUSDT" in text and b"aggTrade" in text))
    yard.bring_in([BTC], ["aggTrade"], in_place=True)
    yard.normalize()
    yard.publish()
    found = by_id(yard, 1003)
    assert found.whole
    assert (found.steps["landing"]["line"], found.steps["landing"]["file"]) == (4, "raw/websocket/one.jsonl")


def test_a_day_stored_in_place_whose_file_is_gone_keeps_no_lines(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    path = yard.drop(
        "one.jsonl", b"".join(text for text in clean_lines() if b"BTCUSDT" in text and b"aggTrade" in text)
    )
    yard.bring_in([BTC], ["aggTrade"], in_place=True)
    yard.normalize()
    yard.publish()
    path.unlink()
    found = by_id(yard, 1003)
    assert (found.steps["raw"]["ok"], found.steps["landing"]["ok"]) == (False, None)
    assert "put back what was imported" in found.steps["raw"]["why"]
    assert "keeps its lines" not in found.steps["landing"]["why"]


def test_funding_that_only_repeats_is_not_in_the_catalog_and_said_so(yard: Yard) -> None:
    rows = yard.frame("funding_rate_update")
    found = trace(yard.places, BTC_ID, TABLES["funding_rate_update"], str(rows["ts_init"][1]))
    assert found.whole
    assert found.steps["catalog"]["row"] is None


def test_a_frame_that_was_changed_breaks_the_chain(yard: Yard) -> None:
    path = yard.frame_path()
    pl.read_parquet(path).write_parquet(path)  # the same rows in other bytes
    found = by_id(yard, 1020)
    assert found.steps["normalized"]["ok"] is False
    assert not found.whole


def test_a_landing_file_that_is_gone_is_told_and_no_fault(yard: Yard) -> None:
    (yard.places.landing / "websocket" / "day.jsonl.gz").unlink()
    found = by_id(yard, 1020)
    assert found.whole
    assert "gone" in str(found.steps["landing"]["why"])


@pytest.mark.parametrize("changed", ["other bytes", "same size", "gone"])
def test_a_raw_day_that_has_changed_is_the_fault_and_not_its_landing_file(changed: str, yard: Yard) -> None:
    path = Path(by_id(yard, 1020).steps["raw"]["file"])
    data = path.read_bytes()
    path.write_bytes(b"short" if changed == "other bytes" else data[:-1] + bytes([data[-1] ^ 1]))
    if changed == "gone":
        path.unlink()
    found = by_id(yard, 1020)
    assert not found.whole
    assert (found.steps["raw"]["ok"], found.steps["landing"]["ok"]) == (False, None)
    assert found.steps["landing"]["line"] == btc_line(1020) + 1
    assert "hedgegrid doctor --deep --fix" in found.steps["raw"]["why"]


def test_line_numbers_that_are_gone_are_told_with_what_makes_them_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = new_home(tmp_path / "home", (0,))
    lines = home.places.raw_lines("tape", "aggTrade", "BTCUSDT", FIRST).local()
    lines.unlink()
    found = trace(home.places, BTC_ID, TRADES, "8")
    assert not found.whole
    assert (found.steps["raw"]["ok"], found.steps["landing"]["ok"]) == (True, False)
    assert "line numbers of the raw day are gone" in found.steps["landing"]["why"]
    assert "hedgegrid doctor --deep --fix" in found.steps["landing"]["why"]
    assert home.run("trace", BTC_ID, "trades", "8", "--catalog", str(home.places.catalog)) == 1
    assert "landing file, line  not ok" in capsys.readouterr().out
    home.run("doctor", "--deep", "--fix")
    home.make(())
    assert trace(home.places, BTC_ID, TRADES, "8").whole


def test_a_landing_file_that_holds_something_else_now_is_a_fault(yard: Yard) -> None:
    yard.drop("day.jsonl.gz", b"\n" * 200)
    assert by_id(yard, 1020).steps["landing"]["ok"] is False


def test_without_the_data_root_the_chain_ends_at_the_frame(yard: Yard, tmp_path: Path) -> None:
    from hedgegrid_assets.store import Places

    found = trace(Places(tmp_path / "elsewhere", yard.places.catalog), BTC_ID, TRADES, "1020")
    assert found.steps["raw"]["ok"] is False
    assert "--data" in str(found.steps["raw"]["why"])


def test_what_is_not_there_is_an_error_that_says_what_is(yard: Yard) -> None:
    with pytest.raises(NoDataFetched, match=r"ids 1000 \.\. 1039"):
        by_id(yard, 5)
    with pytest.raises(UsageError, match="no time"):
        trace(yard.places, BTC_ID, TABLES["mark_price_update"], "noon")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1704067200000000001", 1_704_067_200_000_000_001),
        ("2024-01-01", 1_704_067_200_000_000_000),
        ("2024-01-01T00:00:00.000000001Z", 1_704_067_200_000_000_001),
        ("2024-01-01 00:00:01.5", 1_704_067_201_500_000_000),
        ("2024-01-01T00:01+00:00", 1_704_067_260_000_000_000),
        ("2024-13-01", None),
        ("soon", None),
    ],
)
def test_times_are_read_to_the_nanosecond(text: str, ns: int | None) -> None:
    assert parse_time(text) == ns


def test_the_command_prints_every_station(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--catalog", str(yard.places.catalog), "--data", str(yard.places.data)]
    assert run(["trace", BTC_ID, "trades", "1020", *options]) == 0
    shown = capsys.readouterr().out
    assert "landing file, line  ok" in shown
    assert '"a":1020' in shown
    assert run(["trace", BTC_ID, "trades", "1020", *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["whole"] is True


def _capture(path: Path, *numbers: int) -> str:
    """A capture with a quote, a trade and a message of the book at each of these seconds of 2024."""
    lines: list[dict[str, Any]] = []
    for number in numbers:
        ms = START_MS + number * 1_000
        times = {"E": ms, "T": ms, "s": "BTCUSDT"}
        lines += [
            {"e": "bookTicker", "u": 10 * number, "b": "99", "B": "1", "a": "101", "A": "1", **times},
            {"e": "trade", "t": number, "p": "100", "q": "1", "m": False, "X": "MARKET", **times},
            {
                "e": "depthUpdate",
                "U": 10 * number + 1,
                "u": 10 * number + 10,
                "pu": 10 * number,
                "b": [["99", "2"]],
                "a": [],
                **times,
            },
        ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(path)


def test_rows_of_several_channels_of_one_file_are_each_of_their_own_and_a_carried_book_of_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [_capture(tmp_path / "1.jsonl", 1, 2, 3), _capture(tmp_path / "2.jsonl", 86_404, 86_405)]
    places = ["--data", str(tmp_path / "data")]
    words = ["--source", "websocket", "--symbol", "BTCUSDT", "--data-types", "trades,quotes,bars,deltas"]
    inputs = [word for file in files for word in ("--input", file)]
    assert run(["replay-to-parquet", *words, *inputs, *places, "--output", str(tmp_path / "c")]) == 0
    places += ["--catalog", str(tmp_path / "c")]
    channels = {"trades": "trade", "quotes": "bookTicker", "bars": "trade", "deltas": "depth"}
    for table, channel in channels.items():
        capsys.readouterr()
        assert run(["trace", BTC_ID, table, "2024-01-01", *places, "--json"]) == 0
        steps = json.loads(capsys.readouterr().out)["steps"]
        assert steps["origin"]["channel"] == channel
        assert (steps["raw"]["is"] != "") == (table == "bars")
    assert run(["trace", BTC_ID, "deltas", "2024-01-02", *places, "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert steps["catalog"]["values"]["ts_init"] == "2024-01-02T00:00:00.000000000Z"
    assert (steps["raw"]["ok"], steps["raw"]["row"], "text" in steps["raw"], "landing" in steps) == (
        True,
        None,
        False,
        False,
    )
    assert "the book of the day before" in steps["raw"]["why"]
    assert run(["reset-day", BTC_ID, "2024-01-01", *places, "--json"]) == 0
    taken = json.loads(capsys.readouterr().out)
    assert sorted(Path(each["path"]).parts[-3] for each in taken["removals"] if "manifest" in each["what"]) == [
        "bookTicker",
        "depth",
        "trade",
    ]
    assert run(["reset-day", BTC_ID, "2024-01-01", "--table", "deltas", *places, "--json"]) == 0
    taken = json.loads(capsys.readouterr().out)
    assert [Path(each["path"]).parts[-3] for each in taken["removals"] if "manifest" in each["what"]] == ["depth"]
