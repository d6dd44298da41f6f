"""What ``docs/nautilus-2.md`` shows, run by NautilusTrader 2.x on a catalog for it."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.model import GENERATIONS
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.both_forms import converted, stored
from hedgegrid_assets_tests.guide.home import MESSAGE
from hedgegrid_assets_tests.nautilus2 import PYTHON, WITH_NAUTILUS_2
from hedgegrid_assets_tests.pages import commands, runnable, shell

PAGE: Final = Path(__file__).parents[2] / "docs" / "nautilus-2.md"


@WITH_NAUTILUS_2
def test_the_guides_snippets_in_the_spelling_of_2_give_what_was_converted(tmp_path: Path) -> None:
    stored(tmp_path)
    assert converted(tmp_path, "data/catalog") == 0
    (command,) = [
        words for block in runnable("docs/nautilus-2.md", "bash") for words in commands(block) if "convert" in words
    ]
    words = [word.replace("data/", f"{tmp_path}/data/") for word in command[1:]]
    assert run([*words, "-q"]) == 0
    program = "\n".join(block.text for block in runnable("docs/nautilus-2.md", "python"))
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


def test_the_commands_of_the_page_make_catalogs_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    landing = tmp_path / "data/raw/websocket/day.jsonl"
    landing.parent.mkdir(parents=True)
    landing.write_text(MESSAGE)
    assert run(["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", "-q"]) == 0
    for block in runnable("docs/nautilus-2.md", "bash"):
        shell(block)
    made = {path.name for path in (tmp_path / "data").glob("catalog*")}
    assert made >= {"catalog", "catalog-2", "catalog-of-2"}
    files = [*(tmp_path / "data").glob("catalog-*2/data/trades/BTCUSDT-PERP.BINANCE/*.parquet")]
    assert len(files) == 2
    assert runnable("docs/nautilus-2.md", "yaml") == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_page_names_every_folder(generation: int) -> None:
    text = PAGE.read_text()
    for table in TABLES.values():
        assert f"`{table.form(generation).folder}`" in text
