"""What Nautilus makes of a configuration, and what it would take without doing what it says."""

import hashlib
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.common.config import LoggingConfig, resolve_path
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.backtest.job import Contract, Fees, Job, Refusal


class NotUsable(Exception):
    """A configuration that Nautilus refuses, or that it would take without doing what it says."""

    def __init__(self, message: str, hint: str = "", *, of_strategy: bool = False) -> None:
        super().__init__(message)
        self.refusal = Refusal(message, hint, of_strategy=of_strategy)


def with_reason[T](what: str, make: Callable[[], T]) -> T:
    """What ``make`` gives. Raises NotUsable with Nautilus' own reason."""
    try:
        return make()
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        if isinstance(error, ModuleNotFoundError | AttributeError | TypeError | ValueError | msgspec.ValidationError):
            raise NotUsable(f"{what}: {reason}") from error
        raise NotUsable(f"{what}: {type(error).__name__}: {reason}") from error


def parsed(kind: type, given: Mapping[str, Any]) -> Any:
    """A mapping as one of Nautilus' configurations."""
    return kind.parse(msgspec.json.encode(given))  # type: ignore[attr-defined]


def made(row: Mapping[str, Any], what: str, kind: type, create: Callable[[Any], Any]) -> Any:
    """A strategy or an actor as its file names it. Raises NotUsable."""
    try:
        return with_reason(f"{what} {row.get(f'{what}_path')}", lambda: create(parsed(kind, row)))
    except NotUsable as error:
        raise NotUsable(str(error), of_strategy=what == "strategy") from None


def engine_config(job: Job) -> BacktestEngineConfig:
    """Of the engine; what it says goes to the process' own output."""
    given = {name: value for name, value in job.engine.items() if name not in {"strategies", "actors", "log_level"}}
    level = job.engine.get("log_level", "WARNING")
    config = with_reason("engine", lambda: parsed(BacktestEngineConfig, given))
    logging = LoggingConfig(log_level=level, log_colors=False)
    return msgspec.structs.replace(config, logging=logging, run_analysis=False)


def instruments_of(job: Job) -> dict[str, Instrument]:
    """The catalog's definitions, with the fees of the job in place of theirs. Raises NotUsable."""
    found = ParquetDataCatalog(job.catalog).instruments(instrument_ids=list(job.instruments))
    by_id = {str(each.id): each for each in found}
    return {name: _with_fees(by_id[name], fees, job) for name, fees in job.instruments.items()}


def _with_fees(instrument: Instrument, fees: Fees | None, job: Job) -> Instrument:
    if fees is None and job.needs_fees and not _fees_known(instrument):
        raise NotUsable(
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


def contract_of(instrument: Instrument) -> Contract:
    """What of an instrument decides its profit."""
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


def check_money(job: Job, contracts: Sequence[Contract]) -> None:
    """Nautilus would open a balance below zero for a currency that an account does not have. Raises NotUsable."""
    venues = {venue["name"]: venue for venue in job.venues}
    for contract in contracts:
        venue = venues[venue_of(contract.instrument_id)]
        held = [balance.rpartition(" ")[2] for balance in venue["starting_balances"]]
        base = venue.get("base_currency")
        if contract.currency not in held:
            raise NotUsable(
                f"{contract.instrument_id} is settled in {contract.currency}: expected a starting balance of it at the venue "
                f"{venue['name']}, found {', '.join(held)}",
                hint=f"add one under venues: starting_balances:, such as '10 {contract.currency}'",
            )
        if base not in (None, contract.currency):
            raise NotUsable(
                f"{contract.instrument_id} is settled in {contract.currency}: expected no base_currency or the same at the venue "
                f"{venue['name']}, found {base}"
            )


def source_of(path: str) -> dict[str, str]:
    """A strategy's file and its digest."""
    file = getattr(sys.modules.get(resolve_path(path).__module__), "__file__", None)
    return {path: hashlib.sha256(Path(file).read_bytes()).hexdigest()} if file else {}


def venue_of(instrument_id: str) -> str:
    """The venue of an instrument id."""
    return instrument_id.rpartition(".")[2]


def time_of(ns: int) -> Any:
    """A time as Nautilus takes it."""
    import pandas as pd

    return pd.Timestamp(ns, tz="UTC")


def traceback_of(error: BaseException) -> str:
    """From the strategy's own lines on: how the engine came there tells nothing."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
