"""One side of a comparison, in a process of its own: ``python -m benchmarks.sides <side> <input> <work folder>``.

Ours are the product's own commands as a user types them, and ``ours_bare``; peers follow nautilus_trader's documentation.
"""

import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import DAY, INSTRUMENT, PRODUCT, SYMBOL
from benchmarks.captured import CAPTURED

if TYPE_CHECKING:
    import pandas as pd
    from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
    from nautilus_trader.model.data import OrderBookDelta
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

_TRADED: Final = f"{SYMBOL}-PERP.SIM"
_VENUE: Final[dict[str, Any]] = {
    "name": "SIM",
    "oms_type": "HEDGING",
    "account_type": "MARGIN",
    "starting_balances": ["100000 USDT"],
}
_IDLE: Final[dict[str, Any]] = {
    "strategy_path": "benchmarks.idle:Idle",
    "config_path": "benchmarks.idle:IdleConfig",
    "config": {},
}
_NEXT: Final = DAY.replace(day=DAY.day + 1)


def _run(*arguments: str) -> None:
    sys.path.insert(0, os.environ.get(PRODUCT, ""))
    from hedgegrid_assets.__main__ import main

    sys.argv = ["hedgegrid", *arguments]
    try:
        main()
    except SystemExit as done:
        if done.code:
            raise


def _convert(work: Path, *arguments: str, symbol: str = SYMBOL) -> None:
    places = ("--data", str(work / "data"), "--output", str(work / "catalog"), "--symbol", symbol, "--quiet")
    _run("replay-to-parquet", *places, *arguments)


def _tardis(work: Path, source: Path, kind: str, types: str) -> None:
    """From a warm cache: the day is there, nobody is asked."""
    work.mkdir(parents=True, exist_ok=True)
    cached = work / "cache" / "datasets" / f"binance-futures_{kind}_{DAY}_{SYMBOL}.csv.gz"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.hardlink_to(source)
    config = work / "config.json"
    config.write_text(json.dumps({"cache_dir": str(work / "cache"), "endpoint": "http://127.0.0.1:9"}))
    days = ("--start", str(DAY), "--end", str(_NEXT))
    _convert(work, "--source", "tardis", *days, "--data-types", types, "--config", str(config))


def ours_trades(source: Path, work: Path) -> None:
    """Everything on: raw day, frame, rejects, rules, verdict, Nautilus file, read back."""
    _tardis(work, source, "trades", "trades")


def ours_tickers(source: Path, work: Path) -> None:
    """Three tables from one file."""
    _tardis(work, source, "derivative_ticker", "mark,index,funding")


def ours_deltas(source: Path, work: Path) -> None:
    """Everything on, the book that the rules rebuild included."""
    _tardis(work, source, "incremental_book_L2", "deltas")


def ours_quotes(source: Path, work: Path) -> None:
    """Best bids and asks."""
    _tardis(work, source, "quotes", "quotes")


def ours_depth(source: Path, work: Path) -> None:
    """The messages of a captured book, around its snapshots, everything on."""
    _convert(work, "--source", "websocket", "--input", str(source), "--data-types", "deltas", symbol=CAPTURED)


def ours_funding(source: Path, work: Path) -> None:
    """Of the three tables the one that the peer makes."""
    _tardis(work, source, "derivative_ticker", "funding")


def ours_csv(source: Path, work: Path) -> None:
    """The same file as any CSV, its dialect found out."""
    _convert(work, "--source", "csv", "--input", str(source), "--data-types", "trades")


def ours_messages(source: Path, work: Path) -> None:
    """A capture, everything on."""
    _convert(work, "--source", "websocket", "--input", str(source), "--data-types", "trades")


def ours_archive_day(source: Path, work: Path) -> None:
    """A published day of aggregates, everything on; its checksum is looked at, nobody is asked."""
    _archive(source, work, _NEXT)


def ours_archive_month(source: Path, work: Path) -> None:
    """A published month, cut into its days once."""
    _archive(source, work, DAY.replace(month=DAY.month + 1))


def _archive(source: Path, work: Path, end: date) -> None:
    cache = work / "cache"
    shutil.copytree(source, cache, copy_function=os.link)
    config = work / "config.json"
    config.write_text(json.dumps({"cache_dir": str(cache)}))
    days = ("--start", str(DAY), "--end", str(end))
    _convert(work, "--source", "archive", *days, "--data-types", "trades", "--config", str(config))


def script_of_today(source: Path, work: Path) -> None:
    """As people do it: the file of a download script, pandas, a TradeTick a row, ``write_data``."""
    _script(source, work, lambda frame: (row for _, row in frame.iterrows()))


def script_at_its_best(source: Path, work: Path) -> None:
    """The same by whoever knows that ``itertuples`` is faster than ``iterrows``."""
    _script(source, work, lambda frame: frame.itertuples())


def _script(source: Path, work: Path, rows_of: Callable[["pd.DataFrame"], Iterable[Any]]) -> None:
    import pandas as pd
    from nautilus_trader.model.data import TradeTick
    from nautilus_trader.model.enums import AggressorSide
    from nautilus_trader.model.identifiers import InstrumentId, TradeId
    from nautilus_trader.model.objects import Price, Quantity

    from benchmarks.published import zip_of  # which imports the product of now

    instrument = InstrumentId.from_str(INSTRUMENT)
    trades = [
        TradeTick(
            instrument,
            Price(row.price, 1),
            Quantity(row.quantity, 3),
            AggressorSide.SELLER if row.is_buyer_maker else AggressorSide.BUYER,
            TradeId(str(row.agg_trade_id)),
            row.transact_time * 1_000_000,
            row.transact_time * 1_000_000,
        )
        for row in rows_of(pd.read_csv(zip_of(source)))
    ]
    _catalog(work).write_data(trades)


def ours_bare(source: Path, work: Path) -> None:
    """The same decoder and Nautilus writer without frame, rules, verdict and reading back."""
    from benchmarks.bare import convert

    convert(source, work / "catalog" / "data" / "trade_tick" / INSTRUMENT / "day.parquet")


def ours_days(source: Path, work: Path) -> None:
    """Many small days of synthetic trades: ``source`` names ``<days>-<jobs>``."""
    days, jobs = map(int, source.name.split("-"))
    _synthetic(work, days, "trades", "--jobs", str(jobs))


def _synthetic(work: Path, days: int, types: str, *arguments: str) -> None:
    config = work / "config.json"
    config.write_text(json.dumps({"trades_per_day": 1_000}))
    span = ("--start", str(DAY), "--end", str(DAY + timedelta(days=days)))
    _convert(work, "--source", "synthetic", *span, "--data-types", types, "--config", str(config), *arguments)


def ours_help(source: Path, work: Path) -> None:  # noqa: ARG001 - all sides have one signature
    """How long a user waits for ``--help``."""
    _run("--help")


def _catalog(work: Path) -> "ParquetDataCatalog":
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    return ParquetDataCatalog(str(work / "catalog"))


def _loader(**said: int) -> "TardisCSVDataLoader":
    from nautilus_trader.adapters.tardis.loaders import TardisCSVDataLoader
    from nautilus_trader.model.identifiers import InstrumentId

    return TardisCSVDataLoader(instrument_id=InstrumentId.from_str(INSTRUMENT), **said)


def nautilus_documented(source: Path, work: Path) -> None:
    """As its documentation shows: Cython objects."""
    _catalog(work).write_data(_loader().load_trades(source))


def nautilus_fastest(source: Path, work: Path) -> None:
    """As its docstrings advise for a catalog: objects of its Rust core."""
    _catalog(work).write_data(_loader().load_trades(source, as_legacy_cython=False))


def nautilus_deltas(source: Path, work: Path) -> None:
    """Changes of the book."""
    _catalog(work).write_data(_loader().load_deltas(source))


def nautilus_quotes(source: Path, work: Path) -> None:
    """Best bids and asks, as its docstrings advise for a catalog; decimals are said, as it looks for them in bids only."""
    loader = _loader(price_precision=1, size_precision=3)
    _catalog(work).write_data(loader.load_quotes(source, as_legacy_cython=False))


def nautilus_funding(source: Path, work: Path) -> None:
    """The one table of these files that it reads; of these objects its catalog takes the Cython ones only."""
    _catalog(work).write_data(_loader().load_funding_rates(source))


def message_loop(source: Path, work: Path) -> None:
    """What one writes oneself: each message through json into an object, the objects into the catalog."""
    from nautilus_trader.model.data import TradeTick
    from nautilus_trader.model.enums import AggressorSide
    from nautilus_trader.model.identifiers import InstrumentId, TradeId
    from nautilus_trader.model.objects import Price, Quantity

    instrument = InstrumentId.from_str(INSTRUMENT)
    trades = []
    with gzip.open(source, "rb") as file:
        for line in file:
            received, _, text = line.partition(b" ")
            message = json.loads(text)["data"]
            if message["e"] == "aggTrade":
                trades.append(
                    TradeTick(
                        instrument,
                        Price.from_str(message["p"]),
                        Quantity.from_str(message["q"]),
                        AggressorSide.SELLER if message["m"] else AggressorSide.BUYER,
                        TradeId(str(message["a"])),
                        message["T"] * 1_000_000,
                        int(received),
                    )
                )
    _catalog(work).write_data(trades)


def depth_loop(source: Path, work: Path) -> None:
    """What one writes oneself: the updates of a book and its snapshots into deltas, one message after the other."""
    from nautilus_trader.model.data import OrderBookDelta

    deltas: list[OrderBookDelta] = []
    recent: list[tuple[dict[str, Any], int]] = []
    last: int | None = None
    with gzip.open(source, "rb") as file:
        for line in file:
            received, _, text = line.partition(b" ")
            body, at = json.loads(text), int(received)
            message = body.get("data", body)
            if "lastUpdateId" in message:
                last = message["lastUpdateId"]
                deltas += _deltas_of(message | {"u": last}, at, "bids", "asks", snapshot=True)
                for earlier, _ in recent:
                    if earlier["u"] >= last:
                        deltas += _deltas_of(earlier, at, "b", "a")
                recent.clear()
                continue
            recent.append((message, at))
            if last is not None and message["u"] >= last:
                deltas += _deltas_of(message, at, "b", "a")
            del recent[:-2_000]
    _catalog(work).write_data(deltas)


def _deltas_of(
    message: dict[str, Any], at: int, bids: str, asks: str, *, snapshot: bool = False
) -> "list[OrderBookDelta]":
    """Of one message; the last one ends its event."""
    from nautilus_trader.model.data import BookOrder, OrderBookDelta
    from nautilus_trader.model.enums import BookAction, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.model.objects import Price, Quantity

    instrument = InstrumentId.from_str(f"{CAPTURED}-PERP.BINANCE")
    event, sequence, flags = message["T"] * 1_000_000, message["u"], 32 if snapshot else 0
    levels = [(OrderSide.BUY, *level) for level in message[bids]] + [
        (OrderSide.SELL, *level) for level in message[asks]
    ]
    made = [OrderBookDelta.clear(instrument, sequence, event, at)] if snapshot else []
    for number, (side, price, size) in enumerate(levels, 1):
        quantity = Quantity.from_str(size)
        action = BookAction.ADD if snapshot else BookAction.UPDATE if quantity > 0 else BookAction.DELETE
        order = BookOrder(side, Price.from_str(price), quantity, 0)
        last = 128 if number == len(levels) else 0
        made.append(OrderBookDelta(instrument, action, order, flags | last, sequence, event, at))
    return made


def ours_backtest(source: Path, work: Path) -> None:
    """A strategy that does nothing over a day of trades, marks and funding, with accounts and report."""
    _backtest(source, work, "--start", str(DAY), "--end", str(_NEXT))


def ours_backtest_week(source: Path, work: Path) -> None:
    """The same over all days of the catalog."""
    _backtest(source, work)


def _backtest(source: Path, work: Path, *arguments: str) -> None:
    work.mkdir(parents=True, exist_ok=True)
    row = {"catalog_path": str(source), "instrument_id": _TRADED}
    config = {
        "venues": [_VENUE],
        "data": [row | {"data_cls": name} for name in ("TradeTick", "MarkPriceUpdate", "FundingRateUpdate")],
        "engine": {"strategies": [_IDLE]},
        "hedgegrid": {"fees": "none"},
    }
    (work / "backtest.json").write_text(json.dumps(config))
    _run("run-backtest", "-b", str(work / "backtest.json"), "-o", str(work / "runs"), "--quiet", *arguments)


def nautilus_node(source: Path, work: Path) -> None:  # noqa: ARG001 - all sides have one signature
    """The same strategy in nautilus' own node, one-shot, over trades and marks alone: funding it cannot stream."""
    from nautilus_trader.backtest.config import (
        BacktestDataConfig,
        BacktestEngineConfig,
        BacktestRunConfig,
        BacktestVenueConfig,
    )
    from nautilus_trader.backtest.node import BacktestNode
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.trading.config import ImportableStrategyConfig

    data = [
        BacktestDataConfig(
            catalog_path=str(source), data_cls=f"nautilus_trader.model.data:{name}", instrument_id=_TRADED
        )
        for name in ("TradeTick", "MarkPriceUpdate")
    ]
    engine = BacktestEngineConfig(
        logging=LoggingConfig(log_level="ERROR"), strategies=[ImportableStrategyConfig(**_IDLE)]
    )
    BacktestNode([BacktestRunConfig(venues=[BacktestVenueConfig(**_VENUE)], data=data, engine=engine)]).run()


def ours_for_2(source: Path, work: Path) -> None:
    """A catalog for NautilusTrader 2.x of the stored frames of one for 1.x, compared with them as it is written."""
    _convert_catalog(source, work, 2)


def ours_for_1(source: Path, work: Path) -> None:
    """The same the other way round: what writing a day for 1.x from its frame takes."""
    _convert_catalog(source, work, 1)


def _convert_catalog(source: Path, work: Path, generation: int) -> None:
    places = ("--catalog", str(source), "--output", str(work / "catalog"))
    _run("catalog", "convert", "--nautilus", str(generation), *places, "--quiet")


def nautilus_2_migration(source: Path, work: Path) -> None:
    """2.x's own migration of the catalog for 1.x, by the Python that NAUTILUS2_PYTHON names."""
    (work / "catalog").mkdir(parents=True, exist_ok=True)
    program = (
        "import sys; from nautilus_trader.persistence import ParquetDataCatalog as C; "
        "C(sys.argv[2]).migrate_from_legacy_parquet_path(sys.argv[1])"
    )
    from benchmarks.cases import NAUTILUS_2

    subprocess.run(
        [NAUTILUS_2, "-c", program, str(source), str(work / "catalog")], check=True, stdout=subprocess.DEVNULL
    )


def gunzip(source: Path, work: Path) -> None:  # noqa: ARG001
    """The floor: what is compressed must be decompressed."""
    subprocess.run(["gzip", "-dc", str(source)], check=True, stdout=subprocess.DEVNULL)


SIDES: Final[dict[str, Callable[[Path, Path], None]]] = {
    side.__name__: side
    for side in (
        ours_trades,
        ours_tickers,
        ours_deltas,
        nautilus_deltas,
        ours_quotes,
        nautilus_quotes,
        ours_depth,
        depth_loop,
        ours_funding,
        ours_csv,
        ours_messages,
        ours_archive_day,
        ours_archive_month,
        script_of_today,
        script_at_its_best,
        ours_bare,
        ours_days,
        ours_help,
        nautilus_documented,
        nautilus_fastest,
        nautilus_funding,
        message_loop,
        gunzip,
        ours_backtest,
        ours_backtest_week,
        nautilus_node,
        ours_for_2,
        ours_for_1,
        nautilus_2_migration,
    )
}


def peak_memory(*, at_once: bool = False) -> int:
    """Largest resident memory of this process, or of one that it has started, in bytes; ``at_once``: of both, as they work at once.

    Of itself not ``ru_maxrss``: that remembers the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    own = int(status.partition("VmHWM:")[2].split()[0])
    return 1024 * (own + children if at_once else max(own, children))


if __name__ == "__main__":
    name, source, work = sys.argv[1:]
    SIDES[name](Path(source), Path(work))
    (Path(work) / "peak").write_text(str(peak_memory(at_once=name == "ours_days")))
