"""Every key of feeds.yaml and of ``--config``, read off the models that check them: ``docs/configuration.md``.

``python scripts/configuration.py`` prints it.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hedgegrid_assets.config.schema import feeds_schema, shared_keys
from hedgegrid_assets.sources import SOURCES

_HEAD: Final = """# Configuration

Every key of `feeds.yaml` and of the file given with `--config`.
Made by `make docs` from the models that check them; a test holds it to them.
`hedgegrid feeds check` says what is wrong in a file, with line and key.
For an editor: `hedgegrid feeds schema > feeds.schema.json`, and as the first line of `feeds.yaml` (for those that use yaml-language-server) `# yaml-language-server: $schema=feeds.schema.json`.
Patterns of `landing` count from `<data>/raw`, files of `backtests` from the folder of `feeds.yaml`, `base_path` from the folder of the file that it stands in, or where there is none from the working directory.

"""
EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "File itself": {
        "version": 1,
        "data": "s3://bucket/raw",
        "catalog": "s3://bucket/catalog",
        "notify": {"url": "${SLACK_WEBHOOK}"},
        "feeds": {"sim": {"source": "synthetic", "venue": "SIM", "symbols": ["BTCUSDT"], "start": "2024-01-01"}},
    },
    "Feed": {
        "source": "archive",
        "venue": "BINANCE",
        "market": "usdm",
        "symbols": ["BTCUSDT", "ETHUSDT"],
        "bars": ["1-MINUTE", "1-HOUR"],
        "tables": ["trade_tick", "mark_price_update"],
        "start": "2024-01-01",
        "end": "2024-02-01",
        "settings": {"exchange": "binance-futures"},
        "landing": ["websocket/**/*.jsonl*"],
        "instruments": {"BTCUSDT": {"price_precision": 1}},
        "gaps": {"trade_tick": "5m"},
        "max_rejected": 0.01,
        "schedule": {"at": "06:30"},
        "due": "12:00",
        "refresh": {"at": "03:00"},
        "outages": [{"start": "2024-01-31T10:00:00Z", "end": "2024-01-31T11:00:00Z", "reason": "maintenance"}],
        "widen": "auto",
        "nautilus": 1,
        "owners": ["team:data"],
        "backtests": {"grid": {"config": "configs/backtest/btcusdt_mark_trades_funding.yaml"}},
    },
    "Schedule": {"at": "06:30", "look_back_days": 5},
    "Refresh": {"at": "03:00", "days": 30},
    "KnownOutage": {
        "start": "2024-01-31T10:00:00Z",
        "end": "2024-01-31T11:00:00Z",
        "reason": "maintenance",
        "link": "https://status.example/1",
        "symbols": ["BTCUSDT"],
        "tables": ["trade_tick"],
    },
    "InstrumentOverride": {
        "price_precision": 1,
        "size_precision": 3,
        "mark_precision": 8,
        "price_increment": "0.1",
        "size_increment": "0.001",
        "base": "BTC",
        "quote": "USDT",
        "settlement": "USDT",
        "multiplier": "1",
        "maker_fee": "0.0002",
        "taker_fee": "0.0005",
        "id": "BTCUSDT-PERP",
    },
    "Backtest": {
        "config": "configs/backtest/btcusdt_mark_trades_funding.yaml",
        "strategy": "configs/strategies/hedge_grid_v1.yaml",
        "pin": "btcusdt.pin.json",
        "allow_gaps": True,
    },
    "Notify": {"url": "${SLACK_WEBHOOK}"},
    "Settings": {
        "files": {"trades": {"file_path": "trades.csv"}},
        "base_path": "data/raw/csv",
        "trade_kind": "aggTrade",
        "bar_kind": "kline",
        "index_kind": "indexPrice",
        "timestamp_format": "%Y-%m-%d %H:%M:%S",
        "encoding": "gbk",
        "sides": {"B": "buy", "S": "sell"},
        "side_is": "maker",
        "ids": "shared",
        "seed": 7,
        "trades_per_day": 20000,
        "days": 1,
        "exchange": "binance-futures",
        "api": "replay",
        "depth_kind": "book_snapshot_25",
        "cache_dir": "data/cache",
        "endpoint": "https://mirror.example",
        "datasets_endpoint": "https://mirror.example",
        "api_key_env": "TARDIS_API_KEY",
        "period": "monthly",
        "accept_checksum": ["0" * 64],
    },
    "File": {
        "file_path": "trades.csv",
        "columns": {"timestamp": "my_time", "price": 3},
        "timestamp_format": "ms",
        "encoding": "utf-16",
        "sides": {"B": "buy", "S": "sell"},
        "side_is": "maker",
        "settled": True,
    },
    "Shared": {
        "venue": "BINANCE",
        "market": "usdm",
        "bars": ["1-MINUTE", "1-HOUR"],
        "gaps": {"trades": "5m", "mark": "off"},
        "instruments": {"BTCUSDT": {"price_precision": 1}},
        "api_key": "your_key_here",
    },
}
"""Part -> key -> a value that may stand there."""
_PARTS: Final = ("Schedule", "Refresh", "KnownOutage", "InstrumentOverride", "Backtest", "Notify", "FundingFile")
_TITLES: Final = {"FundingFile": "File"}


def page() -> str:
    """The page."""
    return _HEAD + "\n".join(_sections())


def keys() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each key that may be said: the part of ``EXAMPLES`` with its example, its name, and its JSON Schema."""
    for _, part, schema in _parts():
        yield from ((part, name, each) for name, each in schema["properties"].items())


def _parts() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Heading, part of ``EXAMPLES``, JSON Schema."""
    whole = feeds_schema()
    yield "feeds.yaml", "File itself", whole | {"description": "The file itself"}
    yield "A feed", "Feed", whole["$defs"]["Feed"]
    for name, source in SOURCES.items():
        schema = whole["$defs"][source.settings.__name__]
        yield f"Settings of {name}", "Settings", schema | {"description": f"Source `{name}`: {source.doc}"}
    for name in _PARTS:
        title = _TITLES.get(name, name)
        yield title, title, whole["$defs"][name] | ({"description": _FILE} if title != name else {})
    yield "--config", "Shared", shared_keys() | {"description": _CONFIG}


_CONFIG: Final = (
    "JSON or YAML. It takes the settings of its source, flat, and these; those of other sources are taken "
    "and of no effect, so that one file serves several"
)
_FILE: Final = "One file of a data type, under `files`; `settled` is for `funding` alone"


def _sections() -> Iterator[str]:
    definitions = feeds_schema()["$defs"] | {"GapsByTable": {"type": "object"}}
    for title, part, schema in _parts():
        rows = "".join(
            f"| `{name}` | {_cell(_kind(each, definitions))} | {_default(schema, name, each)} "
            f"| {_cell(each.get('description', _of_reference(each, definitions)))} | `{_cell(_written(EXAMPLES[part][name]))}` |\n"
            for name, each in schema["properties"].items()
        )
        yield f"## {title}\n\n{schema['description'].removesuffix('.')}.\n\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n{rows}"


def _of_reference(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    return str(definitions.get(schema.get("$ref", "").rpartition("/")[2], {}).get("description", ""))


def _default(owner: Mapping[str, Any], name: str, schema: Mapping[str, Any]) -> str:
    if name in owner.get("required", ()):
        return "*required*"
    return f"`{_written(schema['default'])}`" if schema.get("default") not in (None, []) else ""


def _kind(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A type in words."""
    within = definitions
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            if "properties" in within[name]:
                title = _TITLES.get(name, name)
                return f"[{title}](#{title.lower()})" if name in (*_PARTS, "Feed") else "mapping"
            return {"GapSeconds": "time, as `60s`, or `off`", "Instant": "time", "Column": "name or position"}.get(
                name, _kind(within[name], within)
            )
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return ", ".join(f"`{_written(value)}`" for value in values)
        case {"anyOf": kinds}:
            return " or ".join(_kind(kind, within) for kind in kinds if kind != {"type": "null"})
        case {"type": "array"}:
            return f"list of {_kind(schema['items'], within)}"
        case {"type": "object", "additionalProperties": dict(inner)} if inner:
            return f"mapping to {_kind(inner, within)}"
        case {"type": "object"}:
            return "mapping"
        case {"type": "string", "format": "date"}:
            return "date"
        case {"type": list(names)}:
            return " or ".join(_TYPES[name] for name in names)
        case {"type": str(name)}:
            return _TYPES[name]
    return "text"


_TYPES: Final = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}


def _written(value: object) -> str:
    """As it stands in a file: YAML takes JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
