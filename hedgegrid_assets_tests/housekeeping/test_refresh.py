"""Published files that are replaced later: it is seen, their days are made again, and what changed is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import QUICK, aggregates, convert, fresh_standin, month_of
from hedgegrid_assets_tests.standins.archive import Standin

FEED = """version: 1
feeds:
  free:
    source: archive
    venue: BINANCE
    symbols: [BTCUSDT]
    tables: [trade_tick]
    start: 2024-01-01
    end: 2024-01-04
    settings: {endpoint: "ENDPOINT"}
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    return fresh_standin()


@pytest.fixture
def feed(server: Standin, tmp_path: Path) -> list[str]:
    """A feed with its three days, by flags."""
    from hedgegrid_assets.config.feeds import read_feeds
    from hedgegrid_assets.pipeline.request import Request
    from hedgegrid_assets.pipeline.run import run as made

    path = tmp_path / "feeds.yaml"
    path.write_text(FEED.replace("ENDPOINT", server.endpoint))
    found = read_feeds(path).feeds["free"]
    assert found.end is not None
    assert made(Request(found, found.start, found.end, tmp_path / "data/catalog", tmp_path / "data")).ok
    return ["--feeds", str(path), "--data", str(tmp_path / "data")]


def looked(feed: list[str], capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["refresh", "free", "--json", *feed, *more]) == code
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_where_nothing_was_replaced_nothing_is_fetched(
    feed: list[str], server: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    server.log.clear()
    told = looked(feed, capsys)
    assert (told["files"], told["replaced"], told["differences"]) == (3, [], [])
    assert [entry.method for entry in server.log] == ["HEAD"] * 3


def test_a_replaced_file_is_fetched_again_and_its_changes_are_said(
    feed: list[str], server: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    server.change(aggregates(), lambda rows: [rows[0].replace(",", ",9", 1), *rows[1:-2]])
    told = looked(feed, capsys, "--dry-run")
    assert [one["url"] for one in told["replaced"]] == [server.endpoint + aggregates()]
    assert told["days"] == []
    told = looked(feed, capsys, code=1)
    (changed,) = told["differences"]
    assert (changed["date"], changed["only_left"], changed["changed"], changed["only_right"]) == ("2024-01-02", 2, 1, 0)
    assert [(day["date"], day["rows"]["out"]) for day in told["days"]] == [("2024-01-02", 598)]
    assert looked(feed, capsys)["replaced"] == []


def test_a_day_that_was_complete_and_is_not_any_more_is_told_with_rows_before_and_after(
    feed: list[str], server: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    server.change(aggregates(), lambda rows: rows[:200] + rows[400:])
    capsys.readouterr()
    assert run(["refresh", "free", *feed]) == 1
    out = capsys.readouterr().out
    assert "only before" in out
    assert "left" not in out
    assert "BTCUSDT-PERP.BINANCE trade_tick 2024-01-02: was complete, is degraded" in out


def test_days_of_a_replaced_month_are_made_from_that_month(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    assert convert(tmp_path, server, "--data-types", "trades", "-q", period="monthly") == 0
    feed: list[str] = request.getfixturevalue("feed")
    month = month_of("aggTrades")
    server.change(month, lambda rows: [rows[0], rows[1].replace(",", ",9", 1), *rows[2:]])
    server.log.clear()
    told = looked(feed, capsys, code=1)
    assert [(one["url"], len(one["days"])) for one in told["replaced"]] == [(server.endpoint + month, 3)]
    changes = [(each["date"], each["changed"], each["equal"]) for each in told["differences"]]
    assert changes == [("2024-01-01", 1, 599), ("2024-01-02", 0, 600), ("2024-01-03", 0, 600)]
    assert {entry.target for entry in server.log} == {month, f"{month}.CHECKSUM"}
    assert looked(feed, capsys)["replaced"] == []


def test_a_file_that_is_gone_is_told_and_its_day_stays(
    feed: list[str], server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.library.gone.add(aggregates())
    told = looked(feed, capsys)
    assert [one["now"] for one in told["replaced"]] == [None]
    assert (tmp_path / "data/catalog/BTCUSDT-PERP.BINANCE/trade_tick.parquet/2024-01-02.parquet").exists()


def test_an_unknown_feed_is_told_with_those_that_there_are(feed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["refresh", "fre", *feed]) == 2
    assert "expected one of free" in capsys.readouterr().err
