"""A whole request: import or fetch, define instruments, then day by day normalize, judge and publish."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from hedgegrid_assets.batch import REST
from hedgegrid_assets.errors import HedgegridError, together
from hedgegrid_assets.instruments import FAR_FINER, FEW, Instrument, read_definitions
from hedgegrid_assets.model import InstrumentDay
from hedgegrid_assets.pipeline.definitions import described, doubtful_numbers, instrument_of, is_pinned
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.fetch import fetch, results_of, workers
from hedgegrid_assets.pipeline.freshness import left_behind
from hedgegrid_assets.pipeline.helpers import Helpers
from hedgegrid_assets.pipeline.landing import Unnamed, import_landing, unnamed, unnamed_notes
from hedgegrid_assets.pipeline.plan import made_keys
from hedgegrid_assets.pipeline.request import Request, context_of, request
from hedgegrid_assets.pipeline.selection import (
    INSTRUMENTS_TOLD,
    contradicted,
    giving,
    note_missing_tables,
    wanted_keys,
    with_bar_kind,
    with_index_kind,
    with_market,
    with_trade_kind,
)
from hedgegrid_assets.pipeline.summary import DaySummary, RunSummary, Watch
from hedgegrid_assets.pipeline.turns import Work, in_turn, may_go, work_off
from hedgegrid_assets.stages.catalog import claim, refuse_unfit_nautilus
from hedgegrid_assets.stages.frames import few_far_finer
from hedgegrid_assets.stages.raw import ImportReport, Progress, RawDay, RawKey
from hedgegrid_assets.store import plain
from hedgegrid_assets.venues.markets import NAMES
from hedgegrid_assets.wording import counted, each_counted

_log: Final = logging.getLogger(__name__)


FETCHED_AT_ONCE: Final = 4
"""Days that are fetched at a time, if ``jobs`` does not ask for more; what is made of them is bounded by ``jobs`` alone."""


async def run_pipeline(
    source_type: str,
    symbol: str,
    start_date: str | None = None,
    end_date: str | None = None,
    output_path: str | Path = "./data/catalog",
    data_types: Sequence[str] | None = None,
    source_config: Mapping[str, Any] | None = None,
    exchange: str | None = None,
    nautilus: int | None = None,
) -> RunSummary:
    """Turn raw market data into a NautilusTrader catalog; the guide's coroutine.

    The work runs in a thread, so that the caller's loop stays alive; cancelling stops it at the next block. No log
    handler is added: configure ``logging`` as you like.

    Args:
        source_type: ``websocket``, ``synthetic``, ...
        symbol: Exchange symbol, or several with commas.
        start_date: First day, ``YYYY-MM-DD``, UTC; may be left out for files.
        end_date: First day that is not wanted any more (exclusive).
        output_path: Root of the catalog.
        data_types: ``trades``, ``mark``, ``index``, ``funding``; None: all that the source has.
        source_config: The source's settings, as in ``--config``.
        exchange: Nautilus venue; None: the ``venue`` of ``source_config``, else BINANCE.
        nautilus: Generation of NautilusTrader that a new catalog is for; None: the installed one.

    Returns:
        A summary; ``ok`` is false if a day failed, and good days have landed all the same.

    Raises:
        UsageError: Before any work.
        DataError: Nothing found, or nothing usable.
        EnvironmentFault: Disk or permissions.
    """
    import asyncio  # the caller has it; a command line has not

    asked = request(
        source_type,
        symbol,
        start_date,
        end_date,
        output_path=output_path,
        data_types=data_types,
        source_config=source_config,
        exchange=exchange,
        nautilus=nautilus,
    )
    stop = threading.Event()
    try:
        return await asyncio.to_thread(run, asked, stop=stop)
    except asyncio.CancelledError:
        stop.set()
        raise


class Stopped(BaseException):
    """The caller cancelled the run."""


def run(
    asked: Request,
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    watch: Watch | None = None,
) -> RunSummary:
    """Do what is asked: import, define instruments, then day by day normalize, judge and publish.

    ``watch`` is told how many days there are, and of each that is finished; ``say`` is told what a person should know (notes are in the summary as well). A day that fails stops no other.
    """
    told = _Told(progress, say, stop or threading.Event(), watch)
    at_hand: dict[RawKey, RawDay] = {}
    try:
        return _run(asked, told, at_hand)
    finally:
        for day in at_hand.values():
            day.close()


class _Told(Struct, frozen=True):
    """Who is told of what the run does, and who may stop it."""

    progress: Progress | None
    say: Callable[[str], None] | None
    halt: threading.Event
    watch: Watch | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """What a person should know."""
        self.notes.append(text)
        _log.info(text)
        if self.say:
            self.say(text)

    def begin(self, what: str, of: int) -> None:
        """So many days come now."""
        if self.watch:
            self.watch.begin(what, of)

    def fetched(self, told: str) -> None:
        """One of them is there; called from all threads."""
        if self.watch:
            self.watch.fetched(told)

    def finished(self, days: Sequence[DaySummary]) -> None:
        """One of them is done; called from all threads."""
        if self.watch:
            self.watch.finished(days)

    def tick(self, what: str, lines: int) -> None:
        """Called often, from all threads. Raises Stopped."""
        if self.halt.is_set():
            raise Stopped
        if self.progress:
            self.progress(what, lines)


class _Taken(Struct, frozen=True):
    """The raw days to convert; of files: with the kinds and the market that they have, and what importing them told."""

    context: FeedContext
    keys: Sequence[RawKey]
    report: ImportReport | None = None
    errors: Sequence[HedgegridError] = ()

    @property
    def not_understood(self) -> int:
        """Lines that could be of a table that is missing."""
        return self.report.by_stream[REST] + self.report.unplaced.total() if self.report else 0


def _run(asked: Request, told: _Told, at_hand: dict[RawKey, RawDay]) -> RunSummary:
    """``at_hand`` gets the days that the run has read, and that the caller closes."""
    started = time.monotonic()
    refuse_unfit_nautilus()
    venue = asked.origin.venue
    for symbol, listing in asked.spelled.items():
        told.note(f"{symbol} is read as {NAMES[listing.market]} of {venue}: {listing.symbol}.{venue}")
    context = context_of(asked)
    context.places.catalog.prepare()
    claim(context.places, asked.origin.nautilus, fresh=True)
    taken = (
        _import(context, asked, told, at_hand)
        if context.source.has_landing_zone
        else _Taken(context, made_keys(context, asked))
    )
    context, keys = taken.context, taken.keys
    others = unnamed(context, keys)
    for text in unnamed_notes(context, others):
        told.note(text)
    note_missing_tables(context, keys, told.note, taken.not_understood)
    failed = contradicted(context, keys) if context.source.has_landing_zone else {}
    _refuse_none_left(keys, failed)
    if context.source.remote is not None:
        at_once = max(asked.jobs, FETCHED_AT_ONCE)
        told.begin("fetched", len(keys))
        failed = fetch(context, keys, at_once, told.tick, told.halt, told.note, at_hand, told.fetched)
    inferred = _define_instruments(context, keys, failed, told)
    _refuse_none_left(keys, failed)
    work = Work(context, asked.compression, asked.force)
    turns = in_turn(context, keys, asked.jobs)
    listens = _log.isEnabledFor(logging.INFO)  # to each day: so they are made here
    apart = [turn for turn in turns if asked.jobs > 1 and not listens and may_go(work, turn, {*failed, *at_hand})]
    told.begin("made", len(keys))
    with Helpers(work, apart, asked.jobs - 1) as helpers, workers(asked.jobs, told.halt) as pool:
        done = [pool.submit(_work_off, helpers, work, turn, told, failed, at_hand) for turn in turns]
        days = [_with_others(day, others) for each in results_of(done) for day in each]
    for text in (
        *(day.note for day in days if day.note),
        *_again_notes(days),
        *_left_behind_notes(context, days),
        *_far_finer_notes(context, inferred, days),
    ):
        told.note(text)
    context.places.remember()
    order = list(context.feed.tables)
    return RunSummary(
        sorted(days, key=lambda day: (day.instrument_id, order.index(day.table), day.date)),
        notes=told.notes,
        seconds=time.monotonic() - started,
        errors=list(taken.errors),
        **_lines_told(taken.report),
    )


def _with_others(day: DaySummary, found: Sequence[Unnamed]) -> DaySummary:
    """A blocked day that holds lines of files that were not named says so in its error: theirs may be the culprits."""
    if day.error is None:
        return day
    at = (day.instrument_id, day.date)
    mine = [each for each in found if (each.instrument_id, each.day) == at and day.table in each.tables]
    if not mine:
        return day
    return replace(day, error=f"{day.error}; {mine[0]}: {mine[0].reset}, and run again, makes the day without them")


def _work_off(
    helpers: Helpers,
    work: Work,
    turn: Sequence[RawKey],
    told: _Told,
    failed: Mapping[RawKey, HedgegridError],
    at_hand: dict[RawKey, RawDay],
) -> list[DaySummary]:
    """Days one after the other: by another process where one is free that may do it, else here."""
    done = helpers.work_off(turn, told.tick)
    if done is None:
        return work_off(work, turn, told.tick, failed, at_hand, told.finished)
    for _, days in groupby(done, key=lambda day: day.date):
        told.finished(list(days))
    return done


def _import(context: FeedContext, asked: Request, told: _Told, at_hand: dict[RawKey, RawDay]) -> _Taken:
    """Import the landing files, and choose what to take of them. Raises where there is nothing to take."""
    report = import_landing(
        context,
        channels=giving(context),
        in_place=True,
        pass_over_damaged=not context.names_files,
        progress=told.tick,
        keep=True,
        again=asked.force,
    )
    at_hand |= report.at_hand
    for text in (*report.notes, *_passed_over_notes(context, report)):
        told.note(text)
    for choose in (with_trade_kind, with_index_kind, with_bar_kind):
        context = choose(context, report, told.note)
    keys, missing = wanted_keys(context, asked, report)
    if not keys:
        raise together(report.refused) if report.refused else missing[0]
    return _Taken(with_market(context, keys, told.note), keys, report, [*report.refused, *missing])


def _passed_over_notes(context: FeedContext, report: ImportReport) -> Iterator[str]:
    """Rows and lines of the files that nothing is made of."""
    others = report.unknown_symbols
    if context.source.begin is not None and others:
        most = ", ".join(f"{symbol} {count:,}" for symbol, count in others.most_common(5))
        yield f"{counted(sum(others.values()), 'row')} of {counted(len(others), 'other symbol')} passed over: {most}"
    if report.unplaced:
        kept = context.places.data / "rejects" / context.feed.name
        yield f"{counted(report.unplaced.total(), 'line belongs', 'lines belong')} to no table or day ({each_counted(report.unplaced)}): kept in {kept}"


def _refuse_none_left(keys: Sequence[RawKey], failed: Mapping[RawKey, HedgegridError]) -> None:
    """Where every day has failed, its error is the run's."""
    if keys and len(failed) == len(keys):
        raise next(iter(failed.values()))


def _define_instruments(
    context: FeedContext, keys: Sequence[RawKey], failed: dict[RawKey, HedgegridError], told: _Told
) -> list[Instrument]:
    """Define and announce the instruments of the days that have not ``failed``; those that cannot be, fail theirs.

    Gives those whose precisions were inferred.
    """
    made = not context.source.has_landing_zone and context.source.remote is None and context.source.precisions is None
    inferred: list[Instrument] = []
    left = 0
    known = read_definitions(context.places.catalog)
    for symbol in sorted({key.symbol for key in keys if key not in failed}):
        mine = [key for key in keys if key.symbol == symbol]
        try:
            for key in mine if made else ():
                context.raw(key)
            instrument = instrument_of(context, symbol)
        except HedgegridError as error:
            failed.update({key: error for key in mine if key not in failed})
            continue
        if instrument.origin == "inferred":
            inferred.append(instrument)
            if len(inferred) > INSTRUMENTS_TOLD:
                left += 1
            elif is_pinned(context, instrument):
                told.note(f"instrument {described(instrument)}")
                if instrument.id not in known and context.source.precisions is None:
                    told.note(_of_how_much(context, mine))
        for text in doubtful_numbers(context, symbol, instrument, {key.day for key in mine}):
            told.note(text)
    if left:
        told.note(f"and {counted(left, 'instrument')} more with inferred decimals: hedgegrid instruments list")
    return inferred


def _of_how_much(context: FeedContext, keys: Sequence[RawKey]) -> str:
    """What new precisions rest on, and what to do where they are too coarse."""
    rows = sum(raw.manifest.lines for key in keys if (raw := context.noted(key)) is not None)
    return (
        f"these decimals are inferred from {counted(rows, 'line')}: the venue's own are taken with `hedgegrid instruments "
        "import FILE` (--catalog, where it is not data/catalog), and a later, finer day with --widen"
    )


def _again_notes(days: Sequence[DaySummary]) -> Iterator[str]:
    """Why days were made again that had been made before: once for all of a table that say the same."""
    again: dict[tuple[str, str, str], list[date]] = {}
    for day in days:
        if day.because:
            again.setdefault((day.instrument_id, day.table, day.because), []).append(day.date)
    for (instrument_id, table, because), dates in again.items():
        first, last = min(dates), max(dates)
        told = f"{first}" if first == last else f"{first} .. {last} ({counted(len(dates), 'day')})"
        yield f"{instrument_id} {table} {told} made again; it was there ({because})"


def _left_behind_notes(context: FeedContext, days: Sequence[DaySummary]) -> Iterator[str]:
    """Days that this run was not asked for, and that rest on one that it has made."""
    for table in context.tables:
        mine = [InstrumentDay(day.instrument_id, day.date) for day in days if day.table == table.name]
        for day, after in left_behind(context, table, mine):
            yield (
                f"{after} {table.name} goes on from {day.date} as it was before: a run over both days, or `hedgegrid "
                "backfill` of a feed, makes it again"
            )


def _far_finer_notes(context: FeedContext, inferred: Sequence[Instrument], days: Sequence[DaySummary]) -> Iterator[str]:
    """What a person should know of a few numbers, of days made in this run, that have made an inferred tick far finer."""
    for instrument in inferred:
        for table, column in [(each, column) for each in context.tables for column in each.columns]:
            if column.precision is None or column.precision == "mark":
                continue
            precision = getattr(instrument, f"{column.precision}_precision")
            made = [day for day in days if (day.instrument_id, day.table) == (instrument.id, table.name)]
            paths = [context.places.frame(instrument.id, table.folder, day.date) for day in made if not day.skipped]
            paths = [path for path in paths if path.exists()]
            coarse = precision - FAR_FINER
            few = few_far_finer(paths, table, column.name, coarse, FEW) if coarse >= 0 else None
            if few is not None:
                yield (
                    f"{instrument.id} {column.name}: {few[0]:,} of {few[1]:,} numbers have more than {coarse} decimals, "
                    f"such as {few[2].normalize():f}, and make {precision} of it; if they are mistakes, correct the "
                    "file and use another --output"
                )


def _lines_told(report: ImportReport | None) -> dict[str, Any]:
    """What a summary says of the lines of the landing files."""
    if report is None:
        return {}
    return {
        "lines": report.lines,
        "by_stream": report.by_stream,
        "unplaced": report.unplaced,
        "counts": plain(report.counts),
        "files": [file.to_dict() for file in report.files],
    }
