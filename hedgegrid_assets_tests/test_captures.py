"""Two real captures, through the guide's own coroutine; known answers. Skipped where the captures are not at hand."""

import asyncio
import gzip
import json
from collections import Counter
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import TradeTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets import RunSummary, run_pipeline
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES

CAPTURES = Path(__file__).parents[2] / "shared" / "data" / "captures"
ETH = CAPTURES / "binance-usdm_ethusdt_2024-08-08.jsonl.gz"
FOUR = CAPTURES / "binance-usdm_sushi-akro-keep-ctk_2021-07-22.txt.gz"

pytestmark = pytest.mark.skipif(not CAPTURES.exists(), reason="the real captures are not here")


def converted(folder: Path, capture: Path, symbols: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> RunSummary:
    monkeypatch.setenv("HEDGEGRID_DATA", str(folder / "data"))
    config = {"files": {"trades": {"file_path": str(capture)}}}
    return asyncio.run(
        run_pipeline(
            "websocket", symbols, output_path=folder / "catalog", data_types=["trades"], source_config=config, **options
        )
    )


def verdict_of(folder: Path, instrument_id: str, day: date) -> dict[str, Any]:
    found = read_verdict(
        Places(folder / "data", folder / "catalog"), TABLES["trade_tick"], InstrumentDay(instrument_id, day)
    )
    assert found is not None
    return dict(plain(found))


def ticks_of(folder: Path, instrument_id: str) -> list[TradeTick]:
    return ParquetDataCatalog(str(folder / "catalog")).query(TradeTick, identifiers=[instrument_id])


def rules_of(verdict: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["name"]: rule for rule in verdict["rules"]}


def raw(text: str) -> Fraction:
    return Fraction(text) * 10**16


@pytest.fixture(scope="module")
def eth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eth")
    with pytest.MonkeyPatch.context() as patch:
        summary = converted(folder, ETH, "ETHUSDT", patch)
    assert summary.ok
    assert (summary.rows, summary.lines) == (14_076, 74_655)
    assert dict(summary.by_stream) == {"bookTicker": 53_992, "depthUpdate": 6_586, "rest": 1, "trade": 14_076}
    return folder


def test_every_trade_of_the_capture_is_in_the_catalog_as_it_was_sent(eth: Path) -> None:
    with gzip.open(ETH, "rt") as file:
        sent = [(int(text[:19]), json.loads(text[20:])["data"]) for text in file if '"e":"trade"' in text]
    ticks = ticks_of(eth, "ETHUSDT-PERP.BINANCE")
    assert len(ticks) == len(sent) == 14_076
    for tick, (local, message) in zip(ticks, sent, strict=True):
        assert str(tick.trade_id) == str(message["t"])
        assert (tick.price.raw, tick.size.raw) == (raw(message["p"]), raw(message["q"]))
        assert (tick.ts_init, tick.ts_event) == (local, message["T"] * 1_000_000)
        assert tick.aggressor_side.name == ("SELLER" if message["m"] else "BUYER")


def test_its_known_answers_hold(eth: Path) -> None:
    ticks = ticks_of(eth, "ETHUSDT-PERP.BINANCE")
    assert [int(str(tick.trade_id)) for tick in ticks] == list(range(4_308_068_523, 4_308_082_599))
    assert Counter(tick.aggressor_side.name for tick in ticks) == {"BUYER": 6_984, "SELLER": 7_092}
    assert sum(tick.size.as_decimal() for tick in ticks) == Decimal("9164.948")


def test_its_five_minutes_are_a_partial_day_without_a_hole(eth: Path) -> None:
    verdict = verdict_of(eth, "ETHUSDT-PERP.BINANCE", date(2024, 8, 8))
    rules = rules_of(verdict)
    assert verdict["status"] == "partial"
    assert (verdict["first_id"], verdict["last_id"]) == ("4308068523", "4308082598")
    assert verdict["rows"] == {
        "in": 14_076,
        "out": 14_076,
        "rejected": 0,
        "exact_duplicates": 0,
        "other_symbols": 0,
        "not_applicable": 0,
    }
    assert verdict["gaps"] == []
    assert rules["no_sequence_gaps"]["passed"]
    assert rules["day_covered"]["numbers"]["start_missing_s"] == pytest.approx(86_055.1, abs=5)


def test_an_exchange_clock_that_runs_ahead_is_reported_and_rejects_nothing(eth: Path) -> None:
    rules = rules_of(verdict_of(eth, "ETHUSDT-PERP.BINANCE", date(2024, 8, 8)))
    latency = rules["latency_plausible"]
    assert latency["passed"]
    assert latency["numbers"]["median_ms"] == pytest.approx(-1_269, abs=2)
    assert latency["numbers"]["negative_share"] == 1.0
    ahead = [tick for tick in ticks_of(eth, "ETHUSDT-PERP.BINANCE") if tick.ts_event >= 1_723_161_600_000_000_000]
    assert len(ahead) == 25


def test_a_second_run_finds_nothing_to_do_and_changes_no_byte(eth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {path: path.read_bytes() for path in (eth / "catalog").rglob("*") if path.is_file()}
    summary = converted(eth, ETH, "ETHUSDT", monkeypatch)
    assert [day.skipped for day in summary.days] == [True]
    assert files == {path: path.read_bytes() for path in (eth / "catalog").rglob("*") if path.is_file()}


def test_all_aggregate_trades_of_the_four_symbols_land_by_symbol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gzip.open(FOUR, "rt") as file:
        lines = [text for text in file if '"e":"aggTrade"' in text]
    sent = Counter(json.loads(text.partition(": ")[2])["data"]["s"] for text in lines)
    summary = converted(tmp_path, FOUR, ",".join(sorted(sent)), monkeypatch)
    assert summary.ok
    assert summary.rows == sent.total() == 91
    assert {day.instrument_id: day.rows["out"] for day in summary.days} == {
        f"{symbol}-PERP.BINANCE": count for symbol, count in sent.items()
    }
    assert summary.by_stream["kline"] == 67
    seconds = [text.partition(": ")[0].partition(".") for text in lines]
    local = {int(whole) * 10**9 + int(part.ljust(9, "0")) for whole, _, part in seconds}
    read = {tick.ts_init for symbol in sent for tick in ticks_of(tmp_path, f"{symbol}-PERP.BINANCE")}
    assert read == local
    for symbol in sent:
        verdict = verdict_of(tmp_path, f"{symbol}-PERP.BINANCE", date(2021, 7, 22))
        assert rules_of(verdict)["no_sequence_gaps"]["passed"]
        assert verdict["status"] == "partial"
