"""A backtest as its files say it: Nautilus' own names, and one block ``hedgegrid:`` of ours; every key is checked.

Nothing here imports Nautilus: import paths and the parameters of a strategy are looked at by the engine, before any data
is read. ``setup`` reads the files.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hedgegrid_assets.backtest.files import BARS, FINER, STREAMED
from hedgegrid_assets.backtest.job import Fees, Thinning
from hedgegrid_assets.config.notes import unknown
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.bar import PERIODS
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_start

STRATEGIES: Final = "hedgegrid_assets.backtest.strategies"
LATENCY_MODEL: Final = "nautilus_trader.backtest.models:LatencyModel"
LATENCY_CONFIG: Final = "nautilus_trader.backtest.config:LatencyModelConfig"
FILL_MODEL: Final = "nautilus_trader.backtest.models:FillModel"
FILL_CONFIG: Final = "nautilus_trader.backtest.config:FillModelConfig"

_BAR: Final = TABLES[BARS[0]].form().cls
_BAR_SPECS: Final[Mapping[str, str]] = {f"{period.spec}-LAST": period.table for period in PERIODS}
_CLASSES: Final[Mapping[str, str]] = {TABLES[name].form().cls: name for name in STREAMED if name not in BARS}
_NAMES: Final[Mapping[str, str]] = {key: name for name in STREAMED for key in (TABLES[name].token, name)}
_MONEY: Final = re.compile(r"[0-9][0-9_]*(?:\.[0-9]+)? [A-Z][A-Z0-9]{1,11}")
_PATH: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|\+00:00)?)?")
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,79}")
_NOT_SIMULATED: Final = ("liquidation_enabled", "liquidation_trigger_ratio", "liquidation_cancel_open_orders")
_NOT_OF_DATA: Final[Mapping[str, str]] = {
    **dict.fromkeys(("start_time", "end_time"), "say start and end of the whole run, at the top of the file"),
    **dict.fromkeys(("filter_expr", "client_id", "metadata"), "a run takes whole tables of the catalog"),
    "optimize_file_loading": "files are read one after the other",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _matches(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"expected {expected}, found {text!r}")
        return text

    return AfterValidator(check)


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _decimal(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"expected a number, found {value!r}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"expected a number, found {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"expected a number, found {value!r}")
    return number


def _table(value: object) -> object:
    """A table by Nautilus' class, with or without its module, by its own name, or by the guide's word; bars by their class."""
    text = str(value).replace(":", ".").rpartition(".")[2]
    found = text if text == _BAR else _CLASSES.get(text) or _NAMES.get(text)
    if found is None:
        raise ValueError(unknown("data class", str(value), [*_CLASSES, _BAR, *_NAMES]))
    return found


def _bar_spec(value: object) -> object:
    """A length of bars and what they are of, as Nautilus writes it."""
    if value not in _BAR_SPECS:
        raise ValueError(unknown(f"bars {str(value)!r}", str(value), _BAR_SPECS))
    return value


def _bar_type(value: object) -> object:
    """Bars of an instrument, as Nautilus names them: instrument, length, price, and that they are not its own."""
    text = str(value)
    if not any(text.endswith(f"-{spec}-EXTERNAL") for spec in _BAR_SPECS):
        raise ValueError(
            f"expected a bar type of the catalog, as BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL, found {value!r}"
        )
    return value


def _instant(value: object) -> object:
    """A UTC date or time as ns; a date is its first moment."""
    text = str(value)
    if not _TIME.fullmatch(text):
        raise ValueError(f"expected a UTC date or time as 2024-01-01 or 2024-01-01T08:00:00Z, found {value!r}")
    clock = text[11:].removesuffix("Z").removesuffix("+00:00")
    whole, _, fraction = clock.partition(".")
    try:
        start = day_start(date.fromisoformat(text[:10]))
        parts = [*map(int, whole.split(":"))] if whole else []
    except ValueError:
        raise ValueError(f"expected a date that there is, found {value!r}") from None
    hours, minutes, seconds = (*parts, 0, 0, 0)[:3]
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(f"expected a time of a day, found {value!r}")
    return start + (hours * 3600 + minutes * 60 + seconds) * NS_PER_SECOND + int(fraction.ljust(9, "0") or 0)


def instant(text: str, name: str) -> int:
    """A date or time of a flag as ns. Raises UsageError."""
    try:
        found = _instant(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    assert isinstance(found, int)
    return found


type _List[T] = Annotated[tuple[T, ...], BeforeValidator(_listed)]
type _Import = Annotated[str, _matches(_PATH, "an import path as package.module:Class")]
type _Money = Annotated[str, _matches(_MONEY, "an amount and its currency, as 100000 USDT")]
type _Number = Annotated[Decimal, BeforeValidator(_decimal)]
type _Instant = Annotated[int, BeforeValidator(_instant)]
type _Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "OFF"]
type _Given = dict[str, Any]


class Model(_Frozen):
    """A fill, latency or fee model, each as Nautilus imports it."""

    config_path: _Import
    config: _Given = Field(default_factory=dict)


class FillModel(Model):
    """``random_seed`` is needed where it rolls dice: two runs must be one."""

    fill_model_path: _Import

    @model_validator(mode="after")
    def _is_repeatable(self) -> "FillModel":
        odds = [self.config.get(name) for name in ("prob_fill_on_limit", "prob_slippage")]
        if any(each not in (None, 0, 1, 0.0, 1.0) for each in odds) and self.config.get("random_seed") is None:
            raise ValueError("expected config.random_seed, as its probabilities roll dice, found none")
        return self


class LatencyModel(Model):
    """Of orders; data have their own arrival."""

    latency_model_path: _Import


class FeeModel(Model):
    """In place of maker and taker fees."""

    fee_model_path: _Import


class Actor(_Frozen):
    """An actor or simulation module."""

    actor_path: _Import
    config_path: _Import
    config: _Given = Field(default_factory=dict)


class Strategy(_Frozen):
    """A strategy as Nautilus imports it."""

    strategy_path: _Import
    config_path: _Import
    config: _Given = Field(default_factory=dict)


class Venue(_Frozen):
    """``BacktestVenueConfig`` of Nautilus."""

    name: str
    oms_type: Literal["NETTING", "HEDGING"]
    account_type: Literal["MARGIN", "CASH"]
    starting_balances: Annotated[_List[_Money], Field(min_length=1)]
    base_currency: str | None = None
    default_leverage: Annotated[float, Field(gt=0, strict=False)] = 1.0
    leverages: dict[str, Annotated[float, Field(gt=0, strict=False)]] | None = None
    margin_model: _Given | None = None
    modules: _List[Actor] | None = None
    fill_model: FillModel | None = None
    latency_model: LatencyModel | None = None
    fee_model: FeeModel | None = None
    book_type: Literal["L1_MBP", "L2_MBP"] | None = None
    routing: bool = False
    reject_stop_orders: bool = True
    support_gtd_orders: bool = True
    support_contingent_orders: bool = True
    oto_trigger_mode: Literal["PARTIAL", "FULL"] = "PARTIAL"
    use_position_ids: bool = True
    use_random_ids: Literal[False] = False
    use_reduce_only: bool = True
    use_market_order_acks: bool = False
    bar_execution: bool = True
    bar_adaptive_high_low_ordering: bool = False
    trade_execution: bool = True
    liquidity_consumption: bool = False
    queue_position: bool = False
    allow_cash_borrowing: bool = False
    frozen_account: bool = False
    price_protection_points: Annotated[int, Field(ge=0)] = 0
    settlement_prices: dict[str, Annotated[float, Field(strict=False)]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_simulated(cls, given: Any) -> Any:
        for name in _NOT_SIMULATED:
            if isinstance(given, dict) and name in given:
                raise ValueError(
                    f"{name} cannot be applied: nautilus_trader 1.231 reads it and liquidates nobody (2.x does); take it out"
                )
        return given

    @property
    def balances(self) -> dict[str, Decimal]:
        """Currency -> what the account starts with."""
        pairs = (text.split(" ") for text in self.starting_balances)
        return {currency: Decimal(number.replace("_", "")) for number, currency in pairs}


class Data(_Frozen):
    """A table of one or several instruments; bars are told apart by ``bar_spec``, or by ``bar_types`` that name all."""

    catalog_path: str
    data_cls: Annotated[str, BeforeValidator(_table)]
    instrument_id: str | None = None
    instrument_ids: _List[str] | None = None
    bar_spec: Annotated[str, BeforeValidator(_bar_spec)] | None = None
    bar_types: Annotated[_List[Annotated[str, BeforeValidator(_bar_type)]], Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_applied(cls, given: Any) -> Any:
        for name, reason in _NOT_OF_DATA.items():
            if isinstance(given, dict) and name in given:
                raise ValueError(f"{name} cannot be applied: {reason}; take it out")
        return given

    @model_validator(mode="after")
    def _names_instruments(self) -> "Data":
        named = [each is not None for each in (self.instrument_id, self.instrument_ids, self.bar_types)]
        if self.data_cls != _BAR:
            if self.bar_spec or self.bar_types:
                raise ValueError(f"expected bar_spec and bar_types with data_cls {_BAR} alone, found {self.data_cls}")
        elif (self.bar_spec is None) == (self.bar_types is None):
            raise ValueError("expected bar_spec (as 1-MINUTE-LAST) or bar_types with bars, one of them")
        if sum(named) != 1:
            raise ValueError(
                "expected instrument_id or instrument_ids, one of them"
                if self.bar_types is None
                else "expected bar_types alone, which name the instruments, found instrument ids besides"
            )
        return self

    @property
    def streams(self) -> tuple[tuple[str, str], ...]:
        """(table, instrument) of each."""
        if self.bar_types is not None:
            return tuple(map(_stream_of, self.bar_types))
        table = _BAR_SPECS[self.bar_spec] if self.bar_spec else self.data_cls
        return tuple((table, each) for each in self.instrument_ids or (str(self.instrument_id),))

    @property
    def instruments(self) -> tuple[str, ...]:
        """The ids."""
        return tuple(each for _, each in self.streams)


def _stream_of(bar_type: str) -> tuple[str, str]:
    """(table, instrument) of bars, by their name."""
    spec = next(spec for spec in _BAR_SPECS if bar_type.endswith(f"-{spec}-EXTERNAL"))
    return _BAR_SPECS[spec], bar_type.removesuffix(f"-{spec}-EXTERNAL")


class Logging(_Frozen):
    """How much the engine tells in ``run.log``."""

    log_level: _Level = "WARNING"


class Engine(_Frozen):
    """``BacktestEngineConfig`` of Nautilus."""

    strategies: _List[Strategy] = ()
    actors: _List[Actor] = ()
    trader_id: str | None = None
    logging: Logging = Logging()
    cache: _Given | None = None
    data_engine: _Given | None = None
    risk_engine: _Given | None = None
    exec_engine: _Given | None = None


class FeeShares(_Frozen):
    """In basis points of an order's value; negative is a rebate."""

    maker_bps: Annotated[_Number, Field(ge=Decimal(-100), le=Decimal(1000))]
    taker_bps: Annotated[_Number, Field(ge=Decimal(-100), le=Decimal(1000))]

    @property
    def shares(self) -> Fees:
        """As fractions."""
        return Fees(self.maker_bps / 10_000, self.taker_bps / 10_000)


class Funding(_Frozen):
    """``max_mark_age_s``: an older mark does not pay; None: 60, or 120 where marks come once a minute."""

    pay: bool = True
    max_mark_age_s: Annotated[int, Field(ge=1, le=86_400)] | None = None


def _fees(value: object) -> object:
    """``none`` is a word, and also what YAML may make of it."""
    return "none" if value in ("none", "None") else value


class Ours(_Frozen):
    """The block ``hedgegrid:``.

    Attributes:
        name: Of the run; part of its id.
        description: For people.
        fees: Of all instruments; ``none``: free of fees; left out: those of the definitions, if they are known.
        funding: How funding is paid.
        funding_updates: What a strategy is given of them: all, the last of each minute, or of each settlement.
        data_latency_ms: Added to arrivals that no source has recorded, and to the latency of orders.
        equity_every_s: Seconds from sample to sample; None: some 2,000 over the run, 1 s to 15 min.
        allow_gaps: Run in spite of days that are missing or not good.
    """

    name: Annotated[str, _matches(_NAME, "letters, digits and _.-, at most 80")] | None = None
    description: str = ""
    fees: Annotated[FeeShares | Literal["none"] | None, BeforeValidator(_fees)] = None
    funding: Funding = Funding()
    funding_updates: Thinning = "settlements"
    data_latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    equity_every_s: Annotated[int, Field(ge=1, le=86_400)] | None = None
    allow_gaps: bool = False


class RunConfig(_Frozen):
    """A whole run. ``start`` and ``end`` in ns, the end exclusive; None: what the catalog holds."""

    venues: Annotated[_List[Venue], Field(min_length=1)]
    data: Annotated[_List[Data], Field(min_length=1)]
    engine: Engine = Engine()
    start: _Instant | None = None
    end: _Instant | None = None
    chunk_size: Any = None
    raise_exception: Any = None
    dispose_on_completion: Any = None
    hedgegrid: Ours = Ours()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a key: ``applied``, ``not needed`` or ``cannot be applied``, and why."""

    file: str
    line: int
    key: str
    answer: Literal["applied", "not needed", "cannot be applied"]
    why: str = ""

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.key}: {self.answer}{f' ({self.why})' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class Setup:
    """A run's files, read and checked: ``answers`` are of the keys that are not simply applied."""

    run: RunConfig
    files: Sequence[Path]
    answers: Sequence[Answer] = ()

    @property
    def catalog(self) -> Path:
        """The one catalog."""
        return Path(self.run.data[0].catalog_path)

    @property
    def name(self) -> str:
        """Of the run, as its file says it or is called."""
        return self.run.hedgegrid.name or self.files[0].stem

    def streams(self) -> list[tuple[str, str]]:
        """(table, instrument), in the order in which ties are given to the engine."""
        wanted = {stream for row in self.run.data for stream in row.streams}
        return sorted(wanted, key=lambda stream: (STREAMED.index(stream[0]), stream[1]))

    def instruments(self) -> list[str]:
        """Ids, each once."""
        return sorted({instrument_id for _, instrument_id in self.streams()})

    def finer(self, venue: str) -> tuple[set[str], set[str]]:
        """Instruments of a venue that the run has bars of: those whose every price it has as well, and the others."""
        mine = [(table, each) for table, each in self.streams() if each.rpartition(".")[2] == venue]
        finer = {each for table, each in mine if table in FINER}
        of_bars = {each for table, each in mine if table in BARS}
        return of_bars & finer, of_bars - finer
