"""The engine's process: one job in, one answer out; what it prints is the run's log.

A process of its own gives its memory back, is not taken down by what a strategy does, and has one order of sets.
"""

import gc
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Final

from hedgegrid_assets.backtest.job import Backtest, Outcome, Refusal, read_job, write_answer
from hedgegrid_assets.backtest.usable import NotUsable
from hedgegrid_assets.stages.catalog.installed import installed_version

JOB: Final = "job.json"
ANSWER: Final = "answer.json"
_ALLOCATIONS: Final = 200_000


def main() -> None:
    """Run the job of the folder named."""
    gc.set_threshold(_ALLOCATIONS)
    folder = Path(sys.argv[1])
    write_answer(_run(folder), folder / ANSWER)


def _run(folder: Path) -> Outcome | Refusal:
    """Run the job of a folder; its tables are left there, also where a strategy raises."""
    job, installed = read_job(folder / JOB), installed_version()
    if installed is None or not installed.startswith(f"{job.generation}."):
        told = f"{sys.executable} is to run a backtest: expected nautilus_trader {job.generation}.x in it, found {installed or 'none'}"
        return Refusal(told, hint=f"let NAUTILUS{job.generation}_PYTHON name another Python", usage=False)
    sys.path += [path for path in job.paths if path not in sys.path]
    try:
        backtest: Backtest = import_module(f"hedgegrid_assets.backtest.nautilus{job.generation}").Backtest(job)
    except NotUsable as error:
        return error.refusal
    started, cpu = time.monotonic(), time.process_time()
    raised = backtest.run()
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    backtest.write(Path(job.folder))
    return backtest.outcome(raised, seconds, cpu_seconds)
