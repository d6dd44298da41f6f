"""What Dagster costs an instrument-day, beside the commit that made a run for each: ``python -m benchmarks.history``.

Four tables, all checks; raw days are at hand. Dagster's share is what ``backfill`` takes beyond ``replay-to-parquet`` of the
same days. One day is taken off both, so that what is left is whole blocks without the start of a process. An earlier commit
is checked out into ``.bench/before``, with packages of its own; ``HEDGEGRID_BEFORE`` names a checkout that is there.
"""

import gzip
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from benchmarks import DAY
from hedgegrid_assets.timestamps import day_start

BEFORE: Final = "6b70d34"
DAYS: Final = 30
"""One block."""
_DAYS_BEFORE: Final = 6
"""It made a run for each day, so that fewer tell as much."""
_HERE: Final = Path(__file__).resolve().parent.parent
_BENCH: Final = _HERE / ".bench"
_TRADES: Final = 1_000
_MARKS: Final = 28_800
_FEED: Final = """
version: 1
feeds:
  captured:
    source: websocket
    venue: BINANCE
    symbols: [BTCUSDT]
    start: {start}
    end: {end}
    tables: [{tables}]
    landing: ["websocket/**/*.jsonl*"]
    instruments:
      BTCUSDT: {{price_precision: 2, size_precision: 3, mark_precision: 8}}
"""
_TABLES: Final = "trade_tick, mark_price_update, index_price_update, funding_rate_update"
_KEPT: Final = """
event_log_storage:
  module: hedgegrid_assets.defs.event_log
  class: KeptEventLog
  config: {base_dir: {env: DAGSTER_HOME}}
"""


@dataclass(frozen=True, slots=True)
class Side:
    """Who makes the days, with which history.

    Attributes:
        title: For people.
        settings: dagster.yaml.
        script: Beside this file, run instead of ``hedgegrid backfill``.
        laid_out: The history is laid out first, as ``hedgegrid dev`` does.
        cpu: Most processor time, as a share of that before.
        kilobytes: Most that a day's history may take.
    """

    title: str
    settings: str = "telemetry: {enabled: false}\n"
    script: str = ""
    laid_out: bool = False
    cpu: float = 0.0
    kilobytes: float = 0.0


SIDES: Final = (
    Side(
        "a run that Dagster launches, Dagster's own history as `hedgegrid dev` lays it out",
        script="launched.py",
        laid_out=True,
        cpu=1 / 3,
        kilobytes=350,
    ),
    Side("`hedgegrid backfill`, Dagster's own history", cpu=1 / 3, kilobytes=350),
    Side("`hedgegrid backfill`, `KeptEventLog`", settings=_KEPT, cpu=1 / 10, kilobytes=200),
)
MOST_EVENTS: Final = 50


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one instrument-day: Dagster's processor time in s, stored events, bytes of history; and all of ``backfill``, in s."""

    cpu: float
    events: float
    bytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Spent:
    seconds: float
    cpu: float
    events: int = 0
    bytes: int = 0


def cost(side: Side, root: Path, days: int) -> Cost:
    """Of whole blocks of so many days, by the checkout ``root``."""
    (one, direct_one), (more, direct_more) = (_measured(side, root, count) for count in (1, 1 + days))
    whole, direct = more.cpu - one.cpu, direct_more.cpu - direct_one.cpu
    return Cost(
        (whole - direct) / days,
        (more.events - one.events) / days,
        (more.bytes - one.bytes) / days,
        (more.seconds - one.seconds) / days,
    )


def year(root: Path, name: str) -> float:
    """Processor seconds of a backfill of 365 days of trades, raw days at hand."""
    work = _prepared(root, _BENCH / "history" / f"{name}-year", 365, "trade_tick")
    return _fill(Side(""), root, work).cpu


def before() -> Path | None:
    """A checkout of the earlier commit with its packages; None, and why on stderr, where it cannot be made."""
    given = os.environ.get("HEDGEGRID_BEFORE")
    folder = Path(given) if given else _BENCH / "before"
    if not (folder / ".venv/bin/hedgegrid").exists():
        steps = (
            ["git", "worktree", "add", "--force", "--detach", str(folder), BEFORE],
            ["make", "-C", str(folder), "setup"],
        )
        for step in steps:
            done = subprocess.run(step, cwd=_HERE, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.stderr.write(f"no comparison with {BEFORE}: {' '.join(step)}: {done.stderr.strip()[-300:]}\n")
                return None
    return folder


# ---------------------------------------------------------------- one measurement


def _measured(side: Side, root: Path, days: int) -> tuple[_Spent, _Spent]:
    """With Dagster, and without."""
    work = _prepared(root, _BENCH / "history" / f"{'ours' if root == _HERE else 'before'}-{days}", days, _TABLES)
    found = _fill(side, root, work), _direct(root, work)
    sys.stderr.write(f"  {days:3} days, {side.title or BEFORE}: {found[0].cpu:.2f} s, directly {found[1].cpu:.2f} s\n")
    return found


def _prepared(root: Path, work: Path, days: int, tables: str) -> Path:
    """A folder with raw days; they are made once."""
    ready = work / "ready"
    if not ready.exists():
        shutil.rmtree(work, ignore_errors=True)
        _capture(work / "data/raw/websocket/all.jsonl.gz", days, marks=_MARKS if "mark" in tables else 0)
        feeds = _FEED.format(start=DAY, end=DAY + timedelta(days=days), tables=tables)
        (work / "feeds.yaml").write_text(feeds)
        _fill(Side(""), root, work)
        _direct(root, work)
        ready.touch()
    return work


def _fill(side: Side, root: Path, work: Path) -> _Spent:
    """A new catalog, with a new history."""
    home = work / "home"
    for folder in (home, work / "data/catalog"):
        shutil.rmtree(folder, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(side.settings)
    python, hedgegrid = (str(root / ".venv/bin" / name) for name in ("python", "hedgegrid"))
    if side.laid_out:
        _run([python, "-m", "hedgegrid_assets.defs.history"], work, root)
    command = [python, str(Path(__file__).with_name(side.script))] if side.script else [hedgegrid, "backfill"]
    spent = _run([*command, "captured", "--quiet"], work, root)
    files = [path for path in home.rglob("*") if path.is_file()]
    return _Spent(spent.seconds, spent.cpu, _events(home), sum(path.stat().st_size for path in files))


def _direct(root: Path, work: Path) -> _Spent:
    """The same days without Dagster."""
    shutil.rmtree(work / "direct", ignore_errors=True)
    source = str(work / "data/raw/websocket/all.jsonl.gz")
    places = ("--data", str(work / "data"), "--output", str(work / "direct"))
    command = (str(root / ".venv/bin/hedgegrid"), "replay-to-parquet", "--source", "websocket", "--input", source)
    return _run([*command, *places, "--symbol", "BTCUSDT", "--quiet"], work, root)


def _run(command: Sequence[str], work: Path, root: Path) -> _Spent:
    """Raises RuntimeError."""
    places = {"DAGSTER_HOME": work / "home", "HEDGEGRID_DATA": work / "data", "HEDGEGRID_FEEDS": work / "feeds.yaml"}
    log = work / "log.txt"
    with log.open("w") as out:
        started = time.perf_counter()
        environment = os.environ | {name: str(path) for name, path in places.items()}
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-2_000:]}")
    return _Spent(time.perf_counter() - started, usage.ru_utime + usage.ru_stime)


def _events(home: Path) -> int:
    one = home / "event_log.db"
    found = 0
    for path in [one] if one.exists() else (home / "history/runs").glob("*-*.db"):
        with closing(sqlite3.connect(path)) as database:
            found += database.execute("SELECT count(*) FROM event_logs").fetchone()[0]
    return found


# ---------------------------------------------------------------- input


def _capture(path: Path, days: int, *, marks: int) -> None:
    """Messages of whole days: a price that wanders, trades and marks evenly spread over each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wander = random.Random(7)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(days):
            at = day_start(DAY + timedelta(days=number)) // 1_000_000
            messages = [*_spread(at + 1_000, _TRADES, "trade"), *_spread(at + 500, marks, "mark")]
            price = 425_000
            lines: list[str] = []
            for ms, kind, step in sorted(messages):
                price += wander.randint(-9, 9)
                text = _trade(ms, number * _TRADES + step, price) if kind == "trade" else _mark(ms, at, price)
                lines.append(f"{(ms + 20) * 1_000_000} {text}\n")
            file.write("".join(lines).encode())


def _spread(start: int, count: int, kind: str) -> Iterator[tuple[int, str, int]]:
    for step in range(count):
        yield start + step * 86_390_000 // max(1, count - 1), kind, step


def _trade(ms: int, number: int, price: int) -> str:
    told = {"e": "aggTrade", "E": ms, "s": "BTCUSDT", "a": number, "p": f"{price / 10:.2f}", "q": "0.125"}
    told |= {"f": number, "l": number, "T": ms, "m": bool(number & 1)}
    return json.dumps({"stream": "btcusdt@aggTrade", "data": told}, separators=(",", ":"))


def _mark(ms: int, midnight: int, price: int) -> str:
    told = {"e": "markPriceUpdate", "E": ms, "s": "BTCUSDT", "p": f"{price / 10:.8f}", "i": f"{price / 10 - 1:.8f}"}
    told |= {
        "P": f"{price / 10:.8f}",
        "r": "0.00010000",
        "T": midnight + 28_800_000 * (1 + (ms - midnight) // 28_800_000),
    }
    return json.dumps({"stream": "btcusdt@markPrice", "data": told}, separators=(",", ":"))


# ---------------------------------------------------------------- told


def table(*, full: bool = False) -> list[str]:
    """Lines of a Markdown table; ``full``: a year as well, which takes a quarter of an hour before."""
    then = before()
    base = cost(Side(""), then, _DAYS_BEFORE) if then else None
    lines = [
        "| Dagster's share of an instrument-day: 4 tables, 26 checks, blocks of 30 | CPU ms | of before | events | kB | budget |",
        "|---|---:|---:|---:|---:|---|",
    ]
    if base:
        lines.append(
            f"| {BEFORE}: a run a day | {base.cpu * 1e3:,.0f} | 1 | {base.events:.1f} | {base.bytes / 1e3:,.0f} | |"
        )
    lines += [_line(side, cost(side, _HERE, DAYS), base) for side in SIDES]
    if full and then:
        ours, theirs = year(_HERE, "ours"), year(then, "before")
        told = _budget(theirs / ours >= 6, f"≥ 6× faster ({theirs / ours:.1f}×)")
        lines += [f"| `hedgegrid backfill` of a year of trades: {ours:.0f} s, before {theirs:.0f} s | | | | | {told} |"]
    return lines


def _line(side: Side, found: Cost, base: Cost | None) -> str:
    share = found.cpu / base.cpu if base else None
    kept = [
        *([_budget(share <= side.cpu, f"≤ 1/{1 / side.cpu:.0f}")] if share is not None else []),
        _budget(found.events <= MOST_EVENTS, f"≤ {MOST_EVENTS}"),
        _budget(found.bytes <= side.kilobytes * 1e3, f"≤ {side.kilobytes:.0f} kB"),
    ]
    of_before = f"1/{1 / share:.1f}" if share else ""
    numbers = f"{found.cpu * 1e3:,.0f} | {of_before} | {found.events:.1f} | {found.bytes / 1e3:,.0f}"
    return f"| {side.title} | {numbers} | {', '.join(kept)} |"


def _budget(kept: bool, text: str) -> str:
    return f"{text} {'kept' if kept else '**missed**'}"


if __name__ == "__main__":
    sys.stdout.write("\n".join([*table(full="--full" in sys.argv), ""]))
