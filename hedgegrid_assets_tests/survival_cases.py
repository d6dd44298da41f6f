"""What is killed in the tests of survival: small trees, and the commands of the product that work on them."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import dagster as dg

from hedgegrid_assets.cli import run
from hedgegrid_assets.defs.backfill import instance_for
from hedgegrid_assets.pipeline.landing import import_landing
from hedgegrid_assets.timestamps import day_start
from hedgegrid_assets_tests.dagster_feeds import CAPTURES, day_of, feed_context_of, write_feeds
from hedgegrid_assets_tests.kept import FEEDS, FIRST, ID, Home, new_home, trades

DAYS: Final = range(3)
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")
_HOUR_MS: Final = 3_600_000

Work = Callable[[Path], int]
"""Gives the exit code; gets the folder that it works in."""


def _nothing(_: Path) -> int:
    return 0


@dataclass(frozen=True)
class Case:
    """A command, and the tree that it works on.

    Attributes:
        ready: Makes the tree.
        command: What is killed, and run once more.
        again: What is run once more, where it is not the same command.
        told: Leaves what is to be compared besides files as a file.
    """

    name: str
    ready: Work
    command: Work
    again: Work | None = None
    told: Work = _nothing


# ---------------------------------------------------------------- trees


def _csv_files(root: Path, hours: Iterable[int] = range(72), name: str = "x.csv") -> int:
    """A trade an hour, since 2024-01-01."""
    path = root / "data/raw/csv" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    start = day_start(FIRST) // 10**6
    rows = [f"{start + hour * _HOUR_MS},42500.5,0.1,buy,{hour}" for hour in hours]
    path.write_text("\n".join(["time,price,size,side,id", *rows, ""]))
    return 0


def _csv_corrected(root: Path) -> int:
    """Converted; then one file is corrected, and another comes."""
    _csv_files(root, range(48))
    code = _convert_csv(root)
    _csv_files(root, range(2, 48, 2))
    _csv_files(root, range(48, 72), "y.csv")
    return code


def _captures(root: Path) -> int:
    """Trades and mark prices of two symbols, in one file a day."""
    landing = root / "data/raw/websocket"
    landing.mkdir(parents=True)
    for number in DAYS:
        data = b"".join(day_of(number, symbol=symbol, trades=range(50)) for symbol in SYMBOLS)
        (landing / f"{number}.jsonl").write_bytes(data)
    write_feeds(root, CAPTURES)
    return 0


def _dagster_days(root: Path) -> int:
    """Three days of one symbol, so that there are two blocks; an instance that sends no telemetry."""
    landing = root / "data/raw/websocket"
    landing.mkdir(parents=True)
    for number in range(3):
        (landing / f"{number}.jsonl").write_bytes(day_of(number, trades=range(50)))
    write_feeds(root, CAPTURES)
    (root / ".dagster").mkdir()
    (root / ".dagster/dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return 0


def _dagster_days_corrected(root: Path) -> int:
    """In the catalog; then a day is corrected, and one more comes."""
    code = _dagster_days(root) or _backfill(root)
    landing = root / "data/raw/websocket"
    (landing / "1.jsonl").write_bytes(day_of(1, trades=range(60)))
    (landing / "3.jsonl").write_bytes(day_of(3, trades=range(20)))
    return code


def _imported(root: Path) -> int:
    return _captures(root) or _import(root)


def _without_nautilus(root: Path) -> int:
    """All is there but Nautilus' own files."""
    code = _captures(root) or _convert_captures(root)
    shutil.rmtree(root / "data/catalog/data")
    return code


def _home(root: Path) -> int:
    new_home(root, DAYS)
    return 0


def _changed_after_backup(root: Path) -> int:
    """A backup, and a catalog that has one day more and is damaged in another."""
    home = new_home(root, DAYS)
    code = home.run("backup", str(root / "b.tar"), "--raw", "-q")
    home.make([len(DAYS)])
    home.verdict().write_text("{}")
    return code


def _landed(root: Path) -> int:
    """Days of a feed that are not imported yet."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "feeds.yaml").write_text(FEEDS)
    for number in DAYS:
        day = FIRST + timedelta(days=number)
        Home(root).land(day, trades(day))
    return 0


# ---------------------------------------------------------------- commands


def _roots(root: Path) -> list[str]:
    return ["--output", str(root / "data/catalog"), "--data", str(root / "data"), "-q"]


def _convert_csv(root: Path) -> int:
    return run(
        ["replay-to-parquet", "--source", "csv", "--symbol", SYMBOLS[0], "--data-types", "trades", *_roots(root)]
    )


def _convert_captures(root: Path) -> int:
    symbols = ",".join(SYMBOLS)
    return run(["replay-to-parquet", "--source", "websocket", "--symbol", symbols, *_roots(root)])


def _import(root: Path) -> int:
    import_landing(feed_context_of(root))
    return 0


def _import_tape(root: Path) -> int:
    import_landing(Home(root).context)
    return 0


def _widen(root: Path) -> int:
    return run(["instruments", "widen", ID, "--price-precision", "3", "--catalog", str(root / "data/catalog"), "-q"])


def _prune(root: Path) -> int:
    before = FIRST + timedelta(days=len(DAYS) - 1)
    return Home(root).run("prune", "--before", str(before), "-q")


def _backup(root: Path) -> int:
    return Home(root).run("backup", str(root / "b.tar"), "--raw", "-q")


def _backup_again(root: Path) -> int:
    """A whole archive is not written over: then there is nothing to do."""
    return 0 if (root / "b.tar").exists() else _backup(root)


def _restore(root: Path) -> int:
    return Home(root).run("restore", str(root / "b.tar"), "-q")


def _restore_again(root: Path) -> int:
    """What a restore takes the place of is kept; where the one before was whole, that is the same once more."""
    code = _restore(root)
    for kept in (root / "data").glob("*.replaced-*"):
        if _content(kept) == _content(kept.with_name(kept.name.partition(".")[0])):
            shutil.rmtree(kept)
    return code


def _content(root: Path) -> dict[Path, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and "lock" not in path.name)
    return {path.relative_to(root): path.read_bytes() for path in files}


def _dagster_home(root: Path) -> None:
    os.environ["DAGSTER_HOME"] = str(root / ".dagster")


def _backfill(root: Path) -> int:
    _dagster_home(root)
    where = ["--data", str(root / "data"), "--feeds", str(root / "feeds.yaml")]
    return run(["backfill", "captures", "--block", "2", "--symbol", SYMBOLS[0], "--end", "2024-01-06", *where, "-q"])


def _what_dagster_holds(root: Path) -> int:
    """Which days of which assets are made, and that no run is taken for alive."""
    _dagster_home(root)
    with instance_for(root / "data") as instance:
        keys = sorted(instance.get_asset_keys(), key=lambda key: key.to_user_string())
        made = {key.to_user_string(): sorted(instance.get_materialized_partitions(key)) for key in keys}
        ended = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
        open_runs = [record.status.value for record in instance.get_runs() if record.status not in ended]
    (root / "dagster.json").write_text(json.dumps({"made": made, "open runs": open_runs}))
    return 0


_OF_FILES: Final = (
    Case("csv", _csv_files, _convert_csv),
    Case("csv corrected", _csv_corrected, _convert_csv),
    Case("captures", _captures, _convert_captures),
    Case("import", _captures, _import),
    Case("import of references", _landed, _import_tape),
    Case("normalize", _imported, _convert_captures),
    Case("catalog", _without_nautilus, _convert_captures),
    Case("widen", _home, _widen),
    Case("prune", _home, _prune),
    Case("backup", _home, _backup, again=_backup_again),
    Case("restore", _changed_after_backup, _restore, again=_restore_again),
)
_OF_DAGSTER: Final = (
    Case("backfill", _dagster_days, _backfill, told=_what_dagster_holds),
    Case("backfill corrected", _dagster_days_corrected, _backfill, told=_what_dagster_holds),
)
TURNS: Final = (*_OF_FILES, _OF_DAGSTER[0], *_OF_FILES, _OF_DAGSTER[1])
"""Runs of Dagster take much longer than all else, so their turn comes half as often."""
