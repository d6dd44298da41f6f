"""A whole request: import or fetch, define instruments, then day by day normalize, judge and publish."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from hedgegrid_assets.batch import REST
from hedgegrid_assets.errors import HedgegridError, NoDataFetched, Unforeseen, together
from hedgegrid_assets.instruments import FAR_FINER, FEW, Instrument
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.pipeline.days import make_tables
from hedgegrid_assets.pipeline.definitions import doubtful_numbers, instrument_of, is_pinned, told
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.fetch import fetch, results_of, workers
from hedgegrid_assets.pipeline.landing import import_landing
from hedgegrid_assets.pipeline.plan import made_keys
from hedgegrid_assets.pipeline.request import Request, context_of, request
from hedgegrid_assets.pipeline.selection import (
    contradicted,
    giving,
    note_missing_tables,
    wanted_keys,
    with_index_kind,
    with_market,
    with_trade_kind,
)
from hedgegrid_assets.pipeline.summary import DaySummary, RunSummary, day_summary, failed_day
from hedgegrid_assets.stages.catalog import refuse_unfit_nautilus
from hedgegrid_assets.stages.frames import few_far_finer
from hedgegrid_assets.stages.raw import ImportReport, Progress, RawDay, RawKey
from hedgegrid_assets.store import make_folder
from hedgegrid_assets.venues.markets import NAMES

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

    Returns:
        A summary; ``ok`` is false if a day failed, and good days have landed all the same.

    Raises:
        UsageError: Before any work.
        DataError: Nothing found, or nothing usable.
        EnvironmentFault: Disk or permissions.
    """
    asked = request(
        source_type,
        symbol,
        start_date,
        end_date,
        output_path=output_path,
        data_types=data_types,
        source_config=source_config,
        exchange=exchange,
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
) -> RunSummary:
    """Do what is asked: import, define instruments, then day by day normalize, judge and publish.

    ``say`` is told what a person should know (notes are in the summary as well). A day that fails stops no other.
    """
    at_hand: dict[RawKey, RawDay] = {}
    try:
        return _run(asked, progress, say, stop or threading.Event(), at_hand)
    finally:
        for day in at_hand.values():
            day.close()


def _run(
    asked: Request,
    progress: Progress | None,
    say: Callable[[str], None] | None,
    halt: threading.Event,
    at_hand: dict[RawKey, RawDay],
) -> RunSummary:
    """``at_hand`` gets the days that the run has read, and that the caller closes."""
    started = time.monotonic()
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        _log.info(text)
        if say:
            say(text)

    def tick(what: str, lines: int) -> None:
        if halt.is_set():
            raise Stopped
        if progress:
            progress(what, lines)

    refuse_unfit_nautilus()
    make_folder(asked.catalog)
    for symbol, listing in asked.spelled.items():
        note(
            f"{symbol} is read as {NAMES[listing.market]} of {asked.origin.venue}: {listing.symbol}.{asked.origin.venue}"
        )
    context = context_of(asked)
    report: ImportReport | None = None
    errors: list[HedgegridError] = []
    if context.source.lands:
        report = import_landing(
            context,
            channels=giving(context),
            in_place=True,
            pass_over_damaged=not context.names_files,
            progress=tick,
            keep=True,
            again=asked.force,
        )
        at_hand |= report.at_hand
        errors += report.refused
        for text in report.notes:
            note(text)
        if context.source.begin is not None and report.unknown_symbols:
            most = ", ".join(f"{symbol} {count:,}" for symbol, count in report.unknown_symbols.most_common(5))
            note(
                f"{sum(report.unknown_symbols.values()):,} rows of {len(report.unknown_symbols)} other symbols are passed over: {most}"
            )
        if report.unplaced:
            note(
                f"{sum(report.unplaced.values())} lines belong to no table or day {dict(report.unplaced)}: kept in {context.places.data / 'rejects' / context.feed.name}"
            )
        context = with_index_kind(with_trade_kind(context, report, note), report, note)
        keys, missing = wanted_keys(context, asked, report)
        errors += missing
        if not keys:
            raise together(report.refused) if report.refused else missing[0]
        context = with_market(context, keys, note)
    else:
        keys = made_keys(context, asked)
    note_missing_tables(context, keys, note, report.by_stream[REST] + report.unplaced.total() if report else 0)
    failed = contradicted(context, keys) if context.source.lands else {}
    if keys and len(failed) == len(keys):
        raise next(iter(failed.values()))
    if context.source.remote is not None:
        failed = fetch(context, keys, max(asked.jobs, FETCHED_AT_ONCE), tick, halt, note, at_hand)
    inferred: list[Instrument] = []
    for symbol in sorted({key.symbol for key in keys if key not in failed}):
        try:
            if not context.source.lands and context.source.remote is None and context.source.precisions is None:
                for key in keys:
                    context.raw(key) if key.symbol == symbol else None
            instrument = instrument_of(context, symbol)
        except HedgegridError as error:
            failed |= {key: error for key in keys if key.symbol == symbol and key not in failed}
            continue
        if instrument.origin == "inferred":
            inferred.append(instrument)
            if is_pinned(context, instrument):
                note(f"instrument {told(instrument)}")
        for text in doubtful_numbers(context, symbol, instrument, {key.day for key in keys if key.symbol == symbol}):
            note(text)
    if keys and len(failed) == len(keys):
        raise next(iter(failed.values()))
    with workers(asked.jobs, halt) as pool:
        work = partial(_run_day, context, asked=asked, progress=tick, failed=failed, at_hand=at_hand)
        results = results_of([pool.submit(work, key) for key in keys])
    for day in (day for days in results for day in days if day.note):
        note(str(day.note))
    for text in _far_finer_notes(context, inferred, [day for days in results for day in days]):
        note(text)
    order = list(context.feed.tables)
    return RunSummary(
        sorted(
            (day for days in results for day in days),
            key=lambda day: (day.instrument_id, order.index(day.table), day.date),
        ),
        notes=notes,
        seconds=time.monotonic() - started,
        errors=errors,
        **_lines_told(report),
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
        "counts": report.counts.to_dict(),
        "files": [file.to_dict() for file in report.files],
    }


def _run_day(
    context: FeedContext,
    key: RawKey,
    asked: Request,
    progress: Progress,
    failed: Mapping[RawKey, HedgegridError],
    at_hand: dict[RawKey, RawDay],
) -> list[DaySummary]:
    """One raw day through normalize and catalog; errors of the data become part of the summary."""
    tables = context.by_channel()[key.channel][1]
    try:
        day = InstrumentDay(context.feed.instrument_id(key.symbol), key.day)
    except HedgegridError as error:
        return [failed_day(InstrumentDay(key.symbol, key.day), table, failed.get(key, error)) for table in tables]
    if key in failed:
        return [failed_day(day, table, failed[key]) for table in tables]
    with ExitStack() as stack:
        read = at_hand.pop(key, None)
        if read is not None:
            stack.callback(read.close)
        try:
            return _convert(context, day, key, tables, asked, progress, read)
        except HedgegridError as error:
            _log.info("%s: %s", day, error.message)
            return [failed_day(day, table, error) for table in tables]
        except Exception as error:  # noqa: BLE001 - told as what it is, with what was worked on
            _log.debug("%s", day, exc_info=True)
            return [failed_day(day, table, Unforeseen(error, str(day))) for table in tables]


def _convert(
    context: FeedContext,
    day: InstrumentDay,
    key: RawKey,
    tables: Sequence[Table],
    asked: Request,
    progress: Progress,
    at_hand: RawDay | None,
) -> list[DaySummary]:
    raw = context.raw(key)
    if raw is None:
        raise NoDataFetched(f"{day} {key.channel}", context.source.name, "no such day")
    if at_hand is not None:
        raw = raw.with_rows_of(at_hand)
    done = make_tables(
        context,
        day,
        raw,
        tables,
        compression=asked.compression,
        again=asked.force,
        force=asked.force,
        progress=progress,
    )
    return [day_summary(context.places, each) for each in done]
