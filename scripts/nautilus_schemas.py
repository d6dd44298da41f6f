"""What of NautilusTrader's own files is not as we declare it, a line a column; exit code 1 if anything is.

``python scripts/nautilus_schemas.py``: the installed 1.x by its schemas, and, where NAUTILUS2_PYTHON names a Python that
has it, 2.x by the files that its migration of a small catalog makes.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.model import Table
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.both_forms import converted, stored

PYTHON: Final = os.environ.get("NAUTILUS2_PYTHON", "")
_MIGRATE: Final = (
    "import sys; from nautilus_trader.persistence import ParquetDataCatalog as C; "
    "C(sys.argv[2]).migrate_from_legacy_parquet_path(sys.argv[1])"
)


def main() -> int:
    """Print what has moved."""
    found = list(_first())
    if PYTHON:
        found += _second()
    for line in found:
        print(line)  # noqa: T201 - it is what the script is for
    return 1 if found else 0


def _first() -> Iterator[str]:
    from nautilus_trader.serialization.arrow.schema import NAUTILUS_ARROW_SCHEMA

    for table in TABLES.values():
        form = table.form(1)
        if not form.own:
            cls = getattr(import_module("nautilus_trader.model.data"), form.cls)
            yield from _differences(table, 1, NAUTILUS_ARROW_SCHEMA[cls])


def _second() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stored(folder)
        converted(folder, "first", "--nautilus", "1")
        (folder / "second").mkdir()
        subprocess.run([PYTHON, "-c", _MIGRATE, str(folder / "first"), str(folder / "second")], check=True)
        for table in TABLES.values():
            files = list((folder / "second/data" / table.form(2).folder).rglob("*.parquet"))
            made = (folder / "first/data" / table.form(1).folder).is_dir()
            if files:
                yield from _differences(table, 2, pq.read_schema(files[0]))
            elif made and (table.name == "bar_1_minute" or not table.name.startswith("bar")):
                yield f"{table.name} (2.x): no file in {table.form(2).folder} any more"


def _differences(table: Table, generation: int, theirs: pa.Schema) -> Iterator[str]:
    ours = nautilus.schema(table, "A.B", Precisions(1, 2, 3), generation)
    for name in dict.fromkeys([*ours.names, *theirs.names]):
        declared, found = (
            str(schema.field(name)) if name in schema.names else "no such column" for schema in (ours, theirs)
        )
        if declared != found:
            yield f"{table.name} ({generation}.x) {name}: declared {declared}, found {found}"
    if ours.names != theirs.names and sorted(ours.names) == sorted(theirs.names):
        yield f"{table.name} ({generation}.x): columns in another order: {', '.join(theirs.names)}"
    keys = [set(schema.metadata or {}) for schema in (ours, theirs)]
    if generation > 1 and keys[0] != keys[1]:
        told = ", ".join(sorted(key.decode() for key in keys[0] ^ keys[1]))
        yield f"{table.name} ({generation}.x): the footer differs in {told}"


if __name__ == "__main__":
    sys.exit(main())
