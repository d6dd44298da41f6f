"""The funding that we pay under Nautilus 1.x is what 2.x pays by itself; set NAUTILUS2_PYTHON to run it."""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from hedgegrid_assets_tests.backtest.market import HOUR, ID, MIDNIGHT, Market, scripted, settings_of
from hedgegrid_assets_tests.backtest.test_run import at, flat_trades, hourly, payments, ran

SCRIPT = Path(__file__).parents[1] / "fixtures" / "backtest" / "nautilus2.txt"
PYTHON = os.environ.get("NAUTILUS2_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="NAUTILUS2_PYTHON names no Python with nautilus_trader 2.x"),
]
HEDGED = [
    at(0.5, "BUY", "1.234", "LONG"),
    at(0.6, "SELL", "0.417", "SHORT"),
    at(1.5, "SELL", "1.234", "LONG"),
    at(2.9, "BUY", "2", "LONG-2"),
    at(4.1, "SELL", "2", "LONG-2"),
    at(4.5, "BUY", "0.417", "SHORT"),
]


def test_both_versions_pay_the_same_to_the_eighth_decimal(tmp_path: Path) -> None:
    parts = hourly(price="43123.45678901", at_four="44000.00000001")
    out = tmp_path / "payments.json"
    case = {
        "instrument_id": ID,
        "oms_type": "HEDGING",
        "plan": HEDGED,
        "trades": flat_trades(),
        "out": str(out),
        **parts,
    }
    subprocess.run([PYTHON, SCRIPT], input=json.dumps(case), capture_output=True, text=True, check=True)
    theirs = sorted((round((ns - MIDNIGHT) / HOUR), Decimal(paid)) for _, ns, paid in json.loads(out.read_text()))
    trades = [(at, price, "50.505", side) for at, price, _, side in flat_trades()]
    catalog = Market(trades=trades, **parts).build(tmp_path)
    run = ran(tmp_path, settings_of(catalog, scripted(HEDGED)))
    assert sorted((hour, paid) for hour, _, _, paid in payments(run)) == theirs
    assert theirs
