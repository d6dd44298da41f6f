"""``hedgegrid prune``: days before a date go whole, what stays is as it was, and nothing brings them back unasked."""

import json
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.pipeline.landing import import_landing, waiting_files
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages.raw import imported_days
from hedgegrid_assets_tests.kept import FIRST, ID, Home, new_home, trades
from hedgegrid_assets_tests.scenario import MIDNIGHT_MS, line

HEDGEGRID = Path(sys.executable).with_name("hedgegrid")
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    made = new_home(tmp_path_factory.mktemp("place") / "home")
    copy = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(made.root, copy)
    return made, copy


@pytest.fixture
def home(pristine: tuple[Home, Path]) -> Home:
    made, copy = pristine
    made.put_back(copy)
    return made


def pruned(home: Home, capsys: pytest.CaptureFixture[str], *more: str, before: str = "2024-01-03") -> dict[str, Any]:
    capsys.readouterr()
    feeds = str(home.root / "feeds.yaml")
    assert home.run("prune", "--before", before, "--json", "--feeds", feeds, *more) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def of_days(home: Home) -> list[str]:
    """Files that are called after a day, but landing files."""
    return [name for name in home.files() if "2024-01-0" in name and "/websocket/" not in name]


def test_a_plan_tells_what_would_go_with_its_bytes_and_removes_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    before = home.files()
    told = pruned(home, capsys, "--dry-run")
    assert home.files() == before
    assert [(day["what"], day["date"]) for day in told["days"]] == [(ID, "2024-01-01"), (ID, "2024-01-02")]
    listed = {path for day in told["days"] for path in day["files"]}
    assert listed == {str(home.root / name) for name in of_days(home) if "2024-01-03" not in name}
    assert sum(told["bytes"].values()) == sum(Path(path).stat().st_size for path in listed)
    assert set(told["bytes"]) == {"Nautilus files", "frames", "verdicts", "raw days", "manifests", "line numbers"}


def test_the_days_before_go_whole_and_all_else_is_as_it_was(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    before = home.files()
    told = pruned(home, capsys)
    assert told["done"]
    after = home.files()
    assert set(of_days(home)) == {name for name in before if "2024-01-03" in name and "/websocket/" not in name}
    assert {name: data for name, data in after.items() if not name.endswith(".pruned.json")} == {
        name: data for name, data in before.items() if name in after
    }
    assert "data/raw/websocket/2024-01-01.jsonl" in after
    assert run(["validate", str(home.places.catalog), "--data", str(home.places.data), "-q"]) == 0
    assert home.run("doctor", "-q") == 0
    assert pruned(home, capsys)["days"] == []


def test_landing_files_do_not_give_pruned_days_again(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    pruned(home, capsys)
    left = of_days(home)
    assert waiting_files(home.context) == []
    assert {key.day for days in imported_days(home.places, "tape").values() for key in days} == {THIRD}
    home.make(())
    assert of_days(home) == left
    home.land(SECOND, trades(SECOND, 90))  # another content, of a day that is gone
    home.land(THIRD, trades(SECOND, 50) + trades(THIRD))
    report = import_landing(home.context)
    assert {key.day for key in report.days} == {THIRD}
    assert any("were pruned and stay out; --force takes them again" in note for note in report.notes)
    assert [name for name in of_days(home) if "2024-01-02" in name] == []


@pytest.mark.usefixtures("workdir")
def test_no_channel_of_a_file_in_place_gives_a_pruned_day_of_an_instrument_again() -> None:
    times = {"E": MIDNIGHT_MS, "T": MIDNIGHT_MS, "s": "BTCUSDT"}
    quote = {"e": "bookTicker", "u": 1, "b": "99", "B": "1", "a": "101", "A": "1", **times}
    trade = {"e": "trade", "t": 1, "p": "100", "q": "1", "m": False, "X": "MARKET", **times}
    Path("c.jsonl").write_bytes(b"".join(line(each, MIDNIGHT_MS * 1_000_000) for each in (quote, trade)))
    words = ["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", "--input", "c.jsonl", "-q"]
    again = [*words, "--data-types", "trades,quotes,bars"]
    assert run(again) == 0
    assert run(["prune", "--before", "2024-01-02", "--instrument", "BTCUSDT-PERP.BINANCE", "-q"]) == 0
    run(again)
    assert not [*Path("data/catalog").rglob("2024-01-01*.parquet")]


def test_force_takes_pruned_days_again(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    before = home.files()
    pruned(home, capsys)
    import_landing(home.context, again=True)
    home.make(())
    assert {name: data for name, data in home.files().items() if "/catalog/" in name} == {
        name: data for name, data in before.items() if "/catalog/" in name
    }
    assert len(of_days(home)) == len([name for name in before if "2024-01-0" in name and "/websocket/" not in name])
    home.make(())
    assert waiting_files(home.context) == []


@pytest.mark.parametrize(
    ("flags", "days"),
    [
        (["--instrument", ID], 2),
        (["--instrument", "ETHUSDT-PERP.BINANCE"], 0),
        (["--table", "trades"], 2),
        (["--table", "mark"], 0),
        (["--feed", "tape"], 2),
    ],
)
def test_what_is_named_alone_goes(flags: list[str], days: int, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(pruned(home, capsys, *flags)["days"]) == days
    assert len(of_days(home)) == 6 * (3 - days)


def test_raw_days_of_which_nothing_was_made_go_as_well(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(home.places.catalog / ID)
    shutil.rmtree(home.places.catalog / "data/trade_tick")
    assert {day["what"] for day in pruned(home, capsys)["days"]} == {"raw tape aggTrade BTCUSDT"}
    assert {name for name in of_days(home) if "2024-01-03" not in name} == set()


def test_a_file_of_another_stays_and_is_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(home.nautilus())
    pq.write_table(table, home.nautilus())  # as Nautilus' own writer: with dictionaries, without our stamp
    told = pruned(home, capsys)
    assert told["kept"] == [{"why": "not ours", "path": str(home.nautilus())}]
    assert home.nautilus().exists()


def test_days_that_would_be_fetched_again_are_told_and_are_not_missing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    feeds = home.root / "feeds.yaml"
    feeds.write_text(
        feeds.read_text()
        + "  sim:\n    source: synthetic\n    venue: SIM\n    symbols: [BTCUSDT]\n    tables: [trade_tick]\n"
        "    start: 2024-01-01\n    end: 2024-01-04\n    settings: {trades_per_day: 10}\n"
    )
    from hedgegrid_assets.config.feeds import read_feeds
    from hedgegrid_assets.pipeline.request import Request
    from hedgegrid_assets.pipeline.run import run as make

    feed = read_feeds(feeds).feeds["sim"]
    assert feed.end is not None
    make(Request(feed, feed.start, feed.end, home.places.catalog, home.places.data))
    note, shared = pruned(home, capsys, "--feed", "sim")["notes"]
    assert "set start: 2024-01-03 in feeds.yaml" in note
    assert "2 raw days" in shared
    assert home.run("status", "sim", "--json") == 0
    (table,) = json.loads(capsys.readouterr().out)["feeds"][0]["tables"]
    assert (table["days"], table["missing"]) == (1, [])
    assert len(of_days(home)) > 18, "the other feed's days are there"


def test_an_unknown_feed_and_no_date_are_usage_errors(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    feeds = ["--feeds", str(home.root / "feeds.yaml")]
    assert home.run("prune", "--before", "2024-01-03", "--feed", "tap", *feeds) == 2
    assert "expected one of tape" in capsys.readouterr().err
    assert home.run("prune", "--before", "soon", *feeds) == 2


def test_the_screen_has_80_columns_and_says_what_went(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert home.run("prune", "--before", "2024-01-03", "--dry-run") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "would go: 2 days 2024-01-01 .. 2024-01-02, 12 files" in out
    assert "nothing was removed" in out
    assert home.run("prune", "--before", "2024-01-03") == 0
    assert "removed" in capsys.readouterr().out


def test_a_run_with_nothing_to_do_takes_away_what_one_killed_at_its_very_end_has_left(home: Home) -> None:
    before = home.files()
    left = home.places.catalog_temp / ".hedgegrid-1-0badcafe"
    left.mkdir()
    (left / "moves.json.0123456789ab.part").touch()
    assert home.run("prune", "--before", "2023-01-01") == 0
    assert not left.exists()
    assert home.files() == before


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_whole_days_and_the_next_one_does_the_rest(tmp_path: Path) -> None:
    home = new_home(tmp_path / "home", range(12))
    copy = tmp_path / "copy"
    shutil.copytree(home.root, copy)
    command = ["prune", "--before", "2024-01-12", "--data", str(home.places.data), "-q"]
    assert run(command) == 0
    expected = home.files()
    killed = 0
    for wait in (0.0, 0.002, 0.01):
        home.put_back(copy)
        process = subprocess.Popen([HEDGEGRID, *command])
        while process.poll() is None and not home.places.moves.exists():
            time.sleep(0.0005)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += catalog.unfinished(home.places) is not None
        assert run(command) == 0
        assert home.files() == expected
    assert killed
