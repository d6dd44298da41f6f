"""Catalogs that our own pipeline builds from a few hand-written rows, and backtests of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from hedgegrid_assets.backtest.config import Setup
from hedgegrid_assets.backtest.setup import read_setup
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run

MIDNIGHT: Final = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z in ns."""
SECOND: Final = 1_000_000_000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
ID: Final = "BTCUSDT-PERP.BINANCE"
SCRIPTED: Final = "hedgegrid_assets_tests.backtest.scripted"

type Row = tuple[Any, ...]


@dataclass(frozen=True)
class Market:
    """Rows by hand, times in ns: trades (event, price, size, side), marks (event, arrival, price), funding (event,
    arrival, rate, settlement or None)."""

    trades: Sequence[Row] = ()
    marks: Sequence[Row] = ()
    funding: Sequence[Row] = ()
    symbol: str = "BTCUSDT"
    market: str = "usdm"
    arrivals: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)

    def build(self, folder: Path) -> Path:
        """The catalog."""
        tables = {"trades": self._trades(), "mark": self._marks(), "funding": self._funding()}
        files = {}
        for name, lines in tables.items():
            if len(lines) > 1:
                (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
                files[name] = {"file_path": f"{name}.csv"}
        catalog = folder / "catalog"
        summary = run(
            request(
                "csv",
                self.symbol,
                None,
                None,
                output_path=catalog,
                source_config={"base_path": str(folder), "files": files, **self.settings},
                data=folder / "data",
                market=self.market,
            )
        )
        assert summary.ok, [day.error for day in summary.days] + list(map(str, summary.errors))
        return catalog

    def _trades(self) -> list[str]:
        head = (
            "timestamp,local_timestamp,symbol,price,amount,side,id"
            if self.arrivals
            else "timestamp,symbol,price,amount,side,id"
        )
        rows = [head]
        for number, (event, price, size, side) in enumerate(self.trades, 1):
            arrival = f"{event // 1000}," if self.arrivals else ""
            rows.append(f"{event // 1000},{arrival}{self.symbol},{price},{size},{side},{number}")
        return rows

    def _marks(self) -> list[str]:
        return [
            "timestamp,local_timestamp,symbol,mark_price",
            *(f"{event // 1000},{arrival // 1000},{self.symbol},{price}" for event, arrival, price in self.marks),
        ]

    def _funding(self) -> list[str]:
        return [
            "timestamp,local_timestamp,symbol,funding_rate,next_funding_time",
            *(
                f"{event // 1000},{arrival // 1000},{self.symbol},{rate},{'' if due is None else due // 1000}"
                for event, arrival, rate, due in self.funding
            ),
        ]


def every_second(start: int, end: int, price: str, delay: int = 50_000_000) -> list[Row]:
    """Marks of one price, each second."""
    return [(at, at + delay, price) for at in range(start, end, SECOND)]


def settings_of(
    catalog: Path,
    strategy: Mapping[str, Any],
    instrument: str = ID,
    tables: Sequence[str] = ("TradeTick", "MarkPriceUpdate", "FundingRateUpdate"),
    **changed: Any,
) -> dict[str, Any]:
    """A backtest's file as plain values; ``changed`` goes over its top keys, ``venue`` over those of the venue."""
    venue = {
        "name": instrument.rpartition(".")[2],
        "oms_type": "HEDGING",
        "account_type": "MARGIN",
        "starting_balances": ["100000 USDT"],
        "default_leverage": 10,
    } | changed.pop("venue", {})
    return {
        "venues": [venue],
        "data": [{"catalog_path": str(catalog), "data_cls": name, "instrument_id": instrument} for name in tables],
        "engine": {"strategies": [dict(strategy)]},
        "hedgegrid": {"fees": {"maker_bps": 2, "taker_bps": 5}} | changed.pop("hedgegrid", {}),
    } | changed


def scripted(plan: Sequence[tuple[int, str, str, str | None]], instrument: str = ID) -> dict[str, Any]:
    """The strategy that sends market orders by a plan: (time in ns, BUY or SELL, quantity, leg or None)."""
    return {
        "strategy_path": f"{SCRIPTED}:Scripted",
        "config_path": f"{SCRIPTED}:ScriptedConfig",
        "config": {"instrument_id": instrument, "plan": [list(row) for row in plan]},
    }


def file_of(folder: Path, values: Mapping[str, Any], name: str = "backtest.yaml") -> Path:
    """The values as a YAML file."""
    path = folder / name
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(dict(values), file)
    return path


def setup_of(folder: Path, values: Mapping[str, Any], **flags: Any) -> Setup:
    """The values as a file that is read."""
    return read_setup(file_of(folder, values), **flags)
