"""All modules reach catalogs and raw data through the store; who touches a disk besides is listed, with the reason."""

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Final

import hedgegrid_assets

PACKAGE: Final = Path(hedgegrid_assets.__file__).parent

OF_A_USER: Final = "a file that the user names, or a folder of their own"
OF_A_PROVIDER: Final = "the cache of what providers gave, and downloads on their way"
OF_DAGSTER: Final = "Dagster's home, and its processes"
OF_A_RUN: Final = "the folder of a backtest, its configuration and its report; an engine reads files"
LANDING: Final = "the landing zone: users' files, read where they lie"
IN_THE_MAKING: Final = "a file in the making, in scratch, until it is published"
INSTALLED: Final = "files of an installed package"
ON_DISK: Final = {
    "backtest/": OF_A_RUN,
    "cli/": OF_A_USER,
    "config/": OF_A_USER,
    "defs/__init__.py": OF_A_USER,
    "errors/": "names a file of a user in full",
    "defs/backfill.py": OF_DAGSTER,
    "defs/backtests.py": OF_A_RUN,
    "defs/event_log.py": OF_DAGSTER,
    "defs/metadata.py": LANDING,
    "housekeeping/backup.py": "links all of a catalog at one moment; says that it needs a disk",
    "housekeeping/legacy/": "reads the tree of another program",
    "housekeeping/runs.py": OF_DAGSTER,
    "inspect/report.py": OF_A_USER,
    "pipeline/landing.py": LANDING,
    "spent.py": "asks the system what the process has taken",
    "sources/archive/": OF_A_PROVIDER,
    "sources/client/": OF_A_PROVIDER,
    "sources/tardis/": OF_A_PROVIDER,
    "stages/catalog/reader.py": "Nautilus' own reader is given the folder",
    "stages/catalog/definitions.py": IN_THE_MAKING,
    "stages/catalog/files.py": IN_THE_MAKING,
    "stages/catalog/installed.py": INSTALLED,
    "stages/raw/changes.py": LANDING,
    "stages/raw/checksums.py": LANDING,
    "stages/raw/index.py": LANDING,
    "stages/raw/landing.py": LANDING,
    "stages/raw/own.py": LANDING,
    "stages/raw/passes.py": LANDING,
    "stages/raw/publishing.py": f"{LANDING}; {IN_THE_MAKING}",
}
"""Module or folder -> what it has a disk for. All else holds names in a store alone."""

ASKS_A_DISK: Final = frozenset(
    {
        *("absolute", "chmod", "hardlink_to", "is_file", "is_symlink", "iterdir", "lstat", "mkdir", "read_text"),
        *("resolve", "rglob", "samefile", "stat", "symlink_to", "touch", "walk", "write_bytes", "write_text"),
    }
)
"""Methods that a ``Path`` has, and a name in a store has not."""
DISK_MODULES: Final = frozenset({"glob", "os.path", "shutil", "tempfile"})
OF_OS: Final = frozenset(
    {"link", "listdir", "makedirs", "open", "remove", "rename", "replace", "scandir", "stat", "unlink"}
)
READERS: Final = frozenset(
    {"pl.read_parquet", "pl.scan_parquet", "pq.ParquetFile", "pq.read_metadata", "pq.read_schema", "compare"}
)
"""What an object may be given to as a file on this machine: they only read it."""
LISTS_OF_FILES: Final = {
    "inspect/validation/joins.py": "scanned together",
    "stages/readers.py": "scanned together",
}
"""Modules that hand several objects on as files."""
OF_THIS_MACHINE: Final = frozenset({"cache", "home", "landing"})
"""Folders of ``Places`` that are no names in a store."""
TOLD: Final = "told to people: where they may look, or put files"
NAMED_BY: Final = {
    "defs/landing.py": TOLD,
    "defs/results.py": TOLD,
    "defs/sensors.py": TOLD,
    "housekeeping/doctor/documents.py": "feeds, by their folders beside those of users",
    "housekeeping/doctor/leftovers.py": "feeds, by their folders beside those of users",
    "housekeeping/doctor/raw.py": LANDING,
    "housekeeping/refresh.py": OF_A_PROVIDER,
    "housekeeping/status.py": "how much of the disk they take",
    "inspect/trace.py": LANDING,
    "pipeline/plan.py": OF_A_PROVIDER,
    "pipeline/selection.py": TOLD,
    "stages/raw/fetched.py": OF_A_PROVIDER,
}
"""Module -> what it names them for."""


@cache
def modules() -> Mapping[str, Sequence[ast.Call | ast.Attribute]]:
    """All outside of the store -> what they call, and what they name of another."""
    names = (path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py")))
    return {name: _nodes_of(PACKAGE / name) for name in names if not name.startswith("store/")}


def _nodes_of(path: Path) -> list[ast.Call | ast.Attribute]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call | ast.Attribute)]


def is_listed(name: str) -> bool:
    return any(name == each or (each.endswith("/") and name.startswith(each)) for each in ON_DISK)


def calls(name: str) -> Iterator[ast.Call]:
    return (node for node in modules()[name] if isinstance(node, ast.Call))


def is_of(call: ast.Call, functions: Set[str]) -> bool:
    """It calls one of some functions; written out, which takes long, only where the last word is right."""
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return any(name.endswith(last) for name in functions) and ast.unparse(call.func) in functions


def asks_a_disk(call: ast.Call) -> str | None:
    """What a call asks the disk for, if it does."""
    if isinstance(call.func, ast.Name):
        return "open" if call.func.id == "open" else None
    if not isinstance(call.func, ast.Attribute):
        return None
    name = call.func.attr
    of = ast.unparse(call.func.value) if isinstance(call.func.value, ast.Name | ast.Attribute) else ""
    if of in DISK_MODULES or (of == "os" and name in OF_OS):
        return f"{of}.{name}"
    return name if name in ASKS_A_DISK else None


def test_only_those_listed_ask_a_disk() -> None:
    found = {name: what for name in modules() for call in calls(name) if (what := asks_a_disk(call))}
    allowed = {"cli/doctor.py": "shutil.get_terminal_size"}
    assert {name: what for name, what in found.items() if not is_listed(name) and name not in allowed} == {}


def test_each_that_is_listed_is_there() -> None:
    assert [name for name in ON_DISK if not (PACKAGE / name).exists()] == []


def test_an_object_becomes_a_file_for_a_reader_alone() -> None:
    """What ``local`` gives may be a copy: to write to it, to list beside it or to keep its name would be wrong."""
    odd: list[str] = []
    for name in modules():
        given = {id(argument) for call in calls(name) if is_of(call, READERS) for argument in call.args}
        odd += [
            f"{name}:{call.lineno} {ast.unparse(call)}"
            for call in calls(name)
            if isinstance(call.func, ast.Attribute)
            and call.func.attr == "local"
            and ast.unparse(call) != "threading.local()"
            and id(call) not in given
            and name not in LISTS_OF_FILES
        ]
    assert odd == []


def test_parquet_is_read_from_files_that_the_store_gives() -> None:
    """A name in a store is no file name; ``local`` and ``local_file`` make it one, and say so where it is read."""
    odd: list[str] = []
    for name in modules():
        if name.startswith(("backtest/", "sources/", "cli/")):  # their own files
            continue
        for call in calls(name):
            if is_of(call, READERS - {"compare"}) and not _is_file(call.args[0]):
                odd.append(f"{name}:{call.lineno} {ast.unparse(call)}")
    assert odd == []


def _is_file(argument: ast.expr) -> bool:
    """It is made a file where it is read, or it is one in the making, or bytes."""
    text = ast.unparse(argument)
    return (
        text.endswith((".local()", ".footer()"))
        or text.startswith(("local_file(", "footer_file("))
        or text in {"temporary", "files", "path"}
        or "BufferReader" in text
    )


def test_the_folders_of_this_machine_are_used_by_those_listed() -> None:
    found = {
        name: f"{node.lineno} {ast.unparse(node)}"
        for name, nodes in modules().items()
        for node in nodes
        if isinstance(node, ast.Attribute)
        and node.attr in OF_THIS_MACHINE
        and ast.unparse(node.value).endswith(("places", "catalog", "data"))
        and not is_listed(name)
    }
    assert {name: what for name, what in found.items() if name not in NAMED_BY} == {}
    assert [name for name in NAMED_BY if name not in found] == []
