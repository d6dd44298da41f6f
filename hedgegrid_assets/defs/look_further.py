"""What failed on a day, where it stands in the landing files, and the command that looks further: for the first screen."""

import shlex
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from hedgegrid_assets.defs.metadata import bad_rows
from hedgegrid_assets.inspect.provenance import RawFinder
from hedgegrid_assets.model import InstrumentDay, Shows, Table
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.stages.verdict import RuleAnswer, Verdict
from hedgegrid_assets.timestamps import iso


def what_failed(feed_context: FeedContext, day: InstrumentDay, table: Table, verdict: Verdict) -> str | None:
    """The rules that failed, errors first, as Markdown; None where none has.

    A paragraph for each command, below the rules that it tells more of: Dagster cuts the lines of lists.
    """
    told: dict[str, list[str]] = {}
    for rule in sorted(verdict.failed, key=lambda rule: rule.severity):
        *places, command = _where(feed_context, day, table, verdict, rule)
        told.setdefault(command, []).append("; ".join([_named(rule, table), *places]))
    return "\n\n".join(f"{', '.join(rules)}:\n{command}" for command, rules in told.items()) or None


def _named(rule: RuleAnswer, table: Table) -> str:
    shows = next((each.shows for each in table.rules if each.name == rule.name), Shows.ROWS)
    what = "gaps" if shows is Shows.GAPS else "rows"
    count = f", {rule.rows_failed:,} {what if rule.rows_failed > 1 else what[:-1]}" if rule.rows_failed else ""
    return f"**{rule.name}** ({rule.severity}{count})"


def _where(
    feed_context: FeedContext, day: InstrumentDay, table: Table, verdict: Verdict, rule: RuleAnswer
) -> Iterator[str]:
    """The first place, and the command."""
    shows = next((each.shows for each in table.rules if each.name == rule.name), Shows.ROWS)
    rows = bad_rows(feed_context, day, table, verdict, rule.name)
    catalog = feed_context.places.catalog
    if shows is Shows.GAPS or rows is None or not len(rows):
        command = "gaps" if shows is Shows.GAPS else "validate"
        ends = f"--start {day.date} --end {day.date + timedelta(days=1)}"
        yield f"`hedgegrid {command} {_quoted(catalog)} --instrument {_quoted(day.instrument_id)} --table {table.token} {ends}`"
        return
    first = rows.row(0, named=True)
    if shows is Shows.REJECTS:
        where = f"{first['file']}:{first['line']}"
        yield f"first at {where}"
        yield f"`hedgegrid rejects show {_quoted(where)} --catalog {_quoted(catalog)} --data {_quoted(feed_context.places.data)}`"
        return
    found = _place(feed_context, verdict, int(first["raw_row"]))
    if found is not None:
        yield f"first at {found}"
    which = first[table.id_column] if table.id_column else _time_of(first)
    yield (
        f"`hedgegrid trace {_quoted(day.instrument_id)} {table.token} {_quoted(which)} "
        f"--catalog {_quoted(catalog)} --data {_quoted(feed_context.places.data)}`"
    )


def _time_of(row: dict[str, Any]) -> str:
    at = pl.Series([row["ts_init"]]).cast(pl.Datetime("ns", "UTC")).dt.timestamp("ns").item()
    return iso(int(at))


def _place(feed_context: FeedContext, verdict: Verdict, raw_row: int) -> str | None:
    """``<landing file>:<line>`` of a row; the raw file's own line where it is the file as it came."""
    raw = RawFinder(feed_context.places).find(verdict)
    if raw is None or not raw.same_bytes:
        return None
    if raw.lines is None:
        return f"{raw.manifest.origin[0].path or raw.path}:{raw_row + 1}"
    taken = pq.ParquetFile(raw.lines.local()).read().take([raw_row]).to_pylist()
    return f"{taken[0]['file']}:{taken[0]['line']}" if taken else None


def _quoted(value: object) -> str:
    return shlex.quote(str(value))
