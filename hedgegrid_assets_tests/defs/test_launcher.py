"""Runs whose process is gone are over, and nobody waits for a time that a wrong clock has set."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.events import EngineEventData

from hedgegrid_assets.defs.attempts import Attempts
from hedgegrid_assets.defs.launcher import WatchedRunLauncher
from hedgegrid_assets.defs.private import GRPC_INFO_TAG, WorkerStatus
from hedgegrid_assets.store.processes import is_alive

SHIPPED = Path(__file__).parents[2] / "dagster.yaml"


@pytest.fixture
def instance(tmp_path: Path) -> Any:
    (tmp_path / "dagster.yaml").write_text(SHIPPED.read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def idle() -> None:
    """A job of no work."""
    nothing()


def a_run(
    instance: dg.DagsterInstance, process: int | None, where: str = '{"host": "localhost", "socket": "/tmp/x"}'
) -> Any:
    run = instance.create_run_for_job(idle, tags={GRPC_INFO_TAG: where}, status=dg.DagsterRunStatus.STARTED)
    if process is not None:
        told = f"Started process for run (pid: {process})."
        instance.report_engine_event(told, run, EngineEventData.in_process(process))
    return instance.get_run_by_id(run.run_id)


@pytest.fixture
def gone() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_shipped_settings_have_the_launcher_that_watches(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, WatchedRunLauncher)
    assert yaml.safe_load(SHIPPED.read_text())["run_monitoring"]["enabled"]


def test_a_run_whose_process_is_gone_is_not_found_and_one_that_works_runs(
    instance: dg.DagsterInstance, gone: int
) -> None:
    found = instance.run_launcher.check_run_worker_health(a_run(instance, gone))
    assert found.status is WorkerStatus.NOT_FOUND
    assert str(gone) in (found.msg or "")
    assert instance.run_launcher.check_run_worker_health(a_run(instance, os.getpid())).status is WorkerStatus.RUNNING


def test_a_run_of_another_machine_or_of_no_known_process_is_left_alone(instance: dg.DagsterInstance, gone: int) -> None:
    elsewhere = a_run(instance, gone, '{"host": "10.0.0.7", "port": 4000}')
    for run in (elsewhere, a_run(instance, None)):
        assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_process_that_has_ended_and_that_nobody_has_asked_is_not_alive() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print('there', flush=True); input()"], stdin=-1, stdout=-1
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_alive(process.pid, "python")
        assert not is_alive(process.pid, "no such program")
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(process.pid, "python")


def test_a_pause_before_another_attempt_ends_when_the_clock_was_set_back() -> None:
    tried = Attempts(count=3, ended=1_000_000.0)
    assert not tried.is_due(1_000_010.0)
    assert tried.is_due(tried.next)
    assert tried.is_due(999_999.0), "an hour or a year back: nobody waits for that"
