"""What decides how a raw day is normalized, what has become of it, and whether that still stands."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from hedgegrid_assets.errors import DataError, EnvironmentFault
from hedgegrid_assets.model import Channel, Identity, InstrumentDay, Source, Status, Table, Thresholds
from hedgegrid_assets.stages.frames import Precisions, frame_metadata
from hedgegrid_assets.stages.normalize.beside import compared_with_todays
from hedgegrid_assets.stages.raw import RawDay, files_to_blame
from hedgegrid_assets.stages.verdict import Verdict, goes_on, read_verdict
from hedgegrid_assets.store import Places, StorePath
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.rules import FILES_TOLD


class Normalized(Struct, frozen=True):
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


class Recipe(Struct, frozen=True):
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


NOT_MADE: Final = "not made yet"


def stale_because(places: Places, day: InstrumentDay, table: Table, raw: RawDay, recipe: Recipe) -> str | None:
    """Why the stored frame and verdict do not stand for these raw bytes and this recipe, in words; None: they do.

    A refused day has neither, and so is ``NOT_MADE``.
    """
    verdict = read_verdict(places, table, day)
    if verdict is None:
        return NOT_MADE
    why = next(_outdated(verdict, table, raw, recipe), None)
    if why is not None:
        return why
    if not goes_on(places, table, day, verdict):
        return "the day before hands on other rows"
    if not recipe.is_made(table) and not compared_with_todays(places, day, table, verdict):
        return "a table that it is compared with has changed"
    if not _is_made_from(places.frame(day.instrument_id, table.folder, day.date), raw):
        return "its frame is not there, or of other raw data"
    return None


def is_current(places: Places, day: InstrumentDay, table: Table, raw: RawDay, recipe: Recipe) -> bool:
    """The stored frame and verdict were made from these raw bytes by this recipe."""
    return stale_because(places, day, table, raw, recipe) is None


def judges_so(verdict: Verdict, table: Table, raw: RawDay, recipe: Recipe) -> bool:
    """A verdict is of these raw bytes, read and judged by this recipe; its frame is not looked at."""
    return next(_outdated(verdict, table, raw, recipe), None) is None


def _outdated(verdict: Verdict, table: Table, raw: RawDay, recipe: Recipe) -> Iterator[str]:
    """What has changed since a verdict: what comes first tells most.

    A verdict that lacks a rule of its table, or has one more, was judged by an older table.
    """
    code = recipe.code_version(table)
    if verdict.raw_sha256 != [raw.sha256]:
        yield "other raw data"
    if verdict.code_version != code:
        yield f"made by {verdict.code_version}, now {code}"
    if not recipe.precisions.same_for(table, verdict.precision):
        yield "other precisions of its instrument"
    if verdict.thresholds != recipe.thresholds_of(table):
        yield "other thresholds"
    if verdict.series != recipe.channel.series:
        yield f"made from {verdict.series}, now {recipe.channel.series}"
    if verdict.read_as != raw.read_as:
        yield "its files are read in another way"
    if rules := {rule.name for rule in verdict.rules} ^ {rule.name for rule in table.rules}:
        yield f"judged by other rules ({', '.join(sorted(rules))})"
    if verdict.identity_in(table) != recipe.told_identity(table):
        yield "what makes two rows one is another"
    if verdict.frame_sha256 is None:
        yield "no frame was stored"
    if verdict.blamed_files != to_blame(raw, recipe.thresholds_of(table))[:FILES_TOLD]:
        yield "other files have too many lines without a place"


def _is_made_from(frame: StorePath, raw: RawDay) -> bool:
    """A frame is there, and its own footer says the same: an older one may have been put back."""
    try:
        return frame_metadata(frame).get("hedgegrid.raw_sha256") == raw.sha256
    except EnvironmentFault as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return False
        raise


def to_blame(raw: RawDay, thresholds: Thresholds) -> list[dict[str, Any]]:
    """The files of a raw day of which too many lines have no place."""
    return files_to_blame(raw.manifest, thresholds.max_rejected)
