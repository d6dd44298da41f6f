"""A run held fast: the digests of what it read and what came of it, so that a later one says which days have changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.store import make_folder, plain, write_json

_VERSION: Final = 1
_A_PIN: Final = "a pin, as hedgegrid backtest-pin writes it"


class Input(msgspec.Struct, frozen=True):
    """A file that a run has read; ``date`` where it is of one day."""

    file: str
    sha256: str
    rows: int | None = None
    table: str | None = None
    instrument_id: str | None = None
    date: str | None = None


class Held(msgspec.Struct, frozen=True):
    """What of a run is held fast, and what a later one is compared by."""

    run_id: str
    config_sha256: str
    sources: dict[str, str]
    versions: dict[str, str]
    inputs: list[Input]
    delivered: dict[str, int]
    net: dict[str, str]
    result_hash: str

    @property
    def files(self) -> dict[str, Input]:
        """Name -> what was read of it."""
        return {each.file: each for each in self.inputs}


class Pinned(Held, frozen=True):
    """A pin file. ``pin``: its version."""

    pin: int = 0


class Pin(msgspec.Struct, frozen=True):
    """A pin file that was read."""

    path: Path
    held: Held


class _Ran(Held, frozen=True):
    """A run's ``result.json``, as far as it is pinned. ``files``: those that it was run from; ``ok``: it reached its end."""

    ok: bool = False
    files_read: list[str] = msgspec.field(default_factory=list, name="files")


def pin_of(config: Path) -> Path:
    """Where the pin of a backtest's file is looked for: beside it."""
    return config.with_suffix(".pin.json")


def write(run: Path, output: Path | None = None) -> Path:
    """Pin a run by its folder; without ``output``, beside the file that it was run from.

    Raises UsageError: no run there, one that did not reach its end, or its file is gone.
    """
    ran = _read(run / "result.json", _Ran, "a run's folder with result.json in it")
    if not ran.ok:
        raise UsageError(
            f"{run} cannot be pinned: expected a run that reached its end with numbers that agree, found one that did not"
        )
    config = Path(ran.files_read[0])
    target = output or pin_of(config)
    if output is None and not config.exists():
        raise UsageError(f"{config} is gone: expected the file that {run} was run from", hint="say --output")
    make_folder(target.parent)
    held = {name: getattr(ran, name) for name in Held.__struct_fields__}
    write_json(target, target.parent, plain(Pinned(**held, pin=_VERSION)))
    return target


def read(path: Path) -> Pin:
    """Raises UsageError."""
    pinned = _read(path, Pinned, _A_PIN)
    if pinned.pin != _VERSION:
        raise UsageError(f"{path}: expected {_A_PIN}, found its version {pinned.pin}: this program knows {_VERSION}")
    return Pin(path, pinned)


def _read[H: Held](path: Path, of: type[H], expected: str) -> H:
    try:
        return msgspec.json.decode(path.read_bytes(), type=of)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: expected {expected}, found {error}") from None


def compare(pin: Pin, result: Mapping[str, Any]) -> dict[str, Any]:
    """What has changed since a pin: files by day with their row counts, code, configuration, and the result."""
    before, after = pin.held, msgspec.convert(result, Held)
    then, now = before.files, after.files
    found = {
        "file": str(pin.path),
        "run_id": before.run_id,
        "changed": [
            _change(name, then.get(name), now.get(name))
            for name in sorted(then.keys() | now.keys())
            if name not in then or name not in now or then[name].sha256 != now[name].sha256
        ],
        "config_changed": before.config_sha256 != after.config_sha256,
        "code_changed": sorted(_different(before.sources, after.sources)),
        "versions_changed": _different(before.versions, after.versions),
        "result_changed": before.result_hash != after.result_hash,
        "net": [before.net, after.net],
    }
    return found | {"told": told(found)}


def _different(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str | None]]:
    """Name -> its two values, where they are not one."""
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def _change(name: str, before: Input | None, after: Input | None) -> dict[str, Any]:
    known = after or before
    assert known is not None
    return {
        "file": name,
        "table": known.table,
        "instrument_id": known.instrument_id,
        "date": known.date,
        "rows": [each.rows if each else None for each in (before, after)],
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
