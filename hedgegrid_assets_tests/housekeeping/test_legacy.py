"""``hedgegrid import-legacy``: what of an old tree cannot be trusted, why, and how it compares with the days rebuilt."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.housekeeping.legacy.doubts import DOUBTS
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests import tardis_cases
from hedgegrid_assets_tests.earlier_pipeline import ID, Trade, capture, market, run_earlier

FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(4)]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the earlier pipeline, of two days each, beside what was recorded of the same four days."""
    root = tmp_path_factory.mktemp("earlier")
    trades, marks = market(FIRST, 4)
    run_earlier(root / "old", trades, marks, DAYS[0], DAYS[2])
    run_earlier(root / "old", trades, marks, DAYS[2], DAYS[3] + timedelta(days=1))
    capture(root / "data/raw/websocket/capture.jsonl", trades, marks)
    return root


@pytest.fixture(scope="module")
def rebuilt(old: Path) -> Path:
    """The old tree, with the days rebuilt from the recording by the command itself."""
    where = ["--catalog", str(old / "new"), "--data", str(old / "data")]
    assert run(["import-legacy", str(old / "old"), "--source", "websocket", "-q", *where]) == 0
    return old


def told(root: Path, capsys: pytest.CaptureFixture[str], catalog: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["import-legacy", str(root / "old"), "--catalog", str(root / catalog), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def of(found: dict[str, Any], table: str) -> list[dict[str, Any]]:
    return [day for day in found["days"] if day["table"] == table]


def test_each_day_is_told_with_what_cannot_be_trusted(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(old, capsys, "nowhere")
    trades = of(found, "trade_tick")
    assert [(day["date"], day["rows"]) for day in trades] == [
        ("2024-01-01", 401),
        ("2024-01-02", 400),  # the trade that arrived after the end of the first run is lost
        ("2024-01-03", 401),
        ("2024-01-04", 400),
    ]
    assert [sorted(day["doubts"]) for day in trades] == [["arrival", "edge", "floats"]] * 4
    marks = of(found, "mark_price_update")
    assert [(day["rows"], sorted(day["doubts"])) for day in marks] == [
        *[(0, ["overwritten"])] * 2,
        *[(400, ["arrival", "floats"])] * 2,
    ]
    funding = of(found, "funding_rate_update")
    assert [sorted(day["doubts"]) for day in funding][2:] == [["arrival", "floats", "per_second"]] * 2
    assert set(found["why"]) == {"floats", "arrival", "edge", "overwritten", "per_second"}
    assert found["acts"] == {"switch": 0, "rebuild": 12, "look": 0, "keep": 0}


def test_without_rebuilt_days_the_command_that_makes_them_is_told(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = told(old, capsys, "nowhere")["rebuild"]
    assert command.startswith(
        "hedgegrid replay-to-parquet --source tardis --symbol BTCUSDT --start 2024-01-01 --end 2024-01-05"
    )
    assert "--data-types trades,mark,funding" in command


def test_old_days_are_compared_row_by_row_with_those_rebuilt(rebuilt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(rebuilt, capsys, "new")
    trades = of(found, "trade_tick")
    counts = [
        (day["difference"]["equal"], day["difference"]["only_left"], day["difference"]["only_right"]) for day in trades
    ]
    assert counts[:3] == [(401, 0, 0), (400, 0, 1), (401, 0, 0)]
    assert {(day["difference"]["matched_by"], day["difference"]["changed"]) for day in trades} == {("id", 0)}
    assert [day["arrived_on_another_day"] for day in trades][:3] == [1, 1, 1]
    marks = of(found, "mark_price_update")
    assert [(day["difference"]["equal"], day["difference"]["only_right"]) for day in marks] == [(0, 400)] * 2 + [
        (400, 0)
    ] * 2
    assert found["acts"] == {"switch": 12, "rebuild": 0, "look": 0, "keep": 0}
    assert found["rebuild"] == []


def test_nothing_of_the_old_tree_is_changed(rebuilt: Path) -> None:
    files = sorted(str(path.relative_to(rebuilt / "old")) for path in (rebuilt / "old").rglob("*") if path.is_file())
    assert len(files) == 5
    assert not [name for name in files if "hedgegrid" in name]


def test_rows_that_the_rebuilt_day_lacks_are_to_be_looked_at(
    rebuilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trades, marks = market(FIRST, 1, seconds=450)
    run_earlier(tmp_path / "old", trades, marks, DAYS[0], DAYS[1])
    assert run(["import-legacy", str(tmp_path / "old"), "--catalog", str(rebuilt / "new"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (day,) = of(found, "mark_price_update")
    assert (day["act"], day["difference"]["only_left"]) == ("look", 50)


def test_the_screen_names_each_day_whole_in_80_columns(rebuilt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["import-legacy", str(rebuilt / "old"), "--catalog", str(rebuilt / "new")]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert ID in out.splitlines()
    assert "2024-01-02 trades" in out
    assert "not to be trusted: floats, arrival" in out
    assert "switch 12:" in out


def doubted(folder: Path, capsys: pytest.CaptureFixture[str], **columns: Any) -> dict[str, Any]:
    """What is told of a side file of one day."""
    name = "funding_rate" if "funding_rate" in columns else "mark_price"
    (folder / ID).mkdir(parents=True)
    pd.DataFrame(columns).to_parquet(folder / ID / f"{name}.parquet", index=False)
    assert run(["import-legacy", str(folder), "--catalog", "nowhere", "--json"]) == 0
    (day,) = json.loads(capsys.readouterr().out)["days"]
    return dict(day["doubts"])


def test_closes_of_candles_and_made_up_rates_are_told_from_their_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = pd.date_range("2024-01-01", periods=60, freq="min", tz="UTC")
    assert "candles" in doubted(tmp_path / "a", capsys, timestamp=minutes, mark_price=[1.5] * 60)
    rates = [0.0, 0.0001, 0.0]
    eight = pd.date_range("2024-01-01", periods=3, freq="8h", tz="UTC")
    found = doubted(
        tmp_path / "b", capsys, timestamp=eight, funding_rate=rates, next_funding_time=eight + pd.Timedelta(hours=8)
    )
    assert (found["zeros"], found["made_up_time"]) == (2, 3)
    assert "per_second" not in found


def test_a_folder_that_is_no_such_tree_is_refused(
    rebuilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import-legacy", str(tmp_path / "none")]) == 2
    assert run(["import-legacy", str(tmp_path)]) == 1
    assert "of the earlier pipeline" in capsys.readouterr().err
    assert run(["import-legacy", str(rebuilt / "new"), "--catalog", str(tmp_path)]) == 1, "ours is none of theirs"
    assert run(["import-legacy", str(tmp_path), "--catalog", str(tmp_path)]) == 2


def test_a_file_that_cannot_be_read_is_told_and_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trades, marks = market(FIRST, 1, seconds=30)
    run_earlier(tmp_path, trades, marks, DAYS[0], DAYS[1])
    (path,) = (tmp_path / "data/trade_tick" / ID).glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-50])
    assert run(["import-legacy", str(tmp_path), "--catalog", "nowhere", "--json"]) == 1
    days = json.loads(capsys.readouterr().out)["days"]
    assert [bool(day["unreadable"]) for day in days] == [True, False, False]


def test_each_doubt_has_a_code_of_its_own_and_a_reason() -> None:
    assert len({doubt.code for doubt in DOUBTS}) == len(DOUBTS)
    assert all(len(doubt.why) > 40 and doubt.tables for doubt in DOUBTS)


@pytest.mark.slow
def test_days_are_rebuilt_from_tardis_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "in_force", tardis_cases.QUICK)
    server = tardis_cases.fresh_standin()
    config = tmp_path / "tardis.json"
    config.write_text(json.dumps({"endpoint": server.endpoint, "datasets_endpoint": server.datasets_endpoint}))
    known = ["replay-to-parquet", "--source", "tardis", "--symbol", "BTCUSDT", "--data-types", "trades", "-q"]
    known += ["--start", "2024-01-01", "--end", "2024-01-02", "--config", str(config)]
    assert run([*known, "--data", str(tmp_path / "a"), "--output", str(tmp_path / "a/catalog")]) == 0
    frame = pl.read_parquet(tmp_path / "a/catalog" / ID / "trade_tick.parquet/2024-01-01.parquet")
    times = frame["ts_event"].cast(pl.Int64) // 1_000_000
    trades = [
        Trade(int(row["trade_id"]), str(row["price"]), str(row["size"]), ms, row["aggressor_side"] == "SELLER", 0)
        for ms, row in zip(times, frame.iter_rows(named=True), strict=True)
    ]
    run_earlier(tmp_path / "old", trades[:-3], [], DAYS[0], DAYS[1])
    for name in ("mark_price", "funding_rate"):
        (tmp_path / "old" / ID / f"{name}.parquet").unlink()
    capsys.readouterr()
    words = ["import-legacy", str(tmp_path / "old"), "--catalog", str(tmp_path / "new"), "--data", str(tmp_path / "b")]
    assert run([*words, "--source", "tardis", "--config", str(config), "--json"]) == 0
    (day,) = json.loads(capsys.readouterr().out)["days"]
    found = day["difference"]
    assert (found["matched_by"], found["changed"], found["only_left"], found["only_right"]) == ("id", 0, 0, 3)
    assert found["equal"] + found["shifted"] == len(trades) - 3
    assert day["act"] == "switch"
