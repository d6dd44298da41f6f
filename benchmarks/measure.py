"""Runs a side as a whole process, imports included, and tells what it took."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import PRODUCT
from benchmarks.cases import Case

_HERE: Final = Path(__file__).resolve().parent.parent
_ONE_FOR_ALL: Final[Mapping[str, Path]] = {}


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: wall and processor time in s; peak resident memory and bytes of Nautilus tables in MB (10^6 bytes)."""

    seconds: float
    cpu: float
    memory: float
    disk: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs of one side."""

    side: str
    rows: int
    samples: Sequence[Sample]

    @property
    def seconds(self) -> float:
        """Median wall time in s."""
        return median(sample.seconds for sample in self.samples)

    @property
    def span(self) -> tuple[float, float]:
        """Shortest and longest wall time in s."""
        return min(sample.seconds for sample in self.samples), max(sample.seconds for sample in self.samples)

    @property
    def memory(self) -> float:
        """Largest peak memory in MB."""
        return max(sample.memory for sample in self.samples)

    @property
    def cpu(self) -> float:
        """Median processor time in s."""
        return median(sample.cpu for sample in self.samples)

    @property
    def disk(self) -> float:
        """Nautilus tables in MB."""
        return self.samples[-1].disk


def run(side: str, source: Path, work: Path, *, again: bool = False) -> Sample:
    """Run one side in an empty work folder (``again``: in the one that its last run left). Raises RuntimeError.

    ``SIDE@COMMIT`` is the side by the product of that commit (see ``older``).
    """
    name, _, commit = side.partition("@")
    tree = older(commit) if commit else _HERE
    if not again:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    log = work / "log.txt"
    with log.open("w") as out:
        started = time.perf_counter()
        process = subprocess.Popen(
            [_python(tree), "-m", "benchmarks.sides", name, str(source), str(work)],
            cwd=_HERE,
            env=os.environ | {PRODUCT: str(tree)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{side} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    tables = [path for path in (work / "catalog" / "data").rglob("*.parquet") if "crypto_perpetual" not in path.parts]
    return Sample(
        seconds,
        usage.ru_utime + usage.ru_stime,
        int((work / "peak").read_text()) / 1e6,
        sum(path.stat().st_size for path in tables) / 1e6,
    )


def run_at_hand(side: str, source: Path, work: Path) -> Sample:
    """Run one side with its raw days at hand: they are made by a run before, outside of what is measured."""
    run(side, source, work)
    shutil.rmtree(work / "catalog")
    return run(side, source, work, again=True)


@cache
def older(commit: str) -> Path:
    """The product as it was at a commit, checked out and set up beside this one; once."""
    tree = _HERE / ".bench" / "older" / commit
    if not (tree / ".venv").exists():
        subprocess.run(["git", "worktree", "prune"], cwd=_HERE, check=True)
        subprocess.run(["git", "worktree", "add", "--force", "--detach", str(tree), commit], cwd=_HERE, check=True)
        subprocess.run(["make", "setup"], cwd=tree, check=True)
    return tree


def _python(tree: Path) -> str:
    return sys.executable if tree == _HERE else str(tree / ".venv" / "bin" / "python")


def compare(
    case: Case,
    rows: int,
    rounds: int,
    source: Path,
    work: Path,
    warm_up: Path | None = None,
    of_peer: Mapping[str, Path] = _ONE_FOR_ALL,
) -> list[Measured]:
    """All sides of a case, in turn, so that a machine whose speed drifts is as fair to one as to the other.

    ``warm_up``: a small input, on which each side runs once before. ``of_peer``: the inputs of sides that have their own.
    """
    samples: dict[str, list[Sample]] = {side: [] for side in case.sides}
    if warm_up is not None:
        for side in case.sides:
            if side not in of_peer:
                run(side, warm_up, work / side)
    for number in range(rounds):
        for side in case.sides:
            sample = run(side, of_peer.get(side, source), work / side)
            samples[side].append(sample)
            sys.stderr.write(
                f"  round {number + 1} of {rounds}  {side:<20} {sample.seconds:7.2f} s {sample.memory:6,.0f} MB\n"
            )
    return [Measured(side, rows, runs) for side, runs in samples.items()]
