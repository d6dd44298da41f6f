"""Trades of every source are watched: silences by time, holes where the rows themselves show that ids rise by one."""

import json
import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedgegrid_assets.cli import run
from hedgegrid_assets.model import DayContext, RuleResult, Thresholds
from hedgegrid_assets.stages.frames import Precisions, frame_schema
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.stages.verdict import GAPS_STORED, make_verdict
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.rules.gaps import Gaps, GapsFound
from hedgegrid_assets.timestamps import day_start
from hedgegrid_assets_tests.yard import instrument_day

TRADES = TABLES["trade_tick"]
DAY = date(2024, 1, 1)
DAY_MS = day_start(DAY) // 1_000_000


# ---------------------------------------------------------------- found from the rows


def trades(ids: Sequence[object], step_ns: int = 1_000_000, apart: int = 1) -> pl.DataFrame:
    """One row for each id in this order; ``apart`` rows share one time."""
    times = [day_start(DAY) + n // apart * step_ns for n in range(len(ids))]
    count = len(ids)
    columns = {
        "ts_event": times,
        "ts_init": times,
        "price": [Decimal(1)] * count,
        "size": [Decimal(1)] * count,
        "aggressor_side": ["BUYER", "SELLER"] * (count // 2) + ["BUYER"] * (count % 2),
        "trade_id": [str(each) for each in ids],
        "first_trade_id": [None] * count,
        "last_trade_id": [None] * count,
        "raw_row": range(count),
    }
    return pl.DataFrame(columns, schema=frame_schema(TRADES, Precisions(2, 3, 8)))


def judged(
    frame: pl.DataFrame, *, declared: bool = False, cut: int | None = None
) -> tuple[GapsFound, dict[str, RuleResult]]:
    rules = DayRules(TRADES, DAY, Thresholds())
    for start in range(0, len(frame), cut or len(frame)):
        rules.add(frame.slice(start, cut))
    seen, results = rules.judge(DayContext(contiguous_ids=declared))
    return seen.of(Gaps), {result.name: result for result in results}


def holes_of(frame: pl.DataFrame) -> tuple[bool | None, str, int | None]:
    rule = judged(frame)[1]["no_sequence_gaps"]
    return rule.passed, rule.numbers["contiguous"], rule.numbers.get("ids_missing")


def test_ids_that_rise_by_one_are_found_and_a_hole_in_them_is_a_loss() -> None:
    assert holes_of(trades(range(1_000))) == (True, "found", 0)
    assert holes_of(trades([*range(500), *range(2_600, 3_100)])) == (False, "found", 2_100)


def test_up_to_one_id_in_a_hundred_may_lack_its_predecessor() -> None:
    assert holes_of(trades([n + n // 100 for n in range(10_001)])) == (False, "found", 100)
    assert holes_of(trades([n + n // 98 for n in range(10_001)])) == (None, "no", None)


def test_a_hundred_steps_are_needed() -> None:
    assert holes_of(trades(range(101))) == (True, "found", 0)
    assert holes_of(trades(range(100))) == (None, "no", None)


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param([n * 7 for n in range(1_000)], id="shared with other symbols"),
        pytest.param(Random(7).sample(range(10**12), 1_000), id="drawn at random"),
        pytest.param([f"{n}-a" for n in range(1_000)], id="no integers"),
        pytest.param([*range(999), "x"], id="one that is no integer"),
        pytest.param([5] * 1_000, id="one for all"),
    ],
)
def test_ids_that_do_not_rise_by_one_have_no_holes(ids: Sequence[object]) -> None:
    assert holes_of(trades(ids)) == (None, "no", None)
    assert not judged(trades(ids))[0].gaps


def test_a_file_from_new_to_old_turns_rows_of_one_time_around_and_is_found_all_the_same() -> None:
    backwards = [start + 9 - n for start in range(0, 1_000, 10) for n in range(10)]
    assert holes_of(trades(backwards, apart=10)) == (True, "found", 0)
    lost = [each for each in backwards if not 300 <= each < 350]
    assert holes_of(trades(lost, apart=10)) == (False, "found", 50)


def test_a_silence_across_ids_that_go_on_is_quiet_also_where_this_was_found() -> None:
    frame = trades(range(1_000)).with_columns(
        pl.when(pl.int_range(pl.len()) < 500).then(pl.col(name)).otherwise(pl.col(name) + 101 * 10**9).alias(name)
        for name in ("ts_event", "ts_init")
    )
    found, results = judged(frame)
    assert [(gap.ids_missing, gap.cause) for gap in found.gaps] == [(0, "quiet")]
    assert results["no_time_gaps"].passed
    assert results["no_time_gaps"].numbers["threshold_s"] == 60.0


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    ids=st.sets(st.integers(0, 300), min_size=2),
    twice=st.lists(st.integers(0, 300), max_size=5),
    random=st.randoms(use_true_random=False),
    within=st.integers(1, 400),
    cut=st.integers(1, 50),
)
def test_the_share_is_that_of_a_set_whatever_the_order_and_the_blocks(
    ids: set[int], twice: list[int], random: Random, within: int, cut: int
) -> None:
    order = sorted(
        [*ids, *(each for each in twice if each in ids)],
        key=lambda each: each // within * 1_000 + random.randrange(999),
    )
    frame = trades(order)
    lacking = sum(each - 1 not in ids for each in ids) - 1
    found = judged(frame)[0]
    assert found.rising_by_one == round(1 - lacking / (len(ids) - 1), 6)
    assert judged(frame, cut=cut)[0] == found


def test_the_worst_of_very_many_gaps_are_listed_and_all_ids_are_counted() -> None:
    ids = [n + n // 200 for n in range(400_000)]
    ids[-1] += 5_000
    frame = trades(ids)
    rules = DayRules(TRADES, DAY, Thresholds())
    rules.add(frame)
    seen, results = rules.judge(DayContext(contiguous_ids=False))
    verdict = make_verdict(
        instrument_day(),
        TRADES,
        seen,
        results,
        series="csv/trade",
        frame_sha256="a",
        content_digest="b",
        raw_sha256=["c"],
        code_version="1",
        precisions=Precisions(2, 3, 8),
        thresholds=Thresholds(),
    )
    assert (len(verdict.gaps), verdict.gaps_total) == (GAPS_STORED, 2_000)
    assert verdict.gaps[-1].ids_missing == 5_000
    assert verdict.gaps == sorted(verdict.gaps, key=lambda gap: gap.start)
    assert verdict.ids_missing == 1_999 + 5_000


# ---------------------------------------------------------------- CSV


def csv_of(rows: Sequence[tuple[int, int]], header: str = "id,price,qty,quote_qty,time,is_buyer_maker") -> str:
    """Trades as Binance dumps them: (id, ms of the day)."""
    lines = (f"{number},42000.5,0.01,420.005,{DAY_MS + ms},{('true', 'false')[number % 2]}\n" for number, ms in rows)
    return header + "\n" + "".join(lines)


def with_a_hole() -> list[tuple[int, int]]:
    """A trade every second, all day; 101 s and 2,100 ids are missing at noon."""
    return [(1_000 + s, s * 1_000) for s in range(43_200)] + [(3_000 + s, s * 1_000) for s in range(43_300, 86_400)]


def converted(
    root: Path, text: str, config: dict[str, Any] | None = None, name: str = "BTCUSDT-trades-2024-01-01.csv"
) -> dict[str, Any]:
    (root / name).write_text(text)
    asked = ["--source", "csv", "--symbol", "BTCUSDT", "--data-types", "trades", "--input", str(root / name)]
    if config is not None:
        (root / "config.json").write_text(json.dumps(config))
        asked += ["--config", str(root / "config.json")]
    assert (
        run(["replay-to-parquet", *asked, "--output", str(root / "catalog"), "--data", str(root / "data"), "-q"]) == 0
    )
    (path,) = (root / "catalog").glob("*/trade_tick.verdict/*.json")
    verdict: dict[str, Any] = json.loads(path.read_bytes())
    return verdict


def rules_of(verdict: dict[str, Any]) -> dict[str, Any]:
    return {rule["name"]: rule for rule in verdict["rules"]}


def test_csv_trades_with_a_hole_are_degraded_and_the_hole_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = converted(tmp_path, csv_of(with_a_hole()))
    rules = rules_of(verdict)
    assert verdict["status"] == "degraded"
    assert (rules["no_time_gaps"]["passed"], rules["no_time_gaps"]["numbers"]["threshold_s"]) == (False, 60.0)
    assert (rules["no_sequence_gaps"]["passed"], rules["no_sequence_gaps"]["numbers"]["contiguous"]) == (False, "found")
    assert run(["gaps", str(tmp_path / "catalog"), "--json"]) == 0
    (gap,) = json.loads(capsys.readouterr().out)["gaps"]
    assert (gap["seconds"], gap["ids_missing"], gap["cause"]) == (101.0, 2_100, "unknown")
    assert run(["validate", str(tmp_path / "catalog"), "--json"]) == 0
    (day,) = json.loads(capsys.readouterr().out)["days"]
    assert (day["status"], day["gaps"][0]["ids_missing"]) == ("degraded", 2_100)


@pytest.mark.parametrize("off", ["off", False, 0])
def test_a_configuration_switches_the_time_off_and_the_ids_still_tell(tmp_path: Path, off: object) -> None:
    rules = rules_of(converted(tmp_path, csv_of(with_a_hole()), {"gaps": {"trades": off}}))
    assert (rules["no_time_gaps"]["passed"], rules["no_time_gaps"]["off"]) == (None, True)
    assert rules["no_sequence_gaps"]["passed"] is False


def test_a_configuration_changes_the_threshold(tmp_path: Path) -> None:
    rules = rules_of(converted(tmp_path, csv_of(with_a_hole()), {"gaps": {"trade_tick": "2m"}}))
    assert (rules["no_time_gaps"]["passed"], rules["no_time_gaps"]["numbers"]["threshold_s"]) == (True, 120.0)


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ({"tradez": "off"}, "gaps.tradez"),
        ({"trades": 60}, "with its unit, as 60s, 5m or 1h, or off, found 60"),
        ({"trades": True}, "found true"),
        ({"trades": "off", "trade_tick": "60s"}, "each table once, found trades and trade_tick"),
    ],
)
def test_what_a_configuration_cannot_mean_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], gaps: dict[str, Any], said: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"gaps": gaps}))
    asked = ["--source", "csv", "--symbol", "BTCUSDT", "--config", str(tmp_path / "config.json")]
    assert run(["replay-to-parquet", *asked, "--output", str(tmp_path / "catalog"), "--data", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_an_illiquid_symbol_without_ids_is_told_by_its_silences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{DAY_MS + n * 69_980},42000.5,0.01,buy\n" for n in range(1_235))
    verdict = converted(tmp_path, "timestamp,price,size,side\n" + rows, name="BTCUSDT.csv")
    rules = rules_of(verdict)
    assert (verdict["status"], len(verdict["gaps"]), verdict["gaps_total"]) == ("degraded", 1_000, 1_234)
    assert rules["no_time_gaps"]["numbers"]["gaps"] == 1_234
    assert (rules["no_sequence_gaps"]["off"], rules["no_sequence_gaps"]["numbers"]["contiguous"]) == (True, "no")
    assert run(["gaps", str(tmp_path / "catalog")]) == 0
    told = capsys.readouterr().out
    assert "800 more: use --csv or --json" in told
    assert "234 more gaps are counted in verdicts that list the worst thousand only" in told
    assert re.search(r"trade_tick +│ +1 │ +1,000 │ +69,980.0 │ +off ", told)
    page = tmp_path / "report.html"
    assert run(["report", str(tmp_path / "catalog"), "--data", str(tmp_path), "--output", str(page), "-q"]) == 0
    assert page.stat().st_size < 500_000
