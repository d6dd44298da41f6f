"""The trial of several machines in a small form: a worker that is killed while it works, and one that takes its place."""

import os
from pathlib import Path

import pytest

from hedgegrid_assets_tests.standins import s3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore")]


def test_a_killed_worker_costs_a_retry_and_never_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("dagster_celery", "redis", "obstore"):
        pytest.importorskip(package, reason="no workers: make servers")
    if s3.weed() is None:
        pytest.skip("no S3 server: make servers")
    from hedgegrid_assets_tests.trial_scale import Asked, trial

    for name in ("PYTHONPATH", "PYTHONWARNINGS"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    try:
        told = trial(Asked(symbols=1, days=2, block=2, trades=200, workers=1, kills=1, patience=300), tmp_path)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert told.ok, told
    assert told.killed == 1
    assert told.runs["FAILURE"] >= 1, "the run of the killed worker"
    assert told.runs["SUCCESS"] == 1
