"""Ids of neighbouring days are compared: one id for two trades is told, one trade on two days is an error."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.validation import joins
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.frames import shared_ids
from hedgegrid_assets.timestamps import parse_day
from hedgegrid_assets_tests.yard import of_before

MIDNIGHT = 1_704_153_600_000
"""2024-01-02T00:00:00Z in ms."""
HEADER = "timestamp,local_timestamp,price,size,side,id\n"


def row(ms: int, trade_id: str, price: str = "100.5", late: int = 0) -> str:
    """A trade so many ms after midnight, which arrives ``late`` ms later."""
    return f"{MIDNIGHT + ms},{MIDNIGHT + ms + late},{price},0.5,buy,{trade_id}\n"


def catalog_of(root: Path, *rows: str) -> Path:
    (root / "t.csv").write_text(HEADER + "".join(rows))
    asked = ["--source", "csv", "--symbol", "BTCUSDT", "--data-types", "trades", "--input", str(root / "t.csv")]
    assert run(["replay-to-parquet", *asked, "--output", str(root / "catalog"), "--data", str(root), "-q"]) == 0
    return root / "catalog"


def validated(catalog: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = run(["validate", str(catalog), "--json", *more])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["joins"]
    return code, found


def test_an_id_for_two_trades_is_named_with_both_days_and_both_rows_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = catalog_of(tmp_path, row(-9_000, "7"), row(-5_000, "8"), row(5_000, "8", price="101"), row(9_000, "9"))
    code, (join,) = validated(catalog, capsys)
    assert (code, join["from"], join["to"]) == (0, "2024-01-01", "2024-01-02")
    assert (join["ids_shared"], join["trades_twice"]) == (1, 0)
    assert join["shared"] == [
        {
            "id": "8",
            "same_trade": False,
            "from_ts_init": (MIDNIGHT - 5_000) * 1_000_000,
            "from_raw_row": 1,
            "to_ts_init": (MIDNIGHT + 5_000) * 1_000_000,
            "to_raw_row": 0,
        }
    ]
    assert run(["validate", str(catalog)]) == 0
    told = "2024-01-01 -> 2024-01-02: WARN two trades have one id: id 8 at 2024-01-01T23:59:55"
    assert told in capsys.readouterr().out
    stored = sorted(catalog.glob("*/trade_tick.parquet/*.parquet"))
    assert [pl.read_parquet(path)["trade_id"].to_list() for path in stored] == [["7", "8"], ["8", "9"]]


@pytest.mark.parametrize(("first", "told"), [("1", True), ("0", True), ("2", False)])
def test_ids_that_are_numbers_of_rows_begin_anew_each_day(
    first: str, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(-9_000, first), row(-5_000, "3"), row(5_000, first, price="101"), row(9_000, "3", price="102")]
    catalog = catalog_of(tmp_path, *rows)
    code, (join,) = validated(catalog, capsys)
    assert (code, join["ids_begin_again"], join["ids_shared"]) == (0, told, 2)
    assert [each["id"] for each in join["shared"]] == ([] if told else [first, "3"])
    assert run(["validate", str(catalog)]) == 0
    out = capsys.readouterr().out
    assert ("ids begin anew on 1 days, so that they name no trade beyond its day" in out) is told
    assert ("two trades have one id" in out) is not told


def test_a_trade_that_two_days_hold_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = catalog_of(tmp_path, row(-9_000, "7"), row(-5, "8", late=2), row(-5, "8", late=9), row(9_000, "9"))
    code, (join,) = validated(catalog, capsys)
    assert (code, join["ids_shared"], join["trades_twice"]) == (1, 1, 1)
    assert run(["validate", str(catalog)]) == 1
    told = capsys.readouterr().out
    assert "ERROR one trade is stored on both days: id 8 at" in told
    assert "not ok: 0 ERROR rules failed, 1 trade stored on two days" in told.replace("\n", " ")


def test_ids_that_go_on_are_on_no_two_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, (join,) = validated(catalog_of(tmp_path, row(-5, "7"), row(5, "8")), capsys)
    assert (code, join["ids_shared"], join["shared"], join["ids_missing"]) == (0, 0, [], None)


def test_ids_that_arrive_over_midnight_in_another_order_are_on_no_two_days(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, (join,) = validated(catalog_of(tmp_path, row(-9, "7"), row(-5, "9"), row(-6, "8", late=9), row(9, "10")), capsys)
    assert join["ids_shared"] == 0


def test_days_with_a_day_missing_between_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = catalog_of(tmp_path, row(-5_000, "8"), row(86_400_000 + 5_000, "8", price="101"))
    assert validated(catalog, capsys) == (0, [])


@pytest.mark.parametrize("trade_id", ["a7c1-0f", "99999999999999999999999"])
def test_ids_that_are_no_integers_are_compared_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trade_id: str
) -> None:
    _, (join,) = validated(catalog_of(tmp_path, row(-5, trade_id), row(1, "b"), row(5, trade_id, price="101")), capsys)
    assert [each["id"] for each in join["shared"]] == [trade_id]


def test_very_many_are_compared_where_a_deep_look_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = catalog_of(tmp_path, row(-9, "a"), row(-5, "b"), row(5, "b", price="101"), row(9, "c"))
    monkeypatch.setattr(joins, "_COMPARED_ROWS", 3)
    _, (join,) = validated(catalog, capsys)
    assert (join["ids_shared"], join["trades_twice"], join["shared"]) == (None, None, [])
    assert run(["validate", str(catalog)]) == 0
    assert "ids of 1 neighbouring days not compared" in capsys.readouterr().out
    _, (join,) = validated(catalog, capsys, "--deep")
    assert [each["id"] for each in join["shared"]] == ["b"]


def test_a_catalog_of_others_is_compared_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = catalog_of(tmp_path, row(-9, "7"), row(-5, "8"), row(5, "8", price="101"), row(7, "7", price="100.5"))
    shutil.rmtree(catalog / "BTCUSDT-PERP.BINANCE")
    _, (join,) = validated(catalog, capsys)
    assert [(each["id"], each["from_raw_row"]) for each in join["shared"]] == [("7", None), ("8", None)]
    assert join["trades_twice"] == 0


def test_ids_that_a_venue_shares_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = catalog_of(tmp_path, row(-5, "8"), row(5, "8", price="101"))
    for path in catalog.glob("*/trade_tick.verdict/*.json"):
        path.write_text(json.dumps(of_before(json.loads(path.read_bytes())) | {"identity": "content"}))
    _, (join,) = validated(catalog, capsys)
    assert join["ids_shared"] is None


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    before=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=40),
    after=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=40),
    at_once=st.integers(1, 30),
    within=st.none() | st.tuples(st.integers(0, 20), st.integers(10, 40)),
)
def test_the_parts_change_nothing(
    before: list[tuple[int, int]], after: list[tuple[int, int]], at_once: int, within: tuple[int, int] | None
) -> None:
    days = [
        pl.LazyFrame(
            {"trade_id": [str(n) for n, _ in day], "price": [price for _, price in day], "ts_init": range(len(day))},
            schema={"trade_id": pl.String, "price": pl.Int64, "ts_init": pl.Int64},
        )
        for day in (before, after)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "_IDS_AT_ONCE", at_once)
        found = shared_ids(days[0], days[1], "trade_id", rows=len(before) + len(after), within=within)
    low, high = within or (0, 40)
    shared = {n for n, _ in before} & {n for n, _ in after} & set(range(low, high + 1))
    twice = {n for n, _ in set(before) & set(after)} & shared
    assert (found.total, found.same_trade) == (len(shared), len(twice))
    firsts = {str(n): next(place for place, (each, _) in enumerate(before) if each == n) for n in shared}
    assert [each["id"] for each in found.first] == sorted(firsts, key=lambda each: firsts[each])[:10]
    assert all(each["same_trade"] == (int(each["id"]) in twice) for each in found.first)


def test_a_range_cut_short_compares_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = catalog_of(tmp_path, row(-5, "8"), row(5, "8", price="101"), row(86_400_000 + 5, "8", price="102"))
    first = parse_day("2024-01-02", "--start")
    _, (join,) = validated(catalog, capsys, "--start", str(first))
    assert (join["from"], join["to"]) == (str(first), str(first + timedelta(days=1)))
