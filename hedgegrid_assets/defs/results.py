"""An instrument-day made, from raw to catalog: for each of its assets, what Dagster is told."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

import dagster as dg
import polars as pl

from hedgegrid_assets.defs import metadata
from hedgegrid_assets.defs.changes import changed, frames_before
from hedgegrid_assets.defs.checks import Check, answers_of
from hedgegrid_assets.defs.keys import catalog_key, normalized_key, raw_key
from hedgegrid_assets.defs.look_further import what_failed
from hedgegrid_assets.defs.metadata import Metadata
from hedgegrid_assets.defs.specs import catalog_described, daily_checks, normalized_described
from hedgegrid_assets.errors import (
    CatalogDiffers,
    DataError,
    DayBlocked,
    HedgegridError,
    NoDataFetched,
    PrecisionTooFine,
    RateLimited,
    RawDamaged,
    Refused,
    RemoteFault,
    Unforeseen,
)
from hedgegrid_assets.housekeeping.widening import widen_inferred
from hedgegrid_assets.model import InstrumentDay, Table
from hedgegrid_assets.pipeline.days import TableDay, make_tables
from hedgegrid_assets.pipeline.definitions import instrument_of
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.fetch import by_month
from hedgegrid_assets.sources.client.received import Telling
from hedgegrid_assets.stages import catalog
from hedgegrid_assets.stages import raw as raw_stage
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.outages import known_reasons, read_outages, with_outages
from hedgegrid_assets.stages.raw import Ahead, RawDay, RawKey, Together
from hedgegrid_assets.stages.verdict import Verdict, read_verdict

_log: Final = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = (15, 60)
"""For faults of a provider alone, for each day; after a day that was asked for in vain, the others are asked for once."""
MOST_OF_A_MONTH: Final = 0.5
"""Its file takes about as long as those of all its days."""
EMPTY: Final = "no such data that day"
_NO_ROWS: Final = "empty"
"""Data version of what has no rows as there are no such data."""


@dataclass(frozen=True, slots=True)
class AssetResult:
    """One asset of an instrument-day.

    Attributes:
        key: Which asset.
        day: Of which day.
        version: Data version; None: it was not made.
        metadata: What is known of it; also of what was judged and then not let on.
        checks: The answers of its checks; one that could not be asked has none.
        error: Why it was not made, told once: for the first asset that could not be.
        notes: What a person should know.
    """

    key: dg.AssetKey
    day: InstrumentDay
    version: str | None = None
    metadata: Metadata = field(default_factory=dict)
    checks: tuple[dg.AssetCheckResult, ...] = ()
    error: HedgegridError | None = None
    notes: tuple[str, ...] = ()


class DayMaker:
    """Makes the assets that were asked for, day by day; what goes wrong with a day or table stays in its results.

    The caller closes it.

    Args:
        feed_context: The feed.
        selected: The assets that are asked for.
        days: All days that will be: where they are most of a month, its file is fetched.
        force: A day may be replaced by one of another origin that lacks rows of it.
        tell: Takes a line on each transfer that takes long, now and then.
    """

    def __init__(
        self,
        feed_context: FeedContext,
        selected: Collection[dg.AssetKey],
        days: Sequence[InstrumentDay] = (),
        *,
        force: bool = False,
        tell: Callable[[str], None] = _log.info,
    ) -> None:
        self._feed_context, self._selected, self._force = feed_context, selected, force
        self._tick = Telling(tell)
        self._checks = daily_checks(feed_context)
        self._patient = True
        self._columns = True
        self._before: dict[str, pl.DataFrame] = {}
        keys = [RawKey(channel, *self._place(day)) for day in days for channel in self._channels()]
        self._context_of = by_month(feed_context, keys, MOST_OF_A_MONTH)
        self._together = _together(feed_context, keys)
        self._ahead = Ahead(feed_context.source, keys)

    def close(self) -> None:
        """Forget the rows of days that were read ahead and not asked for."""
        self._ahead.close()

    def make(self, day: InstrumentDay, *, columns: bool = True) -> list[AssetResult]:
        """All results of a day, upstream first. Raises NoDataFetched where there are no raw data at all.

        ``columns``: say which columns there are and where they come from; of a block it is enough to hear it once.
        """
        self._columns = columns
        notes: list[str] = []
        results = self._all(day)
        while done := self._widened(results):
            notes += done
            results = self._all(day)
        return [replace(results[0], notes=(*notes, *results[0].notes)), *results[1:]] if notes else results

    def _widened(self, results: Sequence[AssetResult]) -> list[str]:
        """What was done for a day that is finer than its instrument, where the feed wants that."""
        if self._feed_context.feed.widen is None:
            return []
        needed = [
            (result.day.instrument_id, result.error.needed)
            for result in results
            if isinstance(result.error, PrecisionTooFine)
        ]
        try:
            done = widen_inferred(self._feed_context.places.catalog, self._feed_context.feed, needed) if needed else []
        except HedgegridError as error:  # the day says what it lacks
            _log.warning("%s", error)
            return []
        for text in done:
            _log.warning("%s: %s", results[0].day, text)
        return done

    def _all(self, day: InstrumentDay) -> list[AssetResult]:
        with ExitStack() as stack:
            raws = {channel: self._raw(RawKey(channel, *self._place(day))) for channel in self._channels()}
            for raw in raws.values():
                if isinstance(raw, RawDay):
                    stack.callback(raw.close)
            if not any(raws.values()) and not self._has_data(day):
                raise _no_data(self._feed_context, day, list(raws))
            return [result for channel, found in raws.items() for result in self._results(day, channel, found)]

    def _place(self, day: InstrumentDay) -> tuple[str, Any]:
        return self._feed_context.feed.symbol_of(day.instrument_id), day.date

    def _channels(self) -> list[str]:
        """Those that anything selected is made of."""
        feed_context = self._feed_context
        return [
            name
            for name, (_, tables) in feed_context.by_channel().items()
            if raw_key(feed_context, name) in self._selected
            or any(self._wants_frame(table) or self._wants_file(table) for table in tables)
        ]

    def _wants_frame(self, table: Table) -> bool:
        return normalized_key(self._feed_context, table) in self._selected

    def _wants_file(self, table: Table) -> bool:
        return catalog_key(self._feed_context, table) in self._selected

    def _has_data(self, day: InstrumentDay) -> bool:
        """Some other channel has a raw day, or a frame is there that a file is wanted of."""
        places, (symbol, date) = self._feed_context.places, self._place(day)
        names = self._feed_context.by_channel()
        return any(
            places.raw_manifest(self._feed_context.feed.name, name, symbol, date).exists() for name in names
        ) or any(self._is_alone(table) and self._is_judged(day, table) for table in self._feed_context.tables)

    # -- raw

    def _raw(self, key: RawKey) -> RawDay | HedgegridError | None:
        """The raw day; made or fetched now only if it is asked for."""
        feed_context = self._feed_context
        if raw_key(feed_context, key.channel) not in self._selected:
            return _or_error(lambda: raw_stage.raw_day(feed_context.places, feed_context.feed.name, key), key)
        pauses = RETRY_AFTER_SECONDS if self._patient else ()
        for pause in (*pauses, None):
            found = _or_error(lambda: self._context_of(key).raw(key, self._tick, keep=True, ahead=self._ahead), key)
            if isinstance(found, RawDay) and found.instead_of:
                _log.warning("%s %s: fetched anew: what was held came from %s", key.symbol, key.day, found.instead_of)
            if not _may_pass(found):
                self._patient = True
                return found
            if pause is not None:
                _log.info("asked again in %s s: %s", pause, found)
                time.sleep(pause)
        self._patient = False
        return found

    # -- one channel

    def _results(self, day: InstrumentDay, channel: str, raw: RawDay | HedgegridError | None) -> Iterator[AssetResult]:
        tables = self._feed_context.by_channel()[channel][1]
        alone = [
            table for table in tables if self._is_alone(table) and (raw is not None or self._is_judged(day, table))
        ]
        if raw is None:
            yield from self._empty(day, channel, [table for table in tables if table not in alone])
        elif not isinstance(raw, HedgegridError):
            yield from self._made(day, raw, [table for table in tables if self._wants_frame(table)])
        elif raw_key(self._feed_context, channel) in self._selected or any(map(self._wants_frame, tables)):
            yield self._no_raw(day, channel, raw)
        for table in alone:
            yield self._file_alone(day, table)

    def _is_alone(self, table: Table) -> bool:
        """The catalog file is wanted of the frame at hand."""
        return self._wants_file(table) and not self._wants_frame(table)

    def _is_judged(self, day: InstrumentDay, table: Table) -> bool:
        return self._feed_context.places.verdict(day.instrument_id, table.folder, day.date).exists()

    def _empty(self, day: InstrumentDay, channel: str, tables: Sequence[Table]) -> Iterator[AssetResult]:
        """A day that has raw data, but none of this channel: said so, unless earlier data are still there."""
        feed_context = self._feed_context
        kept = [table for table in tables if self._is_judged(day, table)]
        keys = [raw_key(feed_context, channel)]
        keys += [key for table in tables if table not in kept for key in self._keys(table)]
        for key in keys:
            if key in self._selected:
                answers = [check.result(passed=True, rows=0, found=EMPTY) for check in self._checks[key]]
                yield AssetResult(key, day, _NO_ROWS, metadata.of_nothing(EMPTY), tuple(answers))
        if kept:
            told = f"{day}: no {channel} any more; {', '.join(table.name for table in kept)} stays as it was"
            yield AssetResult(raw_key(feed_context, channel), day, notes=(told,))

    def _keys(self, table: Table) -> tuple[dg.AssetKey, dg.AssetKey]:
        return normalized_key(self._feed_context, table), catalog_key(self._feed_context, table)

    def _no_raw(self, day: InstrumentDay, channel: str, error: HedgegridError) -> AssetResult:
        key = raw_key(self._feed_context, channel)
        damaged = isinstance(error, RawDamaged)
        answers = [check.result(passed=False, rows=0, found=str(error)) for check in self._checks[key]]
        return AssetResult(key, day, checks=tuple(answers) if damaged else (), error=error)

    def _made(self, day: InstrumentDay, raw: RawDay, tables: Sequence[Table]) -> Iterator[AssetResult]:
        started = time.monotonic()
        made = _or_error(lambda: self._tables(day, raw, tables), day) if tables else []
        read = not isinstance(made, HedgegridError) and any(done.made is not None for done in made)
        damaged = made if isinstance(made, RawDamaged) else None if read else self._verify(raw)
        seconds = time.monotonic() - started
        if damaged is not None:
            yield self._no_raw(day, raw.key.channel, damaged)
            return
        yield self._raw_result(day, raw, None if tables else seconds)
        if isinstance(made, HedgegridError):
            yield AssetResult(normalized_key(self._feed_context, tables[0]), day, error=made)
            return
        for done in made:
            yield from self._table_results(done, seconds)

    def _tables(self, day: InstrumentDay, raw: RawDay, tables: Sequence[Table]) -> list[TableDay]:
        self._before = frames_before(self._feed_context, day, raw, tables)
        neighbours = self._together.get((raw.key.channel, raw.key.symbol)) if raw.kept is None else None
        return make_tables(
            self._feed_context,
            day,
            raw if neighbours is None else neighbours.with_rows(raw),
            tables,
            again=True,
            force=self._force,
            unpublished=[table for table in tables if not self._wants_file(table)],
        )

    def _verify(self, raw: RawDay) -> HedgegridError | None:
        """Read a raw day that nothing else has read; only if somebody wants to know."""
        if raw_key(self._feed_context, raw.key.channel) not in self._selected:
            return None
        found = _or_error(lambda: raw_stage.verify(raw.path, raw.manifest), raw.key)
        return found if isinstance(found, HedgegridError) else None

    def _raw_result(self, day: InstrumentDay, raw: RawDay, seconds: float | None) -> AssetResult:
        key, lines = raw_key(self._feed_context, raw.key.channel), raw.manifest.lines
        answers = [check.result(passed=True, rows=lines) for check in self._checks[key]]
        return AssetResult(key, day, raw.sha256, metadata.of_raw(raw, seconds), tuple(answers))

    # -- one table

    def _table_results(self, done: TableDay, seconds: float) -> Iterator[AssetResult]:
        if done.made is None or isinstance(done.made.error, Refused):
            refusal = done.error or DataError(f"{done.day} {done.table.name}: no frame was stored")
            yield AssetResult(normalized_key(self._feed_context, done.table), done.day, error=refusal)
            yield self._nothing_written(done.day, done.table)
            return
        blocked = self._blocked(done)
        yield self._frame_result(done, blocked, seconds)
        if not self._wants_file(done.table):
            return
        if blocked is not None:
            yield self._nothing_written(done.day, done.table)
        elif done.error is not None:
            yield self._no_file(done.day, done.table, done.error)
        else:
            yield self._file_result(done.day, done.table, done.written, None)

    def _blocked(self, done: TableDay) -> HedgegridError | None:
        """Why the frame goes no further."""
        assert done.made is not None
        failed = done.made.verdict.failed_errors
        if done.made.error is not None or not failed:
            return done.made.error
        verdict = done.made.verdict
        return DayBlocked(str(done.day), done.table.name, failed, verdict.blamed_files, verdict.ways_out)

    def _frame_result(self, done: TableDay, error: HedgegridError | None, seconds: float) -> AssetResult:
        assert done.made is not None
        day, table, frame = done.day, done.table, done.made.frame
        verdict = with_outages(done.made.verdict, read_outages(self._feed_context.places))
        key = normalized_key(self._feed_context, table)
        told: Metadata = {}
        if frame is not None:
            failed = what_failed(self._feed_context, day, table, verdict)
            difference = changed(self._feed_context, day, table, self._before)
            told = {
                "verdict": str(verdict.status),
                **({"failed": dg.MetadataValue.md(failed)} if failed else {}),
                **({"known_outages": ", ".join(known)} if (known := known_reasons(verdict)) else {}),
                **({"changed": difference} if difference else {}),
                **({"made_again": done.because} if done.because else {}),
                **metadata.chart(self._feed_context, day, table, verdict),
                **metadata.of_frame(verdict, frame, seconds),
                "rules": dg.MetadataValue.md(answers_of(table, verdict)),
                **self._frame_columns(table, verdict),
            }
        answers = [check.judged(verdict, self._first_bad(day, table, verdict, check)) for check in self._checks[key]]
        version = None if error is not None or frame is None else str(verdict.content_digest)
        notes = (done.made.note,) if done.made.note else ()
        return AssetResult(key, day, version, told, tuple(answers), error, notes)

    def _frame_columns(self, table: Table, verdict: Verdict) -> Metadata:
        if not self._columns:
            return {}
        exact = metadata.frame_columns(table, verdict.precision)
        return {**normalized_described(self._feed_context, table), "dagster/column_schema": exact}

    def _first_bad(self, day: InstrumentDay, table: Table, verdict: Verdict, check: Check) -> str | None:
        mine = {rule.name for rule in check.rules}
        failed = [answer.name for answer in verdict.failed if answer.name in mine]
        shown = failed and verdict.frame_sha256
        return metadata.first_bad(self._feed_context, day, table, verdict, failed) if shown else None

    def _file_alone(self, day: InstrumentDay, table: Table) -> AssetResult:
        """The catalog file made from the frame that is there already."""
        started = time.monotonic()

        def write() -> catalog.Written:
            instrument = instrument_of(self._feed_context, self._feed_context.feed.symbol_of(day.instrument_id))
            precisions = Precisions.from_instrument(instrument)
            return catalog.write_day(self._feed_context.places, day, table, precisions)

        written = _or_error(write, day)
        if isinstance(written, HedgegridError):
            return self._no_file(day, table, written)
        return self._file_result(day, table, written, time.monotonic() - started)

    def _file_result(
        self, day: InstrumentDay, table: Table, written: catalog.Written | None, seconds: float | None
    ) -> AssetResult:
        assert written is not None
        key = catalog_key(self._feed_context, table)
        stored = read_verdict(self._feed_context.places, table, day)
        assert stored is not None  # it let the day in
        verdict = with_outages(stored, read_outages(self._feed_context.places))
        told = metadata.of_catalog(verdict, written.path, written.rows, seconds)
        if self._columns:
            told["dagster/column_lineage"] = catalog_described(self._feed_context, table)["dagster/column_lineage"]
        answers = [check.result(passed=True, rows=written.rows) for check in self._checks[key]]
        return AssetResult(key, day, str(verdict.content_digest), told, tuple(answers))

    def _no_file(self, day: InstrumentDay, table: Table, error: HedgegridError) -> AssetResult:
        if not isinstance(error, CatalogDiffers):
            return self._nothing_written(day, table, error)
        key = catalog_key(self._feed_context, table)
        answers = [check.result(passed=False, rows=0, found=str(error)) for check in self._checks[key]]
        return AssetResult(key, day, checks=tuple(answers), error=error)

    def _nothing_written(self, day: InstrumentDay, table: Table, error: HedgegridError | None = None) -> AssetResult:
        """No file was written, so none was read back: a check that did not run is no failure."""
        key = catalog_key(self._feed_context, table)
        told = "did not run: nothing was written, and the catalog keeps what it had"
        answers = [check.result(passed=True, rows=0, found=told, more={"ran": False}) for check in self._checks[key]]
        return AssetResult(key, day, checks=tuple(answers), error=error)


def _together(feed_context: FeedContext, keys: Iterable[RawKey]) -> dict[tuple[str, str], Together]:
    """(channel, symbol) -> its days, which are read together where they are small."""
    streams: dict[tuple[str, str], list[RawKey]] = {}
    for key in sorted(keys, key=lambda key: key.day):
        streams.setdefault((key.channel, key.symbol), []).append(key)
    channels = feed_context.by_channel()
    return {
        (channel, symbol): Together(feed_context.noted, mine, feed_context.source, channels[channel][0])
        for (channel, symbol), mine in streams.items()
    }


def _or_error[T](work: Callable[[], T], what: object) -> T | HedgegridError:
    """What the work gives, or why it could not be done."""
    try:
        return work()
    except HedgegridError as error:
        return error
    except Exception as error:  # noqa: BLE001 - told as what it is, with what was worked on
        _log.debug("%s", what, exc_info=True)
        return Unforeseen(error, str(what))


def _may_pass(found: object) -> bool:
    """A fault of the provider that may be gone a little later."""
    return isinstance(found, RemoteFault) and found.transient and not isinstance(found, RateLimited)


def _no_data(feed_context: FeedContext, day: InstrumentDay, channels: Sequence[str]) -> NoDataFetched:
    """Nothing of this day at all, and where the data are instead."""
    symbol = feed_context.feed.symbol_of(day.instrument_id)
    days = sorted(
        {
            held
            for channel in channels
            for held in raw_stage.raw_days(feed_context.places, feed_context.feed.name, channel, symbol)
        }
    )
    found = f"{symbol} {days[0]} .. {days[-1]} ({len(days)} days)" if days else f"nothing of {symbol}"
    wanted = {name for each in feed_context.source.channels if each.name in channels for name in each.tables}
    others = [
        each.name for each in feed_context.source.channels if each.name not in channels and wanted & each.tables.keys()
    ]
    if feed_context.source.has_landing_zone and others:
        found += f" in {', '.join(channels)} (files with {others[0]} need `settings: {{trade_kind: {others[0]}}}`)"
    looked_in = str(feed_context.places.landing) if feed_context.source.has_landing_zone else feed_context.source.doc
    return NoDataFetched(f"{day} {', '.join(channels)}", looked_in, found)
