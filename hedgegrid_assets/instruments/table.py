"""Definitions as a plain table: ``instruments.parquet`` of a catalog, whose ids Nautilus has to tell apart."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.errors import DataError
from hedgegrid_assets.instruments.definition import Instrument
from hedgegrid_assets.names import nautilus_takes_for_one
from hedgegrid_assets.store import StorePath, stored, to_arrow


def definitions_file(catalog: Path | StorePath) -> StorePath:
    """The plain table of a catalog's definitions."""
    return stored(catalog) / "instruments.parquet"


def read_definitions(catalog: Path | StorePath) -> dict[str, Instrument]:
    """The definitions of a catalog by id; empty where it has none yet.

    Raises:
        DataError: ``instruments.parquet`` is there, but is no table of definitions.
    """
    path = definitions_file(catalog)
    if not path.exists():
        return {}
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _not_definitions(str(path), str(error)) from None
    return {instrument.id: instrument for instrument in _definitions_in(content, str(path))}


@lru_cache(maxsize=8)
def _definitions_in(content: bytes, where: str) -> tuple[Instrument, ...]:
    """The definitions of a file by what it holds: asked for each day, of the same bytes nearly always."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        # without threads: one that lets go of Python's bytes while the process ends would abort it
        return tuple(definitions_from(file.read(use_threads=False), where))
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can make a decoder raise anything
        raise _not_definitions(where, str(error)) from None


def definitions_table(instruments: Iterable[Instrument]) -> pa.Table:
    """Definitions as a plain table, one row each, sorted by id: text, integers and flags. No disk is touched."""
    rows = sorted(instruments, key=lambda instrument: instrument.id)
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _COLUMNS.items()])
    types = {"int64": pl.Int64, "bool": pl.Boolean, "string": pl.String}
    # By Polars: pyarrow imports pandas to look at Python values.
    columns = [pl.Series([getattr(row, name) for row in rows], dtype=types[kind]) for name, kind in _COLUMNS.items()]
    return pa.table(
        [to_arrow(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def definitions_from(table: pa.Table, where: str = "the table") -> list[Instrument]:
    """The definitions of a table, in its order: the inverse of ``definitions_table``.

    Raises:
        DataError: The columns are not ours; names ``where``, and all that are missing or unknown.
    """
    found, expected = set(table.column_names), set(_COLUMNS)
    problems = [f"column {name} missing" for name in sorted(expected - found)]
    problems += [f"column {name} unknown" for name in sorted(found - expected)]
    if problems:
        raise _not_definitions(where, ", ".join(problems))
    return [Instrument(**row) for row in table.to_pylist()]


def check_names(ids: Iterable[str]) -> None:
    """Refuse ids that Nautilus takes for one inside a catalog: equal up to ``-._ :^``, ``/`` and case.

    It gives both the same SQL table, or the same folder, and drops the rows of one without a word.

    Raises:
        DataError: Names every such group of ids.
    """
    groups: dict[str, list[str]] = {}
    for instrument_id in sorted(set(ids)):
        groups.setdefault(nautilus_takes_for_one(instrument_id), []).append(instrument_id)
    clashes = [" and ".join(group) for group in groups.values() if len(group) > 1]
    if clashes:
        raise DataError(
            "Nautilus cannot tell ids apart in one catalog: expected more than a difference of `-._ :^/` or case, "
            f"found {'; '.join(clashes)}",
            hint="use another --output, or another --instrument, for one of them",
            details={"instrument_ids": clashes},
        )


_INTEGERS: Final = frozenset({"price_precision", "size_precision", "mark_precision", "activation_ns", "expiration_ns"})
_FLAGS: Final = frozenset({"is_inverse", "fees_known"})
_COLUMNS: Final[Mapping[str, str]] = {
    name: "int64" if name in _INTEGERS else "bool" if name in _FLAGS else "string"
    for name in Instrument.__struct_fields__
}


def _not_definitions(where: str, why: str) -> DataError:
    return DataError(
        f"{where} is no table of instrument definitions: {' '.join(why.split())}",
        hint="put back the file of a copy of this catalog; or remove it, and give the precisions in feeds.yaml",
        details={"path": where},
    )
