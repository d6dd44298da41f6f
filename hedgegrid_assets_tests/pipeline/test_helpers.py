"""Days that other processes make are those that this one would have made."""

import json
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.errors import HelperDied
from hedgegrid_assets.pipeline import helpers
from hedgegrid_assets.pipeline.request import request
from hedgegrid_assets.pipeline.run import run
from hedgegrid_assets.pipeline.summary import RunSummary
from hedgegrid_assets.stages.raw import Progress

DAYS = ("2024-01-01", "2024-01-09")


def convert(catalog: Path, progress: Progress | None = None, jobs: int = 1) -> RunSummary:
    settings, data = {"trades_per_day": 30}, catalog.parent / "data"
    asked = request(
        "synthetic",
        "BTCUSDT",
        *DAYS,
        output_path=catalog,
        data=data,
        data_types="trades",
        source_config=settings,
        jobs=jobs,
    )
    return run(asked, progress=progress)


def told(summary: RunSummary, catalog: Path) -> dict[str, Any]:
    """What a run tells, but for how long it took and in which folder."""
    elsewhere: dict[str, Any] = json.loads(json.dumps(summary.to_dict()).replace(str(catalog), "<catalog>"))
    return elsewhere | {"seconds": 0}


def files(catalog: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(catalog)): path for path in catalog.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if "lock" not in name}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSummary:
    """A catalog made by one process, beside which others are made of the same raw days."""
    monkeypatch.setattr(helpers, "_WORTH_A_PROCESS", 2)
    return convert(tmp_path / "one")


def test_two_processes_make_the_bytes_and_the_summary_of_one(
    made: RunSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    work_off = helpers._Helper.work_off

    def noted(self: Any, turn: Any, tick: Any) -> Any:
        taken.append(len(turn))
        return work_off(self, turn, tick)

    monkeypatch.setattr(helpers._Helper, "work_off", noted)
    ticked: list[str] = []
    summary = convert(tmp_path / "two", lambda what, _: ticked.append(what), jobs=2)
    assert taken
    assert told(summary, tmp_path / "two") == told(made, tmp_path / "one")
    assert files(tmp_path / "two") == files(tmp_path / "one")
    assert len(set(ticked)) == 8


@pytest.mark.parametrize("before_it_is_told", [True, False])
@pytest.mark.usefixtures("made")
def test_a_process_that_dies_is_told_and_days_that_are_there_are_good(
    before_it_is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "_PROGRAM", "raise SystemExit(3)")
    work_off = helpers._Helper.work_off

    def begun(self: Any, turn: Any, tick: Any) -> Any:
        if before_it_is_told:
            self._process.wait()
        return work_off(self, turn, tick)

    monkeypatch.setattr(helpers._Helper, "work_off", begun)
    with pytest.raises(HelperDied, match="ended with code 3; the days that it had finished are good"):
        convert(tmp_path / "two", jobs=2)
    assert convert(tmp_path / "two").ok
    assert files(tmp_path / "two") == files(tmp_path / "one")


@pytest.mark.usefixtures("made")
def test_no_process_is_started_for_days_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "_PROGRAM", "raise SystemExit(3)")
    assert all(day.skipped for day in convert(tmp_path / "one", jobs=2).days)
