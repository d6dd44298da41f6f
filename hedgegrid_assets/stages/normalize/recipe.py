"""What decides how a raw day is normalized, what has become of it, and whether that still stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hedgegrid_assets.errors import DataError
from hedgegrid_assets.model import Channel, Identity, InstrumentDay, Source, Status, Table, Thresholds
from hedgegrid_assets.stages.frames import Precisions, frame_metadata
from hedgegrid_assets.stages.normalize.beside import compared_with_todays
from hedgegrid_assets.stages.raw import RawDay, files_to_blame
from hedgegrid_assets.stages.verdict import Verdict, goes_on, read_verdict
from hedgegrid_assets.store import Places, StorePath
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.rules import FILES_TOLD


@dataclass(frozen=True, slots=True)
class Normalized:
    """What became of one (instrument-day, table). ``error`` is set where no frame could be stored."""

    day: InstrumentDay
    table: Table
    verdict: Verdict
    frame: StorePath | None
    error: DataError | None = None
    note: str | None = None
    """What a person should know of what the frame has replaced."""

    @property
    def status(self) -> Status:
        """The day's status for this table."""
        return self.verdict.status


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what a frame is made of; equal recipes on equal raw bytes give equal frames."""

    source: Source
    channel: Channel
    precisions: Precisions
    thresholds: Mapping[str, Thresholds]
    compression: str = "zstd"

    def code_version(self, table: Table) -> str:
        """Versions of the table's and the source's rules."""
        return f"{table.name}:{table.code_version}+{self.source.name}:{self.source.code_version}"

    def base_of(self, table: Table) -> Table:
        """The table whose rows are put in order, and told apart, before the table is made of them: itself, mostly."""
        made_of = self.channel.tables[table.name].made_of
        return TABLES[made_of] if made_of else table

    def is_made(self, table: Table) -> bool:
        """Its rows are made of those of another table."""
        return self.base_of(table) is not table

    def identity_of(self, table: Table) -> Identity:
        """When two rows of a table, or of the one that it is made of, are one."""
        return self.channel.tables[self.base_of(table).name].identity or self.channel.identity

    def told_identity(self, table: Table) -> Identity:
        """As verdicts tell it: they have one word for rows that are one by their content."""
        identity = self.identity_of(table)
        return Identity.CONTENT if identity is Identity.MOMENT else identity

    def thresholds_of(self, table: Table) -> Thresholds:
        """The feed's thresholds for a table."""
        return self.thresholds.get(table.name, Thresholds())


def is_current(places: Places, day: InstrumentDay, table: Table, raw: RawDay, recipe: Recipe) -> bool:
    """The stored frame and verdict were made from these raw bytes by this recipe; a refused day has none.

    A verdict that lacks a rule of its table, or has one more, was judged by an older table: the day is judged anew.
    """
    verdict = read_verdict(places, table, day)
    return (
        verdict is not None
        and judges_so(verdict, table, raw, recipe)
        and goes_on(places, table, day, verdict)
        and (recipe.is_made(table) or compared_with_todays(places, day, table, verdict))
        and _is_made_from(places.frame(day.instrument_id, table.folder, day.date), raw)
    )


def judges_so(verdict: Verdict, table: Table, raw: RawDay, recipe: Recipe) -> bool:
    """A verdict is of these raw bytes, read and judged by this recipe; its frame is not looked at."""
    return (
        verdict.raw_sha256 == [raw.sha256]
        and verdict.code_version == recipe.code_version(table)
        and recipe.precisions.same_for(table, verdict.precision)
        and verdict.thresholds == recipe.thresholds_of(table)
        and verdict.series == recipe.channel.series
        and verdict.read_as == raw.read_as
        and {rule.name for rule in verdict.rules} == {rule.name for rule in table.rules}
        and verdict.identity_in(table) == recipe.told_identity(table)
        and verdict.frame_sha256 is not None
        and verdict.blamed_files == to_blame(raw, recipe.thresholds_of(table))[:FILES_TOLD]
    )


def _is_made_from(frame: StorePath, raw: RawDay) -> bool:
    """A frame is there, and its own footer says the same: an older one may have been put back."""
    try:
        return frame_metadata(frame).get("hedgegrid.raw_sha256") == raw.sha256
    except (pa.ArrowException, OSError):
        return False


def to_blame(raw: RawDay, thresholds: Thresholds) -> list[dict[str, Any]]:
    """The files of a raw day of which too many lines have no place."""
    return files_to_blame(raw.manifest, thresholds.max_rejected)
