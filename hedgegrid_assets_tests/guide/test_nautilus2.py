"""What ``docs/nautilus-2.md`` shows, run by NautilusTrader 2.x on a catalog for it."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.model import GENERATIONS
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.both_forms import converted, stored
from hedgegrid_assets_tests.nautilus2 import PYTHON, WITH_NAUTILUS_2

PAGE: Final = Path(__file__).parents[2] / "docs" / "nautilus-2.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@WITH_NAUTILUS_2
def test_the_guides_snippets_in_the_spelling_of_2_give_what_was_converted(tmp_path: Path) -> None:
    stored(tmp_path)
    assert converted(tmp_path, "data/catalog") == 0
    (command,) = [line for block in _blocks("bash") for line in block.splitlines() if " catalog convert " in line]
    words = [word.replace("data/", f"{tmp_path}/data/") for word in command.split()[1:]]
    assert run([*words, "-q"]) == 0
    program = "\n".join(_blocks("python"))
    done = subprocess.run([PYTHON, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Instruments: 1",
        "  BTCUSDT-PERP.BINANCE",
        "Trade ticks: 4",
        "Mark prices: 5",
        "Funding rates: 5",
        "Large gaps: 0",
    ]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_page_names_every_folder(generation: int) -> None:
    text = PAGE.read_text()
    for table in TABLES.values():
        assert f"`{table.form(generation).folder}`" in text
