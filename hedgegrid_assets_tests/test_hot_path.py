"""Guard rails of the hot path, by structure and not by the clock: what it imports, holds in memory, and leaves to Python."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.inputs import made
from benchmarks.measure import run
from benchmarks.sides import SIDES
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets_tests.yard import with_blocks_of

CONVERSIONS = {
    "ours_trades": "trades",
    "ours_csv": "trades",
    "ours_messages": "aggTrade",
    "ours_tickers": "derivative_ticker",
}
"""Side of the benchmarks -> the input that it converts."""

OF_BOOKS = {"ours_deltas": "incremental_book_L2", "ours_quotes": "quotes"}
"""Besides, where it is only looked at what is imported."""

HEAVY = ("dagster", "nautilus_trader", "pandas", "aiohttp", "tardis_client", "tardis_dev", "numpy.ma", "PIL", "asyncio")
MEMORY_MB = 900.0
"""Far above the budget of 500, and far below a day held in memory."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


def imported(code: str, names: tuple[str, ...]) -> str:
    """Those of some modules that a new process has imported after running some code."""
    told = f"import sys\n{code}\nsys.stderr.write(' '.join(name for name in {names} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("side", [*CONVERSIONS, *OF_BOOKS])
def test_a_conversion_imports_nothing_that_it_can_do_without(side: str, inputs: Path, tmp_path: Path) -> None:
    source = made((CONVERSIONS | OF_BOOKS)[side], 1_000, inputs)
    code = f"from pathlib import Path\nfrom benchmarks.sides import SIDES\nSIDES[{side!r}](Path({str(source)!r}), Path({str(tmp_path)!r}))"
    assert imported(code, HEAVY) == ""


def test_a_conversion_of_plain_cells_does_without_what_arrow_computes(inputs: Path, tmp_path: Path) -> None:
    """Columns go over to Arrow by their buffers: its casts, and types of NumPy for checkers, cost a tenth of a start."""
    source = made("trades", 1_000, inputs)
    code = f"from pathlib import Path\nfrom benchmarks.sides import SIDES\nSIDES['ours_trades'](Path({str(source)!r}), Path({str(tmp_path)!r}))"
    assert imported(code, ("pyarrow.compute", "numpy.typing")) == ""


def test_a_conversion_imports_the_source_that_it_reads_and_no_other(inputs: Path, tmp_path: Path) -> None:
    """Nor what makes random numbers, as the synthetic one does; a configuration that says nothing of others asks none."""
    source = made("trades", 1_000, inputs)
    code = f"from pathlib import Path\nfrom benchmarks.sides import SIDES\nSIDES['ours_trades'](Path({str(source)!r}), Path({str(tmp_path)!r}))"
    others = tuple(f"hedgegrid_assets.sources.{name.partition('-')[0]}" for name in SOURCES if name != "tardis")
    assert imported(code, (*others, "numpy.random")) == ""


def test_a_command_is_made_without_the_others() -> None:
    code = "from hedgegrid_assets import cli\nsys.stderr.write(' '.join(c.name for c in cli._with_only('demo').registered_commands) + '.')"
    assert imported(code, ("polars",)) == "demo."


def test_help_imports_no_package_that_works_on_data() -> None:
    code = "from hedgegrid_assets.cli import run\nassert run(['--help']) == 0"
    assert imported(code, (*HEAVY, "polars", "pyarrow", "numpy", "ruamel.yaml", "rich", "markdown_it")) == ""


def test_a_mistake_in_a_command_line_imports_nothing_that_draws() -> None:
    code = "from hedgegrid_assets.cli import run\nassert run(['replay-to-parquet', '--sauce', 'csv']) == 2"
    assert imported(code, (*HEAVY, "polars", "pyarrow", "numpy", "rich.markdown")).endswith(
        "(Possible options: --source)\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("side", CONVERSIONS)
def test_two_million_rows_take_no_more_memory_than_a_few_blocks(side: str, inputs: Path, tmp_path: Path) -> None:
    assert run(side, made(CONVERSIONS[side], 2_000_000, inputs), tmp_path / "work").memory < MEMORY_MB


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """How many calls Python makes in all threads while the block runs: of functions in Python, and from them into C."""
    events, tool, calls = sys.monitoring.events, sys.monitoring.PROFILER_ID, [0]

    def count(*_: object) -> None:
        calls[0] += 1

    sys.monitoring.use_tool_id(tool, "calls")
    try:
        for event in (events.PY_START, events.CALL):
            sys.monitoring.register_callback(tool, event, count)
        sys.monitoring.set_events(tool, events.PY_START | events.CALL)
        yield calls
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)


@pytest.mark.slow
@pytest.mark.parametrize("side", CONVERSIONS)
def test_the_calls_that_python_makes_grow_with_blocks_and_not_with_rows(
    side: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[tuple[int, int], int] = {}
    for rows, block in ((2_000, 64 << 20), (200_000, 64 << 20), (200_000, 1 << 20)):
        source = made(CONVERSIONS[side], rows, inputs)
        with_blocks_of(block, monkeypatch)
        SIDES[side](source, (tmp_path / "warm-up" / f"{rows}-{block}"))  # imports and caches are no part of it
        with counted_calls() as calls:
            SIDES[side](source, tmp_path / f"{rows}-{block}")
        found[rows, block] = calls[0]
    few, many, cut = found.values()
    assert many - few < 100_000, found  # one call a row would be 198,000; parts of a day that is held cost some
    assert cut - many > 50_000, found  # what a test that counts nothing would not see
