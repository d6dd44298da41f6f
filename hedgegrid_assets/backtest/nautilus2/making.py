"""What Nautilus 2.x makes of a configuration: it has other classes than 1.x, and other names for some."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec
from nautilus_trader import common, data, execution, model, risk
from nautilus_trader.backtest import BacktestEngineConfig
from nautilus_trader.persistence import ParquetDataCatalog

from hedgegrid_assets.backtest.job import Contract, Fees, Job
from hedgegrid_assets.backtest.usable import NotUsable, fees_of, with_reason
from hedgegrid_assets.instruments import Instrument, read_definitions

_FIRST: Final = ("nautilus_trader.backtest.models", "nautilus_trader.backtest.config")
"""Where 1.x has its models."""
_RENAMED: Final[Mapping[str, str]] = {"FillModel": "DefaultFillModel", "LatencyModel": "StaticLatencyModel"}
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "LatencyModel": {"base_latency_nanos": 1_000_000_000},
    "FillModel": {"prob_fill_on_limit": 1.0, "prob_slippage": 0.0},
}
"""Those of 1.x, where 2.x has others or none: a file means the same to both."""
_ENGINES: Final[Mapping[str, type]] = {
    "cache": common.CacheConfig,
    "data_engine": data.DataEngineConfig,
    "risk_engine": risk.RiskEngineConfig,
    "exec_engine": execution.ExecutionEngineConfig,
}
_QUIETER: Final[Mapping[str, str]] = {"nautilus_common::clock": "ERROR"}
"""It warns of the settlement's timer with each funding rate."""


def engine_config(job: Job) -> BacktestEngineConfig:
    """Of the engine; what it says goes to the process' own output."""
    level = job.engine.get("log_level", "WARNING")
    parts = {
        name: with_reason(f"engine: {name}", lambda kind=kind, name=name: kind(**job.engine[name]))
        for name, kind in _ENGINES.items()
        if job.engine.get(name) is not None
    }
    trader = job.engine.get("trader_id")
    return BacktestEngineConfig(
        trader_id=with_reason("engine: trader_id", lambda: model.TraderId(trader)) if trader else None,
        logging=common.LoggerConfig(stdout_level=getattr(common.LogLevel, level), is_colored=False, print_config=False),
        run_analysis=False,
        **parts,
    )


def instruments_of(job: Job) -> dict[str, tuple[Any, Contract]]:
    """The catalog's definitions, and what decides their profit: 2.x has no fees in them. Raises NotUsable."""
    plain = read_definitions(Path(job.catalog))
    found = {str(each.id): each for each in ParquetDataCatalog(job.catalog).instruments(list(job.instruments))}
    return {name: (found[name], _contract(job, found[name], plain.get(name))) for name in job.instruments}


def _contract(job: Job, instrument: Any, plain: Instrument | None) -> Contract:
    known = plain is not None and plain.fees_known
    held = Fees(Decimal(plain.maker_fee), Decimal(plain.taker_fee)) if plain is not None and known else None
    fees = fees_of(job, str(instrument.id), held)
    linear = instrument.settlement_currency if getattr(instrument, "is_quanto", False) else instrument.quote_currency
    currency = instrument.base_currency if instrument.is_inverse else linear
    return Contract(
        instrument_id=str(instrument.id),
        currency=currency.code,
        precision=currency.precision,
        multiplier=instrument.multiplier.as_decimal(),
        is_inverse=instrument.is_inverse,
        quote=instrument.quote_currency.code,
        margin_init=instrument.margin_init,
        maker_fee=fees.maker,
        taker_fee=fees.taker,
        fees_known=known,
        origin=str((instrument.info or {}).get("origin", "another writer")),
    )


# ---------------------------------------------------------------- venues


def venue_options(given: Mapping[str, Any], contracts: Sequence[Contract]) -> dict[str, Any]:
    """What ``add_venue`` takes, of a venue as files say it. Raises NotUsable for what 2.x cannot be given."""
    for name in ("modules", "settlement_prices"):
        if given.get(name):
            raise NotUsable(
                f"venue {given['name']}: {name} cannot be applied: nautilus_trader 2.x takes none of a file; take it out"
            )
    made = {name: make(given[name]) for name, make in _MADE.items() if given.get(name) is not None}
    plain = {name: value for name, value in given.items() if name not in _MADE and name not in _NOT_OPTIONS}
    return {"fee_model": _fees(contracts), **plain, **made}


def _fees(contracts: Sequence[Contract]) -> Any:
    """Each instrument its own; there is none of another one at the venue."""
    own = {model.InstrumentId.from_str(each.instrument_id): (each.maker_fee, each.taker_fee) for each in contracts}
    return execution.MakerTakerFeeModel(Decimal(0), Decimal(0), own)


def _model(kind: str) -> Callable[[Mapping[str, Any]], Any]:
    """A fill, latency or fee model by the path that a file gives, be it one of 1.x."""

    def make(given: Mapping[str, Any]) -> Any:
        module, _, name = given[f"{kind}_path"].partition(":")
        of_first = module.startswith(_FIRST)
        found = _imported(
            "nautilus_trader.execution" if of_first else module, _RENAMED.get(name, name) if of_first else name
        )
        config = {**(_DEFAULTS.get(name, {}) if of_first else {}), **given.get("config", {})}
        return found(**{key: _money(value) for key, value in config.items()})

    return lambda given: with_reason(f"{kind} {given.get(f'{kind}_path')}", lambda: make(given))


def _money(value: Any) -> Any:
    """A commission is given as a text."""
    number, _, currency = value.partition(" ") if isinstance(value, str) else ("", "", "")
    return model.Money.from_str(value) if number[:1].isdigit() and currency else value


def _margin(given: Mapping[str, Any]) -> Any:
    kinds = {"leveraged": model.LeveragedMarginModel, "standard": model.StandardMarginModel}
    kind = kinds.get(given.get("model_type", ""))
    if kind is None or given.get("config"):
        raise NotUsable(f"margin_model: expected model_type: leveraged or standard, alone, found {dict(given)}")
    return kind()


def _leverages(given: Mapping[str, Any]) -> Any:
    return {model.InstrumentId.from_str(name): Decimal(str(value)) for name, value in given.items()}


def _named(kind: Any) -> Callable[[str], Any]:
    return lambda name: with_reason(kind.__name__, lambda: getattr(kind, name))


_MADE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "oms_type": _named(model.OmsType),
    "account_type": _named(model.AccountType),
    "book_type": _named(model.BookType),
    "oto_trigger_mode": _named(model.OtoTriggerMode),
    "starting_balances": lambda texts: [model.Money.from_str(text.replace("_", "")) for text in texts],
    "base_currency": lambda code: model.Currency.from_str(code),
    "default_leverage": lambda value: Decimal(str(value)),
    "leverages": _leverages,
    "margin_model": _margin,
    "fill_model": _model("fill_model"),
    "latency_model": _model("latency_model"),
    "fee_model": _model("fee_model"),
}
_NOT_OPTIONS: Final = frozenset(("name", "modules", "settlement_prices"))


# ---------------------------------------------------------------- strategies and actors


def made(row: Mapping[str, Any], what: str) -> Any:
    """A strategy or an actor as its file names it. Raises NotUsable."""
    try:
        return with_reason(f"{what} {row.get(f'{what}_path')}", lambda: _made(row, what))
    except NotUsable as error:
        raise NotUsable(str(error), of_strategy=what == "strategy") from None


def _made(row: Mapping[str, Any], what: str) -> Any:
    config = _imported(*row["config_path"].split(":"))
    given = row.get("config", {})
    if issubclass(config, msgspec.Struct):
        parameters = msgspec.convert(dict(given), config, strict=False, dec_hook=_of_text)
    else:
        parameters = config(**given)
    return _imported(*row[f"{what}_path"].split(":"))(parameters)


def _of_text(kind: type, value: Any) -> Any:
    """Nautilus' own types are written as texts."""
    return kind.from_str(value)  # type: ignore[attr-defined]


def _imported(module: str, name: str) -> Any:
    return getattr(import_module(module), name)
