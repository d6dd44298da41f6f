"""Files of the earlier pipeline (``naut_hedgegrid``) as they are: each key is applied, not needed, or cannot be applied.

A backtest file is told by its top key ``backtest``, a strategy file by its sections. Keys that the earlier pipeline did
not know are refused with their line. Our own ``hedge_grid_v1.yaml`` has the earlier strategy file's sections.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.backtest import documents
from hedgegrid_assets.backtest.config import (
    FILL_CONFIG,
    FILL_MODEL,
    LATENCY_CONFIG,
    LATENCY_MODEL,
    STRATEGIES,
    Answer,
    RunConfig,
    Setup,
    Strategy,
)
from hedgegrid_assets.backtest.documents import Document
from hedgegrid_assets.config.notes import KeyPath, Note, unknown
from hedgegrid_assets.errors import BacktestFileError

_NEEDLESS: Final = "not needed"
_NOT: Final = "cannot be applied"
_RETRIED: Final = "a rung that is refused is tried again on the next bar"
_REGIME: Final = "hedge_grid_v1 here has no regimes: it keeps both sides"
_POLICY: Final = "hedge_grid_v1 here has no policies: both sides are laid in full"

_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "strategy": ("instrument_id",),
    "grid": ("grid_step_bps", "grid_levels_long", "grid_levels_short", "base_qty", "qty_scale"),
    "exit": ("tp_steps", "sl_steps"),
    "rebalance": ("recenter_trigger_bps", "max_inventory_quote"),
    "execution": ("maker_only",),
    "funding": ("funding_window_minutes", "funding_max_cost_bps"),
    "position": ("max_position_size",),
}
"""Section of a strategy file -> keys that are parameters of ``HedgeGridV1Config``."""

_OTHER_PARAMETERS: Final[Mapping[str, Mapping[str, tuple[Any, str]]]] = {
    "strategy": dict.fromkeys(("name", "description", "version", "enabled"), (_NEEDLESS, "a label")),
    "execution": dict.fromkeys(("use_post_only_retries", "retry_attempts", "retry_delay_ms"), (_NEEDLESS, _RETRIED)),
    "position": {
        "max_position_pct": (_NOT, "say max_position_size or max_inventory_quote"),
        "max_leverage_used": (_NOT, "say max_inventory_quote"),
        "emergency_liquidation_buffer": (_NOT, "nautilus_trader 1.231 liquidates nobody"),
    },
    "regime": dict.fromkeys(("adx_len", "ema_fast", "ema_slow", "atr_len", "hysteresis_bps"), (_NOT, _REGIME)),
    "policy": dict.fromkeys(("strategy", "counter_levels", "counter_qty_scale"), (_NOT, _POLICY)),
}
"""Section -> keys that are not, and why."""

_RUN_KEYS: Final[Mapping[str, Mapping[str, tuple[Any, str]] | None]] = {
    "backtest": {"name": ("applied", ""), "description": ("applied", "")},
    "time_range": {
        "start_time": ("applied", ""),
        "end_time": ("applied", ""),
        "timezone": (_NEEDLESS, "times are UTC"),
    },
    "data": {
        "catalog_path": ("applied", ""),
        "instruments": ("applied", ""),
        "sources": (_NEEDLESS, "all data come from the catalog"),
    },
    "venues": None,
    "strategies": None,
    "execution": {"latency": ("applied", ""), "fill_model": ("applied", ""), "fees": ("applied", "")},
    "risk": dict.fromkeys(
        ("max_drawdown_pct", "max_daily_loss_pct", "stop_on_liquidation"),
        (_NOT, "a run goes to its end; the report says drawdown and negative equity"),
    ),
    "output": {
        "report_dir": (_NEEDLESS, "say --output-dir"),
        "log_level": ("applied", ""),
        **dict.fromkeys(
            (
                "save_config",
                "save_summary",
                "save_orders",
                "save_positions",
                "save_metrics",
                "save_trades",
                "save_fills",
            ),
            (_NEEDLESS, "all of it is always kept"),
        ),
    },
    "metrics": dict.fromkeys(
        ("risk_free_rate", "periods_per_year", "calculate", "enabled"),
        (_NEEDLESS, "the report has its own: net, fees, funding, drawdown"),
    ),
}
_EXECUTION: Final[Mapping[str, Mapping[str, tuple[Any, str]]]] = {
    "latency": {
        "order_submit_ms": ("applied", ""),
        "order_cancel_ms": ("applied", ""),
        **dict.fromkeys(("fill_mean_ms", "fill_std_ms"), (_NOT, "Nautilus has no latency of fills")),
    },
    "fill_model": {
        "type": (_NEEDLESS, "Nautilus' fill model is used"),
        "maker_fill_prob": ("applied", "as prob_fill_on_limit, with random_seed 0"),
        **dict.fromkeys(("aggressive_fill_prob", "slippage_bps"), (_NOT, "Nautilus' fill model has no such thing")),
    },
    "fees": {"maker_bps": ("applied", ""), "taker_bps": ("applied", ""), "funding_apply": ("applied", "")},
}
_DATA_TYPES: Final[Mapping[str, str]] = {
    "TradeTick": "trade_tick",
    "MarkPrice": "mark_price_update",
    "MarkPriceUpdate": "mark_price_update",
    "IndexPrice": "index_price_update",
    "IndexPriceUpdate": "index_price_update",
    "FundingRate": "funding_rate_update",
    "FundingRateUpdate": "funding_rate_update",
}
_NO_TABLES: Final = ("QuoteTick", "Bar", "OrderBookDelta", "OrderBookDepth10")


def is_earlier(document: Document) -> bool:
    """The earlier pipeline's backtest file."""
    return "backtest" in document.tree


def translated(document: Document) -> Setup:
    """A backtest file of the earlier pipeline. Raises BacktestFileError."""
    return _Translation(document).setup()


def read_strategy(file: Path) -> tuple[tuple[Strategy, ...], list[Answer]]:
    """A strategy's file: the earlier sections, one strategy as Nautilus imports it, or a list ``strategies:`` of them.

    Raises BacktestFileError.
    """
    document = documents.read(file)
    tree = document.tree
    if "strategy_path" in tree:
        return (document.checked(Strategy, tree),), []
    if "strategies" in tree:
        document.refuse(_unknown_in(tree, ("strategies",), ()))
        rows = tree["strategies"]
        if not isinstance(rows, list):
            document.refuse([(("strategies",), "expected a list")])
        return tuple(document.checked(Strategy, row, ("strategies", number)) for number, row in enumerate(rows)), []
    return _sections(document)


def _sections(document: Document) -> tuple[tuple[Strategy, ...], list[Answer]]:
    tree, known = document.tree, [*dict.fromkeys([*_PARAMETERS, *_OTHER_PARAMETERS])]
    problems = list(_unknown_in(tree, known, ()))
    answers: list[Answer] = []
    parameters: dict[str, Any] = {}
    for section, given in tree.items():
        if section not in known:
            continue
        if not isinstance(given, dict):
            problems.append(((section,), "expected a mapping"))
            continue
        others = _OTHER_PARAMETERS.get(section, {})
        problems += _unknown_in(given, [*_PARAMETERS.get(section, ()), *others], (section,))
        for key, value in given.items():
            if key in _PARAMETERS.get(section, ()):
                parameters[key] = value
            elif (section, key, value) != ("strategy", "name", "hedge_grid_v1") and key in others:
                answers.append(_answer(document, (section, key), others[key]))
    if "instrument_id" not in parameters:
        problems.append((("strategy", "instrument_id"), "expected a value, found no such key"))
    document.refuse(problems)
    return (_hedge_grid(parameters),), answers


def _hedge_grid(parameters: Mapping[str, Any]) -> Strategy:
    exact = {key: str(value) if isinstance(value, float) else value for key, value in parameters.items()}
    module = f"{STRATEGIES}.hedge_grid_v1"
    return Strategy(strategy_path=f"{module}:HedgeGridV1", config_path=f"{module}:HedgeGridV1Config", config=exact)


def _unknown_in(given: Mapping[str, Any], known: Any, at: KeyPath) -> Iterator[Note]:
    for key in given:
        if key not in known:
            yield (*at, key), unknown("key", str(key), list(known))


def _answer(document: Document, at: KeyPath, answer: tuple[Any, str]) -> Answer:
    return Answer(str(document.path), document.line(at), ".".join(map(str, at)), *answer)


class _Translation:
    """One earlier backtest file on its way to ours."""

    def __init__(self, document: Document) -> None:
        self._document, self._tree = document, document.tree
        self._answers: list[Answer] = []
        self._problems: list[Note] = []
        self._files: list[Path] = [document.path]

    def setup(self) -> Setup:
        """Raises BacktestFileError."""
        self._look_at_keys()
        self._document.refuse(self._problems)
        tree = {
            "data": self._data(),
            "venues": self._venues(),
            "hedgegrid": self._ours(),
            "engine": {"logging": self._logging()},
            **self._times(),
        }
        strategies = self._strategies()
        self._document.refuse(self._problems)
        run = self._document.checked(RunConfig, tree)
        engine = run.engine.model_copy(update={"strategies": strategies})
        return Setup(run.model_copy(update={"engine": engine}), self._files, self._answers)

    def _look_at_keys(self) -> None:
        self._problems += _unknown_in(self._tree, list(_RUN_KEYS), ())
        for section, known in _RUN_KEYS.items():
            given = self._tree.get(section)
            if known is None or given is None:
                continue
            self._look_in((section,), given, known)
        for section, known in _EXECUTION.items():
            self._look_in(("execution", section), self._section("execution").get(section) or {}, known)

    def _look_in(self, at: KeyPath, given: Any, known: Mapping[str, tuple[Any, str]]) -> None:
        if not isinstance(given, dict):
            self._problems.append((at, "expected a mapping"))
            return
        for key in given:
            if key not in known:
                self._problems.append(((*at, key), unknown("key", str(key), list(known))))
            elif known[key] != ("applied", ""):
                self._answers.append(_answer(self._document, (*at, key), known[key]))

    def _section(self, name: str) -> dict[str, Any]:
        found = self._tree.get(name)
        return found if isinstance(found, dict) else {}

    def _execution(self, name: str) -> dict[str, Any]:
        found = self._section("execution").get(name)
        return found if isinstance(found, dict) else {}

    def _times(self) -> dict[str, Any]:
        given = self._section("time_range")
        times = {key: given[f"{key}_time"] for key in ("start", "end") if given.get(f"{key}_time") is not None}
        end = str(times.get("end", ""))
        if ":" in end and not end.removesuffix("Z").removesuffix("+00:00").endswith("00:00:00"):
            whole = end.removesuffix("Z").removesuffix("+00:00")
            stem, _, fraction = whole.partition(".")
            times["end"] = _after(stem, fraction)  # the earlier end belonged to the run
        return times

    def _data(self) -> list[dict[str, Any]]:
        given = self._section("data")
        catalog = given.get("catalog_path", "./data/catalog")
        rows: list[dict[str, Any]] = []
        for number, instrument in enumerate(self._rows(given.get("instruments"), ("data", "instruments"))):
            at: KeyPath = ("data", "instruments", number)
            self._problems += _unknown_in(instrument, ("instrument_id", "data_types"), at)
            for place, kind in enumerate(self._rows(instrument.get("data_types"), (*at, "data_types"))):
                told = str(kind.get("type"))
                where = (*at, "data_types", place, "type")
                if told in _NO_TABLES:
                    answer = (_NOT, "the run takes trades, mark and index prices and funding from the catalog")
                    self._answers.append(_answer(self._document, where, answer))
                elif told not in _DATA_TYPES:
                    self._problems.append((where, unknown("data type", told, [*_DATA_TYPES, *_NO_TABLES])))
                else:
                    row = {"catalog_path": catalog, "data_cls": _DATA_TYPES[told]}
                    rows.append(row | {"instrument_id": str(instrument.get("instrument_id"))})
        return rows

    def _rows(self, given: Any, at: KeyPath) -> list[dict[str, Any]]:
        if isinstance(given, list) and all(isinstance(each, dict) for each in given):
            return given
        self._problems.append((at, "expected a list of mappings"))
        return []

    def _venues(self) -> list[dict[str, Any]]:
        return [
            self._venue(row, number) for number, row in enumerate(self._rows(self._tree.get("venues"), ("venues",)))
        ]

    def _venue(self, row: Mapping[str, Any], number: int) -> dict[str, Any]:
        self._problems += _unknown_in(row, ("config_path", "starting_balances"), ("venues", number))
        balances = [
            f"{each.get('total')} {each.get('currency')}"
            for each in self._rows(row.get("starting_balances"), ("venues", number, "starting_balances"))
        ]
        told = self._other(row.get("config_path"), ("venues", number, "config_path"))
        tree = told.tree if told else {}
        venue: dict[str, Any] = tree.get("venue") if isinstance(tree.get("venue"), dict) else tree
        trading: dict[str, Any] = tree.get("trading") if isinstance(tree.get("trading"), dict) else {}
        if told:
            used = {"venue", "trading", "name", "hedge_mode", "leverage", "default_leverage", "account_type"}
            for key in tree.keys() - used:
                self._answers.append(_answer(told, (key,), (_NEEDLESS, "the instrument's definition says it")))
        leverage = trading.get("leverage", trading.get("default_leverage", tree.get("leverage", 1)))
        return {
            "name": str(venue.get("name", "")).upper(),
            "oms_type": "HEDGING" if trading.get("hedge_mode", True) else "NETTING",
            "account_type": "MARGIN",
            "starting_balances": balances,
            "default_leverage": leverage,
            **self._models(),
        }

    def _models(self) -> dict[str, Any]:
        latency, fill = self._execution("latency"), self._execution("fill_model")
        models: dict[str, Any] = {}
        if {"order_submit_ms", "order_cancel_ms"} & latency.keys():
            config = {
                "base_latency_nanos": 0,
                "insert_latency_nanos": _nanoseconds(latency.get("order_submit_ms", 0)),
                "update_latency_nanos": _nanoseconds(latency.get("order_submit_ms", 0)),
                "cancel_latency_nanos": _nanoseconds(latency.get("order_cancel_ms", 0)),
            }
            models["latency_model"] = {
                "latency_model_path": LATENCY_MODEL,
                "config_path": LATENCY_CONFIG,
                "config": config,
            }
        if "maker_fill_prob" in fill:
            models["fill_model"] = {
                "fill_model_path": FILL_MODEL,
                "config_path": FILL_CONFIG,
                "config": {"prob_fill_on_limit": fill["maker_fill_prob"], "random_seed": 0},
            }
        return models

    def _ours(self) -> dict[str, Any]:
        about, fees = self._section("backtest"), self._execution("fees")
        ours: dict[str, Any] = {"funding": {"pay": bool(fees.get("funding_apply", True))}}
        if "name" in about:
            ours["name"] = "-".join(str(about["name"]).split())
        if "description" in about:
            ours["description"] = str(about["description"])
        if {"maker_bps", "taker_bps"} <= fees.keys():
            ours["fees"] = {key: fees[key] for key in ("maker_bps", "taker_bps")}
        return ours

    def _logging(self) -> dict[str, Any]:
        level = self._section("output").get("log_level")
        return {} if level is None else {"log_level": str(level).upper()}

    def _strategies(self) -> tuple[Strategy, ...]:
        made: list[Strategy] = []
        for number, row in enumerate(self._rows(self._tree.get("strategies", []), ("strategies",))):
            at: KeyPath = ("strategies", number)
            self._problems += _unknown_in(row, ("config_path", "enabled"), at)
            if row.get("enabled", True) and (found := self._place(row.get("config_path"), (*at, "config_path"))):
                strategies, answers = read_strategy(found)
                made += strategies
                self._answers += answers
                self._files.append(found)
        return tuple(made)

    def _other(self, name: Any, at: KeyPath) -> Document | None:
        found = self._place(name, at)
        if found is None:
            return None
        self._files.append(found)
        return documents.read(found)

    def _place(self, name: Any, at: KeyPath) -> Path | None:
        """A file that this one names, from the working directory or from beside it."""
        for found in (Path(str(name)), self._document.path.parent / str(name)):
            if found.is_file():
                return found
        self._problems.append((at, f"expected a file, found none at {name}"))
        return None


def _nanoseconds(milliseconds: Any) -> int:
    try:
        return int(Decimal(str(milliseconds)) * 1_000_000)
    except ArithmeticError:
        raise BacktestFileError(Path("execution.latency"), [f"expected milliseconds, found {milliseconds!r}"]) from None


def _after(stem: str, fraction: str) -> str:
    """The first nanosecond after an inclusive end: of a whole second, all of that second belongs to the run."""
    if not fraction:
        return (datetime.fromisoformat(stem) + timedelta(seconds=1)).isoformat(timespec="seconds")
    digits = f"{int(fraction.ljust(9, '0')) + 1:09d}"
    if len(digits) > 9:
        return (datetime.fromisoformat(stem) + timedelta(seconds=1)).isoformat(timespec="seconds")
    return f"{stem}.{digits}"
