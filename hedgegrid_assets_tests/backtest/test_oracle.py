"""One run under both generations of NautilusTrader: 2.x, which pays funding itself, is what ours is held to."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl
import pytest

from hedgegrid_assets.backtest.run import Ran
from hedgegrid_assets.errors import BacktestRefused, EngineLacks, EngineNotThere, EngineOfOther, EnvironmentFault
from hedgegrid_assets.housekeeping.converting import convert_catalog
from hedgegrid_assets.store import Places, stored
from hedgegrid_assets_tests.backtest.market import HOUR, ID, MIDNIGHT, SCRIPTED, SECOND, Market, scripted, settings_of
from hedgegrid_assets_tests.backtest.test_run import at, flat_trades, hourly, payments, ran
from hedgegrid_assets_tests.nautilus2 import WITH_NAUTILUS_2

pytestmark = [pytest.mark.slow, WITH_NAUTILUS_2]

HEDGED: Final = [
    at(0.5, "BUY", "1.234", "LONG"),
    at(0.6, "SELL", "0.417", "SHORT"),
    at(1.5, "SELL", "1.234", "LONG"),
    at(2.9, "BUY", "2", "LONG-2"),
    at(4.1, "SELL", "2", "LONG-2"),
    at(4.5, "BUY", "0.417", "SHORT"),
]
BEYOND: Final = MIDNIGHT + int(5.5 * HOUR)
"""When trades come that are beyond the price of a resting order: the first two from its own side."""
TABLES: Final = ("TradeTick", "MarkPriceUpdate", "IndexPriceUpdate", "FundingRateUpdate")


class Both(NamedTuple):
    """The same run under 1.x and 2.x, and what a listener heard."""

    first: Ran
    second: Ran
    heard: tuple[Any, Any]


def strategy(name: str, **config: Any) -> dict[str, Any]:
    return {
        "strategy_path": f"{SCRIPTED}:{name}",
        "config_path": f"{SCRIPTED}:{name}Config",
        "config": {"instrument_id": ID, **config},
    }


def values(catalog: Path, heard: Path) -> dict[str, Any]:
    resting = strategy("Resting", at=BEYOND - 5 * SECOND, side="SELL", price="43001", quantity="1")
    listening = strategy("Listener", file=str(heard))
    engine = {"strategies": [scripted(HEDGED), resting, listening]}
    venue = {"liquidity_consumption": True}
    return settings_of(catalog, {}, tables=TABLES[:2] + TABLES[3:], venue=venue, engine=engine)


def converted(catalog: Path) -> Path:
    target = catalog.with_name("second")
    done = convert_catalog(Places.of_catalog(catalog), stored(target), 2, lambda _what, _rows: None)
    assert not done.failed
    return target


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six hours of flat trades with five settlements, and three trades beyond its price, two by sellers."""
    quiet = range(BEYOND - 10 * SECOND, BEYOND + 10 * SECOND)
    trades = [(at, price, "50.505", side) for at, price, _, side in flat_trades() if at not in quiet]
    trades += [(BEYOND, "43002", "0.250", "sell"), (BEYOND + SECOND, "43002", "0.300", "sell")]
    trades.append((BEYOND + 2 * SECOND, "43002", "5.000", "buy"))
    parts = hourly(price="43123.45678901", at_four="44000.00000001")
    built = Market(trades=sorted(trades), **parts).build(tmp_path_factory.mktemp("market"))
    return built, converted(built)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, catalogs: tuple[Path, Path]) -> Both:
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    runs = [
        ran(folder, values(catalog, folder / "heard.json")) for folder, catalog in zip(folders, catalogs, strict=True)
    ]
    for run in runs:
        assert run.ok, run.result["problems"]
    first, second = (json.loads((folder / "heard.json").read_text()) for folder in folders)
    return Both(*runs, heard=(first, second))


def fills(run: Ran, *, resting: bool) -> list[dict[str, Any]]:
    frame = pl.read_parquet(run.folder / "fills.parquet")
    liquidity = "MAKER" if resting else "TAKER"
    names = ("ts_event", "position_id", "side", "quantity", "price", "commission", "currency")
    numbers = pl.col("quantity", "price", "commission").cast(pl.Decimal(38, 10))
    return frame.filter(pl.col("liquidity") == liquidity).select(*names).with_columns(numbers).rows(named=True)


def test_both_versions_pay_the_same_to_the_eighth_decimal(both: Both) -> None:
    paid = sorted(payments(both.first))
    assert len(paid) == 7
    assert sorted(payments(both.second)) == paid
    assert both.second.result["funding"] == both.first.result["funding"]


def test_both_versions_fill_and_charge_orders_that_take_the_same(both: Both) -> None:
    taken = fills(both.first, resting=False)
    assert len(taken) == len(HEDGED)
    assert fills(both.second, resting=False) == taken


def test_both_versions_are_given_the_same_events_in_the_same_order(both: Both) -> None:
    first, second = both.heard
    assert len(second) == sum(both.second.result["delivered"].values()) > 700
    assert [row[:4] for row in second] == [row[:4] for row in first]
    numbers = [[row[0], row[4] if row[0] == "trade" else Decimal(row[4])] for row in first]
    assert [[row[0], row[4] if row[0] == "trade" else Decimal(row[4])] for row in second] == numbers


def test_2_fills_a_resting_order_that_a_trade_has_passed_by_the_next_one_whoever_took_it(both: Both) -> None:
    first, second = ([(row["price"], row["quantity"]) for row in fills(run, resting=True)] for run in both[:2])
    assert first == [(Decimal(43001), Decimal(1))]
    assert second == [(Decimal(43001), Decimal("0.3")), (Decimal(43001), Decimal("0.7"))]


def test_accounts_of_2_agree_with_fills_and_payments(both: Both) -> None:
    account = both.second.result["accounts"]["USDT"]
    assert account["agrees_with_engine"] is True
    assert account["funding"] == both.first.result["accounts"]["USDT"]["funding"]
    assert both.second.result["versions"]["nautilus_trader"].startswith("2.")


def test_2_cannot_be_kept_from_paying(tmp_path: Path, catalogs: tuple[Path, Path]) -> None:
    asked = settings_of(catalogs[1], scripted(HEDGED), hedgegrid={"funding": {"pay": False}})
    with pytest.raises(BacktestRefused, match=r"pay: false cannot be applied: nautilus_trader 2\.x pays wherever"):
        ran(tmp_path, asked)


def test_a_python_without_2_is_refused_by_name(
    tmp_path: Path, catalogs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = settings_of(catalogs[1], scripted(HEDGED))
    monkeypatch.delenv("NAUTILUS2_PYTHON")
    with pytest.raises(EngineOfOther, match=r"is for NautilusTrader 2\.x: expected .*, and no NAUTILUS2_PYTHON"):
        ran(tmp_path, asked)
    monkeypatch.setenv("NAUTILUS2_PYTHON", str(tmp_path / "python"))
    with pytest.raises(EngineNotThere, match=r"names no Python: expected a program that can be run, found .*/python"):
        ran(tmp_path, asked)
    monkeypatch.setenv("NAUTILUS2_PYTHON", sys.executable)
    with pytest.raises(EnvironmentFault, match=r"expected nautilus_trader 2\.x in it, found 1\."):
        ran(tmp_path, asked)


def test_a_python_without_our_packages_is_told_which_it_lacks(
    tmp_path: Path, catalogs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} -I -S -c "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setenv("NAUTILUS2_PYTHON", str(bare))
    with pytest.raises(EngineLacks, match="expected msgspec, numpy, polars, pyarrow, pydantic beside"):
        ran(tmp_path, settings_of(catalogs[1], scripted(HEDGED)))


@pytest.mark.parametrize("where", ["trade", "alert", "stop"])
def test_a_strategy_that_raises_does_not_end_well_though_2_goes_on(
    where: str, tmp_path: Path, catalogs: tuple[Path, Path]
) -> None:
    asked = settings_of(catalogs[1], strategy("Faulty", where=where), tables=("TradeTick",))
    run = ran(tmp_path, asked | {"end": "2024-01-01T00:10:00Z"})
    assert not run.ok
    (told,) = run.result["problems"]
    assert told.startswith(f"it ended before its time: ZeroDivisionError: at the {where} ")
    assert "in _raise" in run.result["raised"]
