"""Faults that published files of the past had: each passes its own checksum, and is seen all the same."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import (
    DAY,
    QUICK,
    aggregates,
    candles,
    convert,
    frame,
    fresh_standin,
    month_of,
    verdict,
)
from hedgegrid_assets_tests.standins.archive import Rows, Standin, rows_in, zipped

SINGLE = "/data/futures/um/daily/trades/BTCUSDT/BTCUSDT-trades-2024-01-02.zip"
START = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp() * 1_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    return fresh_standin()


def made(folder: Path, server: Standin, kind: str = "trades", *, code: int = 0, **settings: Any) -> dict[str, Any]:
    """The verdict on a day of a kind of data."""
    assert convert(folder, server, "--data-types", kind, "-q", **settings) == code
    return verdict(folder, {"trades": "trade_tick", "mark": "mark_price"}.get(kind, kind))


def failed(found: dict[str, Any]) -> set[str]:
    """Rules that do not pass."""
    return {rule["name"] for rule in found["rules"] if rule["passed"] is False}


def test_two_interleaved_sequences_are_sorted_and_the_other_day_s_rows_are_not_this_day(
    server: Standin, tmp_path: Path
) -> None:
    def interleaved(rows: Rows) -> Rows:
        half = len(rows) // 2
        return [row for pair in zip(rows[:half], rows[half:], strict=False) for row in pair]

    server.change(month_of("aggTrades"), interleaved)
    found = made(tmp_path, server, period="monthly")
    assert (found["rows"]["in"], found["rows"]["out"]) == (600, 600)
    assert frame(tmp_path, "trade_tick")["ts_init"].is_sorted()
    assert found["status"] == "complete"


def test_interleaved_rows_in_a_file_of_one_day_are_sorted(server: Standin, tmp_path: Path) -> None:
    server.change(aggregates(), lambda rows: [*rows[::2], *rows[1::2]])
    found = made(tmp_path, server)
    assert found["rows"]["out"] == 600
    rows = frame(tmp_path, "trade_tick")
    assert rows["ts_init"].is_sorted()
    assert rows["trade_id"].n_unique() == 600


def test_every_row_twice_is_dropped_and_counted(server: Standin, tmp_path: Path) -> None:
    server.change(aggregates(), lambda rows: [*rows[:300], *(row for row in rows[300:] for _ in range(2))])
    found = made(tmp_path, server)
    assert (found["rows"]["out"], found["rows"]["exact_duplicates"]) == (600, 300)


def test_a_day_that_ends_in_the_evening_is_partial(server: Standin, tmp_path: Path) -> None:
    until = START + 19 * 3_600_000
    server.change(aggregates(), lambda rows: [row for row in rows if int(row.split(",")[5]) < until])
    found = made(tmp_path, server)
    assert found["status"] == "partial"
    assert "day_covered" in failed(found)


@pytest.mark.parametrize(("kind", "path"), [("aggTrade", aggregates()), ("trade", SINGLE)])
def test_a_side_that_is_the_same_on_all_rows_degrades_the_day(
    kind: str, path: str, server: Standin, tmp_path: Path
) -> None:
    server.change(path, lambda rows: [row.rpartition(",")[0] + ",true" for row in rows])
    found = made(tmp_path, server, trade_kind=kind)
    assert "aggressor_sides_mixed" in failed(found)
    assert found["status"] == "degraded"


def test_single_ids_that_are_left_out_are_counted(server: Standin, tmp_path: Path) -> None:
    server.change(aggregates(), lambda rows: [row for number, row in enumerate(rows) if number not in (100, 200, 201)])
    found = made(tmp_path, server)
    assert "no_sequence_gaps" in failed(found)
    assert sum(gap["ids_missing"] for gap in found["gaps"]) == 3
    assert found["status"] == "degraded"


def test_candles_that_are_missing_or_doubled_are_seen(server: Standin, tmp_path: Path) -> None:
    server.change(candles(), lambda rows: [*rows[:100], *rows[105:500], *rows[499:]])
    found = made(tmp_path, server, "mark")
    assert (found["rows"]["in"], found["rows"]["out"], found["rows"]["exact_duplicates"]) == (1_436, 1_435, 1)
    assert "no_time_gaps" in failed(found)
    assert [gap["seconds"] for gap in found["gaps"]] == [360.0]


FOUR = date(2024, 1, 10)
"""A day of settlements every four hours, among days of three."""


@pytest.mark.parametrize(
    ("lost", "status"),
    [
        (None, "complete"),
        ((FOUR, 12), "degraded"),  # between two others
        ((FOUR, 0), "degraded"),  # the first of a day
        ((FOUR, 20), "partial"),  # the last one
        ((date(2024, 1, 11), 0), "degraded"),  # the first of a day with three
    ],
)
def test_a_lost_settlement_is_seen_on_a_day_of_its_own_interval(
    lost: tuple[date, int] | None, status: str, server: Standin, tmp_path: Path
) -> None:
    def settled(rows: Rows) -> Rows:
        del rows
        days = [date(2024, 1, day) for day in range(8, 14)]
        times = [(day, hour) for day in days for hour in range(0, 24, 4 if day == FOUR else 8) if (day, hour) != lost]
        starts = [int(datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()) for day, hour in times]
        step = [4 if day == FOUR else 8 for day, _ in times]
        return [f"{at}00{hours % 7},{hours},0.0001" for at, hours in zip(starts, step, strict=True)]

    server.change(month_of("fundingRate"), settled)
    assert convert(tmp_path, server, "--data-types", "funding", "-q", start="2024-01-08", end="2024-01-13") == 0
    days = [date(2024, 1, day) for day in range(8, 13)]
    of_day = {day: verdict(tmp_path, "funding_rate", day=day) for day in days}
    where = lost[0] if lost else FOUR
    assert of_day.pop(where)["status"] == status
    assert {found["status"] for found in of_day.values()} == {"complete"}


def test_a_file_of_two_units_is_read_line_by_line(
    server: Standin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = aggregates(date(2025, 1, 1), market="/data/spot")

    def both(rows: Rows) -> Rows:
        cells = [row.split(",") for row in rows]
        return [
            ",".join([*row[:5], row[5][:13] if number % 2 else row[5], *row[6:]]) for number, row in enumerate(cells)
        ]

    server.change(path, both)
    end = {"start": "2025-01-01", "end": "2025-01-02"}
    assert convert(tmp_path, server, exchange="binance", **end) == 0
    found = frame(tmp_path, "trade_tick", "BTCUSDT.BINANCE", date(2025, 1, 1))
    assert len(found) == 600
    assert found["ts_event"].dt.year().unique().to_list() == [2025]
    assert "times of several units" in caplog.text


@pytest.mark.parametrize("spelling", ["true false", "True False", "TRUE FALSE", "1 0"])
def test_is_buyer_maker_is_read_in_all_its_spellings(spelling: str, server: Standin, tmp_path: Path) -> None:
    yes, no = spelling.split()
    server.change(aggregates(), lambda rows: [row.replace("true", yes).replace("false", no) for row in rows])
    found = made(tmp_path, server)
    assert found["rows"]["rejected"] == 0
    sides = frame(tmp_path, "trade_tick")["aggressor_side"].cast(pl.String).value_counts().to_dicts()
    assert len(sides) == 2


def _without_side(row: str) -> str:
    return row.replace("true", "maybe").replace("false", "maybe")


def _with(place: int, text: str) -> Callable[[str], str]:
    def change(row: str) -> str:
        cells = row.split(",")
        return ",".join([*cells[:place], text, *cells[place + 1 :]])

    return change


BROKEN: list[tuple[Callable[[str], str], str]] = [
    (_without_side, "missing_side"),
    (_with(1, "x"), "bad_decimal"),
    (_with(6, "true,7"), "wrong_type"),
    (_with(5, "yesterday"), "unknown_time"),
]


@pytest.mark.parametrize(("change", "reason"), BROKEN)
def test_a_row_that_cannot_be_read_is_rejected_alone(change: Any, reason: str, server: Standin, tmp_path: Path) -> None:
    server.change(aggregates(), lambda rows: [*rows[:10], change(rows[10]), *rows[11:]])
    found = made(tmp_path, server)
    assert found["rows"]["out"] == 599
    told = [pl.read_parquet(path) for path in (tmp_path).rglob("*.parquet") if "rejects" in str(path)]
    assert [row for one in told for row in one["reason"]] == [reason]


def test_a_file_of_other_columns_is_refused_with_what_is_missing(
    server: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = b"agg_trade_id,price,first_trade_id,last_trade_id,transact_time\n1,2,3,4,1704153600000\n"
    server.library.bodies[aggregates()] = zipped("BTCUSDT-aggTrades-2024-01-02.csv", text)
    assert convert(tmp_path, server, "--data-types", "trades") == 1
    assert (
        "Missing required columns (BTCUSDT-aggTrades-2024-01-02.zip): expected is_buyer_maker, quantity"
        in capsys.readouterr().err
    )


def test_a_header_in_two_languages_of_another_encoding_is_read(server: Standin, tmp_path: Path) -> None:
    for day in (DAY, date(2024, 1, 3)):
        name = f"BTC-USDT-trades-{day}"
        path = f"/cdn/okex/traderecords/trades/daily/{day:%Y%m%d}/{name}.zip"
        body = server.library.body(path)
        assert body is not None
        rows = "".join(f"{row}\n" for row in rows_in(body)[1:]).encode()
        header = "instrument_name/交易对,trade_id/撮合id,side/交易方向,size/数量,price/价格,created_time/成交时间\n"
        cells = [row.split(b",") for row in rows.splitlines()]
        turned = b"".join(b",".join([*row[:3], row[4], row[3], row[5]]) + b"\n" for row in cells)
        server.library.bodies[path] = zipped(f"{name}.csv", header.encode("gbk") + turned)
    assert convert(tmp_path, server, symbol="BTC-USDT", exchange="okex") == 0
    found = verdict(tmp_path, "trade_tick", "BTC-USDT.OKEX")
    assert (found["rows"]["out"], found["rows"]["rejected"]) == (600, 0)
    assert not list(tmp_path.glob("data/rejects/**/*.parquet"))


def test_rows_of_another_day_in_a_file_of_a_day_block_it(server: Standin, tmp_path: Path) -> None:
    server.change(
        aggregates(),
        lambda rows: [
            *rows,
            ",".join([*rows[-1].split(",")[:5], str(START - 5), *rows[-1].split(",")[6:]]).replace(
                rows[-1].split(",")[0], "1", 1
            ),
        ],
    )
    found = made(tmp_path, server, code=1)
    assert "day_bounds" in failed(found)
