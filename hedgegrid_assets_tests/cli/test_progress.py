"""How far a run is: on a terminal a picture that stays where it is, in a pipe a line for each day that was made."""

import json
import re
import threading
from pathlib import Path

import pytest

from hedgegrid_assets.cli import output, run
from hedgegrid_assets.cli.output import Progress, told_day
from hedgegrid_assets.pipeline.summary import DaySummary
from hedgegrid_assets.sources.client import received
from hedgegrid_assets.sources.client.received import RECEIVED, Telling, Transfer
from hedgegrid_assets.timestamps import parse_day
from hedgegrid_assets_tests.archive_cases import convert, fresh_standin
from hedgegrid_assets_tests.guide.home import CSV, from_csv


def made(table: str, status: str = "complete", *, skipped: bool = False) -> DaySummary:
    return DaySummary("A.B", table, parse_day("2024-01-01", ""), status, {"out": 7}, {}, 0, 0, 0, skipped=skipped)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pictures, none of which is left out for coming too soon."""
    monkeypatch.setattr(output, "_REDRAWN", 0.0)
    monkeypatch.setattr(RECEIVED, "bytes", 0)
    return []


def test_a_picture_tells_days_done_rates_and_the_time_left(seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Progress(seen.append)
    shown.begin("fetched", 4)
    monkeypatch.setattr(RECEIVED, "bytes", 2_500_000)
    shown("fetching BTCUSDT aggTrade 2024-01-01", 0)
    assert re.match(r"0 of 4 raw days fetched  2\.5 MB  [\d.,]+ MB/s\n  fetching BTCUSDT", seen[-1])
    shown.begin("made", 4)
    shown("A.B 2024-01-01", 1_000)
    shown.finished([made("trade_tick")])
    assert re.search(r"^1 of 4 raw days made .*  1,000 lines  [\d,]+/s  about \d+:\d\d left\n", seen[-1])
    for _ in range(3):
        shown.finished([])
    assert seen[-1].startswith("4 of 4 raw days made")
    assert "left" not in seen[-1]


def test_each_worker_has_a_line_as_long_as_it_lives(seen: list[str]) -> None:
    shown = Progress(seen.append)
    shown("one", 1)
    both, over = threading.Event(), threading.Event()

    def work() -> None:
        shown("two", 1)
        both.set()
        over.wait(60)

    other = threading.Thread(target=work)
    other.start()
    assert both.wait(60)
    shown("one again", 1)
    assert seen[-1].split("\n  ")[1:] == ["one again", "two"]
    over.set()
    other.join()
    shown("one at last", 1)
    assert seen[-1].split("\n  ")[1:] == ["one at last"]


def test_pictures_come_ten_times_a_second_at_most() -> None:
    pictures: list[str] = []
    shown = Progress(pictures.append)
    for _ in range(1_000):
        shown("day", 1)
    assert len(pictures) < 100


def test_a_line_tells_tables_by_status() -> None:
    assert told_day([made("trade_tick"), made("bar"), made("mark_price_update", "partial")]) == (
        "2024-01-01 A.B: trade_tick, bar complete; mark_price_update partial, 21 rows"
    )


def test_in_a_pipe_each_day_that_is_made_has_a_line_and_unchanged_ones_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_csv(tmp_path, CSV) == 0
    assert "[1/1] 2024-01-01 BTCUSDT-PERP.BINANCE: trade_tick partial, 2 rows\n" in capsys.readouterr().err
    assert from_csv(tmp_path, CSV) == 0
    assert "[1/1]" not in capsys.readouterr().err
    assert from_csv(tmp_path, CSV, "--force", "--quiet") == 0
    assert "[1/1]" not in capsys.readouterr().err
    assert from_csv(tmp_path, CSV, "--force", "--json") == 0
    out = capsys.readouterr().out
    assert json.loads(out)["ok"]


def test_in_a_pipe_each_day_that_is_fetched_has_a_line_and_held_ones_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = fresh_standin()
    assert convert(tmp_path, server, "--data-types", "trades", end="2024-01-04") == 0
    told = capsys.readouterr().err
    for day in ("2024-01-02", "2024-01-03"):
        assert re.search(rf"^\[[12]/2\] {day} BTCUSDT aggTrade: fetched, 601 lines, \d+\.\d kB$", told, re.MULTILINE)
    assert convert(tmp_path, server, "--data-types", "trades", end="2024-01-04") == 0
    assert "fetched" not in capsys.readouterr().err


def test_in_a_pipe_a_long_transfer_is_told_now_and_then_with_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(received, "APART_SECONDS", 0.0)
    monkeypatch.setattr(RECEIVED, "bytes", 0)
    shown = Progress(line=lines.append)
    shown("before", 0)
    shown.begin("fetched", 31)
    with RECEIVED.transfer("BTCUSDT-aggTrades-2024-01.zip", 0, 3_000_000) as took:
        took(1_000_000)
        shown("fetching BTCUSDT aggTrade 2024-01-01", 0)
    assert re.match(r"0 of 31 raw days fetched  1\.0 MB  [\d.,]+ MB/s$", lines[0])
    assert re.match(r"BTCUSDT-aggTrades-2024-01\.zip: 1\.0 MB of 3\.0 MB, [\d.,]+ MB/s, about \d+:\d\d left$", lines[1])
    assert len(lines) == 2
    assert RECEIVED.under_way == {}
    shown.begin("made", 31)
    shown("made", 1)
    assert len(lines) == 2


def test_a_transfer_that_goes_on_counts_what_is_held_and_not_in_its_rate() -> None:
    transfer = Transfer("a.zip", 2_000_000, 3_000_000)
    transfer.received += 500_000
    assert transfer.told(transfer.started + 10) == "a.zip: 2.5 MB of 3.0 MB, 50.0 kB/s, about 0:10 left"


def test_dagster_is_told_of_transfers_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    tell = Telling(lines.append)
    with RECEIVED.transfer("a.zip", 0, None) as took:
        took(1_000)
        tell()
        assert lines == []
        monkeypatch.setattr(received, "APART_SECONDS", 0.0)
        monkeypatch.setattr(tell, "_next", 0.0)
        tell()
    assert lines[0].startswith("a.zip: 1.0 kB, ")


def test_bytes_that_are_fetched_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RECEIVED, "bytes", 0)
    server = fresh_standin()
    assert convert(tmp_path, server, "--data-types", "trades") == 0
    held = {stat.st_ino: stat.st_size for path in (tmp_path / "data").rglob("*.zip") for stat in [path.stat()]}
    assert RECEIVED.bytes >= sum(held.values()) > 0


def test_the_command_counts_days_of_all_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--start", "2024-01-01", "--end", "2024-01-03", "--data-types", "trades"]
    (tmp_path / "s.json").write_text(json.dumps({"trades_per_day": 50}))
    places = ["--data", str(tmp_path / "data"), "--output", str(tmp_path / "catalog"), "--exchange", "SIM"]
    config = ["--config", str(tmp_path / "s.json")]
    assert run(["replay-to-parquet", "--source", "synthetic", "--symbol", "BTCUSDT", *words, *config, *places]) == 0
    err = capsys.readouterr().err
    assert [line[:16] for line in err.splitlines() if line.startswith("[")] == ["[1/2] 2024-01-01", "[2/2] 2024-01-02"]
