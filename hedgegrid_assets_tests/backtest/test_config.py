"""Files of backtests and strategies: what is taken, and what is refused, with file, line and key."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.backtest.config import FeeShares, instant
from hedgegrid_assets.backtest.setup import read_setup
from hedgegrid_assets.errors import BacktestFileError, UsageError
from hedgegrid_assets_tests.backtest.market import ID, MIDNIGHT, SECOND, file_of, scripted, settings_of, setup_of

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "configs" / "backtest" / "btcusdt_mark_trades_funding.yaml"
SHIPPED_STRATEGY = ROOT / "configs" / "strategies" / "hedge_grid_v1.yaml"

EARLIER = """\
backtest:
  name: BTC hedge grid
  description: as it was
time_range:
  start_time: "2024-01-01T00:00:00Z"
  end_time: "2024-01-03T23:59:59Z"
  timezone: UTC
data:
  catalog_path: ./data/catalog
  instruments:
    - instrument_id: BTCUSDT-PERP.BINANCE
      data_types:
        - type: TradeTick
        - type: MarkPrice
        - type: FundingRate
        - type: QuoteTick
  sources: []
venues:
  - config_path: binance_futures.yaml
    starting_balances: [{currency: USDT, total: 10000, locked: 0}]
strategies:
  - config_path: grid.yaml
    enabled: true
execution:
  latency: {order_submit_ms: 30, order_cancel_ms: 20, fill_mean_ms: 5, fill_std_ms: 1}
  fill_model: {type: probabilistic, maker_fill_prob: 0.9, aggressive_fill_prob: 1.0, slippage_bps: 1}
  fees: {maker_bps: 1.8, taker_bps: 4.5, funding_apply: true}
risk: {max_drawdown_pct: 20, max_daily_loss_pct: 5, stop_on_liquidation: true}
output: {report_dir: ./reports, save_orders: true, log_level: INFO}
metrics: {risk_free_rate: 0, periods_per_year: 365, calculate: [sharpe, funding_pnl]}
"""
EARLIER_VENUE = """\
venue: {name: BINANCE, account_type: MARGIN}
trading: {hedge_mode: true, leverage: 5}
precision: {price: 2}
"""
EARLIER_GRID = """\
strategy: {name: hedge_grid_v1, instrument_id: BTCUSDT-PERP.BINANCE}
grid: {grid_step_bps: 25, grid_levels_long: 10, grid_levels_short: 10, base_qty: 0.01, qty_scale: 1.1}
exit: {tp_steps: 2, sl_steps: 8}
rebalance: {recenter_trigger_bps: 150, max_inventory_quote: 10000}
execution: {maker_only: true, use_post_only_retries: true, retry_attempts: 3, retry_delay_ms: 100}
funding: {funding_window_minutes: 480, funding_max_cost_bps: 10}
regime: {adx_len: 14, ema_fast: 21, ema_slow: 50, atr_len: 14, hysteresis_bps: 10}
position: {max_position_size: 5, max_position_pct: 0.95, max_leverage_used: 5, emergency_liquidation_buffer: 0.15}
policy: {strategy: throttled-counter, counter_levels: 5, counter_qty_scale: 0.5}
"""


def refused(folder: Path, values: dict[str, Any], **flags: Any) -> str:
    with pytest.raises(UsageError) as error:
        setup_of(folder, values, **flags)
    assert error.value.exit_code == 2
    return error.value.message


def values_of(folder: Path, **changed: Any) -> dict[str, Any]:
    return settings_of(folder / "catalog", scripted([]), **changed)


def test_the_shipped_files_are_one_run() -> None:
    alone, both = read_setup(SHIPPED), read_setup(SHIPPED, SHIPPED_STRATEGY)
    assert both.streams() == [
        ("trade_tick", "BTCUSDT-PERP.SIM"),
        ("mark_price_update", "BTCUSDT-PERP.SIM"),
        ("funding_rate_update", "BTCUSDT-PERP.SIM"),
    ]
    (strategy,), (same,) = alone.run.engine.strategies, both.run.engine.strategies
    assert strategy.strategy_path == same.strategy_path
    assert {key: Decimal(str(value)) for key, value in strategy.config.items() if key != "instrument_id"}.items() <= {
        key: Decimal(str(value)) for key, value in same.config.items() if key not in ("instrument_id", "maker_only")
    }.items()
    assert both.answers == []
    (venue,) = both.run.venues
    assert venue.queue_position
    assert venue.liquidity_consumption
    assert venue.latency_model is not None


def test_a_misspelt_key_is_told_with_line_and_what_was_meant(tmp_path: Path) -> None:
    path = file_of(tmp_path, values_of(tmp_path))
    text = path.read_text().replace("oms_type:", "oms_typ:")
    path.write_text(text)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "oms_typ:" in row)
    with pytest.raises(BacktestFileError) as error:
        read_setup(path)
    assert f"{path} is not usable" in error.value.message
    assert f"line {line}: venues[0].oms_typ: unknown key" in error.value.message
    assert "did you mean oms_type?" in error.value.message


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"venue": {"oms_type": "HEDGE"}}, "venues[0].oms_type: expected 'NETTING' or 'HEDGING', found 'HEDGE'"),
        ({"venue": {"account_type": "BETTING"}}, "venues[0].account_type: expected 'MARGIN' or 'CASH'"),
        ({"venue": {"starting_balances": ["much USDT"]}}, "expected an amount and its currency, as 100000 USDT"),
        (
            {"venue": {"liquidation_enabled": True}},
            "liquidation_enabled cannot be applied: nautilus_trader 1.231 reads it",
        ),
        ({"venue": {"use_random_ids": True}}, "venues[0].use_random_ids: expected False, found true"),
        ({"venue": {"book_type": "L2_MBP"}}, "venues[0].book_type: expected OrderBookDelta or OrderBookDepth10"),
        ({"venue": {"name": "OKX"}}, "expected an instrument of a venue of this run (OKX), found BTCUSDT-PERP.BINANCE"),
        ({"hedgegrid": {"fees": {"maker_bps": 2}}}, "hedgegrid.fees"),
        (
            {"hedgegrid": {"funding": {"pays": True}}},
            "hedgegrid.funding.pays: unknown key (expected one of: pay, max_mark_age_s",
        ),
        ({"hedgegrid": {"equity_every_s": 0}}, "hedgegrid.equity_every_s: expected at least 1, found 0"),
        ({"start": "2024-01-03", "end": "2024-01-02"}, "end: expected a time after start"),
        ({"start": "yesterday"}, "start: expected a UTC date or time as 2024-01-01"),
        ({"start": "2024-02-30"}, "start: expected a date that there is, found '2024-02-30'"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_key(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    assert told in refused(tmp_path, values_of(tmp_path, **changed))


def test_dice_need_a_seed(tmp_path: Path) -> None:
    model = {
        "fill_model_path": "nautilus_trader.backtest.models:FillModel",
        "config_path": "nautilus_trader.backtest.config:FillModelConfig",
        "config": {"prob_fill_on_limit": 0.5},
    }
    assert "expected config.random_seed" in refused(tmp_path, values_of(tmp_path, venue={"fill_model": model}))
    model["config"] = {"prob_fill_on_limit": 0.5, "random_seed": 1}
    assert setup_of(tmp_path, values_of(tmp_path, venue={"fill_model": model})).run.venues[0].fill_model is not None


def test_other_data_are_refused_with_what_there_is(tmp_path: Path) -> None:
    assert "unknown data class (expected one of: TradeTick" in refused(tmp_path, values_of(tmp_path, tables=("Quote",)))
    row = {"catalog_path": "x", "data_cls": "TradeTick", "instrument_id": ID, "start_time": "2024-01-01"}
    assert "start_time cannot be applied: say start and end of the whole run" in refused(
        tmp_path, values_of(tmp_path) | {"data": [row]}
    )


def test_classes_are_known_by_path_name_and_the_guides_word(tmp_path: Path) -> None:
    tables = ("nautilus_trader.model.data:TradeTick", "MarkPriceUpdate", "funding", "index_price_update")
    setup = setup_of(tmp_path, values_of(tmp_path, tables=tables))
    assert [table for table, _ in setup.streams()] == [
        *("trade_tick", "mark_price_update", "index_price_update", "funding_rate_update")
    ]


def test_no_strategy_and_no_file_are_told(tmp_path: Path) -> None:
    values = values_of(tmp_path) | {"engine": {}}
    assert "no strategy to run" in refused(tmp_path, values)
    with pytest.raises(BacktestFileError, match="expected a file, found none"):
        read_setup(tmp_path / "absent.yaml")
    with pytest.raises(BacktestFileError, match="expected a file, found none"):
        read_setup(file_of(tmp_path, values), tmp_path / "absent.yaml")


def test_a_strategy_of_another_instrument_is_told(tmp_path: Path) -> None:
    values = settings_of(tmp_path, scripted([], "ETHUSDT-PERP.BINANCE"))
    assert (
        "expected an instrument that the run has data of (BTCUSDT-PERP.BINANCE), found ETHUSDT-PERP.BINANCE"
        in refused(tmp_path, values)
    )


def test_variables_are_filled_in_with_their_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HG_TEST_MAKER", "1.5")
    monkeypatch.delenv("HG_TEST_TAKER", raising=False)
    values = values_of(
        tmp_path, hedgegrid={"fees": {"maker_bps": "${HG_TEST_MAKER}", "taker_bps": "${HG_TEST_TAKER:-4}"}}
    )
    fees = setup_of(tmp_path, values).run.hedgegrid.fees
    assert isinstance(fees, FeeShares)
    assert (fees.maker_bps, fees.taker_bps) == (Decimal("1.5"), Decimal(4))
    values = values_of(tmp_path, hedgegrid={"name": "${HG_TEST_TAKER}"})
    assert "expected the environment variable HG_TEST_TAKER, found it unset" in refused(tmp_path, values)


def test_flags_go_before_the_file(tmp_path: Path) -> None:
    setup = setup_of(
        tmp_path,
        values_of(tmp_path),
        catalog=Path("elsewhere"),
        start_ns=MIDNIGHT,
        end_ns=MIDNIGHT + SECOND,
        allow_gaps=True,
    )
    assert (setup.catalog, setup.run.start, setup.run.end) == (Path("elsewhere"), MIDNIGHT, MIDNIGHT + SECOND)
    assert setup.run.hedgegrid.allow_gaps


def test_times_are_read_to_the_nanosecond() -> None:
    assert instant("2024-01-01", "--start") == MIDNIGHT
    assert instant("2024-01-01T00:00:01.5Z", "--start") == MIDNIGHT + 1_500_000_000
    assert instant("2024-01-01 00:01", "--start") == MIDNIGHT + 60 * SECOND
    with pytest.raises(UsageError, match="--end: expected a UTC date"):
        instant("01/02/2024", "--end")


# ---------------------------------------------------------------- files of the earlier pipeline


def earlier(folder: Path, run: str = EARLIER, grid: str = EARLIER_GRID) -> Path:
    (folder / "binance_futures.yaml").write_text(EARLIER_VENUE)
    (folder / "grid.yaml").write_text(grid)
    path = folder / "earlier.yaml"
    path.write_text(run)
    return path


def test_an_earlier_file_is_taken_and_each_key_is_answered(tmp_path: Path) -> None:
    setup = read_setup(earlier(tmp_path))
    (venue,), (strategy,) = setup.run.venues, setup.run.engine.strategies
    assert (venue.name, venue.oms_type, venue.default_leverage) == ("BINANCE", "HEDGING", 5)
    assert venue.balances == {"USDT": Decimal(10000)}
    assert venue.latency_model is not None
    assert venue.latency_model.config == {
        "base_latency_nanos": 0,
        "insert_latency_nanos": 30_000_000,
        "update_latency_nanos": 30_000_000,
        "cancel_latency_nanos": 20_000_000,
    }
    assert venue.fill_model is not None
    assert venue.fill_model.config == {"prob_fill_on_limit": 0.9, "random_seed": 0}
    assert setup.run.hedgegrid.fees == FeeShares(maker_bps=Decimal("1.8"), taker_bps=Decimal("4.5"))
    assert (setup.run.start, setup.run.end) == (MIDNIGHT, MIDNIGHT + 3 * 86_400 * SECOND)
    assert setup.name == "BTC-hedge-grid"
    assert strategy.config["grid_step_bps"] == 25
    assert strategy.config["qty_scale"] == "1.1"
    answers = {answer.key: answer for answer in setup.answers}
    assert answers["risk.max_drawdown_pct"].answer == "cannot be applied"
    assert answers["regime.adx_len"].answer == "cannot be applied"
    assert answers["execution.retry_attempts"].answer == "not needed"
    assert answers["data.instruments.0.data_types.3.type"].answer == "cannot be applied"
    assert answers["metrics.calculate"].line == EARLIER.splitlines().index(EARLIER.splitlines()[-1]) + 1
    assert not {"data.catalog_path", "execution.latency", "backtest.name"} & answers.keys()


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (
            "  name: BTC",
            "  nane: BTC",
            "line 2: backtest.nane: unknown key (expected one of: name, description; did you mean name?)",
        ),
        ("risk:", "risks:", "risks: unknown key"),
        ("fill_std_ms: 1", "fill_st_ms: 1", "execution.latency.fill_st_ms: unknown key"),
        ("type: MarkPrice", "type: Mark", "unknown data type (expected one of: TradeTick, MarkPrice"),
        (
            "config_path: grid.yaml",
            "config_path: gird.yaml",
            "strategies[0].config_path: expected a file, found none at gird.yaml",
        ),
        ("total: 10000", "total: ten", "expected an amount and its currency"),
    ],
)
def test_unknown_keys_of_an_earlier_file_are_refused(tmp_path: Path, was: str, now: str, told: str) -> None:
    assert was in EARLIER
    with pytest.raises(BacktestFileError) as error:
        read_setup(earlier(tmp_path, EARLIER.replace(was, now)))
    assert told in error.value.message


def test_unknown_keys_of_a_strategy_file_are_refused_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(BacktestFileError) as error:
        read_setup(earlier(tmp_path, grid=EARLIER_GRID.replace("tp_steps", "tp_step")))
    assert "grid.yaml is not usable: line 3: exit.tp_step: unknown key" in error.value.message
    assert "did you mean tp_steps?" in error.value.message


def test_a_strategy_file_takes_the_place_of_the_strategies_named(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(EARLIER_GRID.replace("grid_step_bps: 25", "grid_step_bps: 40"))
    (strategy,) = read_setup(earlier(tmp_path), other).run.engine.strategies
    assert strategy.config["grid_step_bps"] == 40
