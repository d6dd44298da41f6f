"""One run: an engine with all that a job names, built before any data is read."""

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import BookType, Venue

from hedgegrid_assets.backtest.files import BOOKS, FUNDING
from hedgegrid_assets.backtest.job import Job, Outcome, Stream
from hedgegrid_assets.backtest.leaving import ACCOUNT, FILLS, ORDERS, POSITIONS, write_table
from hedgegrid_assets.backtest.merging import Chunks, merged
from hedgegrid_assets.backtest.nautilus2.faults import faults_below
from hedgegrid_assets.backtest.nautilus2.making import engine_config, instruments_of, made, venue_options
from hedgegrid_assets.backtest.nautilus2.paying import Told, missed_of, payments_of
from hedgegrid_assets.backtest.nautilus2.streams import chunks
from hedgegrid_assets.backtest.nautilus2.tables import (
    fill_row,
    fills_of,
    order_row,
    position_row,
)
from hedgegrid_assets.backtest.rows import account_rows
from hedgegrid_assets.backtest.usable import NotUsable, check_money, source_of, traceback_of, venue_of, with_reason
from hedgegrid_assets.spent import peak_bytes
from hedgegrid_assets.stages.catalog.installed import installed_version

_AT_ONCE: Final = 100_000
"""Events that an engine holds."""


class Backtest:
    """An engine with all that a job names, built before any data is read."""

    def __init__(self, job: Job) -> None:
        self._job = job
        _check_funding(job)
        self._told = Told(job.settlements)
        self._delivered = {stream.name: 0 for stream in job.streams}
        self._instruments = instruments_of(job)
        self._contracts = {name: contract for name, (_, contract) in self._instruments.items()}
        check_money(job, list(self._contracts.values()))
        self._engine = BacktestEngine(engine_config(job))
        for venue in job.venues:
            self._add_venue(venue)
        for name, (instrument, _) in self._instruments.items():
            with_reason(f"instrument {name}", lambda each=instrument: self._engine.add_instrument(each))
        self._sources: dict[str, str] = {}
        for row in job.engine.get("actors", ()):
            self._engine.add_actor(made(row, "actor"))
        for row in job.engine.get("strategies", ()):
            self._engine.add_strategy(made(row, "strategy"))
            path = row["strategy_path"]
            self._sources |= source_of(path, import_module(path.partition(":")[0]))

    def _add_venue(self, given: Mapping[str, Any]) -> None:
        name = given["name"]
        has_books = any(
            stream.table in BOOKS and venue_of(stream.instrument_id) == name for stream in self._job.streams
        )
        mine = [each for each in self._contracts.values() if venue_of(each.instrument_id) == name]
        options = {
            "book_type": BookType.L2_MBP if has_books else BookType.L1_MBP,
            **with_reason(f"venue {name}", lambda: venue_options(given, mine)),
        }
        with_reason(f"venue {name}", lambda: self._engine.add_venue(Venue(name), **options))

    def run(self) -> str:
        """Run to the end; the traceback of what was raised on the way, or nothing."""
        job = self._job
        gc.freeze()
        with faults_below(sys._getframe()) as faults:
            try:
                for events in _gathered(merged([self._counted(stream) for stream in job.streams])):
                    self._engine.add_data(events, validate=False)
                    self._engine.run(start=job.start_ns, end=job.end_ns - 1, streaming=True)
                    self._engine.clear_data()
                    if faults:
                        break
                self._engine.end()
            except Exception as error:  # noqa: BLE001 - a strategy's own fault, told with where it was raised
                faults.append(error)
        return traceback_of(faults[0]) if faults else ""

    def _counted(self, stream: Stream) -> Chunks:
        found = chunks(stream, self._job.start_ns, self._job.end_ns, self._job.catalog)
        for chunk in self._told.listening(stream, found):
            self._delivered[stream.name] += len(chunk)
            yield chunk

    @property
    def _positions(self) -> list[Any]:
        cache = self._engine.cache
        return [*cache.position_snapshots(), *cache.positions()]

    @property
    def _accounts(self) -> list[Any]:
        found = (self._engine.cache.account_for_venue(Venue(venue["name"])) for venue in self._job.venues)
        return [account for account in found if account is not None]

    def outcome(self, raised: str, seconds: float, cpu_seconds: float) -> Outcome:
        """All that is told but the tables."""
        positions, settlements = self._positions, self._job.settlements
        payments = payments_of(positions, self._told, self._contracts)
        return Outcome(
            delivered=self._delivered,
            payments=payments,
            missed=list(missed_of(settlements, payments, positions, self._told, self._job.start_ns)),
            contracts=list(self._contracts.values()),
            balances={
                currency.code: balance.total.as_decimal()
                for account in self._accounts
                for currency, balance in account.balances().items()
            },
            versions={"nautilus_trader": installed_version() or "", "python": sys.version.split()[0]},
            sources=self._sources,
            raised=raised,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            peak_bytes=peak_bytes(),
        )

    def write(self, folder: Path) -> None:
        """The tables."""
        orders = self._engine.cache.orders()
        write_table(folder, "orders", ORDERS, map(order_row, orders))
        write_table(folder, "fills", FILLS, map(fill_row, fills_of(orders)))
        write_table(folder, "positions", POSITIONS, map(position_row, self._positions))
        write_table(folder, "account", ACCOUNT, account_rows(self._accounts))


def _check_funding(job: Job) -> None:
    """Raises NotUsable where funding is not to be paid: 2.x pays whatever it is told the rate of."""
    if not job.pays_funding and any(stream.table == FUNDING for stream in job.streams):
        raise NotUsable(
            "hedgegrid: funding: pay: false cannot be applied: nautilus_trader 2.x pays wherever it has rates",
            hint="take FundingRateUpdate out of data:, or run it on a catalog for 1.x",
        )


def _gathered(parts: Chunks) -> Chunks:
    """Parts put together until they are worth a run of the engine."""
    held: list[Any] = []
    for part in parts:
        held += part
        if len(held) >= _AT_ONCE:
            yield held
            held = []
    if held:
        yield held
