"""``hedgegrid dev``: the Dagster UI with its daemon, on this machine only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from hedgegrid_assets.cli.output import Data, Feeds, Quiet, say
from hedgegrid_assets.cli.setup import starter_root
from hedgegrid_assets.config.paths import dagster_home, data_path, feeds_path
from hedgegrid_assets.errors import EnvironmentFault, FeedsFileMissing, UsageError

_HOST: Final = "127.0.0.1"
_SETTINGS: Final = "dagster.yaml"
_INDEX: Final = "history/runs/index.db"
"""Of a history that is there; with another storage than Dagster's default there is none, and laying out does no harm."""
_COPIER: Final = "quieted.py"
_SUPERSEDED: Final = "ignore:Function `dev_command` is superseded"
"""Dagster's advice to use `dg dev`, which wants the tree of a project; ours may be installed."""


def dev(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the UI listens, on loopback.")] = 3000,
    data: Data = None,
    feeds: Feeds = None,
    quiet: Quiet = False,
) -> int:
    """Start the Dagster UI and its daemon on this machine: lineage, partitions, checks, backfills, sensors, schedules.

    The history lies in DAGSTER_HOME, else in .dagster_home, as that of `hedgegrid backfill` does. ctrl-C ends all of it in
    order, with exit code 0.
    """
    file = feeds or feeds_path()
    if not file.exists():
        raise FeedsFileMissing(file)
    _refuse_taken(port)
    home = _prepared_home()
    workspace = _ours_or_shipped("workspace.yaml")
    # Dagster's processes have other working directories, so these must be absolute
    os.environ |= {
        "DAGSTER_HOME": str(home),
        "HEDGEGRID_FEEDS": str(file.absolute()),
        "HEDGEGRID_DATA": str((data or data_path()).absolute()),
        "PYTHONWARNINGS": ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), _SUPERSEDED))),
    }
    if not (home / _INDEX).exists():
        from hedgegrid_assets.defs.history import lay_out

        lay_out()
    if not quiet:
        say(f"the UI: http://{_HOST}:{port} (warnings and errors of the services follow; runs tell theirs in the UI)")
    sys.stderr.flush()
    # Dagster ends by SIGINT and SIGTERM alike, and by neither where a script has started it in the background: SIGINT is ignored there
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.chdir(home)
    if sys.stderr.isatty():
        _quiet_at_the_end()
    command = ["-m", "dagster", "dev", "-w", str(workspace), "-h", _HOST, "-p", str(port), "--log-level", "warning"]
    os.execv(sys.executable, [sys.executable, *command])


def _quiet_at_the_end() -> None:
    """What is written to stderr from now on passes through a process that drops it after ctrl-C."""
    program = str(Path(__file__).with_name(_COPIER).absolute())
    read, write = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until that process can take it
    subprocess.Popen([sys.executable, "-I", "-S", program], stdin=read)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.dup2(write, sys.stderr.fileno())
    os.close(read)
    os.close(write)


def _refuse_taken(port: int) -> None:
    """Dagster would take another port, and say so where nobody looks."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_HOST, port))
        except OSError as error:
            raise EnvironmentFault(
                f"port {port} is not to be had: {error.strerror}", hint=f"name another: hedgegrid dev --port {port + 1}"
            ) from None


def _prepared_home() -> Path:
    """Dagster's home, with the settings that lie in the working directory, or those that ship."""
    home = dagster_home()
    if not home.is_absolute():
        raise UsageError(f"DAGSTER_HOME is not usable: expected an absolute path, found {str(home)!r}")
    try:
        home.mkdir(parents=True, exist_ok=True)
        if Path(_SETTINGS).is_file() or not (home / _SETTINGS).exists():
            shutil.copyfile(_ours_or_shipped(_SETTINGS), home / _SETTINGS)
    except OSError as error:
        raise EnvironmentFault(f"cannot write to {home}: {error.strerror or error}") from error
    return home


def _ours_or_shipped(name: str) -> Path:
    here = Path(name).absolute()
    return here if here.is_file() else starter_root() / name
