"""Imports inside functions: each keeps a heavy package out of a fast start, and is listed here with the reason."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import hedgegrid_assets

PACKAGE = "hedgegrid_assets"
ROOT = Path(hedgegrid_assets.__file__).parent


class Late(NamedTuple):
    """In a module, or all below it, a module (or all below it) is imported late, and why."""

    where: str
    what: str
    why: str


COMMAND = (
    "the work of one command: `--help` and mistakes are answered without Polars, and each command with its own only"
)
FETCHING = "aiohttp and Tardis' own packages take a third of a second, and only fetching needs them"
TABLES_FOR_PEOPLE = "a tenth of a second, which --quiet, --json and a caller in a script do without"

LATE = (
    Late("__main__", "hedgegrid_assets.cli", "after the settings that numpy and the collector of garbage must find"),
    Late("backtest.nautilus1", "pandas", "half a second; only an equity curve has such times"),
    Late("backtest.picture", "PIL", "only a picture that is drawn needs it"),
    Late("backtest.result", "ruamel.yaml", "a tenth of a second, at the end of a run"),
    Late("cli", "ctypes", "only a conversion needs it"),
    Late("cli", "hedgegrid_assets.backtest", COMMAND),
    Late("cli", "hedgegrid_assets.config", COMMAND),
    Late("cli", "hedgegrid_assets.defs", COMMAND + " (Dagster takes two seconds)"),
    Late("cli", "hedgegrid_assets.cli.gapped", COMMAND + " (it names the kinds of gaps, which the rules know)"),
    Late("cli", "hedgegrid_assets.housekeeping", COMMAND),
    Late("cli", "hedgegrid_assets.inspect", COMMAND),
    Late("cli", "hedgegrid_assets.instruments", COMMAND),
    Late("cli", "hedgegrid_assets.model", COMMAND),
    Late("cli", "hedgegrid_assets.pipeline", COMMAND),
    Late("cli", "hedgegrid_assets.sources", COMMAND),
    Late("cli", "hedgegrid_assets.stages", COMMAND),
    Late("cli", "hedgegrid_assets.store", COMMAND),
    Late("cli", "hedgegrid_assets.tables", COMMAND),
    Late("cli", "hedgegrid_assets.venues", COMMAND),
    Late("cli", "importlib.metadata", "only --version needs it"),
    Late("cli", "rich", TABLES_FOR_PEOPLE),
    Late("config.yaml_lines", "ruamel.yaml", "a tenth of a second; most files given with --config are JSON"),
    Late(
        "housekeeping.converting",
        "hedgegrid_assets.housekeeping.widening",
        "a tenth of a second, with all of configurations; only a catalog that was widened since needs it",
    ),
    Late("inspect.charts", "PIL", "only a chart that is drawn needs it"),
    Late("pipeline.run", "asyncio", "who calls the coroutine has it; a command line has not"),
    Late("sources.archive", "hedgegrid_assets.sources.archive", FETCHING),
    Late("sources.archive", "hedgegrid_assets.sources.client", FETCHING),
    Late("sources.tardis", "hedgegrid_assets.sources.client", FETCHING),
    Late("sources.tardis", "hedgegrid_assets.sources.tardis", FETCHING),
    Late("sources.tardis", "tardis_client", FETCHING),
    Late("sources.tardis", "tardis_dev", FETCHING),
    Late("stages.catalog", "nautilus_trader", "two seconds; only reading back with Nautilus itself needs it"),
    Late("stages.raw.own", "hedgegrid_assets.sources", "asked only where a landing file has a manifest beside it"),
    Late("store", "hedgegrid_assets.store.bucket", "a bucket needs a package that others do without"),
    Late("store", "hedgegrid_assets.store.zips", "of the one format that a file has"),
    Late("store", "isal", "of the one format that a file has"),
    Late("store", "numpy", "places and locks are used by commands that read no lines"),
    Late("store", "polars", "places and locks are used by commands that read no lines"),
    Late("store", "pyarrow", "places and locks are used by commands that read no lines"),
    Late("store", "zipfile", "of the one format that a file has"),
    Late("store", "zstandard", "of the one format that a file has"),
    Late("wording", "difflib", "only a name that is unknown is looked for"),
    Late("timestamps", "polars", "a date is read, and shown, by `--help` and mistakes too"),
)


def imports_in_functions(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of each import inside a function."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
                    yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)
                elif isinstance(node, ast.Import):
                    yield from ((node.lineno, name.name) for name in node.names)


def is_below(name: str, top: str) -> bool:
    return name == top or name.startswith(f"{top}.")


@cache
def found() -> set[tuple[str, int, str]]:
    """Module, line and name."""
    return {
        (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), line, name)
        for path in ROOT.rglob("*.py")
        for line, name in imports_in_functions(path)
    }


def test_an_import_inside_a_function_is_listed_with_its_reason() -> None:
    unlisted = [
        f"{module}:{line}: {name}"
        for module, line, name in sorted(found())
        if not any(is_below(module, late.where) and is_below(name, late.what) for late in LATE)
    ]
    assert not unlisted, "move it to the top, or list what it keeps out of which start"


@pytest.mark.parametrize("late", LATE, ids=lambda late: f"{late.where} {late.what}")
def test_what_is_listed_is_there(late: Late) -> None:
    assert any(is_below(module, late.where) and is_below(name, late.what) for module, _, name in found())
    assert late.why
