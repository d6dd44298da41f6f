"""Mistakes in a call are told together, each with its own way out, and a name that is unknown with the one that was meant."""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.tables import TOKENS
from hedgegrid_assets.wording import nearest

CSV = ["replay-to-parquet", "--source", "csv", "--market", "usdm"]
TRADES = ["--data-types", "trades"]
ASKED = ["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ("trade", "trades"),
        ("Trades", "trades"),
        ("fundings", "funding"),
        ("mark_price", "mark"),
        ("foo", None),
        ("", None),
    ],
)
def test_the_name_that_looks_most_like_it_is_meant(found: str, meant: str | None) -> None:
    assert nearest(found, TOKENS) == ([meant] if meant else [])


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ([*ASKED, "--data-types", "trade"], "trades"),
        ([*ASKED, "--data-types", "mark_price_update"], "mark"),
        ([*ASKED, "--compression", "zst"], "zstd"),
        ([*ASKED, "--market", "usd-m"], "usdm"),
        (["replay-to-parquet", "--source", "websockets", "--symbol", "BTCUSDT"], "websocket"),
        (["validate", "--table", "trade_ticks"], "trades"),
    ],
)
def test_an_unknown_name_is_told_with_the_one_that_was_meant(
    arguments: Sequence[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert f"hint: did you mean {meant}?\n" in capsys.readouterr().err


def test_all_mistakes_of_a_call_are_told_on_a_line_each(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "c.json").write_text('{"base_paht": "x"}')
    asked = ["replay-to-parquet", "--source", "websocket", "--symbol", "BTC|USDT", "--config", "c.json"]
    days = ["--start", "2024-13-01", "--end", "soon"]
    assert run([*asked, *days, "--data-types", "trade", "--compression", "rar", "--jobs", "0"]) == 2
    err = capsys.readouterr().err.splitlines()
    told = [line.partition(": ")[2] for line in err if line.startswith("error: ")]
    expected = ("unusable symbol", "c.json:1: base_paht", "--start", "--end", "data type", "rar", "--jobs")
    for each, words in zip(told, expected, strict=True):
        assert words in each
    assert "hint: did you mean trades?" in err
    assert not list(home.glob("data"))


HEAD = "time,price,amount,id\n"
FILES: Mapping[str, tuple[str, bytes, str]] = {
    "of no byte": ("a.csv", b"", "found an empty file"),
    "packed, of no byte": ("a.csv.gz", b"", "found an empty file"),
    "packed, of no line": ("a.csv.gz", gzip.compress(b""), "found an empty file"),
    "of a header alone": ("a.csv", HEAD.encode(), "found a header, and no row below it"),
    "that is no gzip": ("a.csv.gz", bytes(range(256)) * 8, "is no gzip, though its name says so"),
    "that is no zip": ("a.zip", bytes(range(256)) * 8, "is no zip, though its name says so"),
}


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_holds_nothing_is_told_as_such(file: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, content, told = FILES[file]
    (home / name).write_bytes(content)
    assert run([*CSV, *TRADES, "--symbol", "BTCUSDT", "--input", name]) == 1
    err = capsys.readouterr().err
    assert told in err
    assert "again" in err or "header" in err


@pytest.mark.usefixtures("home")
def test_an_empty_landing_folder_is_told_with_where_files_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ASKED) == 1
    err = capsys.readouterr().err
    assert "found no file" in err
    assert "mkdir -p data/raw/websocket" in err
    assert "--input FILE" in err


MESSAGE = {
    "e": "trade",
    "E": 1704067200100,
    "s": "BTCUSDT",
    "t": 1,
    "p": "42000",
    "q": "1",
    "T": 1704067200090,
    "m": True,
}
OTHERS: Mapping[str, tuple[str, str, str]] = {
    "csv among messages": ("websocket", HEAD + "2024-01-01T00:00:00,42000,1,1\n", "csv"),
    "messages among csv": ("csv", f"{json.dumps(MESSAGE)}\n" * 3, "websocket"),
    "messages in streams among csv": (
        "csv",
        f"{json.dumps({'stream': 'x@trade', 'data': MESSAGE})}\n" * 3,
        "websocket",
    ),
    "of another exchange": ("bybit-websocket", f"{json.dumps({'stream': 'x@trade', 'data': MESSAGE})}\n", "websocket"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_file_of_another_source_is_told_with_the_source_that_reads_it(
    case: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, content, reads = OTHERS[case]
    name = "a.csv" if reads == "csv" else "a.jsonl"
    (home / name).write_text(content)
    asked = [*TRADES, "--symbol", "BTCUSDT", "--input", name, "--market", "usdm"]
    assert run(["replay-to-parquet", "--source", source, *asked]) == 1
    assert f"--source {reads}" in capsys.readouterr().err
    assert run(["replay-to-parquet", "--source", reads, *asked]) == 0


def test_the_command_that_shows_lines_without_a_place_is_whole(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "a.dat").write_text("nothing\nof use\n")
    assert run([*ASKED, "--input", "a.dat", "--data", "zz", "--output", "c"]) == 1
    found = re.search(r"`hedgegrid (rejects list [^`]+)`", capsys.readouterr().err)
    assert found
    assert run(found[1].split()) == 0
    assert "nothing" in capsys.readouterr().out


def test_ids_of_several_trades_are_told_with_the_command_that_shows_their_lines(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"2024-01-01T00:00:0{at},4200{at},1,{name}\n" for at, name in enumerate((9, 7, 8, 7, 9, 5)))
    (home / "a.csv").write_text(HEAD + rows)
    places = ["--data", "zz"]
    assert run([*CSV, *TRADES, "--symbol", "BTCUSDT", "--input", "a.csv", "--output", "c", *places]) == 1
    err = capsys.readouterr().err
    assert "9 in raw rows 1, 5; 7 in raw rows 2, 4" in err
    assert run(["validate", "c", *places]) == 1
    assert "9 in raw rows 1, 5" in " ".join(capsys.readouterr().out.split())
    found = re.search(r"first: hedgegrid (trace [^;]+);", err)
    assert found
    assert run(found[1].split()) == 1  # the day is blocked
    assert "2024-01-01T00:00:00,42000,1,9" in capsys.readouterr().out


def test_text_named_as_an_archive_and_a_cut_one_are_told_as_such(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"2024-01-01T00:00:00,{at * 7919 % 9973},1,{at}\n" for at in range(900))
    files = {
        "a.zip": (b"hello there\n", "is no zip, though its name says so"),
        "b.gz": (b"hello there\n", "is no gzip, though its name says so"),
        "cut.csv.gz": (gzip.compress((HEAD + rows).encode())[:30], "ends before there is a whole row"),
    }
    for name, (content, told) in files.items():
        (home / name).write_bytes(content)
        assert run([*CSV, *TRADES, "--symbol", "BTCUSDT", "--input", name]) == 1
        assert told in capsys.readouterr().err.replace("\n", " ")


def test_what_is_no_file_or_no_archive_is_told_as_what_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "d").mkdir()
    (home / "a.csv").write_text(HEAD)
    (home / "feeds.yaml").write_text("version: 1\nfeeds: {}\n")
    told = {
        (*CSV, "--symbol", "BTCUSDT", "--input", "d"): (2, "a folder is no file: d"),
        (*CSV, "--symbol", "BTCUSDT", "--config", "nope.json"): (2, "hint: --config names one file"),
        ("run-backtest", "-b", "nope.yaml"): (2, "hint: name one that is there"),
        ("restore", "a.csv"): (1, "found that it is text, no archive"),
        ("backfill", "foo"): (2, "unknown feed"),
    }
    for words, (code, expected) in told.items():
        assert (run([*words]), expected in (err := capsys.readouterr().err)) == (code, True), err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("source", "more", "told"),
    [
        ("synthetic", ("--exchange", "BINANCE"), "expected SIM, found BINANCE"),
        ("csv", ("--exchange", "BINANCE", "--instrument", "BTCUSDT-PERP.BYBIT"), "expected BYBIT, as in"),
    ],
)
def test_an_exchange_that_would_say_nothing_is_refused(
    source: str, more: Sequence[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ["--start", "2024-01-01", "--end", "2024-01-02"]
    assert run(["replay-to-parquet", "--source", source, "--symbol", "BTCUSDT", *days, *more]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_symbol_that_no_file_holds_is_told_with_the_one_that_was_meant(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "a.csv").write_text("time,symbol,price,amount,id\n2024-01-01T00:00:00,BTCUSDT,42000,1,1\n")
    asked = [*CSV, *TRADES, "--input", "a.csv"]
    assert run([*asked, "--symbol", "BTCUST"]) == 1
    told = capsys.readouterr().err
    assert "found other symbols: BTCUSDT" in told
    meant = re.search(r"did you mean (--symbol \S+)\?", told)
    assert meant
    assert run([*asked, *meant[1].split()]) == 0


def test_text_without_a_packing_is_read_whatever_its_name_says(home: Path) -> None:
    (home / "a.csv.gz").write_text(HEAD + "2024-01-01T00:00:00,42000,1,1\n")
    assert run([*CSV, *TRADES, "--symbol", "BTCUSDT", "--input", "a.csv.gz"]) == 0


@pytest.mark.usefixtures("home")
def test_several_mistakes_are_one_object_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*ASKED, "--jobs", "0", "--data-types", "trade", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "usage"
    assert len(error["details"]["problems"]) == 2
