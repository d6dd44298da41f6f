"""The engine's process: one job in, one answer out; what it prints is the run's log.

A process of its own gives its memory back, is not taken down by what a strategy does, and has one order of sets.
"""

import gc
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from hedgegrid_assets.backtest.job import Outcome, Refusal, read_job, write_answer

JOB: Final = "job.json"
ANSWER: Final = "answer.json"
_ALLOCATIONS: Final = 200_000


def main() -> None:
    """Run the job of the folder named."""
    gc.set_threshold(_ALLOCATIONS)
    folder = Path(sys.argv[1])
    write_answer(_run(folder), folder / ANSWER)


def _run(folder: Path) -> Outcome | Refusal:
    installed = version("nautilus_trader")
    if not installed.startswith("1."):
        return Refusal(f"backtests run on nautilus_trader 1.x, found {installed}", hint="run: make setup", usage=False)
    from hedgegrid_assets.backtest import nautilus1

    return nautilus1.run(read_job(folder / JOB))
