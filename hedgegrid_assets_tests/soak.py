"""A house under load for some minutes: files dropped and corrected, a provider with faults, kills; in the end all must be as if built at once.

By hand: ``python -m hedgegrid_assets_tests.soak --minutes 10 --seed 1``. Dagster's own daemon runs, with its sensors and a
schedule, quicker than usual; commands of the product run beside it. At the end the last state of the landing zone and of
the provider is built anew in an empty place: catalog and raw days must be the same, byte by byte.
"""

import argparse
import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg

from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.defs import feed_contexts_of
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.freshness import is_fresh, with_raw
from hedgegrid_assets.pipeline.landing import waiting_files
from hedgegrid_assets_tests.archive_cases import aggregates
from hedgegrid_assets_tests.dagster_feeds import day_of
from hedgegrid_assets_tests.standins.archive import Standin
from hedgegrid_assets_tests.standins.server import Fault
from hedgegrid_assets_tests.survival import differences, tree

SYMBOLS: Final = ("ETHUSDT", "SOLUSDT")
DAYS: Final = range(3, 15)
"""Of captures, counted from 2024-01-01; those of ``OLD`` are taken out in between."""
OLD: Final = range(2)
_KEPT_FROM: Final = date(2024, 1, 3)
_FEEDS: Final = """version: 1
feeds:
  captures:
    source: websocket
    venue: BINANCE
    symbols: [ETHUSDT, SOLUSDT]
    tables: [trade_tick, mark_price_update]
    start: 2024-01-01
    end: 2024-02-01
    landing: ["websocket/**/*.jsonl*"]
    instruments:
      ETHUSDT: {{price_precision: 2, size_precision: 3, mark_precision: 8}}
      SOLUSDT: {{price_precision: 2, size_precision: 3, mark_precision: 8}}
  free:
    source: archive
    venue: BINANCE
    symbols: [BTCUSDT]
    tables: [trade_tick]
    start: {start}
    settings: {{endpoint: "{endpoint}"}}
    schedule: {{at: "{at}", look_back_days: 3}}
    instruments:
      BTCUSDT: {{price_precision: 2, size_precision: 3, mark_precision: 8}}
"""
_QUICKER: Final = """from pathlib import Path
from hedgegrid_assets.defs import attempts, load, sensors
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests.archive_cases import QUICK
sensors.SECONDS, attempts._FIRST_SECONDS, attempts._LONGEST_SECONDS = 3, 3, 15
limits.in_force = QUICK
"""
_LOCATION: Final = _QUICKER + "defs = load(Path({feeds!r}), Path({data!r}))\n"
_COMMAND: Final = _QUICKER + "import sys\nfrom hedgegrid_assets.cli import run\nsys.exit(run(sys.argv[1:]))\n"
_WORKSPACE: Final = 'load_from:\n  - python_file: {{relative_path: "{file}", location_name: here}}\n'
_SHIPPED: Final = Path(__file__).parents[1] / "dagster.yaml"
_COMPARED: Final = ("data/catalog", "data/raw/captures", "data/raw/free")
_SETTLED_SECONDS: Final = 15.0
_COMMAND_SECONDS: Final = 300.0
_KILL_EVERY_SECONDS: Final = 60.0
"""About: so often a run is killed whatever else is drawn."""
_RUN_SECONDS: Final = 40.0
"""So long a run is waited for that is to be killed."""


class House:
    """A folder with two feeds, an instance of Dagster and its daemon."""

    def __init__(self, root: Path, feeds: str) -> None:
        self.root = root
        self.landing = root / "data/raw/websocket"
        self.landing.mkdir(parents=True)
        self.feeds, self.data, self.dagster = root / "feeds.yaml", root / "data", root / "dagster"
        self.feeds.write_text(feeds)
        self.dagster.mkdir()
        quick = "run_monitoring:\n  enabled: true\n  poll_interval_seconds: 10\n"
        text = _SHIPPED.read_text().replace("run_monitoring:\n  enabled: true\n", quick)
        (self.dagster / "dagster.yaml").write_text(
            text.replace("start_timeout_seconds: 180", "start_timeout_seconds: 120")
        )
        (root / "location.py").write_text(_LOCATION.format(feeds=str(self.feeds), data=str(self.data)))
        (root / "workspace.yaml").write_text(_WORKSPACE.format(file=root / "location.py"))
        self.env = {**os.environ, "DAGSTER_HOME": str(self.dagster), "HEDGEGRID_DATA": str(self.data)}
        self.env |= {"HEDGEGRID_FEEDS": str(self.feeds)}
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Dagster's daemon, in a session of its own."""
        log = (self.root / "daemon.log").open("ab")
        words = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-w", str(self.root / "workspace.yaml")]
        self._daemon = subprocess.Popen(
            words, env=self.env, cwd=self.dagster, stdout=log, stderr=log, start_new_session=True
        )

    def processes(self) -> dict[int, str]:
        """Process -> its command, of all that the daemon has started."""
        found: dict[int, str] = {}
        for path in Path("/proc").glob("[0-9]*/stat") if self._daemon else ():
            with contextlib.suppress(OSError, ValueError):  # it has just ended
                session = int(path.read_text().rpartition(")")[2].split()[3])
                command = (path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if self._daemon and session == self._daemon.pid and command:
                    found[int(path.parent.name)] = command
        return found

    def kill(self, wanted: Callable[[str], bool], chance: random.Random | None = None) -> int:
        """Kill all whose command is wanted, or one of them by chance; how many."""
        found = [process for process, command in self.processes().items() if wanted(command)]
        found = [chance.choice(found)] if chance and found else found
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return len(found)

    def stop(self) -> None:
        """As by a power cut: the daemon, its code servers and runs at once."""
        self.kill(lambda _: True)
        if self._daemon:
            self._daemon.wait()
            self._daemon = None

    def command(self, *words: str) -> tuple[int, str]:
        """A command of the product: exit code, and what it said."""
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND, *words],
            env=self.env,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def contexts(self) -> list[FeedContext]:
        """Its feeds."""
        found = read_feeds(self.feeds)
        return feed_contexts_of(found.feeds.values(), found.roots.absolute(self.data))

    def unfinished(self) -> list[str]:
        """What is not done yet, in words."""
        captures = next(context for context in self.contexts() if context.feed.name == "captures")
        found = [f"waits: {landing.path.name}" for landing in waiting_files(captures)]
        days = [
            InstrumentDay(instrument_id, day)
            for day in captures.feed.days(date(2024, 2, 1))
            for instrument_id in captures.feed.instrument_ids()
        ]
        found += [
            f"not made: {day.instrument_id} {day.date}"
            for day in with_raw(captures, days)
            if not is_fresh(captures, day)
        ]
        with dg.DagsterInstance.from_config(str(self.dagster)) as instance:
            found += [f"run {run.run_id} is {run.status.value}" for run in instance.get_runs() if not run.is_finished]
        return found


class Soak:
    """What is done to a house, at random; the same seed does the same things (when, the machine decides)."""

    def __init__(self, house: House, server: Standin, seed: int) -> None:
        self.house, self.server, self.chance = house, server, random.Random(seed)
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []
        self._half: dict[Path, bytes] = {}
        self._number = 0
        self._pruned = False

    def step(self) -> str:
        """One thing; what it was."""
        kinds: dict[Callable[[], object], int] = {
            self._drop: 8,
            self._correct: 5,
            self._half_written: 3,
            self._complete: 4,
            self._broken: 1,
            self._unknown: 1,
            self._publish_again: 2,
            self._fail: 4,
            self._kill_all: 1,
            self._look: 2,
            self._backup: 1,
            self._backfill: 2,
            self._refresh: 1,
            self._prune: 1,
        }
        (kind,) = self.chance.choices(list(kinds), list(kinds.values()))
        kind()
        name = kind.__name__.strip("_")
        self.done[name] += 1
        return name

    def finish(self) -> None:
        """What was half written or broken is completed, and the provider has no more faults."""
        while self._half:
            self._complete()
        self.server.inject()
        self.server.delay_seconds = 0.0
        self.server._faults.clear()

    # -- files

    def _content(self, days: Sequence[int] = DAYS) -> tuple[str, bytes]:
        number, symbol = self.chance.choice(days), self.chance.choice(SYMBOLS)
        first = self.chance.randrange(40)
        trades = range(number * 100 + first, number * 100 + first + 1 + self.chance.randrange(40))
        return f"{number:02}-{symbol}", day_of(number, symbol=symbol, trades=(each % 100 for each in trades))

    def _new_name(self, stem: str, ending: str = "jsonl") -> Path:
        self._number += 1
        return self.house.landing / f"{stem}-{self._number:03}.{ending}"

    def _put(self, path: Path, data: bytes) -> None:
        """As careful people do: whole at once."""
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(data)
        part.replace(path)

    def _drop(self) -> None:
        stem, data = self._content((*DAYS, *OLD))
        if self.chance.random() < 0.3:
            self._put(self._new_name(stem, "jsonl.gz"), gzip.compress(data))
        else:
            self._put(self._new_name(stem), data)

    def _correct(self) -> None:
        """Another content under a name that is there: of the same day and symbol, appended to, or in its place."""
        files = [path for path in sorted(self.house.landing.glob("*-*.jsonl")) if path not in self._half]
        if not files:
            return
        path = self.chance.choice(files)
        number, symbol, _ = path.stem.split("-")
        trades = self.chance.sample(range(100), self.chance.randrange(1, 30))
        data = day_of(int(number), symbol=symbol, trades=sorted(trades))
        if self.chance.random() < 0.5:
            with path.open("ab") as file:
                file.write(data)
        else:
            self._put(path, data)

    def _half_written(self) -> None:
        stem, data = self._content()
        path = self._new_name(stem)
        cut = self.chance.randrange(1, len(data))
        path.write_bytes(data[:cut])
        self._half[path] = data

    def _complete(self) -> None:
        if self._half:
            path = self.chance.choice(sorted(self._half))
            path.write_bytes(self._half.pop(path))

    def _broken(self) -> None:
        """No file of this kind, until somebody puts it right."""
        stem, data = self._content()
        path = self._new_name(stem, "jsonl.gz")
        path.write_bytes(b"\x1f\x8b" + self.chance.randbytes(200))
        self._half[path] = gzip.compress(data)

    def _unknown(self) -> None:
        self._put(self._new_name("00-XRPUSDT"), day_of(5, symbol="XRPUSDT"))

    # -- the provider

    def _publish_again(self) -> None:
        day = datetime.now(UTC).date() - timedelta(days=self.chance.randrange(1, 4))
        left = self.chance.randrange(1, 20)
        self.server.change(aggregates(day), lambda rows: rows[:-left])

    def _fail(self) -> None:
        kind, times = self.chance.choice(("status", "reset", "truncated", "html", "zero")), self.chance.randrange(1, 6)
        status, again = self.chance.choice(((500, None), (503, None), (429, "1"), (403, None)))
        self.server.inject(Fault(kind, "aggTrades", times=times, status=status, retry_after=again))
        self.server.delay_seconds = self.chance.choice((0.0, 0.0, 0.3))

    # -- processes

    def kill_run(self) -> str:
        """One of the runs that there are, some moment after one is seen; a file is dropped so that one comes."""
        self._drop()
        until = time.monotonic() + _RUN_SECONDS
        while time.monotonic() < until:
            if any(map(_is_run, self.house.processes().values())):
                time.sleep(self.chance.uniform(0, 4))
                if killed := self.house.kill(_is_run, self.chance):
                    self.done["runs killed"] += killed
                    return "kill_run"
            time.sleep(0.2)
        return "no run to kill"

    def _kill_all(self) -> None:
        self.house.stop()
        self.house.start()

    def _ran(self, *words: str, codes: Sequence[int] = (0,)) -> None:
        try:
            code, said = self.house.command(*words)
        except subprocess.TimeoutExpired:
            self.faults.append(f"{' '.join(words)} takes longer than {_COMMAND_SECONDS:.0f} s")
            return
        if code not in codes or "Traceback" in said or "is a fault of ours" in said:
            self.faults.append(f"{' '.join(words)} ended with {code}: {' | '.join(said.splitlines()[-8:])}")

    def _look(self) -> None:
        word = self.chance.choice(
            (["status"], ["status", "--json"], ["doctor"], ["prune", "--before", "2024-01-03", "--dry-run"])
        )
        self._ran(*word, codes=(0, 1))

    def _backup(self) -> None:
        archive = self.house.root / f"{self.done['backup']}.tar"
        if (self.house.data / "catalog").exists():
            self._ran("backup", str(archive), "--raw", "-q")
            self._ran("restore", str(archive), "--check", "-q")

    def _backfill(self) -> None:
        self._ran("backfill", self.chance.choice(("free", "captures")), "-q", codes=(0, 1))

    def _refresh(self) -> None:
        self._ran("refresh", "free", codes=(0, 1))

    def _prune(self) -> None:
        if (self.house.data / "catalog").exists():
            self._ran("prune", "--before", str(_KEPT_FROM), "-q")


def _is_run(command: str) -> bool:
    return "spawn_main" in command


# ---------------------------------------------------------------- the end


def settle(house: House, minutes: float) -> list[str]:
    """Wait until nothing is left to do, for a while; what is left nevertheless."""
    until, since = time.monotonic() + 60 * minutes, time.monotonic()
    while time.monotonic() < until:
        left = house.unfinished()
        if left:
            since = time.monotonic()
        elif time.monotonic() - since > _SETTLED_SECONDS:
            return []
        time.sleep(2)
    return left


def built_at_once(house: House, root: Path) -> House:
    """The same landing zone and provider, in a new place, without faults."""
    clean = House(root, house.feeds.read_text())
    shutil.rmtree(clean.landing)
    shutil.copytree(house.landing, clean.landing)
    for words in (("backfill", "captures"), ("backfill", "free"), ("prune", "--before", str(_KEPT_FROM))):
        code, said = clean.command(*words, "-q")
        if code:
            raise RuntimeError(f"{words} ended with {code}: {said}")
    return clean


def compared(house: House, clean: House) -> list[str]:
    """How the two differ, and what is left of files in the making."""
    found: list[str] = []
    for name in _COMPARED:
        found += [f"{name}: {told}" for told in differences(_of(clean.root / name), _of(house.root / name))]
    parts = [
        path for path in house.root.rglob("*") if path.name.startswith(".hedgegrid-") or path.name.endswith(".part")
    ]
    return found + [f"left over: {path.relative_to(house.root)}" for path in parts]


def _of(root: Path) -> dict[str, bytes]:
    """Without their history: the index of imports, what raw days were before, folders that are empty once all was pruned."""
    return {
        name: _without_history(data) if name.endswith(".json") else data
        for name, data in tree(root).items()
        if not name.endswith("/") and not name.startswith((".imports", ".pruned", ".hedgegrid/tmp"))
    }


def _without_history(document: bytes) -> bytes:
    said = json.loads(document)
    if isinstance(said, dict):
        said.pop("replaces", None)
    return json.dumps(said, sort_keys=True, indent=1).encode()


def soak(minutes: float, seed: int, root: Path, say: Callable[[str], None]) -> list[str]:
    """The whole of it; all that was wrong."""
    now = datetime.now(UTC)
    with Standin(trades_per_day=60) as server:
        feeds = _FEEDS.format(
            start=now.date() - timedelta(days=3),
            endpoint=server.endpoint,
            at=f"{now + timedelta(minutes=2):%H:%M}",
        )
        house = House(root / "house", feeds)
        work = Soak(house, server, seed)
        house.start()
        try:
            until = time.monotonic() + 60 * minutes
            kill_at = time.monotonic() + work.chance.uniform(0.5, 1) * _KILL_EVERY_SECONDS
            while time.monotonic() < until:
                if time.monotonic() >= kill_at:
                    kill_at = time.monotonic() + work.chance.uniform(0.5, 1) * _KILL_EVERY_SECONDS
                    say(work.kill_run())
                say(work.step())
                time.sleep(work.chance.uniform(0, 4))
            work.finish()
            say(f"settling; done so far: {dict(work.done)}")
            left = settle(house, 20)
            for words in (
                ("refresh", "free"),
                ("backfill", "free", "-q"),
                ("prune", "--before", str(_KEPT_FROM), "-q"),
            ):
                work._ran(*words)
            left += house.unfinished()
        finally:
            house.stop()
        work._ran("doctor")
        say(_numbers(house))
        return [
            *work.faults,
            *(f"left: {each}" for each in left),
            *compared(house, built_at_once(house, root / "clean")),
        ]


def _numbers(house: House) -> str:
    with dg.DagsterInstance.from_config(str(house.dagster)) as instance:
        statuses = Counter(run.status.value for run in instance.get_runs())
    files = sum(1 for path in house.landing.iterdir())
    days = len(list((house.data / "catalog").glob("*/*.verdict/*.json")))
    return f"runs {dict(statuses)}; {files} landing files; {days} table-days"


def main(words: Sequence[str] | None = None) -> int:
    """Tell what is done; 1 if anything was wrong in the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which stays")
    said = parser.parse_args(words)
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:7.1f} {text}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        wrong = soak(said.minutes, said.seed, said.keep or Path(temporary), say)
    for each in wrong:
        say(f"WRONG {each}")
    say(f"{len(wrong)} things wrong after {said.minutes} minutes with seed {said.seed}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
