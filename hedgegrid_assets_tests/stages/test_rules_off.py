"""A rule that is off has neither passed nor failed, and every face says so."""

import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from msgspec.structs import replace

from hedgegrid_assets.cli import run
from hedgegrid_assets.defs.checks import checks_of
from hedgegrid_assets.model import DayContext, RowCounts, Severity, Thresholds
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.stages.verdict import RuleAnswer, Verdict
from hedgegrid_assets.store.documents import decode
from hedgegrid_assets.tables import TABLES

MARKS = "timestamp,symbol,mark_price\n" + "".join(
    f"{1_704_067_200_000 + n * 60_000},BTCUSDT,42000.5\n" for n in range(3)
)
OFF = ["no_time_gaps", "cadence_as_expected", "latency_plausible"]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Mark prices from a CSV: nobody knows how often they are due."""
    file = tmp_path / "mark.csv"
    file.write_text(MARKS)
    asked = ["--source", "csv", "--symbol", "BTCUSDT", "--data-types", "mark", "--input", str(file)]
    assert run(["replay-to-parquet", *asked, "--output", str(tmp_path / "catalog"), "--data", str(tmp_path), "-q"]) == 0
    return tmp_path / "catalog"


def verdict_of(catalog: Path) -> dict[str, Any]:
    (path,) = catalog.glob("*/mark_price.verdict/*.json")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def test_the_verdict_says_off_and_not_passed(catalog: Path) -> None:
    rules = {rule["name"]: rule for rule in verdict_of(catalog)["rules"]}
    assert [name for name, rule in rules.items() if rule.get("off")] == OFF
    assert {(rules[name]["passed"], rules[name]["off"]) for name in OFF} == {(None, True)}
    assert all("off" not in rule and rule["passed"] is not None for name, rule in rules.items() if name not in OFF)


def test_the_commands_say_off(catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(catalog)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "off: no_time_gaps, cadence_as_expected, latency_plausible (1 of 1 day of mark_price_update)" in told
    assert run(["validate", str(catalog), "--json"]) == 0
    (day,) = json.loads(capsys.readouterr().out)["days"]
    assert [rule["name"] for rule in day["rules"] if rule["passed"] is None and rule["off"]] == OFF
    assert run(["gaps", str(catalog)]) == 0
    told = capsys.readouterr().out
    assert "mark_price_update: no_time_gaps is off on 1 of 1 day\n" in told
    assert re.search(r"mark_price_update +│ +1 │ +0 │ +off ", told)
    assert run(["gaps", str(catalog), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["days"][0]["off"], found["totals"][0]["off"]) == (["no_time_gaps"], {"no_time_gaps": 1})


def test_the_report_says_off(catalog: Path) -> None:
    page = catalog.parent / "report.html"
    assert run(["report", str(catalog), "--data", str(catalog.parent), "--output", str(page), "-q"]) == 0
    embedded = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert embedded
    content = json.loads(embedded[1])
    (detail,) = content["details"].values()
    assert [content["rules"][number][0] for number, answer, _, _ in detail["rules"] if answer == 2] == OFF
    ((*_, off),) = content["lines"]
    ((offset, bits),) = off
    assert offset == 0
    assert {rule[0] for number, rule in enumerate(content["rules"]) if bits >> number & 1} == set(OFF)


def test_an_asset_check_whose_rules_are_off_passes_and_says_that_they_are(catalog: Path) -> None:
    (path,) = catalog.glob("*/mark_price.verdict/*.json")
    verdict = decode(path.read_bytes(), Verdict, path)
    (check,) = (
        each for each in checks_of(dg.AssetKey("mark"), TABLES["mark_price_update"]) if each.name == "gap_report"
    )
    result = check.judged(verdict, None)
    assert not result.passed  # the recording ends after two minutes: day_covered
    assert "off, and so not looked at: no_time_gaps, cadence_as_expected" in str(result.description)
    assert result.metadata["off"].value == "no_time_gaps, cadence_as_expected"
    table = result.metadata["numbers"]
    assert isinstance(table, dg.MarkdownMetadataValue)
    rows = [[cell.strip() for cell in each.split("|")[1:-1]] for each in table.value.splitlines()[2:]]
    answers = {rule: answer for rule, _, answer, *_ in rows}
    assert answers == dict.fromkeys(OFF[:2], "off") | {"day_covered": "failed"}
    off = [replace(rule, passed=None) if rule.name in {*OFF, "day_covered"} else rule for rule in verdict.rules]
    result = check.judged(replace(verdict, rules=off), None)
    assert result.passed
    assert result.description == "off, and so not looked at: no_time_gaps, day_covered, cadence_as_expected"


def test_what_nobody_knows_of_files_of_others_is_off(catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = catalog.glob("*/mark_price.verdict")
    shutil.rmtree(folder.parent)
    assert run(["validate", str(catalog), "--json"]) == 0
    (day,) = json.loads(capsys.readouterr().out)["days"]
    off = {rule["name"] for rule in day["rules"] if rule.get("off")}
    assert off == {"rows_conserved", "rejected_share", "nothing_cleaned", "latency_plausible"}


def test_an_increment_that_is_not_known_is_no_test_of_prices() -> None:
    rules = DayRules(TABLES["trade_tick"], date(2024, 1, 1), Thresholds())
    answers = {rule.name: rule for rule in rules.judge(DayContext())[1]}
    assert answers["prices_on_tick"].off
    answers = {rule.name: rule for rule in rules.judge(DayContext(RowCounts()))[1]}
    assert answers["prices_on_tick"].passed


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("no_time_gaps", {"threshold_s": None}),
        ("no_sequence_gaps", {"contiguous": False}),
        ("cadence_as_expected", {}),
        ("latency_plausible", {"min_ms": 0.0, "median_ms": 0.0, "max_ms": 0.0}),
    ],
)
def test_a_verdict_that_calls_a_rule_passed_which_was_off_is_read_as_off(name: str, numbers: dict[str, Any]) -> None:
    rule = RuleAnswer(name, Severity.WARN, passed=True, rows_failed=0, numbers=numbers)
    assert (rule.answer, rule.failed) == (None, False)
    assert replace(rule, numbers={"threshold_s": 5.0, "contiguous": True, "max_ms": 9.0}).answer is True
    assert replace(rule, passed=False).failed


def test_a_verdict_names_the_rules_that_failed_and_those_that_were_off(tmp_path: Path, catalog: Path) -> None:
    (path,) = catalog.glob("*/mark_price.verdict/*.json")
    verdict = decode(path.read_bytes(), Verdict, tmp_path)
    assert set(verdict.rules_off) == {*OFF}
    failed = [replace(rule, passed=False, severity=Severity.ERROR) for rule in verdict.rules if rule.name not in OFF]
    assert replace(verdict, rules=failed).failed_errors == [rule.name for rule in failed]
