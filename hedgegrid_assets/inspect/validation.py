"""Look again at a whole catalog: rules over the stored rows, verdicts, files against frames, Nautilus' own reader."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.errors import CatalogDiffers, HedgegridError, NoDataFetched, Unforeseen
from hedgegrid_assets.inspect.documents import damaged, damaged_for_nautilus, damaged_raw
from hedgegrid_assets.inspect.outages import unmatched
from hedgegrid_assets.model import (
    Contiguous,
    Counted,
    DayContext,
    Gap,
    Identity,
    InstrumentDay,
    Rule,
    RuleResult,
    Severity,
    Status,
    Table,
    Thresholds,
)
from hedgegrid_assets.names import check_lookup
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages import frames
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.catalog.files import days_in, folder_in
from hedgegrid_assets.stages.frames import SharedIds
from hedgegrid_assets.stages.integrity import (
    DayRules,
)
from hedgegrid_assets.stages.outages import Outage, read_outages, with_outages
from hedgegrid_assets.stages.verdict import (
    GAPS_STORED,
    RuleAnswer,
    Verdict,
    handed_on,
    instrument_ids,
    read_verdict,
    status_of,
)
from hedgegrid_assets.store import Places, StorePath, plain, reading, sha256_of
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets.tables.rules.counters import Extent
from hedgegrid_assets.tables.rules.gaps import Gaps
from hedgegrid_assets.timestamps import NS_PER_SECOND, day_end, day_start

_log: Final = logging.getLogger(__name__)

LARGE_GAP_NS: Final = 60 * NS_PER_SECOND
"""The guide's own measure of a large gap between trades."""


@dataclass(frozen=True, slots=True)
class DayIds:
    """What is known of a day's ids, to compare them with those of its neighbour.

    ``first`` and ``last``: the smallest and the largest of those that are integers; ``integers``: all are.
    ``unique``: an id names one row. ``contiguous`` as in ``GapsFound``.
    """

    first: int | None
    last: int | None
    integers: bool
    unique: bool
    contiguous: Contiguous


@dataclass(frozen=True, slots=True)
class DayReport:
    """One (instrument, table, day). The two comparisons are None where there is nothing to compare with."""

    instrument_id: str
    table: str
    date: date
    status: str
    rows: int
    frame_matches_verdict: bool | None
    catalog_matches_frame: bool | None
    rules: tuple[RuleResult, ...]
    gaps: Sequence[Gap] = ()
    error: str | None = None
    ids: "DayIds | None" = None
    in_catalog: bool = True
    """Nautilus' file of the day is there."""

    @property
    def ok(self) -> bool:
        """No ERROR rule failed, and nothing differs from what was judged."""
        return (
            self.error is None
            and not self.failed_errors
            and self.frame_matches_verdict is not False
            and self.catalog_matches_frame is not False
        )

    @property
    def failed_errors(self) -> list[str]:
        """Names of the ERROR rules that failed."""
        return [rule.name for rule in self.rules if rule.severity is Severity.ERROR and rule.failed]

    @property
    def rules_off(self) -> list[str]:
        """Names of the rules that are off, and so say nothing of the day."""
        return [rule.name for rule in self.rules if rule.off]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        found = {
            "instrument_id": self.instrument_id,
            "table": self.table,
            "date": str(self.date),
            "status": self.status,
            "rows": self.rows,
            "frame_matches_verdict": self.frame_matches_verdict,
            "catalog_matches_frame": self.catalog_matches_frame,
            "in_catalog": self.in_catalog,
            "rules": [plain(RuleAnswer.of(rule)) for rule in self.rules],
            "gaps": plain(self.gaps),
        }
        return found | {"error": self.error} if self.error else found


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What ``validate`` found. ``large_gaps_over_60s`` counts steps of ``ts_event`` between trades, as the guide does."""

    catalog: StorePath
    days: list[DayReport]
    joins: list[dict[str, Any]] = field(default_factory=list)
    missing_days: list[dict[str, str]] = field(default_factory=list)
    large_gaps_over_60s: int = 0
    files: list[dict[str, str]] = field(default_factory=list)
    """Files in Nautilus' folders that do not belong there: unknown ones, and those that overlap."""
    unfinished: str | None = None
    """What a killed process has begun to change."""
    documents: list[dict[str, str]] = field(default_factory=list)
    """Documents of the catalog, and of the data root if one was given, that are damaged: what, and the way out."""
    outages: list[dict[str, str]] = field(default_factory=list)
    """Known outages that no gap lies in (any more): told, and nothing is wrong with the data."""

    @property
    def ok(self) -> bool:
        """Every day is as it was judged, no ERROR rule fails, Nautilus' folders hold nothing else,
        nothing is half done, and no trade is stored twice.

        An id on two days that names two trades is told, and no more: the venue gave it twice, and both rows are right.
        """
        whole = not (self.files or self.documents or self.unfinished or self.trades_twice)
        return whole and all(day.ok for day in self.days)

    @property
    def trades_twice(self) -> int:
        """Trades that are stored on two neighbouring days: equal in id and content."""
        return sum(join["trades_twice"] or 0 for join in self.joins)

    @property
    def rules_failed(self) -> int:
        """ERROR rules that failed, over all days."""
        return sum(len(day.failed_errors) for day in self.days)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "catalog": str(self.catalog),
            "ok": self.ok,
            "rules_failed": self.rules_failed,
            "trades_twice": self.trades_twice,
            "days": [day.to_dict() for day in self.days],
            "joins": self.joins,
            "missing_days": self.missing_days,
            "large_gaps_over_60s": self.large_gaps_over_60s,
            "files": self.files,
            "unfinished": self.unfinished,
            "documents": self.documents,
            "outages_without_a_gap": self.outages,
        }


def validate_catalog(
    catalog: str | Path | StorePath,
    *,
    instrument: str | None = None,
    table: str | None = None,
    start: date | None = None,
    end: date | None = None,
    deep: bool = False,
    data: str | Path | StorePath | None = None,
) -> ValidationReport:
    """Check a catalog, ours or another's, day by day; nothing is written.

    Args:
        catalog: Root of the catalog.
        instrument: Only this InstrumentId.
        table: Only this table (Nautilus' name).
        start: First day (inclusive).
        end: Last day (exclusive).
        deep: Also read every day with ``ParquetDataCatalog`` and compare row counts, and compare the ids of neighbouring
            days also where that takes long (very many ids that are no integers).
        data: Also read the manifests and indexes of this data root.

    Raises:
        UsageError: ``instrument`` is no name of one.
        NoDataFetched: No table of the catalog fits.
        NautilusUnfit: The installed NautilusTrader cannot read it.
    """
    if instrument is not None:
        check_lookup(instrument, "--instrument")
    catalog_stage.refuse_unfit_nautilus()
    places = Places.of_catalog(catalog) if data is None else Places(data, catalog)
    found = [
        (instrument_id, TABLES[name], day)
        for instrument_id, name, day in sorted(_days(places))
        if instrument in (None, instrument_id)
        and table in (None, name)
        and (start is None or day >= start)
        and (end is None or day < end)
    ]
    if not found:
        raise NoDataFetched(
            f"{instrument or 'any instrument'} {table or 'any table'} {start or ''}..{end or ''}",
            str(catalog),
            _holds(places),
        )
    documents = [_damaged(error) for look in (damaged, damaged_for_nautilus) for error in look(places)]
    documents += [_damaged(error) for error in damaged_raw(places)] if data is not None else []
    steps = _LargeGaps()
    outages = () if documents else read_outages(places)
    days = [
        _look(places, InstrumentDay(instrument_id, day), wanted, steps, outages, deep=deep)
        for instrument_id, wanted, day in found
    ]
    return ValidationReport(
        places.catalog,
        days,
        list(_joins(places, days, deep=deep)),
        list(_missing(found)),
        steps.count,
        list(_strays(places, found, start, end)),
        None if documents else catalog_stage.unfinished(places),
        documents,
        list(unmatched(places, outages, found)),
    )


def _damaged(error: HedgegridError) -> dict[str, str]:
    return {"error": error.message, "hint": error.hint or ""}


# ---------------------------------------------------------------- what is there


def _days(places: Places) -> set[tuple[str, str, date]]:
    """Every (instrument, name of table, day) with a frame, a verdict, or rows in a Nautilus file."""
    found: set[tuple[str, str, date]] = set()
    ids = instrument_ids(places)
    for table in TABLES.values():
        for instrument_id in ids.values():
            days = {*places.judged_days(instrument_id, table.folder), *places.frame_days(instrument_id, table.folder)}
            found |= {(instrument_id, table.name, day) for day in days}
        form = table.form()
        for path in places.catalog.joinpath("data", form.folder).glob(f"{form.name_of('*')}/*.parquet"):
            found |= {(_identifier(path), table.name, day) for day in days_in(path.name)}
    return found


def _identifier(path: StorePath) -> str:
    try:
        metadata = pq.read_schema(path.local()).metadata or {}
    except (pa.ArrowException, OSError):  # its day says so
        return path.parent.name
    return metadata.get(b"instrument_id", path.parent.name.encode()).decode()


def _strays(
    places: Places, found: Sequence[tuple[str, Table, date]], start: date | None, end: date | None
) -> Iterator[dict[str, str]]:
    """What does not belong into the Nautilus folders that were looked at, inside the range asked for."""
    for instrument_id, name in sorted({(instrument_id, table.name) for instrument_id, table, _ in found}):
        table = TABLES[name]
        ours = set(places.judged_days(instrument_id, table.folder))
        for stray in catalog_stage.strays(folder_in(places, table, instrument_id), ours):
            held = days_in(stray.path.name)
            if held and ((start and held[-1] < start) or (end and held[0] >= end)):
                continue
            yield {
                "instrument_id": instrument_id,
                "table": name,
                "path": str(stray.path),
                "trouble": stray.trouble,
                "why": stray.why,
            }


def _holds(places: Places) -> str:
    instruments = sorted({instrument_id for instrument_id, _, _ in _days(places)})
    return ", ".join(instruments[:10]) if instruments else "no table of ours or Nautilus'"


# ---------------------------------------------------------------- one day


class _LargeGaps:
    """Counts steps of more than a minute between trades of one instrument, over all its days."""

    def __init__(self) -> None:
        self.count = 0
        self._instrument = ""
        self._last: int | None = None

    def add(self, instrument_id: str, block: pl.DataFrame) -> None:
        times = block["ts_event"]
        if not len(times):
            return
        if instrument_id != self._instrument:
            self._instrument, self._last = instrument_id, None
        self.count += int((times.diff().drop_nulls() > LARGE_GAP_NS).sum())
        self.count += self._last is not None and times[0] - self._last > LARGE_GAP_NS
        self._last = times[-1]


def _look(
    places: Places, day: InstrumentDay, table: Table, steps: _LargeGaps, outages: Sequence[Outage], *, deep: bool
) -> DayReport:
    frame = places.frame(day.instrument_id, table.folder, day.date)
    try:
        verdict = read_verdict(places, table, day)
        if not frame.exists() and verdict is None:
            report = _look_at_nautilus(places, day, table, steps)
        else:
            report = _look_at_frame(places, day, table, verdict, steps, outages)
        if deep:
            _read_with_nautilus(places, report)
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
    steps: _LargeGaps,
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
        )
    before = handed_on(places, table, day, verdict.series) if verdict else None
    rules = DayRules(table, day.date, verdict.thresholds if verdict else Thresholds(), before)
    digest = frames.ContentDigest(day.instrument_id)
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
        ids=_ids_of(seen, table),
        in_catalog=in_catalog,
    )


def _tells_of(verdict: Verdict, seen: Counted, rows: int, content_digest: str, sha256: str) -> bool:
    """What a verdict says of a frame and its rows is what they are."""
    same_frame = (verdict.content_digest, verdict.frame_sha256) == (content_digest, sha256)
    told, span = (verdict.rows.rows_out, verdict.first_ts_init, verdict.last_ts_init), seen.of(Extent)
    return same_frame and told == (rows, span.first, span.last)


def _ids_of(seen: Counted, table: Table) -> DayIds | None:
    if table.id_column is None:
        return None
    found = seen.of(Gaps)
    return DayIds(found.first_id, found.last_id, found.integer_ids, seen.known.unique_ids, found.contiguous)


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
        known.reshaped = next(iter(verdict.told_of("reshaped")), {})
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


# ---------------------------------------------------------------- catalogs of others


def _look_at_nautilus(places: Places, day: InstrumentDay, table: Table, steps: _LargeGaps) -> DayReport:
    """Rules over the rows of Nautilus' files: nothing is known of how they came to be."""
    rules = DayRules(table, day.date, Thresholds())
    rows = 0
    ids: list[pl.Series] = []
    for block in _nautilus_blocks(places, day, table):
        rows += len(block)
        rules.add(block)
        if table.is_trades:
            steps.add(day.instrument_id, block)
            ids.append(block[str(table.id_column)])
    conflicts = 0 if not ids or rules.ids_rise else int(pl.concat(ids).is_duplicated().sum())
    seen, results = rules.judge(DayContext(conflicting_ids=conflicts, contiguous_ids=False))
    gaps = list(islice(seen.of(Gaps).gaps, GAPS_STORED))
    status = str(status_of(results, rows))
    return DayReport(
        day.instrument_id,
        table.name,
        day.date,
        status,
        rows,
        None,
        None,
        results,
        gaps,
        ids=_ids_of(seen, table),
    )


def _nautilus_blocks(places: Places, day: InstrumentDay, table: Table) -> Iterator[pl.DataFrame]:
    first, last = day_start(day.date), day_end(day.date)
    row = 0
    for path in folder_in(places, table, day.instrument_id).files(".parquet"):
        if day.date not in days_in(path.name):
            continue
        with reading(path, "a Nautilus file", "its writer must make it anew"), pq.ParquetFile(path.local()) as file:
            for group in range(file.num_row_groups):
                found = nautilus.from_nautilus(table, file.read_row_group(group))
                unkept = {column.name: column.dtype for column in table.columns if column.name not in found.columns}
                found = found.with_columns(
                    *(pl.lit(None, dtype).alias(name) for name, dtype in unkept.items()),
                    raw_row=pl.int_range(row, row + len(found), dtype=pl.UInt32),
                )
                row += len(found)
                yield found.filter((pl.col("ts_init") >= first) & (pl.col("ts_init") < last))


def _read_with_nautilus(places: Places, report: DayReport) -> None:
    """Nautilus' own reader gives as many objects as the file has rows. Raises CatalogDiffers."""
    day, table = InstrumentDay(report.instrument_id, report.date), TABLES[report.table]
    path = catalog_stage.file_of(places, day, table)
    foreign = report.frame_matches_verdict is None
    if not path.exists() and not foreign:
        return
    expected = pq.read_metadata(path.local()).num_rows if path.exists() else report.rows
    found = catalog_stage.rows_by_nautilus(places, day, table)
    if found not in (None, expected):
        raise CatalogDiffers(str(day), table.name, f"Nautilus reads {found:,} rows, expected {expected:,}")


# ---------------------------------------------------------------- between days


_COMPARED_ROWS: Final = 1_000_000
"""Ids of two days that are no integers, or far apart, are compared up to so many rows; beyond, if asked to look deep."""


def _joins(places: Places, days: Sequence[DayReport], *, deep: bool) -> Iterator[dict[str, Any]]:
    """Neighbouring days: do ids go on from one to the next, and is one of them on both?"""
    for before, after in pairwise(days):
        if (before.instrument_id, before.table, before.date + timedelta(days=1)) != (
            after.instrument_id,
            after.table,
            after.date,
        ) or TABLES[after.table].id_column is None:
            continue
        shared = _shared(places, before, after, deep=deep)
        yield {
            "instrument_id": before.instrument_id,
            "table": before.table,
            "from": str(before.date),
            "to": str(after.date),
            "ids_missing": _ids_missing(places, before, after),
            "ids_shared": None if shared is None else shared.total,
            "trades_twice": None if shared is None else shared.same_trade,
            "shared": [] if shared is None else list(shared.first),
        }


def _ids_missing(places: Places, before: DayReport, after: DayReport) -> int | None:
    if before.error or after.error:
        return None
    table = TABLES[before.table]
    verdicts = [read_verdict(places, table, InstrumentDay(day.instrument_id, day.date)) for day in (before, after)]
    if verdicts[0] is not None and verdicts[1] is not None:
        return verdicts[0].ids_until(verdicts[1])
    if before.ids is None or after.ids is None or before.ids.last is None or after.ids.first is None:
        return None
    return None if "no" in (before.ids.contiguous, after.ids.contiguous) else after.ids.first - before.ids.last - 1


def _shared(places: Places, before: DayReport, after: DayReport, *, deep: bool) -> SharedIds | None:
    """None: not compared, as ids are shared on this venue, a day is not readable, or it would take long."""
    if before.ids is None or after.ids is None or not (before.ids.unique and after.ids.unique):
        return None
    rows, within = before.rows + after.rows, None
    if before.ids.integers and after.ids.integers:
        within = _overlap(before.ids, after.ids)
        rows = min(rows, 2 * max(within[1] - within[0] + 1, 0))
    if not rows or not before.rows or not after.rows:
        return SharedIds()
    if rows > _COMPARED_ROWS and not deep:
        return None
    column = str(TABLES[after.table].id_column)
    return frames.shared_ids(_rows_of(places, before), _rows_of(places, after), column, rows=rows, within=within)


def _overlap(before: DayIds, after: DayIds) -> tuple[int, int]:
    """The integers that may be on both days: from the larger start to the smaller end."""
    firsts = [first for first in (before.first, after.first) if first is not None]
    lasts = [last for last in (before.last, after.last) if last is not None]
    return max(firsts), min(lasts)


def _rows_of(places: Places, report: DayReport) -> pl.LazyFrame:
    """A day as it is stored: our frame, or what Nautilus' files have of it."""
    table = TABLES[report.table]
    frame = places.frame(report.instrument_id, table.folder, report.date)
    if frame.exists():
        words, decimals = cs.by_dtype(pl.Categorical, pl.Enum), cs.decimal()
        return (
            pl.scan_parquet(frame.local())
            .drop("instrument_id")
            .with_columns(words.cast(pl.String), decimals.cast(pl.Decimal(38, 16)))
        )
    folder = folder_in(places, table, report.instrument_id)
    files = [path.local() for path in folder.files(".parquet") if report.date in days_in(path.name)]
    arrived = pl.col("ts_init").cast(pl.Int64)
    return pl.scan_parquet(files).filter(arrived >= day_start(report.date), arrived < day_end(report.date))


def _missing(found: Sequence[tuple[str, Table, date]]) -> Iterator[dict[str, str]]:
    """Days inside an (instrument, table)'s range without data."""
    ranges: dict[tuple[str, str], list[date]] = {}
    for instrument_id, table, day in found:
        ranges.setdefault((instrument_id, table.name), []).append(day)
    for (instrument_id, name), days in ranges.items():
        have = set(days)
        for number in range((max(days) - min(days)).days):
            day = min(days) + timedelta(days=number)
            if day not in have:
                yield {"instrument_id": instrument_id, "table": name, "date": str(day)}
