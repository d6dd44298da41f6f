"""The example strategy: its ladders, exits, inventory limit and funding guard, as the real engine trades them."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from hedgegrid_assets.backtest.config import STRATEGIES
from hedgegrid_assets.backtest.strategies.hedge_grid_v1 import HedgeGridV1Config
from hedgegrid_assets_tests.backtest.market import HOUR, ID, MIDNIGHT, SECOND, Market, settings_of
from hedgegrid_assets_tests.backtest.test_run import ran

MINUTE = 60 * SECOND
GIVEN: dict[str, Any] = {
    "instrument_id": ID,
    "grid_step_bps": 20,
    "grid_levels_long": 3,
    "grid_levels_short": 2,
    "base_qty": "0.5",
    "qty_scale": "1.5",
    "tp_steps": 1,
    "sl_steps": 8,
    "recenter_trigger_bps": 150,
    "max_inventory_quote": 200_000,
}
LADDER = {
    "LONG 1": ("42914.0", "0.500"),  # 43,000 less 20, 40 and 60 basis points
    "LONG 2": ("42828.0", "0.750"),
    "LONG 3": ("42742.0", "1.125"),
    "SHORT 1": ("43086.0", "0.500"),
    "SHORT 2": ("43172.0", "0.750"),
}


def strategy(**changed: Any) -> dict[str, Any]:
    module = f"{STRATEGIES}.hedge_grid_v1"
    return {
        "strategy_path": f"{module}:HedgeGridV1",
        "config_path": f"{module}:HedgeGridV1Config",
        "config": GIVEN | changed,
    }


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes: two at 43,000, a fall to the first rung and back, and then far away; a rate of 4 basis points."""
    prices = {0: "43000.1", 2: "42914.0", 4: "43000.1", 6: "43700.0"}
    trades = [
        (MIDNIGHT + second * SECOND, prices[max(at for at in prices if at * 60 <= second)], "50.505", side)
        for second in range(2, 600, 5)
        for side in ("buy", "sell")
    ]
    funding = [(MIDNIGHT + SECOND, MIDNIGHT + SECOND, "0.0004", MIDNIGHT + 8 * HOUR)]
    return Market(trades=trades, funding=funding).build(tmp_path_factory.mktemp("market"))


def orders(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "orders.parquet")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"grid_step_bps": 4}, "grid_step_bps: expected 5 to 1000, found 4"),
        ({"grid_levels_long": 101}, "grid_levels_long: expected 0 to 100"),
        ({"grid_levels_long": 0, "grid_levels_short": 0}, "expected at least one rung"),
        ({"qty_scale": 4}, "qty_scale: expected 0.01 to 3, found 4"),
        ({"base_qty": 0}, "base_qty: expected more than 0"),
        ({"funding_window_minutes": 30}, "funding_window_minutes: expected 60 to 1440, found 30"),
    ],
)
def test_a_parameter_out_of_bounds_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError), match=told):
        HedgeGridV1Config.parse(msgspec.json.encode(GIVEN | changed))


@pytest.mark.slow
def test_ladders_exits_and_a_new_centre(tmp_path: Path, catalog: Path) -> None:
    run = ran(tmp_path, settings_of(catalog, strategy(), tables=("TradeTick",)))
    assert run.ok, run.result["problems"]
    found = orders(run.folder)
    first = found.filter(pl.col("ts_init") == pl.col("ts_init").min())
    near = {row["tags"]: (row["price"], row["quantity"]) for row in first.iter_rows(named=True)}
    assert near.keys() == LADDER.keys()
    for rung, (price, quantity) in LADDER.items():
        assert abs(Decimal(near[rung][0]) - Decimal(price)) <= Decimal("0.2"), rung
        assert near[rung][1] == quantity, rung
    entry = Decimal(near["LONG 1"][0])
    exits = {row["tags"]: row for row in found.iter_rows(named=True) if row["is_reduce_only"]}
    assert abs(Decimal(exits["LONG 1 profit"]["price"]) - (entry + 86)) <= Decimal("0.2")
    assert abs(Decimal(exits["LONG 1 stop"]["trigger_price"]) - (entry - 8 * 86)) <= Decimal("0.2")
    assert exits["LONG 1 profit"]["status"] == "FILLED"
    assert exits["LONG 1 stop"]["status"] == "CANCELED"
    later = found.filter((pl.col("tags") == "LONG 1") & (pl.col("ts_init") > pl.col("ts_init").min()))["price"]
    assert abs(Decimal(later[-1]) - Decimal("43612.6")) <= Decimal("0.2")  # 20 basis points below the new centre 43,700


@pytest.mark.slow
def test_the_side_that_pays_too_much_funding_shrinks_towards_the_settlement(tmp_path: Path, catalog: Path) -> None:
    guarded = strategy(funding_max_cost_bps=1, qty_scale=1)
    run = ran(tmp_path, settings_of(catalog, guarded, tables=("TradeTick", "FundingRateUpdate")))
    first = orders(run.folder).filter(pl.col("ts_init") == pl.col("ts_init").min())
    quantities = {row["tags"]: row["quantity"] for row in first.iter_rows(named=True)}
    assert quantities["SHORT 1"] == "0.500"
    assert quantities["LONG 1"] == "0.498"  # 479 of the 480 minutes are left


@pytest.mark.slow
def test_a_ladder_that_is_worth_more_than_the_inventory_is_an_error(tmp_path: Path, catalog: Path) -> None:
    run = ran(tmp_path, settings_of(catalog, strategy(max_inventory_quote=50_000), tables=("TradeTick",)))
    assert not run.ok
    assert "max_inventory_quote: expected at least the long ladder's value" in run.result["problems"][0]
