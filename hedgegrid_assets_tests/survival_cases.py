"""What is killed in the tests of survival: small trees, and the commands of the product that work on them."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.cli import run
from hedgegrid_assets.defs.backfill import instance_for
from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import import_landing
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets.timestamps import day_start
from hedgegrid_assets_tests import archive_cases, scenario, tardis_cases
from hedgegrid_assets_tests.dagster_feeds import CAPTURES, day_of, feed_context_of, write_feeds
from hedgegrid_assets_tests.kept import FEEDS, FIRST, ID, Home, new_home, trades
from hedgegrid_assets_tests.standins import archive, tardis

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
    for number in range(2):
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


def _many_tables(root: Path) -> int:
    """Two days of all that a recorder may write: trades, quotes, a book, candles, liquidations."""
    landing = root / "data/raw/websocket"
    landing.mkdir(parents=True)
    for number in range(2):
        start = scenario.MIDNIGHT_MS + number * scenario.DAY_MS
        lines = [day_of(number, trades=range(30), marks=False)]
        lines += [_told(start, second, message) for second in range(20) for message in _of_a_second(start, second)]
        (landing / f"{number}.jsonl").write_bytes(b"".join(lines))
    return 0


def _told(start: int, second: int, message: dict[str, Any]) -> bytes:
    return scenario.line(message, scenario.received(start + second * 1_000))


def _of_a_second(start: int, second: int) -> Iterator[dict[str, Any]]:
    ms = start + second * 1_000
    yield scenario.book_ticker(second + 1, ms)
    if second == 0:
        levels = {"bids": [["42000.10", "1.000"]], "asks": [["42000.20", "2.000"]]}
        yield {"stream": "btcusdt@depthSnapshot", "data": {"lastUpdateId": 5, **levels}}
    ids = {"U": 10 * second + 1, "u": 10 * second + 10, "pu": 10 * second}
    levels = {"b": [["42000.10", f"{second + 1}.000"]], "a": [[f"42000.{20 + second}", "1.000"]]}
    yield {"e": "depthUpdate", "E": ms, "T": ms, "s": SYMBOLS[0], **ids, **levels}
    if second % 10 == 9:
        order = {
            "s": SYMBOLS[0],
            "S": "SELL",
            "o": "LIMIT",
            "f": "IOC",
            "q": "0.020",
            "p": "42000.10",
            "ap": "42001.10",
        }
        yield {"e": "forceOrder", "E": ms, "o": order | {"X": "FILLED", "l": "0.014", "z": "0.014", "T": ms}}


def _damaged(root: Path) -> int:
    """A Nautilus file is gone, another lies under a wrong name, and a frame is gone with its raw day at hand."""
    home = new_home(root, DAYS)
    days = [FIRST + timedelta(days=number) for number in DAYS]
    shutil.copy(home.nautilus(days[1]), home.nautilus(days[1]).with_name("copy.parquet"))
    home.nautilus(days[0]).unlink()
    home.frame(days[2]).unlink()
    return 0


def _small_days(root: Path) -> int:
    """Raw days without a catalog: they are read together."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "small.json").write_text(json.dumps({"trades_per_day": 20}))
    code = _convert_small(root)
    shutil.rmtree(root / "data/catalog")
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


def _convert_small(root: Path) -> int:
    days = ["--start", str(FIRST), "--end", str(FIRST + timedelta(days=5)), "--data-types", "trades"]
    made = ["--source", "synthetic", "--symbol", SYMBOLS[0], "--config", str(root / "small.json")]
    return run(["replay-to-parquet", *made, *days, *_roots(root)])


def _import(root: Path) -> int:
    return _imported_by(feed_context_of(root))


def _import_tape(root: Path) -> int:
    return _imported_by(Home(root).context)


def _imported_by(context: FeedContext) -> int:
    try:
        import_landing(context)
    except HedgegridError as error:
        print(error.message)  # noqa: T201
        return error.exit_code
    return 0


def _widen(root: Path) -> int:
    return run(["instruments", "widen", ID, "--price-precision", "3", "--catalog", str(root / "data/catalog"), "-q"])


def _prune(root: Path) -> int:
    before = FIRST + timedelta(days=len(DAYS) - 1)
    return Home(root).run("prune", "--before", str(before), "-q")


def _convert_catalog(root: Path) -> int:
    return run(["catalog", "convert", "--nautilus", "2", "--catalog", str(root / "data/catalog"), "-q"])


def _backup(root: Path) -> int:
    return Home(root).run("backup", str(root / "b.tar"), "--raw", "-q")


def _backup_again(root: Path) -> int:
    """A whole archive is not written over: then there is nothing to do but to take away what was left."""
    is_whole = (root / "b.tar").exists()
    code = _backup(root)
    return 0 if is_whole and code == 2 else code


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


def _convert_many(root: Path) -> int:
    kinds = "trades,quotes,deltas,depth,liquidations,bars"
    return run(
        ["replay-to-parquet", "--source", "websocket", "--symbol", SYMBOLS[0], "--data-types", kinds, *_roots(root)]
    )


def _reset_day(root: Path) -> int:
    return Home(root).run("reset-day", ID, str(FIRST), "--catalog", str(root / "data/catalog"), "--yes", "-q")


def _reset_day_again(root: Path) -> int:
    """What is gone is not found any more; then what a killed one has left goes with the next that looks."""
    code = _reset_day(root)
    return 0 if code == 1 and not Home(root).nautilus().exists() else code


def _acknowledge(root: Path) -> int:
    when = ["--start", f"{FIRST}T00:01:00", "--end", str(FIRST + timedelta(days=1))]
    said = ["--instrument", ID, *when, "--reason", "maintenance"]
    return run(["gaps", "acknowledge", str(root / "data/catalog"), *said, "-q"])


def _doctor(root: Path) -> int:
    """What is left to be done by hand makes it end with 1; what it was is compared."""
    code = Home(root).run("doctor", "--fix", "-q")
    return 0 if code == 1 else code


def _port() -> int:
    """A port that is free: the stand-ins of one trial after the other have the same, as manifests name it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


_PORT: Final = _port()


@contextmanager
def _archive_server() -> Iterator[archive.Standin]:
    limits.in_force = archive_cases.QUICK
    with archive.Standin(port=_PORT, trades_per_day=30, until=date(2024, 2, 3)) as server:
        yield server


def _nothing_yet(root: Path) -> int:
    root.mkdir(parents=True, exist_ok=True)
    return 0


def _archive_days(root: Path) -> int:
    with _archive_server() as server:
        return archive_cases.convert(root, server, "-q", end="2024-01-04")


def _archive_month(root: Path) -> int:
    with _archive_server() as server:
        return archive_cases.convert(root, server, "--data-types", "trades", "-q", end="2024-01-06", period="monthly")


_FREE: Final = f"""
  free:
    source: archive
    venue: BINANCE
    symbols: [BTCUSDT]
    tables: [trade_tick]
    start: 2024-01-01
    end: 2024-02-01
    settings: {{endpoint: "http://127.0.0.1:{_PORT}"}}
"""


def _archive_feed(root: Path) -> int:
    write_feeds(root, _FREE)
    (root / ".dagster").mkdir()
    (root / ".dagster/dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return 0


def _archive_backfill(root: Path) -> int:
    _dagster_home(root)
    where = ["--data", str(root / "data"), "--feeds", str(root / "feeds.yaml")]
    with _archive_server():
        return run(["backfill", "free", "--start", "2024-01-10", "--end", "2024-01-30", *where, "-q"])


def _tardis(root: Path) -> int:
    limits.in_force = tardis_cases.QUICK
    with tardis.Standin(port=_PORT, trades_per_day=60) as server:
        config = root / "tardis.json"
        config.write_text(json.dumps(tardis_cases.settings(server, api="datasets")))
        words = ["replay-to-parquet", "--source", "tardis", "--symbol", SYMBOLS[0], "--config", str(config)]
        return run(
            [*words, "--data-types", "trades,quotes", "--start", "2024-01-01", "--end", "2024-01-03", *_roots(root)]
        )


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


def _many_converted(root: Path) -> int:
    return _many_tables(root) or _convert_many(root)


_OF_FILES: Final = (
    Case("csv", _csv_files, _convert_csv),
    Case("csv corrected", _csv_corrected, _convert_csv),
    Case("captures", _captures, _convert_captures),
    Case("import", _captures, _import),
    Case("import of references", _landed, _import_tape),
    Case("normalize", _imported, _convert_captures),
    Case("small days", _small_days, _convert_small),
    Case("catalog", _without_nautilus, _convert_captures),
    Case("widen", _home, _widen),
    Case("prune", _home, _prune),
    Case("backup", _home, _backup, again=_backup_again),
    Case("restore", _changed_after_backup, _restore, again=_restore_again),
    Case("many tables", _many_tables, _convert_many),
    Case("widen many tables", _many_converted, _widen),
    Case("catalog convert", _many_converted, _convert_catalog),
    Case("reset-day", _home, _reset_day, again=_reset_day_again),
    Case("acknowledge", _home, _acknowledge),
    Case("doctor", _damaged, _doctor),
    Case("archive", _nothing_yet, _archive_days),
    Case("archive month", _nothing_yet, _archive_month),
    Case("tardis", _nothing_yet, _tardis),
)
_OF_DAGSTER: Final = (
    Case("backfill", _dagster_days, _backfill, told=_what_dagster_holds),
    Case("backfill corrected", _dagster_days_corrected, _backfill, told=_what_dagster_holds),
    Case("backfill month", _archive_feed, _archive_backfill, told=_what_dagster_holds),
)
TURNS: Final = (*_OF_FILES, *_OF_DAGSTER)
