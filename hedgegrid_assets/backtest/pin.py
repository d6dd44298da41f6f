"""A run held fast: the digests of what it read and what came of it, so that a later one says which days have changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.store import make_folder, write_json

_VERSION: Final = 1
_KEPT: Final = ("run_id", "config_sha256", "sources", "versions", "inputs", "delivered", "net", "result_hash")


@dataclass(frozen=True, slots=True)
class Pin:
    """What a pin file holds."""

    path: Path
    content: Mapping[str, Any]


def pin_of(config: Path) -> Path:
    """Where the pin of a backtest's file is looked for: beside it."""
    return config.with_suffix(".pin.json")


def write(run: Path, output: Path | None = None) -> Path:
    """Pin a run by its folder; without ``output``, beside the file that it was run from.

    Raises UsageError: no run there, one that did not reach its end, or its file is gone.
    """
    result = _document(run / "result.json", "a run's folder with result.json in it")
    if not result["ok"]:
        raise UsageError(
            f"{run} cannot be pinned: expected a run that reached its end with numbers that agree, found one that did not"
        )
    target = output or pin_of(Path(result["files"][0]))
    if output is None and not Path(result["files"][0]).exists():
        raise UsageError(
            f"{result['files'][0]} is gone: expected the file that {run} was run from", hint="say --output"
        )
    make_folder(target.parent)
    write_json(target, target.parent, {"pin": _VERSION} | {name: result[name] for name in _KEPT})
    return target


def read(path: Path) -> Pin:
    """Raises UsageError."""
    content = _document(path, "a pin, as hedgegrid backtest-pin writes it")
    if content.get("pin") != _VERSION or not content.keys() >= set(_KEPT):
        raise UsageError(f"{path} is no pin: expected one as hedgegrid backtest-pin writes it")
    return Pin(path, content)


def _document(path: Path, expected: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: expected {expected}, found {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected {expected}")
    return content


def compare(pin: Pin, result: Mapping[str, Any]) -> dict[str, Any]:
    """What has changed since a pin: files by day with their row counts, code, configuration, and the result."""
    before = {each["file"]: each for each in pin.content["inputs"]}
    after = {each["file"]: each for each in result["inputs"]}
    changed = [
        _change(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name, {}).get("sha256") != after.get(name, {}).get("sha256")
    ]
    found = {
        "file": str(pin.path),
        "run_id": pin.content["run_id"],
        "changed": changed,
        "config_changed": pin.content["config_sha256"] != result["config_sha256"],
        "code_changed": sorted(
            name
            for name in {*pin.content["sources"], *result["sources"]}
            if pin.content["sources"].get(name) != result["sources"].get(name)
        ),
        "versions_changed": {
            name: [pin.content["versions"].get(name), result["versions"].get(name)]
            for name in sorted({*pin.content["versions"], *result["versions"]})
            if pin.content["versions"].get(name) != result["versions"].get(name)
        },
        "result_changed": pin.content["result_hash"] != result["result_hash"],
        "net": [pin.content["net"], result["net"]],
    }
    return found | {"told": told(found)}


def _change(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Any]:
    known = after or before or {}
    return {
        "file": name,
        "table": known.get("table"),
        "instrument_id": known.get("instrument_id"),
        "date": known.get("date"),
        "rows": [None if before is None else before["rows"], None if after is None else after["rows"]],
        "what": "new" if before is None else "gone" if after is None else "changed",
    }


def told(comparison: Mapping[str, Any]) -> list[str]:
    """A comparison in lines for people."""
    lines = [_told_change(each) for each in comparison["changed"]]
    if comparison["config_changed"]:
        lines.append("the configuration is another one")
    lines += [f"{name}: the code is another one" for name in comparison["code_changed"]]
    lines += [f"{name}: {was} then, {now} now" for name, (was, now) in comparison["versions_changed"].items()]
    same = (
        "the result is the same"
        if not comparison["result_changed"]
        else "the result is another one: net {} then, {} now"
    )
    return [*lines, same.format(*(_told_net(net) for net in comparison["net"]))]


def _told_net(net: Mapping[str, str]) -> str:
    return ", ".join(f"{amount} {currency}" for currency, amount in net.items())


def _told_change(change: Mapping[str, Any]) -> str:
    where = f"{change['instrument_id']} {change['table']} {change['date'] or change['file']}"
    was, now = (("unknown" if rows is None else f"{rows:,}") for rows in change["rows"])
    return f"{where}: {change['what']}" + (f", {was} rows then, {now} now" if change["what"] == "changed" else "")
