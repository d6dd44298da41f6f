"""``run-backtest`` and ``backtest-pin`` as a user types them."""

import json
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.backtest.market import HOUR, MIDNIGHT, SECOND, Market, file_of, scripted, settings_of
from hedgegrid_assets_tests.backtest.test_run import flat_trades, hourly

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hours of flat trades, with marks and rates of five settlements."""
    return Market(trades=flat_trades(), **hourly()).build(tmp_path_factory.mktemp("market"))


def backtest(folder: Path, catalog: Path, **changed: Any) -> Path:
    plan = [(MIDNIGHT + HOUR // 2, "BUY", "1", "LONG")]
    return file_of(folder, settings_of(catalog, scripted(plan), **changed))


def test_a_run_names_its_report_and_a_pin_says_what_has_changed_since(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, runs = backtest(tmp_path, catalog), tmp_path / "runs"
    assert run(["run-backtest", "-b", str(file), "-o", str(runs), "-r", "one"]) == 0
    out = capsys.readouterr().out
    assert f"report: {runs / 'one' / 'report.html'}" in out
    assert "5 settlements, 5 payments" in out
    assert {path.name for path in (runs / "one").iterdir()} == {
        *(
            "orders.parquet",
            "fills.parquet",
            "positions.parquet",
            "account.parquet",
            "funding.parquet",
            "equity.parquet",
        ),
        *("config.yaml", "result.json", "report.html", "run.log"),
    }
    assert not [path for path in runs.iterdir() if path.name.startswith(".")]

    assert run(["backtest-pin", "one", "-o", str(runs)]) == 0
    assert "3 files and the result" in capsys.readouterr().out
    pin = file.with_suffix(".pin.json")
    again = ["run-backtest", "-b", str(file), "-o", str(runs), "-r", "two", "--pin", str(pin), "--json"]
    assert run(again) == 0
    assert json.loads(capsys.readouterr().out)["pin"]["told"] == ["the result is the same"]

    more = hourly()
    other = Market(trades=[*flat_trades(), (MIDNIGHT + 6 * HOUR + SECOND, "43000", "50.5", "buy")], **more).build(
        _made(tmp_path / "other")
    )
    assert run([*again[:6], "three", "--pin", str(pin), "--json", "--catalog", str(other)]) == 0
    told = json.loads(capsys.readouterr().out)["pin"]
    (changed,) = told["changed"]
    assert (changed["table"], changed["date"], changed["rows"]) == ("trade_tick", "2024-01-01", [720, 721])
    assert not told["config_changed"]
    assert told["told"][-1].startswith("the result is the same")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_stress_says_in_words_when_a_gain_is_a_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bitcoin from 43,000 to 43,058 against 34.40 of fees, or twice as much; all of it on 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    parts = hourly(last="43058")
    market = Market(trades=flat_trades(), marks=parts["marks"]).build(_made(tmp_path / "market"))
    values = settings_of(
        market, scripted([(MIDNIGHT + HOUR // 2, "BUY", "1", "LONG")]), tables=("TradeTick", "MarkPriceUpdate")
    )
    values["hedgegrid"]["fees"] = {"maker_bps": 2, "taker_bps": 8}
    file = file_of(tmp_path, values)
    assert run(["run-backtest", "-b", str(file), "-o", str(tmp_path / "runs"), "-r", "s", "--stress"]) == 0
    out = capsys.readouterr().out
    assert "With doubled fees, the gain of 23.60 USDT is a loss of 10.80 USDT." in out
    page = (tmp_path / "runs" / "s" / "report.html").read_text()
    assert "With doubled fees, the gain of 23.60 USDT is a loss of 10.80 USDT." in page
    rows = json.loads((tmp_path / "runs" / "s" / "result.json").read_text())["stress"]
    assert [row["name"] for row in rows] == ["as configured", "touch fills", "queue position", "doubled fees", "later"]
    assert rows[0]["unchanged"] == rows[3]["unchanged"] == ""
    assert rows[1]["unchanged"] == "the run is configured so already"
    assert "changes nothing: no resting order was filled" in " ".join(out.split())
    told = out[out.index("under other assumptions") :].splitlines()
    doubled = next(line for line in told if "doubled fees" in line)
    assert [each.strip() for each in doubled.split("│")[1:-1]] == [
        "doubled fees",
        "-10.80 USDT",
        "68.80 USDT",
        "0.00 USDT",
        "1",
    ]
    assert max(map(len, told[: told.index(next(line for line in told if line.startswith("With doubled")))])) <= 80
    assert not list((tmp_path / "runs").glob(".*"))


def test_a_strategy_that_raises_ends_with_1_its_traceback_and_what_was_done(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hedgegrid_assets_tests.backtest.market import ID, SCRIPTED

    faulty = {
        "strategy_path": f"{SCRIPTED}:Faulty",
        "config_path": f"{SCRIPTED}:FaultyConfig",
        "config": {"instrument_id": ID},
    }
    file = file_of(tmp_path, settings_of(catalog, faulty))
    assert run(["run-backtest", "-b", str(file), "-o", str(tmp_path / "runs"), "-r", "f"]) == 1
    error = capsys.readouterr().err
    assert "error: it ended before its time: ZeroDivisionError: at the trade 10" in error
    assert "scripted.py" in error
    assert "marked as not complete" in error
    assert run(["backtest-pin", str(tmp_path / "runs" / "f")]) == 2
    assert "expected a run that reached its end" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--catalog", "nowhere"], 1, "no catalog (data: catalog_path, or --catalog)"),
        (["--start", "2024-01-01", "--end", "2024-01-03"], 1, "2024-01-02 is missing"),
        (["--start", "2025-01-01", "--end", "2025-01-02"], 1, "No data fetched"),
        (["--start", "2024-01-02", "--end", "2024-01-01"], 2, "expected a time after start"),
        (["--start", "soon"], 2, "--start: expected a UTC date"),
        (["-s", "absent.yaml"], 2, "absent.yaml is not usable: expected a file, found none"),
        (["--run-id", "../x"], 2, "--run-id cannot name a folder"),
        (["--pin", "absent.json"], 2, "absent.json: expected a pin"),
    ],
)
def test_what_cannot_be_run_ends_with_one_line_and_its_code(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    file = backtest(tmp_path, catalog)
    assert run(["run-backtest", "-b", str(file), "-o", str(tmp_path / "runs"), *arguments]) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not list(tmp_path.glob("runs/[!.]*"))
