"""Whole runs on catalogs of our own: the engine is the real one, in its own process."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedgegrid_assets.backtest.run import Ran, run_backtest
from hedgegrid_assets.errors import BacktestRefused, UsageError
from hedgegrid_assets_tests.backtest.market import (
    HOUR,
    ID,
    MIDNIGHT,
    SCRIPTED,
    SECOND,
    Market,
    Row,
    every_second,
    scripted,
    settings_of,
    setup_of,
)

pytestmark = pytest.mark.slow
MINUTE = 60 * SECOND
RATES = ("0.0001", "-0.0002", "0.0003", "0.0004", "0.0005")
"""Of the first five hours, each settled at its end."""


def flat_trades(price: str = "43000", hours: int = 6) -> list[Row]:
    """A trade of one price every half minute, buyers and sellers in turn."""
    times = range(MIDNIGHT + SECOND, MIDNIGHT + hours * HOUR, 30 * SECOND)
    return [(at, price, "50.5", ("buy", "sell")[number % 2]) for number, at in enumerate(times)]


def hourly(price: str = "43000", at_four: str = "44000", last: str = "43000") -> dict[str, Any]:
    """Marks around each full hour, and the rates that are settled there."""
    marks: list[Row] = []
    for hour in range(1, 6):
        at = MIDNIGHT + hour * HOUR
        marks += every_second(at - 5 * SECOND, at + 5 * SECOND, at_four if hour == 4 else price)
    marks += every_second(MIDNIGHT + 6 * HOUR - 10 * SECOND, MIDNIGHT + 6 * HOUR - SECOND, last)
    due = [MIDNIGHT + hour * HOUR for hour in range(1, 6)]
    funding = [(at - 20 * MINUTE, at - 20 * MINUTE, rate, at) for at, rate in zip(due, RATES, strict=True)]
    return {"marks": marks, "funding": funding}


def ran(folder: Path, values: Mapping[str, Any], **options: Any) -> Ran:
    return run_backtest(setup_of(folder, values), folder / "artifacts", **options)


def payments(run: Ran) -> list[tuple[int, str, Decimal, Decimal]]:
    """(hour, leg, position, amount) of each."""
    frame = pl.read_parquet(run.folder / "funding.parquet")
    return [
        ((ns - MIDNIGHT) // HOUR, row["position_id"], Decimal(row["quantity"]), Decimal(row["amount"]))
        for ns, row in zip(frame["ts"].dt.epoch("ns"), frame.iter_rows(named=True), strict=True)
        if row["missed"] is None
    ]


def at(hours: float, side: str, quantity: str, leg: str | None = None) -> tuple[int, str, str, str | None]:
    return MIDNIGHT + int(hours * HOUR), side, quantity, leg


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hours of flat trades, with marks and rates of five settlements."""
    return Market(trades=flat_trades(), **hourly()).build(tmp_path_factory.mktemp("market"))


def test_each_leg_pays_for_what_it_held_before_the_settlement(tmp_path: Path, catalog: Path) -> None:
    plan = [
        at(0.5, "BUY", "1", "LONG"),
        at(0.6, "SELL", "0.4", "SHORT"),
        at(1.5, "SELL", "1", "LONG"),
        at(3, "BUY", "2", "LONG"),  # opened exactly at a settlement: pays at the next one
        at(4, "SELL", "2", "LONG"),  # closed exactly at it: pays
        at(4.5, "BUY", "0.4", "SHORT"),
    ]
    run = ran(tmp_path, settings_of(catalog, scripted(plan)))
    assert run.ok, run.result["problems"]
    assert payments(run) == [
        (1, "LONG", Decimal("1"), Decimal("-4.3")),
        (1, "SHORT", Decimal("-0.4"), Decimal("1.72")),
        (2, "SHORT", Decimal("-0.4"), Decimal("-3.44")),
        (3, "SHORT", Decimal("-0.4"), Decimal("5.16")),
        (4, "LONG", Decimal("2"), Decimal("-35.2")),
        (4, "SHORT", Decimal("-0.4"), Decimal("7.04")),
    ]
    account = run.result["accounts"]["USDT"]
    assert Decimal(account["funding"]) == Decimal("-29.02")
    assert Decimal(account["fees"]) == Decimal("0.0005") * 43000 * Decimal("6.8")
    assert Decimal(account["price_pnl"]) == 0
    assert Decimal(account["net"]) == -Decimal("146.2") - Decimal("29.02")
    assert account["agrees_with_engine"] is True
    funding_of = {
        row["entry"]: row["funding"] for row in pl.read_parquet(run.folder / "positions.parquet").rows(named=True)
    }
    assert funding_of["SELL"] == "10.48"  # 1.72 - 3.44 + 5.16 + 7.04
    last = pl.read_parquet(run.folder / "account.parquet")["total"][-1]
    assert Decimal(last) == 100_000 + Decimal(account["net"])


def test_netting_flips_closes_and_opens_anew(tmp_path: Path, catalog: Path) -> None:
    plan = [at(0.5, "BUY", "1"), at(1.5, "SELL", "3"), at(2.5, "BUY", "2"), at(3.5, "BUY", "1")]
    run = ran(tmp_path, settings_of(catalog, scripted(plan), venue={"oms_type": "NETTING"}))
    assert run.ok, run.result["problems"]
    assert [(hour, held, paid) for hour, _, held, paid in payments(run)] == [
        (1, Decimal(1), Decimal("-4.3")),
        (2, Decimal(-2), Decimal("-17.2")),
        (4, Decimal(1), Decimal("-17.6")),
        (5, Decimal(1), Decimal("-21.5")),
    ]
    assert run.result["accounts"]["USDT"]["agrees_with_engine"] is True


def test_an_order_between_a_settlement_and_its_mark_is_not_counted(tmp_path: Path, catalog: Path) -> None:
    """The mark of the instant arrives 50 ms after it; the position is that of the settlement, not that of the arrival."""
    soon = MIDNIGHT + HOUR + 10_000_000
    plan = [at(0.5, "BUY", "1", "LONG"), (soon, "SELL", "1", "LONG"), (soon + 1, "BUY", "5", "OTHER")]
    run = ran(tmp_path, settings_of(catalog, scripted(plan)))
    assert payments(run)[:1] == [(1, "LONG", Decimal("1"), Decimal("-4.3"))]
    assert [each[0] for each in payments(run)] == [1, 2, 3, 4, 5]


def test_settlements_that_are_not_paid_are_listed_with_their_reason(tmp_path: Path) -> None:
    parts = hourly()
    parts["marks"] = [row for row in parts["marks"] if not MIDNIGHT + 1.5 * HOUR < row[0] < MIDNIGHT + 2.5 * HOUR]
    catalog = Market(trades=flat_trades(), **parts).build(tmp_path)
    run = ran(tmp_path, settings_of(catalog, scripted([at(0.5, "BUY", "1", "LONG")])))
    assert [each[0] for each in payments(run)] == [1, 3, 4, 5]
    (missed,) = run.result["funding"]["missed"]
    assert missed["at"].startswith("2024-01-01T02:00:00")
    assert missed["why"] == "no mark price of the ten minutes before it"


def test_funding_may_be_left_unpaid_on_purpose(tmp_path: Path, catalog: Path) -> None:
    values = settings_of(catalog, scripted([at(0.5, "BUY", "1", "LONG")]), hedgegrid={"funding": {"pay": False}})
    run = ran(tmp_path, values)
    assert payments(run) == []
    assert any("Funding is not paid" in each for each in run.result["assumptions"])


def test_an_inverse_contract_is_settled_in_its_base_currency(tmp_path: Path) -> None:
    name = "BTCUSD-PERP.BINANCE"
    parts = hourly(price="40000", at_four="40000", last="50000")
    trades = flat_trades("40000")
    catalog = Market(trades=trades, symbol="BTCUSD_PERP", market="coinm", **parts).build(tmp_path)
    plan = [at(0.5, "BUY", "10", "LONG")]
    with pytest.raises(
        BacktestRefused, match="settled in BTC: expected a starting balance of it at the venue BINANCE, found USDT"
    ):
        ran(tmp_path, settings_of(catalog, scripted(plan, name), name))
    run = ran(tmp_path, settings_of(catalog, scripted(plan, name), name, venue={"starting_balances": ["10 BTC"]}))
    assert run.ok, run.result["problems"]
    # 10 contracts of 100 USD at 40,000 are 0.025 BTC
    assert [paid for *_, paid in payments(run)] == [-Decimal("0.025") * Decimal(rate) for rate in RATES]
    account = run.result["accounts"]["BTC"]
    assert Decimal(account["price_pnl"]) == Decimal("0.005")  # 1000 / 40000 - 1000 / 50000
    assert Decimal(account["fees"]) == Decimal("0.0000125")
    assert account["agrees_with_engine"] is True


def test_every_row_is_delivered_once_in_the_order_of_arrival_and_ties_in_file_order(tmp_path: Path) -> None:
    trades = [(MIDNIGHT + second * SECOND, "43000", "1", "buy") for second in range(60) for _ in range(40)]
    catalog = Market(trades=trades, **hourly()).build(tmp_path)
    heard_in = tmp_path / "heard.json"
    strategy = {
        "strategy_path": f"{SCRIPTED}:Listener",
        "config_path": f"{SCRIPTED}:ListenerConfig",
        "config": {"instrument_id": ID, "file": str(heard_in)},
    }
    run = ran(tmp_path, settings_of(catalog, strategy))
    heard = json.loads(heard_in.read_text())
    counts = {kind: sum(row[0] == kind for row in heard) for kind in ("trade", "mark", "funding")}
    assert counts == {"trade": 2400, "mark": 59, "funding": 5}
    assert run.result["delivered"] == {"trade_tick": 2400, "mark_price_update": 59, "funding_rate_update": 5}
    assert [row[4] for row in heard if row[0] == "trade"] == [str(number) for number in range(1, 2401)]
    arrivals = [row[2] for row in heard]
    assert arrivals == sorted(arrivals)
    assert all(row[3] == row[2] for row in heard), "the strategy's clock is not the arrival"


def test_two_runs_are_one(tmp_path: Path, catalog: Path) -> None:
    values = settings_of(catalog, scripted([at(0.5, "BUY", "1", "LONG"), at(0.5, "SELL", "1", "SHORT")]))
    first, second = (ran(tmp_path, values, run_id=name) for name in ("first", "second"))
    assert first.result["result_hash"] == second.result["result_hash"]
    for name in ("orders", "fills", "positions", "account", "funding", "equity"):
        one, other = (pl.read_parquet(run.folder / f"{name}.parquet") for run in (first, second))
        assert one.equals(other), name
    with pytest.raises(UsageError, match="is there already"):
        ran(tmp_path, values, run_id="first")


def test_a_strategy_that_raises_leaves_what_was_done_until_then(tmp_path: Path, catalog: Path) -> None:
    faulty = {
        "strategy_path": f"{SCRIPTED}:Faulty",
        "config_path": f"{SCRIPTED}:FaultyConfig",
        "config": {"instrument_id": ID},
    }
    run = ran(tmp_path, settings_of(catalog, faulty))
    assert not run.ok
    assert "ZeroDivisionError: at the trade 10" in run.result["raised"]
    assert run.result["problems"] == ["it ended before its time: ZeroDivisionError: at the trade 10"]
    assert "ended before its time" in (run.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"strategy_path": "no_such_module:Scripted"}, "No module named 'no_such_module'"),
        ({"strategy_path": f"{SCRIPTED}:Absent"}, "has no attribute 'Absent'"),
        ({"config": {"instrument_id": ID, "plan": [], "leverage": 3}}, "unknown field `leverage`"),
        ({"config": {"instrument_id": ID}}, "missing required field `plan`"),
    ],
)
def test_a_strategy_that_cannot_be_made_is_refused_before_any_data_is_read(
    tmp_path: Path, catalog: Path, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(BacktestRefused, match=told) as refused:
        ran(tmp_path, settings_of(catalog, scripted([]) | changed))
    assert refused.value.exit_code == 2
    assert not list((tmp_path / "artifacts").glob("[!.]*"))


def test_without_known_fees_there_is_no_run_unless_none_are_wanted(tmp_path: Path, catalog: Path) -> None:
    values = settings_of(catalog, scripted([at(0.5, "BUY", "1", "LONG")]))
    del values["hedgegrid"]["fees"]
    with pytest.raises(BacktestRefused, match="nobody says the fees") as refused:
        ran(tmp_path, values)
    assert refused.value.exit_code == 2
    run = ran(tmp_path, values | {"hedgegrid": {"fees": "none"}})
    assert run.result["fees"] == "0"
    assert any("fees none, as the configuration says" in each for each in run.result["assumptions"])


def test_a_day_of_trades_alone_can_be_run(tmp_path: Path) -> None:
    catalog = Market(trades=flat_trades()).build(tmp_path)
    run = ran(tmp_path, settings_of(catalog, scripted([at(0.5, "BUY", "1", "LONG")]), tables=("TradeTick",)))
    assert run.ok
    assert any("no mark prices" in each for each in run.result["assumptions"])
    assert any("no funding rates" in each for each in run.result["assumptions"])


def test_a_range_inside_a_day_takes_only_its_rows(tmp_path: Path, catalog: Path) -> None:
    values = settings_of(
        catalog, scripted([at(1.5, "BUY", "1", "LONG")]), start="2024-01-01T01:00:00Z", end="2024-01-01T03:00:00Z"
    )
    run = ran(tmp_path, values)
    assert run.result["delivered"]["trade_tick"] == 240
    assert [each[0] for each in payments(run)] == [2]  # the end is exclusive, and so is the settlement at it


def test_rows_of_another_day_under_a_days_name_are_not_passed_over(tmp_path: Path) -> None:
    trades = [(at + day * 24 * HOUR, *rest) for day in (0, 1) for at, *rest in flat_trades(hours=1)]
    catalog = Market(trades=trades).build(tmp_path)
    one, two = sorted((catalog / "data" / "trade_tick" / ID).glob("*.parquet"))
    one.write_bytes(two.read_bytes())
    run = ran(tmp_path, settings_of(catalog, scripted([]), tables=("TradeTick",)))
    assert not run.ok
    assert "rows are not in the order of their arrival" in run.result["problems"][0]
    two.unlink()
    run = ran(tmp_path, settings_of(catalog, scripted([]), tables=("TradeTick",), end="2024-01-02"))
    assert "expected all 120 rows of its files to be of the run, found 0" in run.result["problems"][0]


def test_a_balance_below_zero_is_told_though_it_is_over_before_the_next_sample(tmp_path: Path) -> None:
    """The engine trades on in silence: 1000 become -500 or less, and then more than before."""
    prices = ["43000"] * 20 + ["41500"] * 40 + ["43500"] * 60
    trades = [
        (MIDNIGHT + (number + 1) * SECOND, price, "50", ("buy", "sell")[number % 2])
        for number, price in enumerate(prices)
    ]
    catalog = Market(trades=trades).build(tmp_path)
    plan = [(MIDNIGHT + int(second * SECOND), side, "1", "LEG") for second, side in ((10.5, "BUY"), (30.5, "SELL"))]
    plan += [(MIDNIGHT + int(second * SECOND), side, "1", "NEXT") for second, side in ((40.5, "BUY"), (80.5, "SELL"))]
    values = settings_of(
        catalog,
        scripted(plan),
        tables=("TradeTick",),
        venue={"starting_balances": ["1000 USDT"]},
        hedgegrid={"equity_every_s": 3600},
    )
    account = ran(tmp_path, values).result["accounts"]["USDT"]
    assert Decimal(account["end"]) > 1000
    assert account["below_zero"].startswith("2024-01-01T00:00:30")
