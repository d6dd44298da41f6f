"""The order of rows as it is told by holding a whole day in memory: simple, and what the stage must come to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hedgegrid_assets.model import Identity
from hedgegrid_assets.sources.formats.synthetic_ids import MADE, Ordinals


@dataclass(frozen=True)
class InMemory:
    """The rows of a day in their order, each once."""

    frame: pl.DataFrame
    out_of_order: int
    duplicates: int
    conflicting_ids: int


def ordered(
    blocks: Sequence[pl.DataFrame],
    identity: Identity,
    content: Sequence[str],
    id_column: str | None,
    origins: Sequence[int],
) -> InMemory:
    """All blocks in order; ``content``: what rows have in common that are one, ``origins``: where further files begin."""
    day = pl.concat(blocks)
    times = day["ts_init"].to_numpy()
    late = int((times < np.maximum.accumulate(times)).sum())
    passes = identity is Identity.EVERY_ROW or (
        _ids_differ(blocks, identity, id_column, origins)
        if id_column
        else not day.select(content).is_duplicated().any()
    )
    if not late and passes:
        return InMemory(day if id_column is None else Ordinals(id_column).numbered(day), 0, 0, 0)
    alike = [] if identity is Identity.EVERY_ROW else list(content)
    if identity is Identity.CONTENT and id_column:
        day = _with_copies(day, alike, origins)
        alike.append("copy")
    newest_first = bool((day["ts_init"].diff() <= 0).all())
    day = day.sort("ts_init", "raw_row", descending=[False, newest_first], maintain_order=True)
    if id_column:
        day = Ordinals(id_column).numbered(day, origins)
    unique = day.unique(subset=alike, keep="first", maintain_order=True) if alike else day
    conflicts = int(unique[id_column].is_duplicated().sum()) if id_column and identity is Identity.ID else 0
    return InMemory(unique.drop("copy", strict=False), late, len(day) - len(unique), conflicts)


def _ids_differ(blocks: Sequence[pl.DataFrame], identity: Identity, column: str, origins: Sequence[int]) -> bool:
    """Ids of the venue rise from row to row, where they need not be compared with all others."""
    if origins and any(block[MADE].any() for block in blocks):
        return False
    ordinals, before = Ordinals(column), None
    for block in blocks:
        if block[MADE].any() and not ordinals.at_once(block):
            return False
        ordinals.numbered(block)
        for number, time in block.filter(~pl.col(MADE)).select(column, "ts_init").iter_rows():
            if not number.isdigit():
                return False
            key = int(number), time
            shared = identity is Identity.CONTENT and not origins and key == before
            if before is not None and key[0] <= before[0] and not shared:
                return False
            before = key
    return True


def _with_copies(day: pl.DataFrame, content: Sequence[str], origins: Sequence[int]) -> pl.DataFrame:
    """With which one of the equal rows of its message, line after line of one file and arrival, a row is."""
    origin = np.searchsorted(np.asarray(origins, np.int64), day["raw_row"].to_numpy(), "right")
    message = pl.struct("ts_init", pl.lit(pl.Series("origin", origin))).rle_id()
    copies = pl.int_range(pl.len(), dtype=pl.UInt32).over(*content, "message") * (~pl.col(MADE)).cast(pl.UInt32)
    return day.with_columns(message.alias("message")).with_columns(copies.alias("copy")).drop("message")
