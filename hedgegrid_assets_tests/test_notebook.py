"""The notebook is run as it stands, cell after cell in one process, and keeps no output."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from hedgegrid_assets.cli import run

NOTEBOOK: Final = Path(__file__).parents[1] / "examples/notebook/backtest.ipynb"
_AS_JUPYTER: Final = """
import ast, asyncio, inspect, json, sys

async def cells(names):
    for cell in json.load(open(sys.argv[1]))["cells"]:
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            waits = eval(code, names)
            if inspect.isawaitable(waits):
                await waits
    print(json.dumps({"net": names["result"]["net"]["USDT"], "hours": len(names["hours"])}))

asyncio.run(cells({"__name__": "__main__"}))
"""
"""Cells may wait for what they begin, as in Jupyter."""


def test_the_notebook_keeps_no_output() -> None:
    code = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_cells_run_in_a_folder_as_init_lays_it_out(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path)]) == 0
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [sys.executable, "-c", _AS_JUPYTER, str(NOTEBOOK)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["hours"] == 72
    assert float(told["net"])
