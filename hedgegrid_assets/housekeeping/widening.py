"""Give an instrument finer precisions: its definition, then every frame, verdict and Nautilus file; no digit changes."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from hedgegrid_assets.config.origin import Origin
from hedgegrid_assets.errors import UnknownName, VerdictRefused
from hedgegrid_assets.instruments import Instrument, read_definitions, widen
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.pipeline.definitions import described
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.catalog.definitions import write_definition
from hedgegrid_assets.stages.catalog.files import folder_in, refuse_others, seal, stamp_of, whole_day
from hedgegrid_assets.stages.catalog.generations import refuse_unreadable
from hedgegrid_assets.stages.digest import ContentDigest
from hedgegrid_assets.stages.frames import (
    FrameWriter,
    Precisions,
    arrow_schema,
    frame_metadata,
    frame_schema,
    later,
    parquet_options,
    read_blocks,
)
from hedgegrid_assets.stages.verdict import Verdict, read_verdict, store_verdict
from hedgegrid_assets.store import Places, StorePath, atomic_write, exclusive_lock, on_disk, parquet_writer, sha256_of
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.wording import counted


class Widened(Struct, frozen=True):
    """What was done: the new definition, and how many frames and Nautilus files were written anew."""

    instrument: Instrument
    frames: int
    files: int


def widen_instrument(
    catalog: Path | StorePath,
    instrument_id: str,
    *,
    price: int | None = None,
    size: int | None = None,
    mark: int | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Widened:
    """Raise precisions (decimals, up to 16) of an instrument and of all its days, all at once.

    Nautilus refuses a folder whose files differ in precision, so everything is written beside the catalog first; then
    all files take their places in one burst. A process that is killed before leaves all as it was; in the burst, the
    next run finishes it, and ``validate`` names it until then.

    Raises:
        UsageError: Unknown instrument, or a precision that would shrink.
        Refused: Another has written into a folder of the instrument.
        VerdictRefused: A frame is not the one that was judged.
    """
    refuse_unreadable(catalog)
    places = Places.of_catalog(catalog)
    on_disk(places.catalog, "giving an instrument finer precisions")
    catalog_stage.finish(places)
    known = read_definitions(catalog)
    if instrument_id not in known:
        raise UnknownName("instrument", str(catalog), instrument_id, known)
    wider = widen(known[instrument_id], price, size, mark)
    with exclusive_lock(places.widening_lock):
        staged = _Staged(places, wider)
        try:
            while days := staged.waiting():  # days that another process has made meanwhile come in the next round
                for day, table in days:
                    if progress:
                        progress(f"{day} {table.name}", 0)
                    staged.add(day, table)
            renames = list(staged.renames())
            if renames or wider != known[instrument_id]:
                moves = catalog_stage.Moves(_what(wider, places.catalog), wider, renames, folder=places.staging.catalog)
                catalog_stage.carry_out(places, moves)
            else:
                write_definition(catalog, wider)
        finally:
            if catalog_stage.unfinished(places) is None:
                places.staging.catalog.rmtree()
    return Widened(wider, staged.frames, staged.files)


def widen_inferred(
    catalog: Path | StorePath, origin: Origin, needed: Iterable[tuple[str, Mapping[str, int]]]
) -> list[str]:
    """Widen instruments whose precisions were inferred to what their days need; what was done, in words: nothing, if none is.

    A precision that the venue or the origin has said stays: there, a finer value is for a person to look at. Raises as
    ``widen_instrument``.

    Args:
        catalog: The catalog.
        origin: What the days are of.
        needed: InstrumentId, and ``price``, ``size`` or ``mark`` with the decimals that a day has.
    """
    known = read_definitions(catalog)
    said = {origin.instrument_id(symbol): override for symbol, override in origin.instruments.items()}
    finer: dict[str, dict[str, int]] = {}
    for instrument_id, decimals in needed:
        pinned, override = known.get(instrument_id), said.get(instrument_id)
        for name, digits in decimals.items() if pinned is not None and pinned.origin == "inferred" else ():
            precision = f"{name}_precision"
            if digits > getattr(pinned, precision) and getattr(override, precision, None) is None:
                mine = finer.setdefault(instrument_id, {})
                mine[name] = max(digits, mine.get(name, 0))
    made = (
        widen_instrument(catalog, instrument_id, price=of.get("price"), size=of.get("size"), mark=of.get("mark"))
        for instrument_id, of in finer.items()
    )
    return [
        f"widened {described(done.instrument)}: {counted(done.frames, 'frame')} written anew, no digit changed"
        for done in made
    ]


def _what(wider: Instrument, catalog: StorePath) -> str:
    flags = (
        f"--price-precision {wider.price_precision} --size-precision {wider.size_precision} "
        f"--mark-precision {wider.mark_precision} --catalog {shlex.quote(str(catalog))}"
    )
    return f"widening {wider.id}; finish it with: hedgegrid instruments widen {shlex.quote(wider.id)} {flags}"


class _Staged:
    """What is written anew, beside the catalog."""

    def __init__(self, places: Places, wider: Instrument) -> None:
        self._places, self._beside, self._id = places, places.staging, wider.id
        self._precisions = Precisions.from_instrument(wider)
        self._made_of: dict[tuple[InstrumentDay, str], str | None] = {}
        self.frames = self.files = 0
        self._beside.catalog.rmtree()  # what a run that was killed has left

    def waiting(self) -> list[tuple[InstrumentDay, Table]]:
        """Days of the catalog that were not looked at yet, or have changed since."""
        return [
            (day, table)
            for table in TABLES.values()
            for day in self._days(table)
            if self._made_of.get((day, table.name), "") != self._judged(day, table)
        ]

    def _days(self, table: Table) -> list[InstrumentDay]:
        """Days with a frame or a Nautilus file."""
        files = folder_in(self._places, table, self._id).files(".parquet")
        found = {*self._places.frame_days(self._id, table.folder)} | {whole_day(path.name) for path in files}
        return [InstrumentDay(self._id, day) for day in sorted(day for day in found if day is not None)]

    def _judged(self, day: InstrumentDay, table: Table) -> str | None:
        verdict = read_verdict(self._places, table, day)
        return None if verdict is None else verdict.frame_sha256

    def add(self, day: InstrumentDay, table: Table) -> None:
        """Write what has to change of a day."""
        verdict = read_verdict(self._places, table, day)
        self._made_of[day, table.name] = None if verdict is None else verdict.frame_sha256
        final = catalog_stage.file_of(self._places, day, table)
        target = catalog_stage.schema_of(self._places, day, table, self._precisions)
        if final.exists():
            refuse_others(self._places, day, table, target)
        judged = verdict is not None and verdict.frame_sha256 is not None
        wider = judged and verdict is not None and self._add_frame(day, table, verdict)
        self.frames += wider
        if not final.exists():
            return
        known = read_verdict(self._beside, table, day) if wider else verdict
        accepted = known is not None and judged and known.status in catalog_stage.ACCEPTED
        made_from = catalog_stage.stamped_digest(final, day.date)
        same = pq.read_schema(final.footer()).metadata == target.metadata
        if accepted and known is not None and not (same and made_from in (None, known.content_digest)):
            if not wider:
                self._link(day, table)
            catalog_stage.write_day(self._beside, day, table, self._precisions)
        elif not accepted and not same:
            self._relabel(day, table, target)
        else:
            return
        self.files += 1

    def _add_frame(self, day: InstrumentDay, table: Table, verdict: Verdict) -> bool:
        """Write the frame with the larger scale, and bind its verdict to it; False if it has it already."""
        frame = self._places.frame(day.instrument_id, table.folder, day.date)
        if verdict.precision == self._precisions:
            return False
        if not frame.exists() or sha256_of(frame) != verdict.frame_sha256:
            raise VerdictRefused(str(day), table.name, "the frame is not the one that was judged (its sha256 differs)")
        schema = frame_schema(table, self._precisions)
        digest = ContentDigest(day.instrument_id, later(table))
        final = self._beside.frame(day.instrument_id, table.folder, day.date)
        with atomic_write(final, self._beside.catalog_temp) as temporary:
            metadata = frame_metadata(frame)
            writer = FrameWriter(temporary, day.instrument_id, table, arrow_schema(table, self._precisions, metadata))
            for block in read_blocks(frame, table):
                wider = block.with_columns(
                    pl.col(name).cast(dtype) for name, dtype in schema.items() if isinstance(dtype, pl.Decimal)
                )
                writer.write(wider)
                digest.add(wider)
            writer.close()
            sha256 = sha256_of(temporary)
        changed = msgspec.structs.replace(
            verdict, frame_sha256=sha256, content_digest=digest.hexdigest(), precision=self._precisions
        )
        store_verdict(self._beside, table, day, changed)
        return True

    def _link(self, day: InstrumentDay, table: Table) -> None:
        """Frame and verdict as they are, for a Nautilus file that is made of them anew."""
        for place in (Places.frame, Places.verdict):
            at = day.instrument_id, table.folder, day.date
            on_disk(self._places.catalog, "linking a day").link(
                place(self._places, *at).key, place(self._beside, *at).key
            )

    def _relabel(self, day: InstrumentDay, table: Table, target: pa.Schema) -> None:
        """The catalog's last good file of a day that is blocked by now: the same values, the footer's precisions alone change."""
        source = catalog_stage.file_of(self._places, day, table)
        digest = catalog_stage.stamped_digest(source, day.date)
        stamp: dict[str, str] = {} if digest is None else stamp_of(day.date, digest)
        final = catalog_stage.file_of(self._beside, day, table)
        with pq.ParquetFile(source.local()) as file, atomic_write(final, self._beside.catalog_temp) as temporary:
            generation = catalog_stage.generation_of(self._places)
            kinds = nautilus.rising(table, generation), nautilus.repeating(table, generation)
            options = parquet_options(target, "zstd", *kinds)
            with parquet_writer(temporary, target, options) as writer:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group).cast(target))
                if stamp:
                    writer.add_key_value_metadata(stamp)
            seal(temporary, stamp)

    def renames(self) -> Iterator[tuple[StorePath, StorePath]]:
        """(file beside the catalog, its place in it)."""
        root = self._beside.catalog
        for path in sorted(root.tree()):
            name = path.below(root)
            if ".hedgegrid" not in name.split("/"):
                yield path, self._places.catalog / name
