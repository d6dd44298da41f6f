"""Workers of several machines on this one, killed at random: PostgreSQL, Redis, SeaweedFS, and Celery workers.

``python -m hedgegrid_assets_tests.trial_scale --days 60 --kills 6 --seed 1``: at the end the bucket holds, byte for byte,
what a clean build on a disk holds, no day is lost, and no run is left as if it ran.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._cli.job import _create_run, get_remote_job_from_remote_repo
from dagster._cli.workspace.cli_target import (
    WorkspaceOpts,
    get_code_location_from_workspace,
    get_remote_repository_from_code_location,
    get_workspace_from_cli_opts,
)

from hedgegrid_assets import validate_catalog
from hedgegrid_assets.config.feeds import read_feeds
from hedgegrid_assets.defs.backfill import backfill
from hedgegrid_assets.defs.partitions import blocks_of, range_tags
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.store import StorePath, stored
from hedgegrid_assets_tests.standins import s3
from hedgegrid_assets_tests.standins.services import postgres, redis

DEPLOY: Final = Path(__file__).parents[1] / "examples/deploy/celery"
START: Final = date(2024, 1, 1)
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")
OVER: Final = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
BIN: Final = Path(sys.executable).parent


@dataclass(frozen=True)
class Asked:
    """A trial. ``block``: days of a run; ``patience``: seconds for all of it."""

    symbols: int = 2
    days: int = 60
    block: int = 15
    trades: int = 2000
    workers: int = 3
    kills: int = 6
    seed: int = 1
    patience: int = 1800


@dataclass
class Told:
    """What came of it.

    Attributes:
        failures: Why runs failed that were tried again.
        work: Seconds from the first run to the end of the last.
        cpu: Seconds of the workers that were not killed.
    """

    runs: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    killed: int = 0
    left: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)
    days: int = 0
    work: float = 0.0
    cpu: float = 0.0
    seconds: float = 0.0
    valid: bool = False

    @property
    def ok(self) -> bool:
        """All is there, nothing else is, and nothing is left on its way."""
        return not self.left and not self.differ and self.valid


def feeds_of(folder: Path, asked: Asked, *roots: str) -> Path:
    """The same feed, on a disk or in a bucket."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "feeds.yaml"
    lines = [
        *("version: 1", *roots, "feeds:", "  sim:", "    source: synthetic", "    venue: SIM"),
        f"    symbols: [{', '.join(SYMBOLS[: asked.symbols])}]",
        *(f"    start: {START}", f"    end: {START + timedelta(days=asked.days)}"),
        f"    settings: {{trades_per_day: {asked.trades}, seed: 7}}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def content(root: StorePath) -> dict[str, bytes]:
    """All that is data: what says when and where it was made is left out."""
    return {path.below(root): path.read_bytes() for path in root.tree() if path.name.endswith((".parquet", ".zst"))}


class Workers:
    """Celery workers, each as if on a machine of its own: a scratch, a data root and a group of processes."""

    def __init__(self, folder: Path, environment: dict[str, str], count: int) -> None:
        self._folder, self._environment = folder, environment
        self._running: dict[int, subprocess.Popen[bytes]] = {number: self._start(number) for number in range(count)}

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        home = self._folder / f"worker-{number}"
        shutil.rmtree(home, ignore_errors=True)  # a machine that was lost comes back empty
        home.mkdir(parents=True)
        own = {"HEDGEGRID_SCRATCH": str(home / "scratch"), "HEDGEGRID_DATA": str(home / "data")}
        command = [
            *(str(BIN / "celery"), "-A", "dagster_celery.app", "worker", "-Q", "dagster", "--concurrency", "1"),
            *(
                "--loglevel",
                "WARNING",
                "-n",
                f"worker-{number}-{time.time_ns()}@trial",
                "--without-mingle",
                "--without-gossip",
            ),
        ]
        with (self._folder / f"worker-{number}.log").open("ab") as log:
            return subprocess.Popen(
                command, env=self._environment | own, cwd=home, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, number: int) -> None:
        """As a machine that loses its power; another one takes its place."""
        _kill(self._running[number])
        self._running[number] = self._start(number)

    def close(self) -> None:
        """Not needed any more."""
        for process in self._running.values():
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def daemon(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Dagster's queue, monitoring and retries."""
    command = [str(BIN / "dagster-daemon"), "run", "-m", "hedgegrid_assets.definitions", "--log-level", "warning"]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        _kill(process)


def submit(instance: dg.DagsterInstance, asked: Asked) -> None:
    """A run for each block, into the queue; of no backfill, so that retries are theirs."""
    days = [
        InstrumentDay(f"{symbol}-PERP.SIM", START + timedelta(days=number))
        for symbol in SYMBOLS[: asked.symbols]
        for number in range(asked.days)
    ]
    opts = WorkspaceOpts(module_name=("hedgegrid_assets.definitions",))
    with get_workspace_from_cli_opts(instance, dg.__version__, opts) as workspace:
        location = get_code_location_from_workspace(workspace, None)
        repository = get_remote_repository_from_code_location(location, None)
        job = get_remote_job_from_remote_repo(repository, "sim_days")
        for block in blocks_of(days, asked.block):
            made = _create_run(instance, location, repository, job, {}, range_tags(block), None, None)
            instance.submit_run(made.run_id, workspace)


def settings(asked: Asked, folder: Path, places: dict[str, str]) -> dict[str, str]:
    """A home of Dagster as in the example, with as many runs as there are workers, and a watch that looks more often."""
    home = folder / "home"
    home.mkdir()
    text = (DEPLOY / "dagster.yaml").read_text(encoding="utf-8")
    quick = {
        "poll_interval_seconds: 30": "poll_interval_seconds: 2",
        "max_retries: 2": "max_retries: 10",
        "dequeue_num_workers: 4": "dequeue_interval_seconds: 1",
        "max_concurrent_runs: 8": f"max_concurrent_runs: {asked.workers}",
    }
    for slow, fast in quick.items():
        assert slow in text
        text = text.replace(slow, fast)
    (home / "dagster.yaml").write_text(text, encoding="utf-8")
    return {
        **os.environ,
        **places,
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(DEPLOY), os.environ.get("PYTHONPATH", "")]),
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "PYTHONWARNINGS": "ignore",
    }


def trial(asked: Asked, folder: Path) -> Told:
    """Do it; ``folder`` gets the logs."""
    told, started = Told(), time.monotonic()
    with ExitStack() as stack:
        database, broker = stack.enter_context(postgres()), stack.enter_context(redis())
        program = s3.weed()
        assert program is not None, "no S3 server: make servers"
        (folder / "weed").mkdir()
        address = stack.enter_context(s3.running(program, folder / "weed"))
        access, secret = s3.KEYS
        places = {
            "HEDGEGRID_POSTGRES_URL": f"postgresql+psycopg2://hedgegrid@127.0.0.1:{database}/postgres",
            "HEDGEGRID_BROKER_URL": f"redis://127.0.0.1:{broker}/0",
            "HEDGEGRID_RESULTS_URL": f"redis://127.0.0.1:{broker}/1",
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": address,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "HEDGEGRID_SCRATCH": str(folder / "scratch"),
            "HEDGEGRID_DATA": str(folder / "data"),
        }
        os.environ.update(places)
        bucket = f"s3://{s3.new_bucket()}"
        feeds = feeds_of(folder, asked, f"data: {bucket}/data", f"catalog: {bucket}/catalog")
        environment = settings(asked, folder, places | {"HEDGEGRID_FEEDS": str(feeds)})
        os.environ.update(environment)
        instance = stack.enter_context(dg.DagsterInstance.get())
        workers = Workers(folder, environment, asked.workers)
        stack.callback(workers.close)
        with daemon(folder, environment):
            submit(instance, asked)
            begun = time.monotonic()
            _kill_at_random(asked, instance, workers, told)
        told.work, used = time.monotonic() - begun, _cpu_of_children()
        workers.close()
        told.cpu = _cpu_of_children() - used
        told.runs = Counter(str(run.status.value) for run in instance.get_runs())
        told.failures = list(_failures(instance))
        told.left = [run.run_id for run in instance.get_runs() if run.status not in OVER]
        _compare(asked, folder, bucket, told)
    told.seconds = time.monotonic() - started
    return told


def _cpu_of_children() -> float:
    """Seconds of the processes that were waited for, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _kill_at_random(asked: Asked, instance: dg.DagsterInstance, workers: Workers, told: Told) -> None:
    """Until all runs are over and none is to be tried again."""
    chance, end, quiet = random.Random(asked.seed), time.monotonic() + asked.patience, 0
    due = float("inf")
    while quiet < 3 and time.monotonic() < end:
        runs = instance.get_runs()
        if due == float("inf") and _is_at_work(runs):
            due = time.monotonic() + chance.uniform(0, 4)
        if told.killed < asked.kills and time.monotonic() >= due and _is_at_work(runs):
            workers.kill(chance.randrange(asked.workers))
            told.killed += 1
            due = time.monotonic() + chance.uniform(2, max(10, asked.days))
        quiet = quiet + 1 if runs and all(map(_is_over, runs)) else 0
        time.sleep(1)


def _failures(instance: dg.DagsterInstance) -> Iterator[str]:
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])):
        for log in instance.all_logs(run.run_id, dg.DagsterEventType.RUN_FAILURE):
            yield log.user_message or (log.dagster_event.message if log.dagster_event else "") or ""


def _is_at_work(runs: Sequence[dg.DagsterRun]) -> bool:
    return any(run.status == dg.DagsterRunStatus.STARTED for run in runs)


def _is_over(run: dg.DagsterRun) -> bool:
    """Over, and not about to be tried again."""
    again = run.status == dg.DagsterRunStatus.FAILURE and run.tags.get("dagster/will_retry") == "true"
    return run.status in OVER and (not again or "dagster/auto_retry_run_id" in run.tags)


def _compare(asked: Asked, folder: Path, bucket: str, told: Told) -> None:
    """With a clean build on a disk."""
    clean = feeds_of(folder / "clean", asked)
    with dg.DagsterInstance.ephemeral() as instance:
        assert backfill("sim", instance=instance, feeds=clean, data=folder / "clean" / "data").ok
    places = read_feeds(clean).roots.absolute(folder / "clean" / "data")
    for name, of in (("catalog", places.catalog), ("data", places.data / "raw")):
        there = stored(f"{bucket}/catalog" if name == "catalog" else f"{bucket}/data/raw")
        held, wanted = content(there), content(of)
        told.differ += [f"{name}/{key}" for key in held.keys() | wanted.keys() if held.get(key) != wanted.get(key)]
    report = validate_catalog(f"{bucket}/catalog")
    told.valid, told.days = report.ok, len(report.days)


def main() -> int:
    """As a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    for each in fields(Asked):
        parser.add_argument(f"--{each.name}", type=int, default=each.default)
    asked = Asked(**vars(parser.parse_args()))
    folder = Path(tempfile.mkdtemp(prefix="hedgegrid-trial-"))
    told = trial(asked, folder)
    sys.stdout.write(f"{asked}\n{told}\n{'as a clean build' if told.ok else f'NOT as a clean build; logs: {folder}'}\n")
    if told.ok:
        shutil.rmtree(folder)
    return 0 if told.ok else 1


if __name__ == "__main__":
    sys.exit(main())
