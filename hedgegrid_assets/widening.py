"""Give an instrument finer precisions: its definition, then every frame, verdict and Nautilus file; no digit changes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from hedgegrid_assets import catalog as catalog_stage
from hedgegrid_assets.catalog.definitions import write_definition
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.frames import (
    ContentDigest,
    FrameWriter,
    Precisions,
    arrow_schema,
    frame_metadata,
    frame_schema,
    read_blocks,
)
from hedgegrid_assets.instruments import Instrument, read_definitions, widen
from hedgegrid_assets.integrity import read_verdict, store_verdict
from hedgegrid_assets.model import InstrumentDay, Status, Table
from hedgegrid_assets.storage import Places, atomic_write, exclusive_lock, sha256_of
from hedgegrid_assets.tables import TABLES


@dataclass(frozen=True, slots=True)
class Widened:
    """What was done: the new definition, and how many frames and Nautilus files were written anew."""

    instrument: Instrument
    frames: int
    files: int


def widen_instrument(
    catalog: Path,
    instrument_id: str,
    *,
    price: int | None = None,
    size: int | None = None,
    mark: int | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Widened:
    """Raise precisions (decimals, up to 16) of an instrument and of all its days. Run it again if it was interrupted.

    Nautilus refuses a folder whose files differ in precision, so queries of the instrument fail until it is through.

    Raises:
        UsageError: Unknown instrument, or a precision that would shrink.
    """
    known = read_definitions(catalog)
    if instrument_id not in known:
        raise UsageError(
            f"unknown instrument ({catalog}): expected one of {', '.join(known) or 'none yet'}, found {instrument_id!r}"
        )
    wider = widen(known[instrument_id], price, size, mark)
    write_definition(catalog, wider)
    places, precisions = (
        Places(Path(), catalog),
        Precisions(wider.price_precision, wider.size_precision, wider.mark_precision),
    )
    days = [
        (InstrumentDay(instrument_id, date.fromisoformat(path.stem)), table)
        for table in TABLES.values()
        for path in sorted(places.frame_folder(instrument_id, table.folder).glob("????-??-??.parquet"))
    ]
    frames = files = 0
    for day, table in days:
        if progress:
            progress(f"{day} {table.name}", 0)
        frames += _widen_frame(places, day, table, precisions)
        files += _widen_file(places, day, table, precisions)
    return Widened(wider, frames, files)


def _widen_frame(places: Places, day: InstrumentDay, table: Table, precisions: Precisions) -> bool:
    """Write the frame with the larger scale, and bind its verdict to it; False if it has it already."""
    with exclusive_lock(places.day_lock(day.instrument_id, day.date)):
        verdict = read_verdict(places, table, day)
        if verdict is None or verdict["frame_sha256"] is None or verdict["precision"] == precisions.to_dict():
            return False
        final = places.frame(day.instrument_id, table.folder, day.date)
        schema = frame_schema(table, precisions)
        digest = ContentDigest(day.instrument_id)
        with atomic_write(final, places.catalog_temp) as temporary:
            writer = FrameWriter(temporary, day.instrument_id, arrow_schema(table, precisions, frame_metadata(final)))
            for block in read_blocks(final, table):
                wider = block.with_columns(
                    pl.col(name).cast(dtype) for name, dtype in schema.items() if isinstance(dtype, pl.Decimal)
                )
                writer.write(wider)
                digest.add(wider)
            writer.close()
            sha256 = sha256_of(temporary)
        changed = {"frame_sha256": sha256, "content_digest": digest.hexdigest(), "precision": precisions.to_dict()}
        store_verdict(places, table, day, verdict | changed)
        return True


def _widen_file(places: Places, day: InstrumentDay, table: Table, precisions: Precisions) -> bool:
    """Publish the day again if its footer has another precision."""
    final = catalog_stage.file_of(places, day, table)
    verdict = read_verdict(places, table, day)
    if not final.exists() or verdict is None or Status(verdict["status"]) not in catalog_stage.ACCEPTED:
        return False
    target = catalog_stage.schema_of(day, table, precisions)
    made_from = catalog_stage.stamped_digest(final, day.date)
    if pq.read_schema(final).metadata == target.metadata and made_from in (None, verdict["content_digest"]):
        return False
    catalog_stage.write_day(places, day, table, precisions)
    return True
