"""Two sources of one day, or two states of it: every row that differs is counted as what it is."""

import json
import re
from datetime import timedelta
from itertools import groupby
from pathlib import Path

import polars as pl
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.cli.diff import show_differences
from hedgegrid_assets.inspect.diff import compare
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests import tardis_cases
from hedgegrid_assets_tests.archive_cases import DAY, QUICK, aggregates, convert, frame, fresh_standin
from hedgegrid_assets_tests.standins.archive import Standin

TRADES = TABLES["trade_tick"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    return fresh_standin()


def compared(left: pl.DataFrame, right: pl.DataFrame) -> tuple[str, int, int, int, int, int]:
    found = compare("BTCUSDT-PERP.BINANCE", TRADES, DAY, left, right)
    return (found.matched_by, found.equal, found.shifted, found.changed, found.only_left, found.only_right)


@pytest.fixture
def day(server: Standin, tmp_path: Path) -> pl.DataFrame:
    assert convert(tmp_path, server, "--data-types", "trades", "-q") == 0
    return frame(tmp_path, "trade_tick")


def test_rows_are_matched_by_id_and_told_as_what_they_are(day: pl.DataFrame) -> None:
    number = pl.int_range(pl.len())
    other = day.with_columns(
        size=pl.when(number == 5).then(pl.col("size") * 2).otherwise("size").cast(day.schema["size"]),
        ts_event=pl.when(number == 7).then(pl.col("ts_event") + timedelta(milliseconds=1)).otherwise("ts_event"),
    ).filter(number != 9)
    assert compared(day, other) == ("id", 597, 1, 1, 1, 0)
    assert compared(other, day) == ("id", 597, 1, 1, 0, 1)
    assert compared(day, day) == ("id", 600, 0, 0, 0, 0)


def test_rows_without_common_ids_are_matched_by_their_content(day: pl.DataFrame) -> None:
    other = day.with_columns(trade_id="x" + pl.col("trade_id").cast(pl.String)).head(590)
    assert compared(day, other) == ("content", 590, 0, 0, 10, 0)


def test_a_day_that_one_side_lacks_is_all_on_the_other(day: pl.DataFrame) -> None:
    found = compare("BTCUSDT-PERP.BINANCE", TRADES, DAY, day, None)
    assert (found.only_left, found.only_right, found.is_same) == (600, 0, False)


def test_aggregates_are_held_against_the_trades_that_they_name(server: Standin, tmp_path: Path) -> None:
    def doubled(rows: list[str]) -> list[str]:
        """Each aggregate as large as its two trades together, but for one."""
        cells = [row.split(",") for row in rows]
        return [
            ",".join(
                [*row[:2], f"{int(row[2].replace('.', '')) * 2 // (1 if number != 3 else 2) / 1000:.3f}", *row[3:]]
            )
            for number, row in enumerate(cells)
        ]

    server.change(aggregates(), doubled)
    for kind in ("aggTrade", "trade"):
        (tmp_path / kind).mkdir()
        assert convert(tmp_path / kind, server, "--data-types", "trades", "-q", trade_kind=kind) == 0
    found = compared(frame(tmp_path / "aggTrade", "trade_tick"), frame(tmp_path / "trade", "trade_tick").slice(2))
    assert found == ("members", 598, 0, 1, 1, 0)


def test_the_command_compares_two_catalogs(server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert convert(tmp_path / "a", server, "--data-types", "trades,mark", "-q") == 0
    server.change(aggregates(), lambda rows: rows[:-2])
    assert convert(tmp_path / "b", server, "--data-types", "trades,mark", "-q") == 0
    capsys.readouterr()
    words = ["diff", str(tmp_path / "a/catalog"), str(tmp_path / "b/catalog"), "--json"]
    assert run([*words, "--data-types", "mark"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
    assert run(words) == 1
    told = json.loads(capsys.readouterr().out)
    by_table = {day["table"]: day for day in told["days"]}
    assert by_table["trade_tick"]["only_left"] == 2
    assert [row["kind"] for row in by_table["trade_tick"]["first"]] == ["only left"] * 2
    assert by_table["mark_price_update"]["same"]


def test_rows_of_both_sides_are_shown_and_what_each_says_of_those_that_differ(
    day: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    number = pl.int_range(pl.len())
    doubled = pl.when(number == 9).then(pl.col("size") * 2).otherwise("size").cast(day.schema["size"])
    found = compare("BTCUSDT-PERP.BINANCE", TRADES, DAY, day.tail(-8), day.with_columns(size=doubled).head(-20))
    assert [kind for kind, _ in groupby(row["kind"] for row in found.first)] == ["changed", "only left", "only right"]
    assert all("price" in row for row in found.first)
    show_differences([found])
    shown = capsys.readouterr().out
    for kind, rows in {"only left": 3, "only right": 3, "changed": 1}.items():
        assert shown.count(f"{DAY} {kind}: ") == rows
    assert re.search(r"changed: .*size [0-9.]+ left, [0-9.]+ right", shown)


def test_candles_and_updates_of_a_stream_are_told_as_what_they_are(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert convert(tmp_path / "a", server, "--data-types", "mark", "-q") == 0
    stream = tmp_path / "b/marks.jsonl"
    noon = 1_704_196_800_000
    message = '{{"e":"markPriceUpdate","E":{0},"s":"BTCUSDT","p":"42000.10000000","i":"42000.1","P":"0","r":"0.0001","T":{0}}}\n'
    stream.write_text("".join(message.format(noon + 1_000 * second) for second in range(100)))
    words = ["--source", "websocket", "--symbol", "BTCUSDT", "--data-types", "mark", "--input", str(stream)]
    assert (
        run(
            [
                "replay-to-parquet",
                *words,
                "--data",
                str(tmp_path / "b/data"),
                "--output",
                str(tmp_path / "b/catalog"),
                "-q",
            ]
        )
        == 0
    )
    assert run(["diff", str(tmp_path / "a/catalog"), str(tmp_path / "b/catalog")]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "left is made of binance-archive/markPriceKlines-1m, right of binance/markPrice: a row each 1m against every update"
        in told
    )


def test_bars_are_matched_by_their_period_whatever_its_last_moment_is_called(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert convert(tmp_path / "a", server, "--data-types", "bars_1h", "-q") == 0
    assert convert(tmp_path / "b", server, "--data-types", "bars_1h", "-q", bar_kind="aggTrade") == 0
    capsys.readouterr()
    assert run(["diff", str(tmp_path / "a/catalog"), str(tmp_path / "b/catalog"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["days"]
    assert (found["matched_by"], found["equal"], found["rows_left"], found["rows_right"]) == ("period", 24, 24, 24)


@pytest.mark.slow
def test_the_command_compares_a_day_of_two_sources(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tardis = tardis_cases.fresh_standin()
    left, right = tmp_path / "left.json", tmp_path / "right.json"
    left.write_text(json.dumps({"endpoint": server.endpoint, "trade_kind": "trade"}))
    keys = {"endpoint": tardis.endpoint, "datasets_endpoint": tardis.datasets_endpoint, "api_key": tardis_cases.KEY}
    right.write_text(json.dumps(keys))
    words = ["diff", f"archive:{DAY}", f"tardis:{DAY}", "--symbol", "BTCUSDT", "--data-types", "trades", "--json"]
    config = ["--left-config", str(left), "--right-config", str(right), "--data", str(tmp_path / "data")]
    assert run([*words, *config]) == 1
    (told,) = json.loads(capsys.readouterr().out)["days"]
    assert (told["rows_left"], told["rows_right"]) == (1_200, 2_000)
    assert told["equal"] + told["changed"] + told["shifted"] + told["only_left"] == 1_200


@pytest.mark.parametrize("said", ["nowhere", "archive:yesterday", "nosuch:2024-01-02"])
def test_what_is_no_catalog_and_no_source_is_refused(
    said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", said, said, "--data", str(tmp_path)]) == 2
    assert "expected" in capsys.readouterr().err
