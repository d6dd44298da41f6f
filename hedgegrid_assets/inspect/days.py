"""The stored verdicts of a catalog: which there are, by instrument, table and day."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from hedgegrid_assets.errors import NoCatalogThere, NoDataFetched, UnknownName
from hedgegrid_assets.inspect.documents import refuse_damaged
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.stages.outages import Outage, known_of, read_outages, with_outages
from hedgegrid_assets.stages.verdict import RuleAnswer, Verdict, instrument_ids, read_verdict
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import TABLES, TOKENS, WORDS

OTHERS_THERE: Final = "name an instrument that is there, and days that `hedgegrid validate` lists (end is exclusive)"

_SHOWN: Final = 10
"""Instruments that are named where others are asked for."""


class DayFilter(Struct, frozen=True):
    """Which days of a catalog; None: all. ``table`` is Nautilus' name, ``end`` is exclusive."""

    instrument: str | None = None
    table: str | None = None
    start: date | None = None
    end: date | None = None

    def has(self, instrument_id: str, table: str, day: date) -> bool:
        """Is this day wanted?"""
        return (
            self.instrument in (None, instrument_id)
            and self.table in (None, table)
            and (self.start is None or day >= self.start)
            and (self.end is None or day < self.end)
        )

    def __str__(self) -> str:
        days = f"{self.start or ''}..{self.end or ''}" if self.start or self.end else ""
        return " ".join(filter(None, (self.instrument, self.table, days))) or "any day"


class Judged(Struct, frozen=True):
    """One (instrument, table, day) with its stored verdict, as it reads with the known outages of its table."""

    day: InstrumentDay
    table: Table
    verdict: Verdict
    outages: tuple[Outage, ...] = ()

    @classmethod
    def of(cls, day: InstrumentDay, table: Table, stored: Verdict, outages: Sequence[Outage]) -> "Judged":
        """A stored verdict, with what is known of the catalog."""
        mine = known_of(outages, day.instrument_id, table.name)
        return cls(day, table, with_outages(stored, mine), mine)

    @property
    def status(self) -> str:
        """The day's status for this table."""
        return str(self.verdict.status)

    @property
    def failed(self) -> list[RuleAnswer]:
        """The rules that failed; those that were off did neither."""
        return self.verdict.failed

    @property
    def off(self) -> list[str]:
        """Names of the rules that were off."""
        return self.verdict.rules_off


def table_named(name: str) -> Table:
    """A table by Nautilus' name or by the guide's word. Raises UsageError."""
    found = TABLES.get(name) or TOKENS.get(name)
    if found is None:
        raise UnknownName("table", "", name, TOKENS, other=WORDS)
    return found


def judged_days(places: Places, wanted: DayFilter) -> Iterator[Judged]:
    """The verdicts that are wanted, by instrument, table (in the order of ``TABLES``) and day; read one by one."""
    outages = read_outages(places)
    for instrument_id in instruments(places):
        for table in TABLES.values():
            for day in places.judged_days(instrument_id, table.folder):
                if wanted.has(instrument_id, table.name, day):
                    verdict = read_verdict(places, table, InstrumentDay(instrument_id, day))
                    if verdict is not None:
                        yield Judged.of(InstrumentDay(instrument_id, day), table, verdict, outages)


def instruments(places: Places) -> list[str]:
    """Instruments that a catalog has verdicts of. Raises DocumentDamaged where a document of the whole catalog is."""
    refuse_damaged(places)
    return sorted(
        instrument_id
        for folder, instrument_id in instrument_ids(places).items()
        if any(below.name.endswith(".verdict") for below in (places.catalog / folder).folders())
    )


def some(days: Sequence[Judged], places: Places, wanted: DayFilter) -> Sequence[Judged]:
    """The same days. Raises NoDataFetched if there are none."""
    if not days:
        raise nothing_found(places, wanted)
    return days


def nothing_found(places: Places, wanted: DayFilter) -> NoDataFetched:
    """What is there instead."""
    there = ", ".join(instruments(places)[:_SHOWN])
    if not there:
        return no_catalog(places, "no verdicts: run `hedgegrid validate` for the catalogs of others")
    return NoDataFetched(str(wanted), str(places.catalog), f"verdicts of {there}", hint=OTHERS_THERE)


def no_catalog(places: Places, found: str) -> NoCatalogThere:
    """That nothing of a catalog is there, and whether anything is there."""
    return NoCatalogThere(str(places.catalog), found if places.catalog.is_dir() else None)
