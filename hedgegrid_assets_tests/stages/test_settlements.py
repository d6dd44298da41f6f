"""Funding that was settled: every row is a payment, and none is lost between file, frame and Nautilus."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES

MIDNIGHT: Final = 1_704_067_200_000
HOUR: Final = 3_600_000
ID: Final = "ETHUSDT-PERP.BINANCE"
HOURS: Final = (0, 8, 16, 20)
RATES: Final = ("0.0001", "0.0001", "0.0001", "-0.0002")


def table(header: str, row: str, **more: str) -> str:
    """A file with a row for each settlement; ``{at}`` has the jitter that venues have."""
    times = [MIDNIGHT + hour * HOUR + 3 for hour in HOURS]
    rows = [row.format(at=at, rate=rate, **more) for at, rate in zip(times, RATES, strict=True)]
    return "".join(f"{line}\n" for line in ([header] if header else []) + rows)


SETTLED: Final[Mapping[str, str]] = {
    "Binance dump": table("calc_time,funding_interval_hours,last_funding_rate", "{at},8,{rate}"),
    "Binance dump without header": table("", "{at},8,{rate}"),
    "Binance REST": table("symbol,fundingTime,fundingRate,markPrice", "ETHUSDT,{at},{rate},2300.5"),
    "Bybit REST": table("symbol,fundingRate,fundingRateTimestamp", "ETHUSDT,{rate},{at}"),
    "OKX dump": table("instrument_name,funding_rate,funding_time", "ETHUSDT,{rate},{at}"),
    "OKX REST": table("instId,fundingRate,fundingTime,realizedRate", "ETHUSDT,0.9,{at},{rate}"),
    "Bitget REST": table("symbol,fundingRate,fundingTime", "ETHUSDT,{rate},{at}"),
    "KuCoin REST": table("symbol,fundingRate,timepoint", "ETHUSDT,{rate},{at}"),
    "whole hours": table("timestamp,symbol,fundingRate", "{at},ETHUSDT,{rate}"),
    "its own column": table("timestamp,symbol,fundingRate,is_settlement", "{at},ETHUSDT,{rate},True"),
}


def convert(folder: Path, text: str, entry: Mapping[str, Any] | None = None, venue: str = "BINANCE") -> int:
    (folder / "ETHUSDT-2024-01-01.csv").write_text(text)
    folders = ["--output", str(folder / "catalog"), "--data", str(folder / "data")]
    wanted = ["--symbol", "ETHUSDT", "--data-types", "funding", "--exchange", venue]
    wanted += ["--instrument", f"ETHUSDT-PERP.{venue}"]
    if entry is None:
        wanted += ["--input", str(folder / "ETHUSDT-2024-01-01.csv")]
    else:
        given = {"funding": {"file_path": "ETHUSDT-2024-01-01.csv", **entry}}
        (folder / "config.json").write_text(json.dumps({"base_path": str(folder), "files": given}))
        wanted += ["--config", str(folder / "config.json")]
    return run(["replay-to-parquet", "--source", "csv", *folders, *wanted])


def frame(folder: Path, name: str = ID) -> pl.DataFrame:
    return pl.read_parquet(Places(folder, folder / "catalog").frame(name, "funding_rate", date(2024, 1, 1)).local())


def updates(folder: Path, name: str = ID) -> list[tuple[int, Decimal, int | None]]:
    found = ParquetDataCatalog(str(folder / "catalog")).query(FundingRateUpdate, identifiers=[name])
    return [(update.ts_event, Decimal(str(update.rate)), update.interval) for update in found]


@pytest.mark.parametrize("name", SETTLED)
def test_every_settlement_is_an_update(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    venue = "OKX" if name == "OKX dump" else "BINANCE"
    instrument = f"ETHUSDT-PERP.{venue}"
    assert convert(tmp_path, SETTLED[name], venue=venue) == 0
    told = capsys.readouterr()
    minutes = 480 if "Binance dump" in name else None
    expected = [
        ((MIDNIGHT + hour * HOUR + 3) * 1_000_000, Decimal(rate), minutes)
        for hour, rate in zip(HOURS, RATES, strict=True)
    ]
    assert updates(tmp_path, instrument) == expected
    assert frame(tmp_path, instrument)["is_settlement"].to_list() == [True] * 4
    assert validate_catalog(tmp_path / "catalog", deep=True).ok
    assert ("taken as settlements" in told.out + told.err) is (name == "whole hours")


def test_the_interval_is_the_one_of_the_row(tmp_path: Path) -> None:
    rows = [(0, 8), (8, 8), (12, 4), (16, 4), (17, 1), (18, 1)]
    text = "".join(f"{MIDNIGHT + at * HOUR},{hours},0.0001\n" for at, hours in rows)
    assert convert(tmp_path, f"calc_time,funding_interval_hours,last_funding_rate\n{text}") == 0
    assert [minutes for _, _, minutes in updates(tmp_path)] == [hours * 60 for _, hours in rows]


ESTIMATES: Final[Mapping[str, str]] = {
    "several an hour": "timestamp,fundingRate\n" + "".join(f"{MIDNIGHT + at * 60_000},0.0001\n" for at in range(4)),
    "with the next funding time": "timestamp,fundingRate,nextFundingTime\n"
    + "".join(f"{MIDNIGHT + at * HOUR},0.0001,{MIDNIGHT + 8 * HOUR}\n" for at in range(4)),
    "with a receive time": "timestamp,local_timestamp,fundingRate\n"
    + "".join(f"{MIDNIGHT + at * HOUR},{MIDNIGHT + at * HOUR + 9},0.0001\n" for at in range(4)),
    "several rows a funding time": "fundingTime,fundingRate\n"
    + "".join(f"{MIDNIGHT + at},0.000{at + 1}\n" for at in range(2)),
}


@pytest.mark.parametrize("name", ESTIMATES)
def test_estimates_are_not_taken_for_settlements(name: str, tmp_path: Path) -> None:
    assert convert(tmp_path, ESTIMATES[name]) == 0
    settled = frame(tmp_path).filter("is_settlement")
    if name == "with the next funding time":  # the last one before it, and no more
        assert settled["ts_event"].dt.epoch("ms").to_list() == [MIDNIGHT + 3 * HOUR]
    else:
        assert len(settled) == 0
    assert len(updates(tmp_path)) == (2 if "several rows" in name else 1)


@pytest.mark.parametrize("settled", [True, False])
def test_the_user_has_the_last_word(settled: bool, tmp_path: Path) -> None:
    name = "whole hours" if not settled else "with a receive time"
    text = SETTLED[name] if not settled else ESTIMATES[name]
    assert convert(tmp_path, text, {"settled": settled}) == 0
    assert frame(tmp_path)["is_settlement"].to_list() == [settled] * 4
    assert len(updates(tmp_path)) == (4 if settled else 2)


def test_a_row_says_itself_that_it_was_settled(tmp_path: Path) -> None:
    rows = [(0, "0.0001", "false"), (1, "0.0001", "true"), (2, "0.0001", ""), (3, "0.0001", "1"), (4, "0.0001", "no")]
    text = "".join(f"{MIDNIGHT + at * 1_000},{rate},{flag}\n" for at, rate, flag in rows)
    assert convert(tmp_path, f"timestamp,fundingRate,settled\n{text}") == 0
    assert frame(tmp_path)["is_settlement"].to_list() == [False, True, False, True, False]
    assert [at // 1_000_000_000 - MIDNIGHT // 1_000 for at, _, _ in updates(tmp_path)] == [0, 1, 3]


def test_a_change_of_the_interval_is_a_change_of_an_estimate() -> None:
    at = list(range(6))
    rows = pl.DataFrame(
        {
            "ts_event": at,
            "ts_init": at,
            "funding_rate": pl.Series(["0.0001"] * 6).cast(pl.Decimal(38, 16)),
            "next_funding_time": pl.Series([10] * 6, dtype=pl.Int64),
            "interval_minutes": pl.Series([480, 480, 240, 240, None, None], dtype=pl.UInt16),
            "is_settlement": [False] * 5 + [True],
        }
    )
    whole = nautilus.kept(TABLES["funding_rate_update"], rows, None)
    assert whole["ts_init"].to_list() == [0, 2, 4]
    parts = [nautilus.kept(TABLES["funding_rate_update"], rows[n], rows[n - 1] if n else None) for n in range(6)]
    assert pl.concat(parts)["ts_init"].to_list() == [0, 2, 4]
