"""A day whose takers are all on one side is told: files have had ``true`` in every row."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.model import DayContext, RuleResult, Thresholds
from hedgegrid_assets.stages.frames import Precisions, frame_schema
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import day_start
from hedgegrid_assets_tests.scenario import BTC, VARIANTS
from hedgegrid_assets_tests.yard import Yard, of_before

TRADES = TABLES["trade_tick"]
DAY = date(2024, 1, 1)


def of(*sides: tuple[str, int]) -> pl.DataFrame:
    """So many trades of each side, one a millisecond."""
    count = sum(number for _, number in sides)
    at = pl.int_range(count, eager=True)
    values = {
        "price": pl.lit("1.00"),
        "size": pl.lit("1"),
        "trade_id": at.cast(pl.String),
        "raw_row": at,
        "ts_event": at * 1_000_000 + day_start(DAY),
        "ts_init": at * 1_000_000 + day_start(DAY),
        "aggressor_side": pl.Series([side for side, number in sides for _ in range(number)], dtype=pl.String),
    }
    schema = frame_schema(TRADES, Precisions(2, 3, 8))
    frame = pl.DataFrame({"n": at}).with_columns(**values)
    return frame.select(
        pl.col(name).cast(kind) if name in values else pl.lit(None, kind).alias(name) for name, kind in schema.items()
    )


def answer(frame: pl.DataFrame, cuts: Sequence[int] = ()) -> RuleResult:
    rules = DayRules(TRADES, DAY, Thresholds())
    for start, end in zip([0, *cuts], [*cuts, len(frame)], strict=True):
        rules.add(frame.slice(start, end - start))
    return {rule.name: rule for rule in rules.judge(DayContext())[1]}["aggressor_sides_mixed"]


@pytest.mark.parametrize(
    ("buyers", "sellers", "passed"),
    [
        (300, 0, True),
        (301, 0, False),
        (0, 301, False),
        (1, 300, True),
        (1_001, 0, False),
        (1_998, 2, True),
        (1_999, 1, False),
        (999_000, 1_000, True),
    ],
)
def test_more_than_999_in_a_thousand_of_more_than_300_are_too_many(buyers: int, sellers: int, passed: bool) -> None:
    rule = answer(of(("BUYER", buyers), ("SELLER", sellers)))
    assert (rule.passed, rule.numbers["buyers"], rule.numbers["sellers"]) == (passed, buyers, sellers)


def test_trades_without_a_side_count_for_neither() -> None:
    assert answer(of(("BUYER", 300), ("NO_AGGRESSOR", 5_000))).passed
    rule = answer(of(("BUYER", 1_001), ("NO_AGGRESSOR", 5_000)))
    assert (rule.passed, rule.numbers["without_side"], rule.numbers["share"]) == (False, 5_000, 1.0)


def test_the_rule_is_off_where_no_trade_has_a_side() -> None:
    rule = answer(of(("NO_AGGRESSOR", 5_000)))
    assert (rule.passed, rule.off, dict(rule.numbers)) == (None, True, {"without_side": 5_000})


def test_how_the_rows_are_cut_changes_nothing() -> None:
    frame = of(("BUYER", 700), ("NO_AGGRESSOR", 10), ("SELLER", 3), ("BUYER", 800))
    assert answer(frame, [1, 705, 711]) == answer(frame)


def test_a_day_of_one_side_is_degraded_and_lands(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.drop("day.jsonl", VARIANTS["all takers sell"].data)
    yard.bring_in([BTC], ["aggTrade"])
    verdict = yard.normalize()["trade_tick"].verdict
    (rule,) = (rule for rule in verdict.rules if rule.name == "aggressor_sides_mixed")
    assert (verdict.status, rule.passed, rule.severity) == ("degraded", False, "WARN")
    assert rule.numbers == {"buyers": 0, "sellers": 1_040, "without_side": 0, "share": 1.0, "threshold": 0.999}


def converted(root: Path, *more: str) -> dict[str, Any]:
    file = root / "BTCUSDT-trades-2024-01-01.csv"
    rows = "".join(f"{n},42000.5,0.01,420.005,{1_704_067_200_000 + n * 60_000},true\n" for n in range(1_440))
    file.write_text("id,price,qty,quote_qty,time,is_buyer_maker\n" + rows)
    asked = ["--source", "csv", "--symbol", "BTCUSDT", "--input", str(file), "--output", str(root / "catalog")]
    assert run(["replay-to-parquet", *asked, "--data", str(root), "-q", *more]) == 0
    (path,) = (root / "catalog").glob("*/trade_tick.verdict/*.json")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def test_a_csv_with_true_in_every_row_is_told_by_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert converted(tmp_path)["status"] == "degraded"
    assert run(["validate", str(tmp_path / "catalog")]) == 0
    assert "WARN aggressor_sides_mixed: sellers 1440" in capsys.readouterr().out.replace("buyers 0, ", "")


def test_a_verdict_without_the_rule_is_judged_anew_and_the_frame_keeps_its_bytes(tmp_path: Path) -> None:
    verdict = converted(tmp_path)
    (path,) = (tmp_path / "catalog").glob("*/trade_tick.verdict/*.json")
    files = {each: each.read_bytes() for each in (tmp_path / "catalog").rglob("*.parquet") if each.is_file()}
    verdict["rules"] = [rule for rule in verdict["rules"] if rule["name"] != "aggressor_sides_mixed"]
    path.write_text(json.dumps(of_before(verdict) | {"status": "complete"}))
    again = converted(tmp_path)
    assert (again["status"], again["frame_sha256"]) == ("degraded", verdict["frame_sha256"])
    assert files == {each: each.read_bytes() for each in (tmp_path / "catalog").rglob("*.parquet") if each.is_file()}
