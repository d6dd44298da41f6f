"""``validate``, ``report``, ``gaps`` and ``status`` say the same of the same days, each in its own words."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.status import LOOKS
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.inspect.test_report import content_of
from hedgegrid_assets_tests.scenario import DAY_MS, MIDNIGHT_MS, agg_trade, line, received

ID: Final = "BTCUSDT-PERP.BINANCE"
_MINUTES: Final = 1_440
MISSING: Final = "2024-01-03"
BLOCKED: Final = "2024-01-04"


def trades() -> Iterator[bytes]:
    """A trade a minute of five days: the second misses an hour of ids, the third is not there, one id of the fourth
    names two trades, and of the fifth half is there. Silences of a minute are quiet in all."""
    for day in (0, 1, 3, 4):
        for minute in range(_MINUTES if day < 4 else _MINUTES // 2):
            if day == 1 and 300 <= minute < 360:
                continue
            at = MIDNIGHT_MS + day * DAY_MS + minute * 60_000 + 5_000 * (minute % 2)
            number = 1_000 + day * _MINUTES + minute
            yield line(agg_trade(number, at), received(at))
            if day == 3 and minute == 7:
                yield line(agg_trade(number, at, q="9.000"), received(at))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("agreement")
    (home / "day.jsonl").write_bytes(b"".join(trades()))
    words = ["--source", "websocket", "--symbol", "BTCUSDT", "--input", str(home / "day.jsonl"), "-q"]
    places = ["--data", str(home / "data"), "--output", str(home / "catalog")]
    assert run(["replay-to-parquet", *words, "--data-types", "trades", *places]) == 1
    return home


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    run([*words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def of_report(home: Path) -> dict[str, str]:
    """Day -> status, as the page draws it."""
    page = home / "report.html"
    run(["report", str(home / "catalog"), "--data", str(home / "data"), "--output", str(page), "-q"])
    content = content_of(page)
    words = {look.letter: word for word, look in LOOKS.items()}
    (letters,) = [row[3] for row in content["lines"] if row[1] == list(TABLES).index("trade_tick")]
    return {str(date(2024, 1, 1) + timedelta(days=n)): words[letter] for n, letter in enumerate(letters)}


def test_missing_days_and_statuses_are_the_same_everywhere(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    catalog = str(home / "catalog")
    validated = told(capsys, "validate", catalog)
    said = {day["date"]: day["status"] for day in validated["days"]}
    said |= {day["date"]: "missing" for day in validated["missing_days"]}
    assert said == of_report(home)
    assert (said[MISSING], said[BLOCKED]) == ("missing", "blocked")
    assert set(said.values()) == {"complete", "degraded", "missing", "blocked", "partial"}
    holes = told(capsys, "gaps", catalog)
    assert {hole["date"] for hole in holes["gaps"] if hole["kind"] == "missing_day"} == {MISSING}
    assert {day["date"]: day["status"] for day in holes["days"]} | {MISSING: "missing"} == said
    (table,) = told(capsys, "status", "--data", str(home / "data"), "--catalog", catalog)["feeds"][0]["tables"]
    ranges = {status: found[0]["first"] for status, found in table["days_by_status"].items()}
    assert all(said[first] == status for status, first in ranges.items())


def test_the_worst_is_told_first_and_is_that_of_the_page(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worst = max(of_report(home).values(), key=list(LOOKS).index)
    capsys.readouterr()
    assert run(["validate", str(home / "catalog")]) == 1
    lines = capsys.readouterr().out.splitlines()
    first = lines[lines.index(ID) + 2].split()
    assert (first[0], first[3]) == (BLOCKED, worst)


def test_quiet_silences_beside_a_day_that_is_complete_are_said_to_be_quiet(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--source", "websocket", "--symbol", "BTCUSDT", "--input", str(home / "day.jsonl")]
    places = ["--data", str(home / "data"), "--output", str(home / "catalog"), "--data-types", "trades"]
    days = told(capsys, "replay-to-parquet", *words, *places)["days"]
    (complete,) = [day for day in days if day["status"] == "complete"]
    assert complete["gaps"] == complete["quiet"] > 0
    (degraded,) = [day for day in days if day["status"] == "degraded"]
    assert degraded["gaps"] - degraded["quiet"] == 1
    sums = told(capsys, "gaps", str(home / "catalog"))["totals"][0]
    assert sums["quiet"] == sum(day["quiet"] for day in days)
