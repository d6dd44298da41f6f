"""``examples/guide``: the guide's snippets run there unchanged, and its rows say of themselves that they are made up."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TOKENS
from hedgegrid_assets_tests.pages import runnable

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "examples/guide"
GUIDE: Final = ROOT.parent / "shared/seed-guide.md"
_BLOCK: Final = re.compile(r"```python\n(.*?)```", re.DOTALL)
MOST_BYTES: Final = 300_000


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: nothing but the script writes there."""
    return Path(shutil.copytree(FOLDER, tmp_path_factory.mktemp("guide") / "work"))


def blocks() -> list[str]:
    return [block.text for block in runnable("examples/guide/README.md")]


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not beside this clone")
def test_the_snippets_of_the_folder_are_the_guides_own() -> None:
    printed = _BLOCK.findall(GUIDE.read_text())
    assert len(blocks()) == 3
    assert [block for block in blocks() if block not in printed] == []


def test_row_076_to_080_the_guides_snippets_run_unchanged_in_its_folder(work: Path) -> None:
    script = "\n".join(blocks())  # the last one holds ids, order and prices to the guide's asserts
    # in a process of its own: Nautilus goes on reading a relative path where the process was when it first did
    done = subprocess.run([sys.executable, "-c", script], cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Instruments: 1\n  BTCUSDT-PERP.BINANCE\nTrade ticks: 5,7" in done.stdout
    assert "Mark prices: 864\nFunding rates: 864\nLarge gaps: 1\n" in done.stdout
    assert "2024-01-02 12:10:31.297" in done.stdout


def test_row_082_the_product_finds_the_same_gap_there(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(work / "data/catalog")]) == 0
    assert "steps of more than a minute between trades: 1" in capsys.readouterr().out


def test_every_frame_and_the_folder_say_that_they_are_made_up() -> None:
    frames = sorted(FOLDER.glob("data/catalog/BTCUSDT-PERP.BINANCE/*.parquet/*.parquet"))
    assert len(frames) == 9
    assert {pq.read_schema(frame).metadata.get(b"synthetic") for frame in frames} == {b"true"}
    assert "\nsynthetic: true\n" in (FOLDER / "README.md").read_text()


def test_the_folder_is_small_and_holds_nothing_but_its_catalog() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and "lock" not in path.name]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert {path.relative_to(FOLDER).parts[0] for path in files} == {"README.md", "data"}


@pytest.mark.slow
def test_the_script_makes_these_rows(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "scripts/guide_folder.py"))
    script["make"](tmp_path)
    for table in map(TOKENS.__getitem__, script["TYPES"]):
        for day in script["DAYS"]:
            both = [
                read_verdict(Places(folder / "data", folder / "data/catalog"), table, InstrumentDay(script["ID"], day))
                for folder in (tmp_path, FOLDER)
            ]
            made, kept = (verdict and (verdict.content_digest, verdict.code_version) for verdict in both)
            assert made == kept, "run python scripts/guide_folder.py"
            assert made is not None
