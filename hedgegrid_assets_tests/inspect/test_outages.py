"""Known outages: a proven gap that is told stays listed, its day is no worse for it, and verdicts stay as they are."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.inspect.days import DayFilter, judged_days
from hedgegrid_assets.inspect.gaps import gap_report
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import Status
from hedgegrid_assets.stages.outages import Outage, acknowledge, read_outages, take_over
from hedgegrid_assets.store import Places
from hedgegrid_assets_tests import dagster_feeds
from hedgegrid_assets_tests.dagster_feeds import CAPTURES, drop, evaluations, feed_context_of, metadata, write_feeds
from hedgegrid_assets_tests.scenario import (
    BTC,
    CLEAN,
    DAY_MS,
    MIDNIGHT_MS,
    agg_trade,
    btc_line,
    clean_lines,
    line,
    received,
)
from hedgegrid_assets_tests.yard import Yard

ID = "BTCUSDT-PERP.BINANCE"
MAINTENANCE = "the venue was in maintenance"


def without(*trades: int) -> bytes:
    lines = clean_lines()
    for position in sorted(map(btc_line, trades), reverse=True):
        del lines[position]
    return b"".join(lines)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """One day of trades that lacks an id in its middle, published."""
    yard = Yard(tmp_path)
    yard.drop("day.jsonl", without(1020))
    yard.bring_in([BTC], ["aggTrade"])
    yard.normalize()
    yard.publish()
    return yard


def status(yard: Yard) -> str:
    (judged,) = judged_days(yard.places, DayFilter())
    return judged.status


def gap_of(yard: Yard) -> dict[str, Any]:
    (judged,) = judged_days(yard.places, DayFilter())
    (lost,) = [hole for hole in gap_report([judged]).holes if hole.is_loss]
    return lost.to_dict()


def said(yard: Yard, *more: str) -> list[str]:
    gap = gap_of(yard)
    times = ["--start", gap["start_utc"], "--end", gap["end_utc"]]
    return ["gaps", "acknowledge", str(yard.places.catalog), "--instrument", ID, *times, *more]


def test_a_gap_that_is_told_makes_its_day_good_and_stays_listed(yard: Yard) -> None:
    assert status(yard) == "degraded"
    before = yard.verdict()
    assert run(said(yard, "--table", "trades", "--reason", MAINTENANCE, "--link", "https://status.example/42")) == 0
    assert status(yard) == "complete"
    assert gap_of(yard)["known"] == f"{MAINTENANCE} (https://status.example/42)"
    assert yard.verdict() == before


def test_the_same_outages_give_the_same_bytes_in_whatever_order_they_are_told(tmp_path: Path) -> None:
    outages = [Outage(ID, table, start, start + 10, "why") for table in ("", "trade_tick") for start in (30, 10, 20)]
    first, second = (Places.of_catalog(tmp_path / name) for name in ("a", "b"))
    acknowledge(first, outages)
    for outage in reversed([*outages, *outages]):
        acknowledge(second, [outage])
    assert first.outages.read_bytes() == second.outages.read_bytes()


def test_validate_takes_a_known_gap_and_tells_of_an_outage_without_one(yard: Yard) -> None:
    assert run(said(yard, "--reason", MAINTENANCE)) == 0
    report = validate_catalog(yard.places.catalog)
    assert ([day.status for day in report.days], report.outages) == (["complete"], [])
    passed = {rule.name: rule for rule in report.days[0].rules}["no_sequence_gaps"]
    assert (passed.passed, passed.numbers["known_outages"]) == (True, [MAINTENANCE])

    yard.drop("day.jsonl", CLEAN)  # the missing trade has come after all
    yard.bring_in([BTC], ["aggTrade"])
    yard.normalize()
    yard.publish()
    report = validate_catalog(yard.places.catalog)
    assert report.ok
    (gone,) = report.outages
    assert (gone["reason"], gone["said_by"]) == (MAINTENANCE, "gaps acknowledge")
    assert "expected one, found none near it" in gone["error"]


def test_an_outage_without_a_gap_is_refused_with_the_gaps_that_there_are(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    times = ["--start", "2024-01-01T00:10:00Z", "--end", "2024-01-01T00:20:00Z"]
    command = ["gaps", "acknowledge", str(yard.places.catalog), "--instrument", ID, "--reason", "x", *times]
    assert run(command) == 1
    assert gap_of(yard)["start_utc"] in capsys.readouterr().err
    assert read_outages(yard.places) == ()


def test_a_gap_is_known_only_if_the_outage_holds_all_of_it(yard: Yard) -> None:
    gap = gap_of(yard)
    half = (gap["start"] + gap["end"]) // 2
    acknowledge(yard.places, [Outage(ID, "", gap["start"] - 10**15, half - 120 * 10**9, "before it")])
    assert status(yard) == "degraded"


def test_one_of_two_gaps_does_not_make_the_day_good(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.drop("day.jsonl", without(1010, 1030))
    yard.bring_in([BTC], ["aggTrade"])
    yard.normalize()
    (judged,) = judged_days(yard.places, DayFilter())
    first, second = [hole for hole in gap_report([judged]).holes if hole.is_loss]
    acknowledge(yard.places, [Outage(ID, "", first.start, first.end, "one")])
    assert status(yard) == "degraded"
    acknowledge(yard.places, [Outage(ID, "", second.start, second.end, "other")])
    assert status(yard) == "complete"


def test_hours_before_the_first_row_may_be_known_too(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    start = MIDNIGHT_MS + 3_600_000
    trades = [agg_trade(1000 + n, start + n * 1_000) for n in range(0, (DAY_MS - 3_600_000) // 1_000, 30)]
    trades = [{**trade, "a": 1000 + n, "m": n % 2 == 0} for n, trade in enumerate(trades)]
    yard.drop("day.jsonl", b"".join(line(trade, received(int(trade["T"]))) for trade in trades))
    yard.bring_in([BTC], ["aggTrade"])
    yard.normalize()
    assert status(yard) == "partial"
    end = (start + 1_000) * 10**6
    acknowledge(yard.places, [Outage(ID, "trade_tick", MIDNIGHT_MS * 10**6, end, "not listed yet")])
    assert status(yard) == "complete"


def test_an_outage_is_withdrawn(yard: Yard) -> None:
    assert run(said(yard, "--reason", MAINTENANCE)) == 0
    assert run(said(yard, "--withdraw")) == 0
    assert status(yard) == "degraded"
    assert run(said(yard, "--withdraw")) == 1


@pytest.mark.parametrize(
    "more",
    [
        ["--start", "2024-01-01", "--end", "2024-01-02"],
        ["--start", "soon", "--end", "2024-01-02", "--reason", "x"],
        ["--start", "2024-01-02", "--end", "2024-01-01", "--reason", "x"],
        ["--start", "2024-01-01", "--end", "2024-01-02", "--reason", "x", "--table", "candles"],
    ],
)
def test_what_is_not_told_in_full_is_a_usage_error(yard: Yard, more: list[str]) -> None:
    assert run(["gaps", "acknowledge", str(yard.places.catalog), "--instrument", ID, *more]) == 2


def test_damaged_outages_are_named(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    yard.places.outages.local().write_text("{}")
    assert run(["validate", str(yard.places.catalog)]) == 1
    assert "known outages" in capsys.readouterr().out
    assert run(["gaps", str(yard.places.catalog)]) == 1


# ---------------------------------------------------------------- feeds.yaml


def outages_of(text: str) -> str:
    return f"{CAPTURES.rstrip()}\n    outages:\n      - {text}\n"


def test_a_feed_says_outages_and_its_days_and_checks_know_them(tmp_path: Path) -> None:
    entry = "{start: 2024-01-01T00:00:00Z, end: 2024-01-02T00:00:00Z, reason: maintenance, symbols: [BTCUSDT], tables: [trades]}"
    feed_context = feed_context_of(tmp_path, outages_of(entry))
    drop(feed_context, without(1020))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dagster_feeds.run(feed_context, instance)
        check = evaluations(result)["captures/normalized/trade_tick", "gap_report"]
        assert check.passed
        assert "known outage: maintenance" in str(check.description)
        told = metadata(result, "captures/normalized/trade_tick")
        assert (told["verdict"], told["known_outages"]) == (Status.COMPLETE, "maintenance")
    assert [(each.table, each.feed) for each in read_outages(feed_context.places)] == [("trade_tick", "captures")]


def test_outages_of_feeds_are_taken_over_and_forgotten_by_the_command(tmp_path: Path) -> None:
    path = write_feeds(tmp_path, outages_of("{start: 2024-01-01, end: 2024-01-02, reason: maintenance}"))
    places = Places(tmp_path / "data", tmp_path / "data/catalog")
    take_over(places, "gone", [Outage(ID, "", 1, 2, "of a feed that is no more", feed="gone")])
    acknowledge(places, [Outage(ID, "", 1, 2, "a person's")])
    command = ["gaps", "acknowledge", "--from-feeds", "--feeds", str(path), "--data", str(tmp_path / "data")]
    assert run(command) == 0
    assert sorted({each.feed for each in read_outages(places)}) == ["", "captures"]
    before = places.outages.entry().modified
    assert run(command) == 0
    assert places.outages.entry().modified == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{start: 2024-01-02, end: 2024-01-01, reason: x}", "expected a time after start 2024-01-02T00:00:00"),
        ("{start: soon, end: 2024-01-01, reason: x}", "expected a time as 2024-01-31T10:00:00Z, found 'soon'"),
        ("{start: 2024-01-01, end: 2024-01-02}", "outages[0].reason: expected a value"),
        ("{start: 2024-01-01, end: 2024-01-02, reason: x, symbols: [XRPUSDT]}", "unknown symbol of this feed"),
        ("{start: 2024-01-01, end: 2024-01-02, reason: x, link: here}", "an address that begins with https://"),
        ("{start: 2024-01-01, end: 2024-01-02, reason: x, why: y}", "unknown key (expected one of: start, end, reason"),
    ],
)
def test_an_outage_that_cannot_be_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (problem,) = read_feeds(write_feeds(tmp_path, outages_of(text))).problems
    assert said in str(problem)
