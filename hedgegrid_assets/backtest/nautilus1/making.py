"""What Nautilus 1.x makes of a configuration."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.common.config import LoggingConfig, resolve_path
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from hedgegrid_assets.backtest.job import Contract, Fees, Job
from hedgegrid_assets.backtest.usable import NotUsable, fees_of, source_of, with_reason


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
    return {name: _with_fees(by_id[name], job) for name in job.instruments}


def _with_fees(instrument: Instrument, job: Job) -> Instrument:
    held = Fees(instrument.maker_fee, instrument.taker_fee) if _fees_known(instrument) else None
    fees = fees_of(job, str(instrument.id), held)
    said = {"maker_fee": str(fees.maker), "taker_fee": str(fees.taker)}
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


def source(path: str) -> dict[str, str]:
    """A strategy's file and its digest."""
    return source_of(path, sys.modules.get(resolve_path(path).__module__))


def time_of(ns: int) -> Any:
    """A time as Nautilus takes it."""
    import pandas as pd

    return pd.Timestamp(ns, tz="UTC")
