"""The engine of NautilusTrader 1.x: streams out of the catalog, funding that is paid, and what happened as tables."""

import gc
import hashlib
import importlib.metadata
import operator
import resource
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.backtest import node
from nautilus_trader.backtest.config import BacktestEngineConfig, BacktestVenueConfig, SimulationModuleConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.common.component import is_backtest_force_stop
from nautilus_trader.common.config import ActorFactory, ImportableActorConfig, LoggingConfig, resolve_path
from nautilus_trader.core.nautilus_pyo3 import DataBackendSession, NautilusDataType, drop_cvec_pycapsule
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.data import FundingRateUpdate, IndexPriceUpdate, MarkPriceUpdate, capsule_to_list
from nautilus_trader.model.enums import PositionAdjustmentType, liquidity_side_to_str, order_side_to_str
from nautilus_trader.model.events import OrderFilled, PositionAdjusted
from nautilus_trader.model.identifiers import InstrumentId, Venue
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Money, Price
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.trading.config import ImportableStrategyConfig, StrategyFactory

from hedgegrid_assets.backtest import files
from hedgegrid_assets.backtest.job import Contract, Fees, Job, Outcome, Payment, Refusal, Settlement, Stream
from hedgegrid_assets.backtest.settlements import THINNED, amount

_CHUNK: Final = 10_000
_NEVER: Final = 2**63 - 1

type _Chunks = Iterator[list[Any]]


class _NotUsable(Exception):
    """A configuration that Nautilus refuses, or that it would take without doing what it says."""

    def __init__(self, message: str, hint: str = "", *, of_strategy: bool = False) -> None:
        super().__init__(message)
        self.refusal = Refusal(message, hint, of_strategy=of_strategy)


def run(job: Job) -> Outcome | Refusal:
    """Run a job; its tables are left in its folder, also where a strategy raises."""
    sys.path += [path for path in job.paths if path not in sys.path]
    try:
        house = _House(job)
    except _NotUsable as error:
        return error.refusal
    started, cpu = time.monotonic(), time.process_time()
    raised = house.run()
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    house.write(Path(job.folder))
    return house.outcome(raised, seconds, cpu_seconds)


class _House:
    """An engine with all that a job names, built before any data is read."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._delivered = {stream.name: 0 for stream in job.streams}
        self._instruments = _instruments(job)
        _check_money(job, list(map(_contract, self._instruments.values())))
        self._engine = BacktestEngine(config=_engine_config(job))
        self._desks = [self._add_venue(venue) for venue in job.venues]
        for instrument in self._instruments.values():
            with_reason(f"instrument {instrument.id}", lambda each=instrument: self._engine.add_instrument(each))
        self._engine.set_default_market_data_client()
        self._sources: dict[str, str] = {}
        for row in job.engine.get("actors", ()):
            self._engine.add_actor(_made(row, "actor", ImportableActorConfig, ActorFactory.create))
        for row in job.engine.get("strategies", ()):
            self._engine.add_strategy(_made(row, "strategy", ImportableStrategyConfig, StrategyFactory.create))
            self._sources |= _source_of(row["strategy_path"])

    def _add_venue(self, given: Mapping[str, Any]) -> "FundingDesk":
        config = with_reason("venues", lambda: _parsed(BacktestVenueConfig, given))
        desk = FundingDesk(
            [each for each in self._job.settlements if _venue_of(each.instrument_id) == config.name],
            {str(each.id): _contract(each) for each in self._instruments.values()},
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
        for stream in self._job.streams:
            self._engine.add_data_iterator(stream.name, self._counted(stream))
        gc.freeze()
        try:
            self._engine.run(start=_time(self._job.start_ns), end=_time(self._job.end_ns - 1))
        except Exception as error:  # noqa: BLE001 - a strategy's own fault, told with where it was raised
            return _traceback(error)
        if is_backtest_force_stop():
            return "the engine stopped before the end of the data: an account could not be updated (see run.log)"
        return ""

    def _counted(self, stream: Stream) -> _Chunks:
        last = 0
        for chunk in _chunks(stream, self._job.start_ns, self._job.end_ns, Path(self._job.folder)):
            times = [each.ts_init for each in chunk]
            if times[0] < last or any(map(operator.gt, times, times[1:])):
                raise RuntimeError(f"{stream.name}: rows are not in the order of their arrival")
            last = times[-1]
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
            unbooked=[settlement for desk in self._desks for settlement in desk.unbooked],
            contracts=[_contract(each) for each in self._instruments.values()],
            balances=balances,
            versions={
                "nautilus_trader": importlib.metadata.version("nautilus_trader"),
                "python": sys.version.split()[0],
            },
            sources=self._sources,
            raised=raised,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )

    def write(self, folder: Path) -> None:
        """The tables."""
        cache = self._engine.cache
        fills = [fill for desk in self._desks for fill in desk.fills]
        positions = [*cache.position_snapshots(), *cache.positions()]
        _write(folder, "orders", _ORDERS, (_order(each) for each in cache.orders()))
        _write(folder, "fills", _FILLS, map(_fill, fills))
        _write(folder, "positions", _POSITIONS, map(_position, positions))
        _write(folder, "account", _ACCOUNT, _account_rows(cache.accounts()))


# ---------------------------------------------------------------- what Nautilus makes of a configuration


def with_reason[T](what: str, make: Callable[[], T]) -> T:
    """What ``make`` gives. Raises _NotUsable with Nautilus' own reason."""
    try:
        return make()
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        if isinstance(error, ModuleNotFoundError | AttributeError | TypeError | ValueError | msgspec.ValidationError):
            raise _NotUsable(f"{what}: {reason}") from error
        raise _NotUsable(f"{what}: {type(error).__name__}: {reason}") from error


def _parsed(kind: type, given: Mapping[str, Any]) -> Any:
    return kind.parse(msgspec.json.encode(given))  # type: ignore[attr-defined]


def _made(row: Mapping[str, Any], what: str, kind: type, create: Callable[[Any], Any]) -> Any:
    try:
        return with_reason(f"{what} {row.get(f'{what}_path')}", lambda: create(_parsed(kind, row)))
    except _NotUsable as error:
        raise _NotUsable(str(error), of_strategy=what == "strategy") from None


def _engine_config(job: Job) -> BacktestEngineConfig:
    given = {name: value for name, value in job.engine.items() if name not in {"strategies", "actors", "log_level"}}
    level = job.engine.get("log_level", "WARNING")
    config = with_reason("engine", lambda: _parsed(BacktestEngineConfig, given))
    logging = LoggingConfig(log_level=level, log_colors=False)
    return msgspec.structs.replace(config, logging=logging, run_analysis=False)


def _instruments(job: Job) -> dict[str, Instrument]:
    """The catalog's definitions, with the fees of the job in place of theirs. Raises _NotUsable."""
    found = ParquetDataCatalog(job.catalog).instruments(instrument_ids=list(job.instruments))
    by_id = {str(each.id): each for each in found}
    return {name: _with_fees(by_id[name], fees, job) for name, fees in job.instruments.items()}


def _with_fees(instrument: Instrument, fees: Fees | None, job: Job) -> Instrument:
    if fees is None and job.needs_fees and not _fees_known(instrument):
        raise _NotUsable(
            f"nobody says the fees of {instrument.id}, and without fees a grid earns money that nobody pays: expected "
            "hedgegrid: fees: {maker_bps: .., taker_bps: ..}, found none",
            hint="write the fees of your account there; to run without any on purpose: fees: none",
        )
    maker, taker = (instrument.maker_fee, instrument.taker_fee) if fees is None else (fees.maker, fees.taker)
    said = {"maker_fee": str(maker * job.fee_factor), "taker_fee": str(taker * job.fee_factor)}
    return type(instrument).from_dict(type(instrument).to_dict(instrument) | said)


def _fees_known(instrument: Instrument) -> bool:
    """Ours say where they are not; of another writer's, zero is what nobody has filled in."""
    if "origin" in (instrument.info or {}):
        return instrument.info.get("fees") != "unknown"
    return bool(instrument.maker_fee or instrument.taker_fee)


def _contract(instrument: Instrument) -> Contract:
    currency = instrument.get_cost_currency()
    return Contract(
        instrument_id=str(instrument.id),
        currency=currency.code,
        precision=currency.precision,
        multiplier=instrument.multiplier.as_decimal(),
        is_inverse=instrument.is_inverse,
        quote=instrument.quote_currency.code,
        margin_init=instrument.margin_init,
        maker_fee=instrument.maker_fee,
        taker_fee=instrument.taker_fee,
        fees_known=_fees_known(instrument),
        origin=str((instrument.info or {}).get("origin", "another writer")),
    )


def _check_money(job: Job, contracts: Sequence[Contract]) -> None:
    """Nautilus would open a balance below zero for a currency that an account does not have. Raises _NotUsable."""
    venues = {venue["name"]: venue for venue in job.venues}
    for contract in contracts:
        venue = venues[_venue_of(contract.instrument_id)]
        held = [balance.rpartition(" ")[2] for balance in venue["starting_balances"]]
        base = venue.get("base_currency")
        if contract.currency not in held:
            raise _NotUsable(
                f"{contract.instrument_id} is settled in {contract.currency}: expected a starting balance of it at the venue "
                f"{venue['name']}, found {', '.join(held)}",
                hint=f"add one under venues: starting_balances:, such as '10 {contract.currency}'",
            )
        if base not in (None, contract.currency):
            raise _NotUsable(
                f"{contract.instrument_id} is settled in {contract.currency}: expected no base_currency or the same at the venue "
                f"{venue['name']}, found {base}"
            )


def _source_of(path: str) -> dict[str, str]:
    file = getattr(sys.modules.get(resolve_path(path).__module__), "__file__", None)
    return {path: hashlib.sha256(Path(file).read_bytes()).hexdigest()} if file else {}


def _venue_of(instrument_id: str) -> str:
    return instrument_id.rpartition(".")[2]


def _time(ns: int) -> Any:
    import pandas as pd

    return pd.Timestamp(ns, tz="UTC")


def _traceback(error: BaseException) -> str:
    """From the strategy's own lines on: how the engine came there tells nothing."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


# ---------------------------------------------------------------- streams

_BY_RUST: Final[Mapping[str, NautilusDataType]] = {
    files.TRADES: NautilusDataType.TradeTick,
    files.MARKS: NautilusDataType.MarkPriceUpdate,
    files.INDEX: NautilusDataType.MarkPriceUpdate,  # the same columns: 1.x has no reader of index prices
}


def _chunks(stream: Stream, start_ns: int, end_ns: int, folder: Path) -> _Chunks:
    """The events of a stream in ``[start_ns, end_ns)``, in file order, some thousand at a time; never an empty list."""
    for number, file in enumerate(stream.files):
        if stream.table == files.FUNDING:
            yield from filter(None, [list(_funding(Path(file), stream, start_ns, end_ns))])
            continue
        path = Path(file) if not stream.shift_ns else _shifted(Path(file), stream, folder, number)
        for chunk in _by_rust(_BY_RUST[stream.table], path):
            if inside := _within(chunk, start_ns, end_ns):
                yield [*map(_as_index, inside)] if stream.table == files.INDEX else inside
        if stream.shift_ns:
            path.unlink()


def _by_rust(kind: NautilusDataType, path: Path) -> _Chunks:
    """A file's rows in its own order: a WHERE in the query would hand them out in another one."""
    session = DataBackendSession(chunk_size=_CHUNK)
    session.add_file(kind, "data", path.absolute().as_uri(), "SELECT * FROM data ORDER BY ts_init")
    for capsule in session.to_query_result():
        chunk = capsule_to_list(capsule)
        drop_cvec_pycapsule(capsule)  # its memory is given back by nobody else
        yield chunk


def _within(chunk: list[Any], start_ns: int, end_ns: int) -> list[Any]:
    if not chunk or (chunk[0].ts_init >= start_ns and chunk[-1].ts_init < end_ns):
        return chunk
    return [each for each in chunk if start_ns <= each.ts_init < end_ns]


def _as_index(mark: MarkPriceUpdate) -> IndexPriceUpdate:
    value = Price.from_raw(mark.value.raw, mark.value.precision)
    return IndexPriceUpdate(mark.instrument_id, value, mark.ts_event, mark.ts_init)


def _shifted(file: Path, stream: Stream, folder: Path, number: int) -> Path:
    """A copy of a file whose arrivals are later, row group by row group."""
    target = folder / f"{stream.table}-{_venue_of(stream.instrument_id)}-{number}.later.parquet"
    with pq.ParquetFile(file) as source, pq.ParquetWriter(target, source.schema_arrow) as writer:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group)
            place = table.schema.get_field_index("ts_init")
            later = (pl.Series(table.column(place)) + stream.shift_ns).cast(pl.UInt64).to_arrow()
            writer.write_table(table.set_column(place, table.schema.field(place), later))
    return target


def _funding(file: Path, stream: Stream, start_ns: int, end_ns: int) -> Iterator[FundingRateUpdate]:
    frame = files.read(files.FUNDING, file)
    frame = THINNED[stream.thinning](frame)
    instrument_id = InstrumentId.from_str(stream.instrument_id)
    for row in frame.iter_rows(named=True):
        ts_init = row["ts_init"] + stream.shift_ns
        if start_ns <= ts_init < end_ns:
            yield FundingRateUpdate(
                instrument_id,
                row["funding_rate"].normalize(),
                row["ts_event"],
                ts_init,
                row["interval_minutes"],
                row["next_funding_time"],
            )


# ---------------------------------------------------------------- funding


class FundingDesk(SimulationModule):
    """Pays the settlements of a venue, and keeps its fills.

    1.x reads no funding rate. The amount comes from the fills before a settlement alone, so when it is booked changes
    nothing but the moment that the balance moves.
    """

    def __init__(self, settlements: Sequence[Settlement], contracts: Mapping[str, Contract]) -> None:
        super().__init__(SimulationModuleConfig())
        self.fills: list[OrderFilled] = []
        self.payments: list[Payment] = []
        self._contracts = contracts
        self._waiting = sorted(settlements, key=lambda each: (each.due_ns, each.at_ns, each.instrument_id))
        self._next = 0
        self._due = self._waiting[0].due_ns if settlements else _NEVER
        self._legs: dict[str, dict[str, list[tuple[int, Decimal]]]] = defaultdict(lambda: defaultdict(list))

    @property
    def unbooked(self) -> list[Settlement]:
        """Settlements that no event came after."""
        return self._waiting[self._next :]

    def register_venue(self, exchange: Any) -> None:
        """Listen for fills."""
        super().register_venue(exchange)
        self._venue = exchange.id
        self.msgbus.subscribe(topic="events.fills.*", handler=self._on_fill)

    def _on_fill(self, fill: OrderFilled) -> None:
        if fill.instrument_id.venue != self._venue:
            return
        self.fills.append(fill)
        quantity = fill.last_qty.as_decimal()
        signed = quantity if fill.is_buy else -quantity
        self._legs[str(fill.instrument_id)][str(fill.position_id)].append((fill.ts_event, signed))

    def process(self, ts_now: int) -> None:
        """Called after each event: settle what is due."""
        while ts_now >= self._due:
            self._settle(self._waiting[self._next], ts_now)
            self._next += 1
            self._due = self._waiting[self._next].due_ns if self._next < len(self._waiting) else _NEVER

    def _settle(self, settlement: Settlement, ts_now: int) -> None:
        if settlement.mark is None:
            return
        legs = self._legs[settlement.instrument_id]
        for position_id, changes in legs.items():
            quantity = sum((change for at, change in changes if at < settlement.at_ns), Decimal(0))
            after = [(at, change) for at, change in changes if at >= settlement.at_ns]
            changes[:] = [(settlement.at_ns - 1, quantity), *after]
            if quantity:
                self._pay(settlement, position_id, quantity, ts_now)

    def _pay(self, settlement: Settlement, position_id: str, quantity: Decimal, ts_now: int) -> None:
        contract = self._contracts[settlement.instrument_id]
        assert settlement.mark is not None
        paid = amount(quantity, settlement.rate, settlement.mark, contract)
        self.payments.append(
            Payment(
                settlement.instrument_id,
                position_id,
                settlement.at_ns,
                ts_now,
                quantity,
                settlement.rate,
                settlement.mark,
                paid,
                contract.currency,
            )
        )
        money = Money(paid, Currency.from_str(contract.currency))
        self.exchange.adjust_account(money)
        self._tell_position(position_id, money, settlement, ts_now)

    def _tell_position(self, position_id: str, money: Money, settlement: Settlement, ts_now: int) -> None:
        """So that its realized profit holds the funding; one that was opened anew since then is another one."""
        position = next((each for each in self.cache.positions() if str(each.id) == position_id), None)
        if position is None or position.ts_opened >= settlement.at_ns:
            return
        position.apply_adjustment(
            PositionAdjusted(
                position.trader_id,
                position.strategy_id,
                position.instrument_id,
                position.id,
                position.account_id,
                PositionAdjustmentType.FUNDING,
                None,
                money,
                f"funding {settlement.rate.normalize():f}",
                UUID4(),
                settlement.at_ns,
                ts_now,
            )
        )

    def log_diagnostics(self, logger: Any) -> None:
        """Nothing to say."""

    def reset(self) -> None:
        """One run each."""


# ---------------------------------------------------------------- tables

_ORDERS: Final = pa.schema(
    {
        **dict.fromkeys(("client_order_id", "strategy_id", "instrument_id", "type", "side"), pa.string()),
        **dict.fromkeys(("quantity", "filled_quantity", "price", "trigger_price", "average_price"), pa.string()),
        **dict.fromkeys(("status", "time_in_force", "position_id"), pa.string()),
        **dict.fromkeys(("is_post_only", "is_reduce_only"), pa.bool_()),
        "tags": pa.string(),
        **dict.fromkeys(("ts_init", "ts_last"), pa.timestamp("ns", "UTC")),
    }
)
_FILLS: Final = pa.schema(
    {
        **dict.fromkeys(("ts_event", "ts_init"), pa.timestamp("ns", "UTC")),
        **dict.fromkeys(("strategy_id", "instrument_id", "position_id", "client_order_id", "trade_id"), pa.string()),
        **dict.fromkeys(("side", "quantity", "price", "commission", "currency", "liquidity"), pa.string()),
    }
)
_POSITIONS: Final = pa.schema(
    {
        **dict.fromkeys(("position_id", "strategy_id", "instrument_id", "entry", "side"), pa.string()),
        **dict.fromkeys(("quantity", "peak_quantity"), pa.string()),
        **dict.fromkeys(("average_open", "average_close"), pa.float64()),
        **dict.fromkeys(("realized_pnl", "commissions", "funding", "currency"), pa.string()),
        **dict.fromkeys(("ts_opened", "ts_closed"), pa.timestamp("ns", "UTC")),
    }
)
_ACCOUNT: Final = pa.schema(
    {
        "ts_event": pa.timestamp("ns", "UTC"),
        **dict.fromkeys(("account_id", "currency", "total", "locked", "free"), pa.string()),
    }
)


def _write(folder: Path, name: str, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), folder / f"{name}.parquet", compression="zstd")


def _order(order: Any) -> dict[str, Any]:
    values = order.to_dict()
    return {
        "client_order_id": str(order.client_order_id),
        "strategy_id": str(order.strategy_id),
        "instrument_id": str(order.instrument_id),
        "type": values["type"],
        "side": values["side"],
        "quantity": values["quantity"],
        "filled_quantity": values["filled_qty"],
        "price": values.get("price"),
        "trigger_price": values.get("trigger_price"),
        "average_price": None if values.get("avg_px") is None else str(values["avg_px"]),
        "status": values["status"],
        "time_in_force": values["time_in_force"],
        "position_id": values.get("position_id"),
        "is_post_only": bool(values.get("is_post_only")),
        "is_reduce_only": bool(values.get("is_reduce_only")),
        "tags": ",".join(order.tags or []),
        "ts_init": order.ts_init,
        "ts_last": order.ts_last,
    }


def _fill(fill: OrderFilled) -> dict[str, Any]:
    return {
        "ts_event": fill.ts_event,
        "ts_init": fill.ts_init,
        "strategy_id": str(fill.strategy_id),
        "instrument_id": str(fill.instrument_id),
        "position_id": str(fill.position_id),
        "client_order_id": str(fill.client_order_id),
        "trade_id": str(fill.trade_id),
        "side": order_side_to_str(fill.order_side),
        "quantity": f"{fill.last_qty.as_decimal():f}",
        "price": f"{fill.last_px.as_decimal():f}",
        "commission": f"{fill.commission.as_decimal():f}",
        "currency": fill.commission.currency.code,
        "liquidity": liquidity_side_to_str(fill.liquidity_side),
    }


def _position(position: Any) -> dict[str, Any]:
    currency = position.settlement_currency if position.is_inverse else position.quote_currency
    funding = [
        each.pnl_change.as_decimal()
        for each in position.adjustments
        if each.adjustment_type == PositionAdjustmentType.FUNDING
    ]
    return {
        "position_id": str(position.id),
        "strategy_id": str(position.strategy_id),
        "instrument_id": str(position.instrument_id),
        "entry": order_side_to_str(position.entry),
        "side": position.side.name,
        "quantity": str(position.quantity),
        "peak_quantity": str(position.peak_qty),
        "average_open": position.avg_px_open,
        "average_close": position.avg_px_close or None,
        "realized_pnl": None if position.realized_pnl is None else f"{position.realized_pnl.as_decimal():f}",
        "commissions": ", ".join(map(str, position.commissions())),
        "funding": f"{sum(funding, Decimal(0)):f}",
        "currency": currency.code,
        "ts_opened": position.ts_opened,
        "ts_closed": position.ts_closed or None,
    }


def _account_rows(accounts: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The last state of each instant: of several within one, order and number differ from process to process."""
    for account in accounts:
        states = {
            (event.ts_event, balance.currency.code): balance for event in account.events for balance in event.balances
        }
        for (ts_event, currency), balance in states.items():
            yield {
                "ts_event": ts_event,
                "account_id": str(account.id),
                "currency": currency,
                "total": f"{balance.total.as_decimal():f}",
                "locked": f"{balance.locked.as_decimal():f}",
                "free": f"{balance.free.as_decimal():f}",
            }
