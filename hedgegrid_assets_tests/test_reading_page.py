"""What ``docs/reading.md`` tells readers of frames is tried: its code runs, on a catalog of two days."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets import run_pipeline
from hedgegrid_assets_tests.pages import runnable


def test_the_examples_run_and_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEDGEGRID_DATA", str(tmp_path / "data"))
    settings = {"seed": 7, "trades_per_day": 2_000}
    asyncio.run(
        run_pipeline(
            "synthetic",
            "BTCUSDT",
            "2024-01-01",
            "2024-01-03",
            "data/catalog",
            ["trades"],
            source_config=settings,
            exchange="SIM",
        )
    )
    names: dict[str, Any] = {}
    for block in runnable("docs/reading.md"):
        assert block.language == "python"
        exec(compile(block.text, f"{block.page}:{block.line}", "exec"), names)
    rows = {len(names["by_pandas"]), len(names["by_arrow"]), len(names["by_duckdb"].fetchall())}
    assert rows == {names["every_day"].collect().height}
    assert names["turnover"]["rounded"].sum() != names["by_sql"]
