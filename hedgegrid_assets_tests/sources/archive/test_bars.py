"""Bars of an archive: the candles that it publishes, or bars of its trades."""

from pathlib import Path

import pytest

from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import QUICK, convert, frame, fresh_standin, verdict
from hedgegrid_assets_tests.standins.archive import Rows


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "in_force", QUICK)


def test_published_candles_and_bars_of_the_trades_of_the_same_day_agree(tmp_path: Path) -> None:
    server = fresh_standin()
    made = {kind: tmp_path / kind for kind in ("kline", "aggTrade")}
    for kind, folder in made.items():
        folder.mkdir()
        assert convert(folder, server, "--data-types", "bars,bars_1h", "-q", bar_kind=kind) == 0
    candles, bars = (frame(folder, "bar_1_hour") for folder in made.values())
    columns = ["open", "high", "low", "close", "volume"]
    assert candles.select(columns).equals(bars.select(columns))
    assert (candles["ts_init"].dt.timestamp("ms") == bars["ts_init"].dt.timestamp("ms")).all()
    assert verdict(made["kline"], "bar_1_minute")["status"] == "complete"
    assert verdict(made["kline"], "bar_1_minute")["series"] == "binance-archive/klines-1m"
    assert verdict(made["aggTrade"], "bar_1_minute")["series"] == "binance-archive/aggTrade"
    assert len(frame(made["kline"], "bar_1_minute")) == 1_440 > len(frame(made["aggTrade"], "bar_1_minute"))


def test_missing_and_doubled_candles_are_seen(tmp_path: Path) -> None:
    server = fresh_standin()

    def faulty(rows: Rows) -> Rows:
        return [*rows[:300], rows[299], *rows[400:]]

    server.change("/data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-02.zip", faulty)
    assert convert(tmp_path, server, "--data-types", "bars", "-q") == 0
    found = verdict(tmp_path, "bar_1_minute")
    assert (found["rows"]["exact_duplicates"], found["status"]) == (1, "degraded")
    assert [gap["seconds"] for gap in found["gaps"]] == [6_060.0]


def test_an_archive_without_candles_gives_bars_of_its_trades(tmp_path: Path) -> None:
    assert convert(tmp_path, fresh_standin(), "--data-types", "bars_5m", "-q", exchange="bybit") == 0
    rows = frame(tmp_path, "bar_5_minute", "BTCUSDT-LINEAR.BYBIT")
    assert 100 < len(rows) <= 288
