"""``hedgegrid status``: days by status, what is missing or stale, disk, runs and plan, in lines of 80 columns."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hedgegrid_assets.housekeeping.runs import last_runs
from hedgegrid_assets.inspect.spans import ranges
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.stages.catalog.moves import Noted
from hedgegrid_assets.store import size_of, write_document
from hedgegrid_assets_tests import tardis_cases
from hedgegrid_assets_tests.kept import FIRST, ID, Home, new_home
from hedgegrid_assets_tests.standins.tardis import KEY

DAYS = [FIRST + timedelta(days=number) for number in range(6)]


@pytest.fixture
def home(workdir: Path) -> Home:
    """Days 1, 2 and 4 of January; the third is missing."""
    return new_home(workdir, (0, 1, 3))


def told(home: Home, capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert home.run("status", "--json", *more) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def span(first: int, last: int | None = None) -> list[dict[str, Any]]:
    end = first if last is None else last
    return [{"first": str(DAYS[first]), "last": str(DAYS[end]), "days": end - first + 1}]


def test_days_are_told_by_status_with_those_between_that_nobody_landed(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    (feed,) = told(home, capsys)["feeds"]
    (table,) = feed["tables"]
    assert (feed["feed"], feed["waiting_files"]) == ("tape", [])
    assert (table["instrument_id"], table["table"], table["days"]) == (ID, "trade_tick", 3)
    assert (table["first"], table["last"], table["statuses"]) == ("2024-01-01", "2024-01-04", {"partial": 3})
    assert (table["missing"], table["stale"], table["not_made"], table["to_look_at"]) == (span(2), [], [], [])


def test_what_a_run_would_make_is_told_by_its_reason(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.land(DAYS[4])
    home.nautilus(DAYS[1]).unlink()
    home.verdict(DAYS[3]).unlink()
    home.make((0,))  # another day is imported, and no Dagster has made the first anew
    home.land(DAYS[5])
    (feed,) = told(home, capsys)["feeds"]
    assert feed["waiting_files"] == [f"raw/websocket/{DAYS[5]}.jsonl"]
    home.nautilus(DAYS[1]).unlink()
    home.verdict(DAYS[3]).unlink()
    (table,) = told(home, capsys, "tape")["feeds"][0]["tables"]
    assert (table["stale"], table["not_made"]) == (span(1), span(3))


def test_a_day_of_other_raw_bytes_or_other_rules_is_stale(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    text = (home.root / "feeds.yaml").read_text()
    (home.root / "feeds.yaml").write_text(text + "    gaps: {trade_tick: 5s}\n")
    (table,) = told(home, capsys)["feeds"][0]["tables"]
    assert table["stale"] == [*span(0, 1), *span(3)]


def test_what_no_feed_makes_is_told_as_well_and_without_a_feeds_file(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (home.root / "feeds.yaml").read_text()
    (home.root / "feeds.yaml").write_text(text.replace("BTCUSDT", "ETHUSDT"))
    feeds = told(home, capsys)["feeds"]
    assert [(feed["feed"], feed["tables"][0]["days"]) for feed in feeds] == [("tape", 0), (None, 3)]


def test_each_line_has_80_columns_at_most_and_no_name_or_day_is_cut(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "1000000BABYDOGECOINUSDTUSDTUSDTUSDTUSDTUSDTUSDTUSDTUSDTUSDTUSD"
    home.make(range(0, 14, 2))
    text = (home.root / "feeds.yaml").read_text()
    (home.root / "feeds.yaml").write_text(text.replace("[BTCUSDT]", f"[BTCUSDT, {long}]"))
    capsys.readouterr()
    assert home.run("status") == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if str(home.root) not in line]
    assert max(map(len, lines)) <= 80
    assert f"  {long}-PERP.BINANCE" in lines
    assert "4 missing: 2024-01-06, 2024-01-08, 2024-01-10 and 1 day more" in " ".join(out.split())


def test_the_size_of_the_catalog_is_what_du_says(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    du = subprocess.run(
        ["du", "-s", "--block-size=1", str(home.places.catalog)], capture_output=True, text=True, check=True
    )
    disk = told(home, capsys)["disk"]
    assert disk["catalog"]["on_disk"] == int(du.stdout.split()[0])
    parts = sum(disk[name]["on_disk"] for name in ("frames", "Nautilus", "working files"))
    assert (parts, disk["landing files"]["files"]) == (disk["catalog"]["on_disk"], 3)
    assert size_of(home.root / "nowhere").files == 0


def test_a_damaged_document_is_named_and_hides_nothing_else(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.verdict(DAYS[1]).write_text("{}")
    found = told(home, capsys, code=1)
    assert found["feeds"][0]["tables"][0]["statuses"] == {"partial": 2, "damaged": 1}
    assert any(str(home.verdict(DAYS[1])) in problem for problem in found["problems"])


def test_an_unknown_feed_is_a_usage_error_with_those_that_there_are(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.run("status", "tap") == 2
    assert "expected one of tape, found 'tap'" in capsys.readouterr().err


def test_a_change_that_was_left_unfinished_is_a_problem_with_the_command_that_finishes_it(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"hedgegrid reset-day {ID} 2024-01-01 --yes"
    what = f"taking {ID} 2024-01-01 out; finish it with: {command}"
    noted = Noted(what=what, definition=None, renames=[], removals=["gone"], unclaimed=[], folder=None)
    write_document(home.places.moves, home.places.catalog_temp, noted)
    assert any(command in problem for problem in told(home, capsys, code=1)["problems"])
    assert home.run("doctor", "--fix", "-q") == 0
    assert told(home, capsys)["problems"] == []


def test_a_feed_that_cannot_be_used_is_a_problem_and_hides_no_other(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with (home.root / "feeds.yaml").open("a") as file:
        file.write("  broken:\n    source: websocket\n")
    found = told(home, capsys, code=1)
    assert [feed["feed"] for feed in found["feeds"]] == ["tape"]
    assert any("feeds.broken" in problem for problem in found["problems"])
    assert told(home, capsys, "tape")["problems"] == []


@pytest.mark.usefixtures("workdir")
def test_an_empty_place_is_told_with_a_way_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    from hedgegrid_assets.cli import run

    assert run(["status", "--data", "nothing"]) == 0
    assert "hedgegrid demo" in capsys.readouterr().out


# ---------------------------------------------------------------- Dagster


@dg.op
def nothing() -> None:
    pass


@dg.op
def broken() -> None:
    raise ValueError


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_runs_are_read_from_the_database_that_the_installed_dagster_writes(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(home.root / "dagster"))
    assert last_runs() is None
    (home.root / "dagster").mkdir()
    with dg.DagsterInstance.get() as instance:
        for name, op in (("tape_days", nothing), ("tapes_days", nothing), ("tape_days", broken)):
            graph = dg.GraphDefinition(name, node_defs=[op])
            graph.to_job(name, executor_def=dg.in_process_executor).execute_in_process(
                instance=instance, raise_on_error=False
            )
    found = told(home, capsys, "tape")["runs"]
    assert found["counts"] == {"SUCCESS": 1, "FAILURE": 1}
    assert [run["job"] for run in found["last"]] == ["tape_days"] * 2
    assert found["last"][0]["status"] == "FAILURE"
    assert found["last"][0]["started"].startswith("20")
    (home.root / "dagster/dagster.yaml").write_text("storage:\n  postgres: {}\n")
    assert "see the UI" in told(home, capsys)["runs"]["unknown"]


def test_dagster_itself_is_not_imported(home: Home) -> None:
    code = (
        "import sys\nfrom hedgegrid_assets.cli import run\n"
        "assert run(['status', '-q']) == 0\nassert 'dagster' not in sys.modules and 'aiohttp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=home.root, check=True)


# ---------------------------------------------------------------- plan

PAID = """  paid:
    source: tardis
    venue: BINANCE
    symbols: [ETHUSDT]
    start: 2024-01-01
    end: 2024-01-03
"""


def test_the_plan_is_asked_for_where_there_is_a_key_and_only_then(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "in_force", tardis_cases.QUICK)
    server = tardis_cases.fresh_standin()
    monkeypatch.setenv("TARDIS_ENDPOINT", server.endpoint)
    with (home.root / "feeds.yaml").open("a") as file:
        file.write(PAID)
    found = told(home, capsys)
    assert found["plans"] == {"tardis": ["no key: only the first day of each month can be fetched"]}
    assert found["feeds"][1]["tables"][0]["missing"] == span(0, 1)
    assert not server.log
    monkeypatch.setenv("TARDIS_API_KEY", KEY)
    (plan,) = told(home, capsys)["plans"]["tardis"]
    assert "plan for binance-futures" in plan
    assert told(home, capsys, "--offline")["plans"] == {}
    monkeypatch.setenv("TARDIS_ENDPOINT", "http://127.0.0.1:9")
    (unknown,) = told(home, capsys)["plans"]["tardis"]
    assert unknown.startswith("not known: nobody answers")
    assert KEY not in capsys.readouterr().out


def test_days_in_a_row_become_one_range() -> None:
    found = ranges([DAYS[4], DAYS[0], DAYS[1], DAYS[1]])
    assert [(str(each), each.days) for each in found] == [("2024-01-01 .. 2024-01-02", 2), ("2024-01-05", 1)]
