"""Proof that two sides did the same work: their Nautilus tables hold the same rows, value by value."""

from collections.abc import Collection
from pathlib import Path

import pyarrow.parquet as pq


def same_rows(ours: Path, peers: Path, kind: str, but: Collection[str] = ()) -> bool:
    """One table of two catalogs, column by column but for some; row groups, codecs and metadata do not count."""
    mine, other = (catalog / "data" / kind for catalog in (ours, peers))
    names = pq.read_schema(next(mine.rglob("*.parquet"))).names
    return all(
        pq.read_table(mine, columns=[name]).column(name).equals(pq.read_table(other, columns=[name]).column(name))
        for name in names
        if name not in but
    )
