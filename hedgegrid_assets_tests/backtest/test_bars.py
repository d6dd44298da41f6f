"""Runs on bars: given as the catalog has them, and no second market beside the prices that they were made of."""

import json
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from hedgegrid_assets.backtest.run import run_backtest
from hedgegrid_assets.errors import BacktestFileError
from hedgegrid_assets_tests.backtest.market import (
    ID,
    MIDNIGHT,
    SCRIPTED,
    SECOND,
    Market,
    scripted,
    settings_of,
    setup_of,
)

MINUTES: Final = f"{ID}-1-MINUTE-LAST-EXTERNAL"
SLOW: Final = f"{ID}-2-MINUTE-LAST-EXTERNAL"
PRICES: Final = ("100", "104", "97", "101")
"""Of the trades of each minute, 10 s apart: open, high, low and close; the next minute is 10 higher."""


def built(folder: Path) -> Path:
    """Four minutes of trades, and bars of them."""
    trades = [
        (MIDNIGHT + (60 * minute + 10 * place) * SECOND, int(price) + 10 * minute, "1", "buy")
        for minute in range(4)
        for place, price in enumerate(PRICES)
    ]
    return Market(trades=trades, settings={"bars": ["1-MINUTE", "2-MINUTE"]}).build(folder)


def of_bars(catalog: Path, *more: dict[str, Any], strategy: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A backtest's file with bars of one minute, and more data."""
    values = settings_of(catalog, strategy, tables=(), **changed)
    rows = ({"data_cls": "nautilus_trader.model.data:Bar", "bar_types": [MINUTES]}, *more)
    return values | {"data": [{"catalog_path": str(catalog)} | row for row in rows]}


@pytest.mark.slow
def test_a_strategy_is_given_the_bars_of_the_catalog_at_their_close_and_fills_at_it(tmp_path: Path) -> None:
    heard = tmp_path / "heard.json"
    strategy = {
        "strategy_path": f"{SCRIPTED}:OnBars",
        "config_path": f"{SCRIPTED}:OnBarsConfig",
        "config": {"instrument_id": ID, "bar_types": [MINUTES, SLOW], "file": str(heard)},
    }
    longer = {"data_cls": "Bar", "bar_spec": "2-MINUTE-LAST", "instrument_id": ID}
    values = of_bars(built(tmp_path), longer, strategy=strategy)
    ran = run_backtest(setup_of(tmp_path, values), tmp_path / "artifacts")
    assert ran.ok
    closes = [MIDNIGHT + 60 * minute * SECOND - 1 for minute in (1, 2, 3, 4)]
    told = [
        (kind, at, now, float(close), float(volume)) for kind, at, now, close, volume in json.loads(heard.read_text())
    ]
    assert [row for row in told if row[0] == MINUTES] == [
        (MINUTES, at, at, 101.0 + 10 * number, 4.0) for number, at in enumerate(closes)
    ]
    assert [row[1:] for row in told if row[0] == SLOW] == [
        (at, at, close, 8.0) for at, close in ((closes[1], 111.0), (closes[3], 131.0))
    ]
    fills = pl.read_parquet(ran.folder / "fills.parquet")
    assert [float(price) for price in fills["price"]] == [101.0, 111.0, 121.0, 131.0]
    assert ran.result["delivered"] == {"bar_1_minute": 4, "bar_2_minute": 2}
    assert any("each bar is played at its close" in line for line in ran.result["assumptions"])
    assert any("valued at the last bar's close" in line for line in ran.result["assumptions"])


@pytest.mark.parametrize(
    ("venue", "trades", "played"),
    [
        ({}, True, False),
        ({"bar_execution": True}, True, True),
        ({}, False, True),
        ({"bar_execution": False}, False, False),
    ],
)
def test_bars_fill_no_order_where_the_run_has_every_price_unless_that_is_said(
    venue: dict[str, Any], trades: bool, played: bool, tmp_path: Path
) -> None:
    more = [{"data_cls": "TradeTick", "instrument_id": ID}] if trades else []
    setup = setup_of(tmp_path, of_bars(tmp_path / "catalog", *more, strategy=scripted([]), venue=venue))
    assert setup.run.venues[0].bar_execution is played


def test_a_venue_that_needs_bars_for_some_instruments_alone_has_to_say_whether_they_fill(tmp_path: Path) -> None:
    trades = {"data_cls": "TradeTick", "instrument_id": ID}
    other = {"data_cls": "bars_1h", "instrument_id": "ETHUSDT-PERP.BINANCE"}
    values = of_bars(tmp_path / "catalog", trades, other, strategy=scripted([]))
    with pytest.raises(BacktestFileError, match=r"of ETHUSDT-PERP\.BINANCE there are bars alone, and of BTCUSDT-PERP"):
        setup_of(tmp_path, values)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"data_cls": "Bar", "instrument_id": ID}, "expected bar_spec (as 1-MINUTE-LAST) or bar_types"),
        ({"data_cls": "Bar", "instrument_id": ID, "bar_spec": "60-MINUTE-LAST"}, "unknown bars '60-MINUTE-LAST'"),
        ({"data_cls": "Bar", "instrument_id": ID, "bar_types": [MINUTES]}, "expected bar_types alone"),
        ({"data_cls": "Bar", "bar_types": [f"{ID}-1-MINUTE-LAST-INTERNAL"]}, "expected a bar type of the catalog"),
        ({"data_cls": "TradeTick", "instrument_id": ID, "bar_spec": "1-MINUTE-LAST"}, "with data_cls Bar alone"),
    ],
)
def test_bars_that_are_not_named_as_nautilus_does_are_refused(row: dict[str, Any], told: str, tmp_path: Path) -> None:
    values = settings_of(tmp_path / "catalog", scripted([]), tables=())
    values["data"] = [{"catalog_path": str(tmp_path / "catalog")} | row]
    with pytest.raises(BacktestFileError) as caught:
        setup_of(tmp_path, values)
    assert told in str(caught.value)
