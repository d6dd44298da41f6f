"""The gap report: inside days, at their edges, between them, and days that are not there."""

import gzip
import json
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.days import DayFilter, Judged, judged_days
from hedgegrid_assets.inspect.gaps import ABSENT, EDGE, INSIDE, JOIN, GapReport, gap_report
from hedgegrid_assets.model import Cause
from hedgegrid_assets_tests.scenario import (
    BTC,
    CLEAN,
    DAY_MS,
    MIDNIGHT_MS,
    NEXT_DAY,
    agg_trade,
    btc_line,
    clean_lines,
    line,
    received,
)
from hedgegrid_assets_tests.yard import Yard

CAPTURE = Path(__file__).parents[3] / "shared/data/captures/binance-usdm_ethusdt_2024-08-08.jsonl.gz"
needs_capture = pytest.mark.skipif(not CAPTURE.exists(), reason="no real captures here")


def later_day(days: int, ids: range) -> bytes:
    start = MIDNIGHT_MS + days * DAY_MS + 5_000
    step = (DAY_MS - 10_000) // len(ids)
    return b"".join(
        line(agg_trade(number, start + n * step), received(start + n * step)) for n, number in enumerate(ids)
    )


def yard_with(tmp_path: Path, data: bytes, *days: int) -> Yard:
    yard = Yard(tmp_path)
    yard.drop("day.jsonl", data)
    yard.bring_in([BTC], ["aggTrade"])
    for number in days:
        yard.normalize(day=date.fromordinal(date(2024, 1, 1).toordinal() + number))
    return yard


def report_of(yard: Yard) -> GapReport:
    return gap_report(list(judged_days(yard.places, DayFilter())))


def test_silences_across_contiguous_ids_are_quiet_and_no_loss(tmp_path: Path) -> None:
    report = report_of(yard_with(tmp_path, CLEAN, 0))
    assert {hole.cause for hole in report.holes} == {"quiet"}
    (total,) = report.by_table.values()
    assert (total.gaps, total.ids_missing, total.quiet) == (0, 0, 39)


def test_a_hole_in_the_ids_is_listed_with_its_time_and_ids(tmp_path: Path) -> None:
    lines = clean_lines()
    del lines[btc_line(1020)]
    (lost,) = [hole for hole in report_of(yard_with(tmp_path, b"".join(lines), 0)).holes if hole.is_loss]
    assert (lost.kind, lost.ids_missing, lost.cause) == (INSIDE, 1, "unknown")
    assert lost.seconds == pytest.approx(2 * 2_214)


def test_the_edges_of_a_recording_are_told_apart_from_gaps(tmp_path: Path) -> None:
    only = [agg_trade(1000 + n, MIDNIGHT_MS + 3_600_000 + n * 1_000) for n in range(3)]
    data = b"".join(line(each, received(int(each["T"]))) for each in only)
    holes = report_of(yard_with(tmp_path, data, 0)).holes
    assert [(hole.kind, round(hole.seconds)) for hole in holes] == [(EDGE, 3600), (EDGE, 82_798)]


def test_ids_that_do_not_go_on_from_day_to_day_are_a_join(tmp_path: Path) -> None:
    data = CLEAN + later_day(1, range(1050, 1080))
    report = report_of(yard_with(tmp_path, data, 0, 1))
    (join,) = [hole for hole in report.holes if hole.kind == JOIN]
    assert (join.ids_missing, join.date) == (10, NEXT_DAY)
    assert [each["ids_missing"] for each in report.joins] == [10]


def test_a_day_without_a_verdict_inside_the_range_is_missing(tmp_path: Path) -> None:
    data = CLEAN + later_day(2, range(1040, 1070))
    report = report_of(yard_with(tmp_path, data, 0, 2))
    assert [hole.date for hole in report.holes if hole.kind == ABSENT] == [NEXT_DAY]
    assert report.joins == []


def test_gaps_that_a_verdict_only_counts_are_told(tmp_path: Path) -> None:
    yard = yard_with(tmp_path, CLEAN, 0)
    (judged,) = judged_days(yard.places, DayFilter())
    short = replace(judged.verdict, gaps=judged.verdict.gaps[:5], gaps_total=39)
    (total,) = gap_report([Judged(judged.day, judged.table, short)]).by_table.values()
    assert total.unlisted == 34


def test_gaps_that_are_not_listed_are_quiet_where_a_listed_one_is_or_as_a_rule_has_counted(tmp_path: Path) -> None:
    (judged,) = judged_days(yard_with(tmp_path, CLEAN, 0).places, DayFilter())
    listed = judged.verdict.gaps[:5]
    lost = [replace(gap, cause=Cause.UNKNOWN) for gap in listed]
    assert (judged.verdict.number_of_gaps, judged.verdict.quiet) == (39, 39)
    assert replace(judged.verdict, gaps=listed, gaps_total=39).quiet == 39
    assert replace(judged.verdict, gaps=[*lost[:1], *listed[1:]], gaps_total=39).quiet == 38
    assert replace(judged.verdict, gaps=lost, gaps_total=39).quiet == 34
    assert replace(judged.verdict, gaps=lost, gaps_total=39, rules=[]).quiet == 0
    assert replace(judged.verdict, gaps=lost, gaps_total=None).quiet == 0


def test_the_command_prints_json_csv_and_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yard = yard_with(tmp_path, CLEAN, 0)
    catalog = str(yard.places.catalog)
    assert run(["gaps", catalog, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (len(told["gaps"]), told["totals"][0]["quiet"], told["days"][0]["status"]) == (39, 39, "complete")
    assert run(["gaps", catalog, "--csv", "--table", "trades", "--start", "2024-01-01"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("instrument_id,table,date,kind,start,end")
    assert len(rows) == 40
    assert run(["gaps", catalog]) == 0
    assert "quiet" in capsys.readouterr().out
    assert run(["gaps", catalog, "--start", "2025-01-01"]) == 1
    assert run(["gaps", catalog, "--table", "candles"]) == 2


@needs_capture
@pytest.mark.slow
def test_a_real_capture_with_a_hundred_trades_cut_out_reports_exactly_them(tmp_path: Path) -> None:
    lines = gzip.decompress(CAPTURE.read_bytes()).splitlines(keepends=True)
    trades = [number for number, text in enumerate(lines) if b'"e":"trade"' in text]
    cut = set(trades[6_000:6_100])
    file = tmp_path / "cut.jsonl"
    file.write_bytes(b"".join(text for number, text in enumerate(lines) if number not in cut))
    before, after = (int(lines[trades[number]].split()[0]) for number in (5_999, 6_100))
    catalog = tmp_path / "catalog"
    options = ["--symbol", "ETHUSDT", "--output", str(catalog), "--data", str(tmp_path / "data"), "-q"]
    assert run(["replay-to-parquet", "--source", "websocket", "--input", str(file), *options]) == 0
    (judged,) = judged_days(Yard(tmp_path).places, DayFilter())
    holes = gap_report([judged]).holes
    assert [(hole.start, hole.end, hole.ids_missing) for hole in holes if hole.kind == INSIDE] == [(before, after, 100)]
    assert judged.status == "partial"
    latency = next(rule for rule in judged.verdict.rules if rule.name == "latency_plausible")
    assert latency.passed
    assert (latency.numbers["median_ms"], latency.numbers["negative_share"]) == (pytest.approx(-1269, abs=1), 1.0)
