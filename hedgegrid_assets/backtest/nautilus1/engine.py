"""One run: an engine with all that a job names, built before any data is read."""

import gc
import importlib.metadata
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.backtest import node
from nautilus_trader.backtest.config import BacktestVenueConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.component import is_backtest_force_stop
from nautilus_trader.common.config import ActorFactory, ImportableActorConfig
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.trading.config import ImportableStrategyConfig, StrategyFactory

from hedgegrid_assets.backtest.files import BOOKS
from hedgegrid_assets.backtest.job import Job, Outcome, Stream
from hedgegrid_assets.backtest.leaving import ACCOUNT, FILLS, ORDERS, POSITIONS, write_table
from hedgegrid_assets.backtest.merging import Chunks, merged
from hedgegrid_assets.backtest.nautilus1.desk import FundingDesk
from hedgegrid_assets.backtest.nautilus1.making import (
    contract_of,
    engine_config,
    instruments_of,
    made,
    parsed,
    source,
    time_of,
)
from hedgegrid_assets.backtest.nautilus1.streams import chunks
from hedgegrid_assets.backtest.nautilus1.tables import fill_row, order_row, position_row
from hedgegrid_assets.backtest.rows import account_rows
from hedgegrid_assets.backtest.usable import check_money, traceback_of, venue_of, with_reason
from hedgegrid_assets.spent import peak_bytes


class Backtest:
    """An engine with all that a job names, built before any data is read."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._delivered = {stream.name: 0 for stream in job.streams}
        self._instruments = instruments_of(job)
        check_money(job, list(map(contract_of, self._instruments.values())))
        self._engine = BacktestEngine(config=engine_config(job))
        self._desks = [self._add_venue(venue) for venue in job.venues]
        for instrument in self._instruments.values():
            with_reason(f"instrument {instrument.id}", lambda each=instrument: self._engine.add_instrument(each))
        self._engine.set_default_market_data_client()
        self._sources: dict[str, str] = {}
        for row in job.engine.get("actors", ()):
            self._engine.add_actor(made(row, "actor", ImportableActorConfig, ActorFactory.create))
        for row in job.engine.get("strategies", ()):
            self._engine.add_strategy(made(row, "strategy", ImportableStrategyConfig, StrategyFactory.create))
            self._sources |= source(row["strategy_path"])

    def _add_venue(self, given: Mapping[str, Any]) -> "FundingDesk":
        has_books = any(
            stream.table in BOOKS and venue_of(stream.instrument_id) == given["name"] for stream in self._job.streams
        )
        given = {"book_type": "L2_MBP" if has_books else "L1_MBP", **given}
        config = with_reason("venues", lambda: parsed(BacktestVenueConfig, given))
        desk = FundingDesk(
            [each for each in self._job.settlements if venue_of(each.instrument_id) == config.name],
            {str(each.id): contract_of(each) for each in self._instruments.values()},
        )
        options = {
            name: getattr(config, name)
            for name in (
                *("routing", "frozen_account", "reject_stop_orders", "support_gtd_orders", "support_contingent_orders"),
                *("use_position_ids", "use_random_ids", "use_reduce_only", "use_market_order_acks", "bar_execution"),
                *("bar_adaptive_high_low_ordering", "trade_execution", "liquidity_consumption", "queue_position"),
                *("allow_cash_borrowing", "settlement_prices"),
            )
        }
        with_reason(
            f"venue {config.name}",
            lambda: self._engine.add_venue(
                venue=Venue(config.name),
                oms_type=node.get_oms_type(config),
                account_type=node.get_account_type(config),
                base_currency=node.get_base_currency(config),
                starting_balances=node.get_starting_balances(config),
                default_leverage=Decimal(str(config.default_leverage)),
                leverages=node.get_leverages(config),
                margin_model=node.get_margin_model(config),
                book_type=node.get_book_type(config),
                modules=[desk, *(ActorFactory.create(module) for module in config.modules or [])],
                fill_model=node.get_fill_model(config),
                fee_model=node.get_fee_model(config),
                latency_model=node.get_latency_model(config),
                oto_trigger_mode=node.get_oto_trigger_mode(config),
                price_protection_points=node.get_price_protection_points(config),
                **options,
            ),
        )
        return desk

    def run(self) -> str:
        """Run to the end; the traceback of what was raised on the way, or nothing."""
        events = merged([self._counted(stream) for stream in self._job.streams])
        self._engine.add_data_iterator("events", events)
        gc.freeze()
        try:
            self._engine.run(start=time_of(self._job.start_ns), end=time_of(self._job.end_ns - 1))
        except Exception as error:  # noqa: BLE001 - a strategy's own fault, told with where it was raised
            return traceback_of(error)
        if is_backtest_force_stop():
            return "the engine stopped before the end of the data: an account could not be updated (see run.log)"
        return ""

    def _counted(self, stream: Stream) -> Chunks:
        for chunk in chunks(stream, self._job.start_ns, self._job.end_ns, Path(self._job.folder)):
            self._delivered[stream.name] += len(chunk)
            yield chunk

    def outcome(self, raised: str, seconds: float, cpu_seconds: float) -> Outcome:
        """All that is told but the tables."""
        cache = self._engine.cache
        balances = {
            str(currency): balance.total.as_decimal()
            for account in cache.accounts()
            for currency, balance in account.balances().items()
        }
        return Outcome(
            delivered=self._delivered,
            payments=[payment for desk in self._desks for payment in desk.payments],
            missed=[missed for desk in self._desks for missed in desk.missed],
            contracts=[contract_of(each) for each in self._instruments.values()],
            balances=balances,
            versions={
                "nautilus_trader": importlib.metadata.version("nautilus_trader"),
                "python": sys.version.split()[0],
            },
            sources=self._sources,
            raised=raised,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            peak_bytes=peak_bytes(),
        )

    def write(self, folder: Path) -> None:
        """The tables."""
        cache = self._engine.cache
        fills = [fill for desk in self._desks for fill in desk.fills]
        positions = [*cache.position_snapshots(), *cache.positions()]
        write_table(folder, "orders", ORDERS, (order_row(each) for each in cache.orders()))
        write_table(folder, "fills", FILLS, map(fill_row, fills))
        write_table(folder, "positions", POSITIONS, map(position_row, positions))
        write_table(folder, "account", ACCOUNT, account_rows(cache.accounts()))
