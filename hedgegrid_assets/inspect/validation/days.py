"""One day looked at again: its rules over the stored rows, its verdict, its Nautilus file."""

import logging
from collections.abc import Sequence
from typing import Final

import polars as pl

from hedgegrid_assets.errors import HedgegridError, Unforeseen
from hedgegrid_assets.inspect.book_told import BookTold
from hedgegrid_assets.inspect.validation.by_nautilus import check_with_nautilus, look_at_rows
from hedgegrid_assets.inspect.validation.large_gaps import LargeGaps
from hedgegrid_assets.inspect.validation.reports import DayIds, DayReport
from hedgegrid_assets.model import (
    Counted,
    DayContext,
    Identity,
    InstrumentDay,
    Rule,
    RuleResult,
    Status,
    Table,
    Thresholds,
)
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.digest import ContentDigest
from hedgegrid_assets.stages.integrity import DayRules
from hedgegrid_assets.stages.outages import Outage, with_outages
from hedgegrid_assets.stages.verdict import RuleAnswer, Verdict, goes_on, handed_on, read_verdict, status_of
from hedgegrid_assets.store import Places, StorePath, sha256_of
from hedgegrid_assets.tables.rules.book import Book
from hedgegrid_assets.tables.rules.counters import Extent

_log: Final = logging.getLogger(__name__)


def look_at(
    places: Places, day: InstrumentDay, table: Table, steps: LargeGaps, outages: Sequence[Outage], *, deep: bool
) -> DayReport:
    """What a day is now; an error that it meets is told in its report. ``deep``: Nautilus reads it as well."""
    frame = places.frame(day.instrument_id, table.folder, day.date)
    try:
        verdict = read_verdict(places, table, day)
        if not frame.exists() and verdict is None:
            report = look_at_rows(places, day, table, steps)
        else:
            report = _look_at_frame(places, day, table, verdict, steps, outages)
        if deep:
            check_with_nautilus(places, report)
    except HedgegridError as error:  # one broken day hides no other
        return _broken(day, table, error)
    except Exception as error:  # noqa: BLE001 - told as what it is, with what was worked on
        _log.debug("%s %s", day, table.name, exc_info=True)
        return _broken(day, table, Unforeseen(error, f"{day} {table.name}"))
    return report


def _broken(day: InstrumentDay, table: Table, error: HedgegridError) -> DayReport:
    return DayReport(day.instrument_id, table.name, day.date, str(Status.BLOCKED), 0, None, None, (), error=str(error))


def _look_at_frame(
    places: Places,
    day: InstrumentDay,
    table: Table,
    verdict: Verdict | None,
    steps: LargeGaps,
    outages: Sequence[Outage],
) -> DayReport:
    path = places.frame(day.instrument_id, table.folder, day.date)
    gaps = verdict.gaps if verdict else []
    if not path.exists():
        stored = tuple(_stored(rule, table) for rule in verdict.rules) if verdict else ()
        gone = verdict is not None and verdict.frame_sha256 is not None
        return DayReport(
            day.instrument_id,
            table.name,
            day.date,
            str(Status.BLOCKED),
            0,
            False if gone else None,
            None,
            stored,
            gaps,
            is_gone=gone,
        )
    before = handed_on(places, table, day, verdict.series) if verdict else None
    rules = DayRules(table, day.date, verdict.thresholds if verdict else Thresholds(), before)
    digest = ContentDigest(day.instrument_id, frames.later(table))
    rows = 0
    for block in frames.read_blocks(path, table):
        rows += len(block)
        rules.add(block)
        digest.add(block)
        if table.is_trades:
            steps.add(day.instrument_id, block)
    seen, results = _results(rules, table, verdict, path if table.id_column and not rules.ids_rise else None)
    results = _as_known(results, verdict, outages)
    matches = None if verdict is None else _tells_of(verdict, seen, rows, digest.hexdigest(), sha256_of(path))
    status = status_of(results, rows) if verdict is None or matches else Status.BLOCKED
    in_catalog = catalog_stage.file_of(places, day, table).exists()
    same = (
        catalog_stage.matches_frame(places, day, table) if in_catalog else None if status is Status.BLOCKED else False
    )
    return DayReport(
        day.instrument_id,
        table.name,
        day.date,
        str(status),
        rows,
        matches,
        same,
        results,
        gaps,
        ids=DayIds.of(seen, table),
        book=BookTold.of(results, seen.of(Book)) if table.is_book else None,
        in_catalog=in_catalog,
        goes_on=verdict is None or goes_on(places, table, day, verdict),
    )


def _tells_of(verdict: Verdict, seen: Counted, rows: int, content_digest: str, sha256: str) -> bool:
    """What a verdict says of a frame and its rows is what they are."""
    same_frame = (verdict.content_digest, verdict.frame_sha256) == (content_digest, sha256)
    told, span = (verdict.rows.rows_out, verdict.first_ts_init, verdict.last_ts_init), seen.of(Extent)
    return same_frame and told == (rows, span.first, span.last)


def _results(
    rules: DayRules, table: Table, verdict: Verdict | None, ids_from: StorePath | None
) -> tuple[Counted, tuple[RuleResult, ...]]:
    """Rules over the rows are evaluated anew; rules over what was seen while normalizing are as the verdict says."""
    conflicts = _repeated_ids(ids_from, table) if ids_from else 0
    # where the source declares that ids are contiguous, the verdict has the answer
    known = DayContext(conflicting_ids=conflicts, contiguous_ids=False, unique_ids=table.id_column is not None)
    if verdict is not None:
        known.counts = verdict.rows if verdict.rules else None
        known.rejects_by_reason = verdict.rejects_by_reason
        known.unique_ids = verdict.identity_in(table) is Identity.ID
        known.unplaced_files = verdict.blamed_files
        known.reshaped = verdict.reshaped
        known.conflicts = next(iter(verdict.told_of("conflicts")), "")
    seen, fresh = rules.judge(known)
    stored = {rule.name: rule for rule in verdict.rules} if verdict else {}
    return seen, tuple(_merged(result, stored.get(result.name)) for result in fresh)


def _merged(fresh: RuleResult, stored: RuleAnswer | None) -> RuleResult:
    if stored is None or not fresh.rule.seen_while_normalizing:
        return fresh
    return RuleResult(fresh.rule, stored.answer, stored.rows_failed, stored.numbers)


def _as_known(
    results: tuple[RuleResult, ...], verdict: Verdict | None, outages: Sequence[Outage]
) -> tuple[RuleResult, ...]:
    """Answers as they read with the known outages: a rule that failed for those alone passes."""
    if verdict is None or not outages:
        return results
    known = {rule.name: rule for rule in with_outages(verdict, outages).rules if "known_outages" in rule.numbers}
    return tuple(
        RuleResult(result.rule, True, result.rows_failed, known[result.name].numbers)
        if result.failed and result.name in known
        else result
        for result in results
    )


def _stored(rule: RuleAnswer, table: Table) -> RuleResult:
    known = next((each for each in table.rules if each.name == rule.name), None)
    declared = known or Rule(rule.name, rule.severity, "", "")  # of an older table
    return RuleResult(declared, rule.answer, rule.rows_failed, rule.numbers)


def _repeated_ids(path: StorePath, table: Table) -> int:
    ids = pl.read_parquet(path.local(), columns=[str(table.id_column)])[str(table.id_column)]
    return int(ids.is_duplicated().sum())
