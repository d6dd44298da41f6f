"""How things stand: each feed's days by status, what is missing or stale, disk, runs and plan; nothing is changed."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from hedgegrid_assets.config.origin import Origin
from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.housekeeping.converting import behind, lost
from hedgegrid_assets.housekeeping.runs import Runs, last_runs
from hedgegrid_assets.inspect.spans import ranges
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.model import Channel, InstrumentDay, Remote, Table
from hedgegrid_assets.pipeline.days import recipe_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.landing import waiting_files
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog.files import folder_in, whole_day
from hedgegrid_assets.stages.catalog.twins import twins_of
from hedgegrid_assets.stages.normalize import Recipe, judges_so
from hedgegrid_assets.stages.outages import Outage, read_outages, with_outages
from hedgegrid_assets.stages.raw import RawDay, RawKey, read_pruned, shown_name
from hedgegrid_assets.stages.verdict import Verdict, goes_on, instrument_ids, read_verdict
from hedgegrid_assets.store import Places, Size, names_in, size_of
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.timestamps import days_between

KEY: Final = "TARDIS_API_KEY"
_KEY_SETTING: Final = "api_key_env"
DAMAGED: Final = "damaged"
"""Counted among the statuses: a verdict or manifest that cannot be read."""


def _dicts(days: Iterable[date]) -> list[dict[str, Any]]:
    return [{"first": str(each.first), "last": str(each.last), "days": each.days} for each in ranges(days)]


class TableStanding(Struct, frozen=True):
    """The days of one (instrument, table).

    Attributes:
        said: Day with a verdict, in order -> its status.
        not_made: Raw data are there, and no verdict yet.
        stale: Made from other raw data, by older rules, or not in the catalog although they may be.
        missing: Days that are due, and neither fetched nor landed.
        to_look_at: Days of a status that keeps them out of the catalog.
    """

    instrument_id: str
    table: Table
    said: Mapping[date, str]
    not_made: Sequence[date] = ()
    stale: Sequence[date] = ()
    missing: Sequence[date] = ()
    to_look_at: Sequence[date] = ()

    @property
    def days(self) -> Sequence[date]:
        """Days with a verdict, in order."""
        return list(self.said)

    @property
    def statuses(self) -> Mapping[str, int]:
        """Status -> how many days have it."""
        return Counter(self.said.values())

    def days_of(self, status: str) -> Sequence[date]:
        """Days that have it, in order."""
        return [day for day, said in self.said.items() if said == status]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``: days as ranges of first and last."""
        told = {name: _dicts(getattr(self, name)) for name in ("not_made", "stale", "missing", "to_look_at")}
        return {
            "instrument_id": self.instrument_id,
            "table": self.table.name,
            "days": len(self.days),
            "first": str(self.days[0]) if self.days else None,
            "last": str(self.days[-1]) if self.days else None,
            "statuses": dict(self.statuses),
            "days_by_status": {status: _dicts(self.days_of(status)) for status in self.statuses},
            **told,
        }


class FeedStanding(Struct, frozen=True):
    """One feed; ``name`` is empty for what a catalog holds besides. ``waiting``: landing files that no import has read."""

    name: str
    source: str
    venue: str
    tables: Sequence[TableStanding]
    waiting: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "feed": self.name or None,
            "source": self.source or None,
            "venue": self.venue or None,
            "waiting_files": list(self.waiting),
            "tables": [table.to_dict() for table in self.tables],
        }


class Standing(Struct, frozen=True):
    """All of it. ``plans``: provider -> what it says of the key. ``problems``: what could not be told, and what is not whole.

    ``nautilus``: the generation that the catalog is for; None: of none yet, or not known. ``beside``: catalogs of the same
    frames for the other one, in words.
    """

    places: Places
    feeds: Sequence[FeedStanding]
    disk: Mapping[str, Size]
    runs: Runs | None
    plans: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problems: Sequence[str] = ()
    nautilus: int | None = None
    beside: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """All could be told, and no change was left unfinished."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        sizes = {
            name: {"files": size.files, "bytes": size.bytes, "on_disk": size.on_disk}
            for name, size in self.disk.items()
        }
        return {
            "data": str(self.places.data),
            "catalog": str(self.places.catalog),
            "ok": self.ok,
            "feeds": [feed.to_dict() for feed in self.feeds],
            "disk": sizes,
            "runs": None if self.runs is None else self.runs.to_dict(),
            "plans": {name: list(lines) for name, lines in self.plans.items()},
            "problems": list(self.problems),
            "nautilus": self.nautilus,
            "beside": list(self.beside),
        }


def status(
    places: Places,
    feeds: Mapping[str, Origin],
    only: str | None = None,
    *,
    ask: bool = True,
    today: date | None = None,
) -> Standing:
    """How things stand, of all feeds or of one; ``ask``: providers too, of which there is a key.

    Told by small documents and the names of files; what they say is not proved (``validate`` does that).
    """
    problems = list(_unfinished(places))
    generation = _generation(places, problems)
    if generation is None and problems:  # of a mixture nothing else can be told
        return Standing(places, (), _disk(places), last_runs(only), {}, tuple(problems))
    definitions = _definitions(places, problems)
    until = today or datetime.now(UTC).date()
    contexts = [FeedContext(feed, places) for name, feed in feeds.items() if only in (None, name)]
    standings = [_feed(context, definitions, until, problems) for context in contexts]
    if only is None:
        standings += _others(places, standings, problems)
    return Standing(
        places,
        standings,
        _disk(places),
        last_runs(only),
        _plans(contexts) if ask else {},
        tuple(problems),
        generation,
        tuple(_beside(places)) if generation is not None else (),
    )


# ---------------------------------------------------------------- days


def _feed(
    context: FeedContext, definitions: Mapping[str, Instrument], until: date, problems: list[str]
) -> FeedStanding:
    tables: list[TableStanding] = []
    pruned = read_pruned(context.places, context.feed.name)
    for symbol in context.feed.symbols:
        instrument_id = context.feed.instrument_id(symbol)
        instrument = definitions.get(instrument_id)
        for name, (channel, made) in context.by_channel().items():
            raw = set(context.places.raw_days(context.feed.name, name, symbol))
            due = {day for day in _due(context, raw, until) if not pruned.has(RawKey(name, symbol, day))}
            recipe = None if instrument is None else recipe_of(context, channel, instrument)
            noted: dict[date, RawDay | None] = {}
            for table in made:
                look = _Look(context, instrument_id, symbol, channel, table, recipe, problems, noted)
                tables.append(look.standing(raw, due))
    waiting = _waiting(context, problems)
    return FeedStanding(context.feed.name, context.source.name, context.feed.venue, tables, waiting)


def _due(context: FeedContext, landed: set[date], until: date) -> set[date]:
    """Days that a feed should have by now: since its start where days are fetched, else between those that landed."""
    if not context.source.has_landing_zone:
        return set(context.feed.days(until))
    return set(days_between(min(landed), max(landed))) if landed else set()


class _Look(Struct, frozen=True):
    """At the days of one (instrument, table) of a feed."""

    context: FeedContext
    instrument_id: str
    symbol: str
    channel: Channel
    table: Table
    recipe: Recipe | None
    problems: list[str]
    noted: dict[date, RawDay | None]
    """What manifests say: one is of several tables."""

    def standing(self, raw: set[date], due: set[date]) -> TableStanding:
        places = self.context.places
        published = _published(places, self.instrument_id, self.table)
        days = places.judged_days(self.instrument_id, self.table.folder)
        outages = _outages(places, self.problems)
        said: dict[date, str] = {}
        stale: list[date] = []
        to_look_at: list[date] = []
        for day in days:
            verdict = _verdict(places, self.table, InstrumentDay(self.instrument_id, day), self.problems)
            said[day] = _word(verdict and with_outages(verdict, outages))
            if verdict is None or verdict.status not in catalog_stage.ACCEPTED:
                to_look_at.append(day)
            elif day not in published or (day in raw and not self._is_current(day, verdict)):
                stale.append(day)
        not_made = sorted(raw - set(days))
        missing = sorted(due - raw - set(days))
        return TableStanding(self.instrument_id, self.table, said, not_made, stale, missing, to_look_at)

    def _is_current(self, day: date, verdict: Verdict) -> bool:
        if day not in self.noted:
            try:
                self.noted[day] = self.context.noted(RawKey(self.channel.name, self.symbol, day))
            except HedgegridError as error:
                self.problems.append(error.message)
                self.noted[day] = None
        raw = self.noted[day]
        return (
            raw is not None
            and self.recipe is not None
            and judges_so(verdict, self.table, raw, self.recipe)
            and goes_on(self.context.places, self.table, InstrumentDay(self.instrument_id, day), verdict)
        )


def _outages(places: Places, problems: list[str]) -> Sequence[Outage]:
    try:
        return read_outages(places)
    except HedgegridError as error:
        problems.append(error.message)
        return ()


def _word(verdict: Verdict | None) -> str:
    return DAMAGED if verdict is None else str(verdict.status)


def _verdict(places: Places, table: Table, day: InstrumentDay, problems: list[str]) -> Verdict | None:
    try:
        return read_verdict(places, table, day)
    except HedgegridError as error:
        problems.append(error.message)
        return None


def _published(places: Places, instrument_id: str, table: Table) -> set[date]:
    """Days that have a file of Nautilus', by its name."""
    names = names_in(folder_in(places, table, instrument_id))
    return {day for name in names if (day := whole_day(name)) is not None}


def _others(places: Places, known: Sequence[FeedStanding], problems: list[str]) -> Iterator[FeedStanding]:
    """What the catalog holds that no feed makes: of commands, or of feeds that are no more."""
    mine = {(each.instrument_id, each.table.name) for feed in known for each in feed.tables}
    found: list[TableStanding] = []
    for instrument_id in sorted(instrument_ids(places).values()):
        for table in TABLES.values():
            days = places.judged_days(instrument_id, table.folder)
            if not days or (instrument_id, table.name) in mine:
                continue
            published = _published(places, instrument_id, table)
            verdicts = {day: _verdict(places, table, InstrumentDay(instrument_id, day), problems) for day in days}
            good = {day for day, each in verdicts.items() if each is not None and each.status in catalog_stage.ACCEPTED}
            found.append(
                TableStanding(
                    instrument_id,
                    table,
                    {day: _word(verdict) for day, verdict in verdicts.items()},
                    stale=sorted(good - published),
                    to_look_at=sorted(set(days) - good),
                )
            )
    if found:
        yield FeedStanding("", "", "", found)


def _waiting(context: FeedContext, problems: list[str]) -> list[str]:
    if not context.source.has_landing_zone:
        return []
    try:
        return [shown_name(context.places, landing.path) for landing in waiting_files(context)]
    except HedgegridError as error:
        problems.append(error.message)
        return []


def _definitions(places: Places, problems: list[str]) -> dict[str, Instrument]:
    try:
        return read_definitions(places.catalog)
    except HedgegridError as error:
        problems.append(error.message)
        return {}


def _generation(places: Places, problems: list[str]) -> int | None:
    try:
        return catalog_stage.held_generation(places)
    except HedgegridError as error:
        problems.append(str(error))
        return None


def _beside(places: Places) -> Iterator[str]:
    """Catalogs of the same frames, and how many days they lack."""
    for twin in twins_of(places):
        lacking = sum(1 for _ in behind(places, twin))
        told = f"{lacking:,} day{'s' * (lacking != 1)} behind" if lacking else "up to date"
        yield f"{twin.catalog}, for NautilusTrader {catalog_stage.generation_of(twin)}.x: {told}"
    yield from lost(places)


def _unfinished(places: Places) -> Iterator[str]:
    try:
        begun = catalog_stage.unfinished(places)
    except HedgegridError as error:
        yield error.message
    else:
        if begun is not None:
            yield f"unfinished: {begun}"


# ---------------------------------------------------------------- around them


def _disk(places: Places) -> dict[str, Size]:
    """What -> how much of it: as ``du`` tells of the same folders."""
    own: list[Path] = []
    landed: list[Path] = []
    for name in names_in(places.landing):
        is_ours = places.imports(name).is_dir() or places.raw_temp(name).is_dir()
        (own if is_ours else landed).append(places.landing / name)
    nautilus = places.catalog / "data"
    working = places.catalog / ".hedgegrid"
    whole = size_of(places.catalog)
    parts = {"Nautilus": size_of(nautilus), "working files": size_of(working)}
    rest = Size(
        whole.files - sum(part.files for part in parts.values()),
        whole.bytes - sum(part.bytes for part in parts.values()),
        whole.on_disk - sum(part.on_disk for part in parts.values()),
    )
    return {
        "catalog": whole,
        "frames": rest,
        **parts,
        "raw days": size_of(*own),
        "landing files": size_of(*landed),
        "rejected lines": size_of(places.data / "rejects"),
        "cache": size_of(places.cache),
    }


def _plans(contexts: Sequence[FeedContext]) -> dict[str, Sequence[str]]:
    """Provider and exchange -> what it says of the key; nobody is asked without one."""
    keyed = {
        name: source.remote
        for name, source in SOURCES.items()
        if source.remote is not None and _KEY_SETTING in source.settings.model_fields
    }
    asked: dict[str, tuple[Remote, Mapping[str, Any]]] = {}
    for context in contexts:
        if context.feed.source in keyed:
            exchange = context.settings.get("exchange", "")
            asked[f"{context.feed.source} {exchange}".strip()] = keyed[context.feed.source], context.settings
    for name, remote in keyed.items():
        if not contexts and os.environ.get(KEY):
            asked[name] = (
                remote,
                {key: found for key, said in remote.environment.items() if (found := os.environ.get(said))},
            )
    return {name: _said(remote, settings) for name, (remote, settings) in asked.items()}


def _said(remote: Remote, settings: Mapping[str, Any]) -> list[str]:
    if not os.environ.get(str(settings.get(_KEY_SETTING) or KEY)):
        return ["no key: only the first day of each month can be fetched"]
    if not remote.reachable(settings):
        return ["not known: nobody answers at the provider's address now"]
    try:
        return remote.account(settings)
    except HedgegridError as error:
        return [f"not known: {error.message}"]
