"""Open interest from the archives' metrics, whose labels have changed their meaning."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import DAY, QUICK, UM, convert, frame, fresh_standin, verdict
from hedgegrid_assets_tests.standins.archive import LABELS_SINCE, Standin, rows_in

BTC = "BTCUSDT-PERP.BINANCE"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Standin:
    monkeypatch.setattr(limits, "in_force", QUICK)
    return fresh_standin()


def path_of(day: date) -> str:
    return f"{UM}/daily/metrics/BTCUSDT/BTCUSDT-metrics-{day}.zip"


def values(server: Standin, day: date) -> list[Decimal]:
    body = server.library.body(path_of(day))
    assert body is not None
    return [Decimal(row.split(",")[2]) for row in rows_in(body)[1:]]


def made(folder: Path, server: Standin, start: date, days: int = 1) -> int:
    end = start + timedelta(days=days)
    return convert(folder, server, "--data-types", "open_interest", "-q", start=str(start), end=str(end))


def found(folder: Path, day: date, instrument: str = BTC) -> tuple[list[datetime], list[Decimal]]:
    rows = frame(folder, "open_interest", instrument, day)
    return rows["ts_event"].to_list(), rows["open_interest"].to_list()


def at(day: date, minutes: int) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)


def test_a_day_begins_with_the_last_row_of_the_file_before(server: Standin, tmp_path: Path) -> None:
    assert made(tmp_path, server, DAY) == 0
    times, open_interest = found(tmp_path, DAY)
    assert times == [at(DAY, 5 * step) for step in range(288)]
    assert open_interest == [values(server, DAY - timedelta(days=1))[-1], *values(server, DAY)[:-1]]
    told = verdict(tmp_path, "open_interest")
    assert (told["status"], told["series"]) == ("complete", "binance-archive/metrics-5m")


def test_labels_of_starts_are_stamped_when_the_rows_were_known(server: Standin, tmp_path: Path) -> None:
    before, after = LABELS_SINCE - timedelta(days=1), LABELS_SINCE + timedelta(days=1)
    assert made(tmp_path, server, before, days=3) == 0
    assert found(tmp_path, before)[0] == [at(before, 5 * step) for step in range(288)]
    times, open_interest = found(tmp_path, after)
    assert times == [at(after, 5 * step) for step in range(288)]
    assert open_interest == [values(server, LABELS_SINCE)[-1], *values(server, after)[:-1]]


def test_the_moment_that_stands_in_two_files_with_two_meanings_is_not_taken_twice(
    server: Standin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert made(tmp_path, server, LABELS_SINCE) == 0
    times, open_interest = found(tmp_path, LABELS_SINCE)
    assert times == [at(LABELS_SINCE, 5 * step) for step in range(1, 288)]
    assert open_interest == values(server, LABELS_SINCE)[:-1]
    assert "its last row is labelled otherwise" in caplog.text


def test_coin_m_was_labelled_by_starts_ever_since(server: Standin, tmp_path: Path) -> None:
    words = ("--data-types", "open_interest", "-q")
    assert convert(tmp_path, server, *words, symbol="BTCUSD_PERP", exchange="binance-delivery") == 0
    assert found(tmp_path, DAY, "BTCUSD_PERP.BINANCE_DELIVERY")[0] == [at(DAY, 5 * step) for step in range(288)]


def test_a_blank_is_counted_and_is_no_row(server: Standin, tmp_path: Path) -> None:
    server.change(path_of(DAY), lambda rows: [*rows[:9], ",".join([*rows[9].split(",")[:2], *[""] * 6]), *rows[10:]])
    assert made(tmp_path, server, DAY) == 0
    told = verdict(tmp_path, "open_interest")
    assert (told["rows"]["out"], told["rows"]["not_applicable"]) == (287, 1)


def test_the_first_day_of_a_symbol_has_no_file_before_it(server: Standin, tmp_path: Path) -> None:
    server.library.gone.add(path_of(DAY - timedelta(days=1)))
    assert made(tmp_path, server, DAY) == 0
    assert found(tmp_path, DAY)[0][0] == at(DAY, 5)
    assert frame(tmp_path, "open_interest").select(pl.len()).item() == 287
