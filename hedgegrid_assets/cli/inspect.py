"""Commands that look: ``validate``, ``instruments`` and ``feeds check``; nothing is changed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hedgegrid_assets.cli.output import (
    STYLES,
    Data,
    Feeds,
    Json,
    Quiet,
    TableName,
    Verbose,
    cell,
    console,
    print_json,
    say,
    set_logging,
)
from hedgegrid_assets.config.paths import feeds_path
from hedgegrid_assets.errors import FeedsFileError, UsageError
from hedgegrid_assets.timestamps import iso, parse_day
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.config.feeds import Feed
    from hedgegrid_assets.inspect.validation import DayReport, ValidationReport

Catalog = Annotated[Path, typer.Argument(help="Root of the catalog.")]
_GRID_DAYS = 10


def validate(
    catalog: Catalog = Path("data/catalog"),
    instrument: Annotated[str | None, typer.Option("--instrument", help="Only this InstrumentId.")] = None,
    table: TableName = None,
    start: Annotated[str | None, typer.Option("--start", help="First day, YYYY-MM-DD.")] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="First day that is not looked at any more (exclusive).")
    ] = None,
    data: Data = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Also read every day with NautilusTrader itself, and compare the ids of any two days."
        ),
    ] = False,
    nautilus: Annotated[
        int | None,
        typer.Option(
            "--nautilus", help="Generation of NautilusTrader that is to read it (1, 2), if not the installed."
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Check a catalog again, from the stored rows: rules, verdicts, files against frames.

    Works on catalogs that were made by others, too. Exit code 1 if an ERROR rule fails, a file is not what was judged, or
    one trade is stored on two days. An id that a venue gave to two trades of neighbouring days is told.
    """
    from hedgegrid_assets.config.paths import data_path
    from hedgegrid_assets.inspect.validation import validate_catalog
    from hedgegrid_assets.tables import TABLES, TOKENS

    set_logging(verbose=verbose, quiet=quiet)
    if table is not None and table not in TABLES and table not in TOKENS:
        raise UsageError(f"unknown table (--table): expected one of {', '.join((*TOKENS, *TABLES))}, found {table!r}")
    report = validate_catalog(
        catalog,
        instrument=instrument,
        table=TOKENS[table].name if table in TOKENS else table,
        start=parse_day(start, "--start") if start else None,
        end=parse_day(end, "--end") if end else None,
        deep=deep,
        data=data or data_path(),
        nautilus=nautilus,
    )
    if as_json:
        print_json(report.to_dict())
    elif not quiet or not report.ok:
        show_report(report)
    return 0 if report.ok else 1


def show_report(report: "ValidationReport") -> None:
    """The table of instrument x days x status, then what there is to say of single days."""
    from rich.table import Table

    days = sorted({day.date for day in report.days})
    grid = len(days) <= _GRID_DAYS
    table = Table(title=cell(f"catalog {report.catalog}, for NautilusTrader {report.nautilus}.x"), title_justify="left")
    for name in ("instrument", "table", *(map(str, days) if grid else ("days", "status"))):
        table.add_column(name)
    table.add_column("rows", justify="right")
    for found in _by_table(report.days):
        cells = {day.date: f"[{STYLES[day.status]}]{day.status}{'' if day.ok else ' !'}[/]" for day in found}
        statuses = Counter(day.status for day in found)
        told = (
            [cells.get(day, "[dim]missing[/]") for day in days]
            if grid
            else [
                f"{len(found)}: {found[0].date} .. {found[-1].date}",
                ", ".join(f"[{STYLES[status]}]{count} {status}[/]" for status, count in statuses.items()),
            ]
        )
        table.add_row(cell(found[0].instrument_id), found[0].table, *told, f"{sum(day.rows for day in found):,}")
    out = console()
    out.print(table)
    for day in report.days:
        for line in _findings(day):
            out.print(f"{day.instrument_id} {day.table} {day.date}: {line}", markup=False)
    for found in _by_table(report.days):
        off = Counter(name for day in found for name in day.rules_off)
        if off:
            rules = ", ".join(f"{name} ({count:,} of {len(found):,} days)" for name, count in off.items())
            out.print(f"{found[0].instrument_id} {found[0].table}: off: {rules}", markup=False)
    for document in report.documents:
        out.print(f"ERROR {document['error']}; {document['hint']}", markup=False, soft_wrap=True)
    if report.unfinished is not None:
        out.print(f"ERROR unfinished: {report.unfinished}", markup=False)
    for stray in report.files:
        out.print(f"{stray['instrument_id']} {stray['table']}: ERROR {_stray(stray)}", markup=False)
    for outage in report.outages:
        told = f"{outage['instrument_id']} WARN outage without a gap ({outage['said_by']}): {outage['reason']}: {outage['error']}"
        out.print(told, markup=False, soft_wrap=True)
    for join in report.joins:
        for line in _between(join):
            out.print(
                f"{join['instrument_id']} {join['table']} {join['from']} -> {join['to']}: {line}",
                markup=False,
                soft_wrap=True,
            )
    if report.missing_days:
        out.print(
            f"{counted(len(report.missing_days), 'day')} missing inside the ranges, first {report.missing_days[0]['date']}"
        )
    out.print(f"steps of more than a minute between trades: {report.large_gaps_over_60s}")
    strays = f", {counted(len(report.files), 'stray file')}" if report.files else ""
    strays += f", {counted(len(report.documents), 'damaged document')}" if report.documents else ""
    strays += ", a change is unfinished" if report.unfinished is not None else ""
    twice = f", {counted(report.trades_twice, 'trade')} stored on two days" if report.trades_twice else ""
    failed = f"{counted(report.rules_failed, 'ERROR rule')} failed{strays}{twice}"
    verdict = "[green]ok[/]" if report.ok else f"[bold red]not ok[/]: {failed}"
    again = Counter((join["instrument_id"], join["table"]) for join in report.joins if join["ids_begin_again"])
    for (instrument_id, table), count in again.items():
        told = f"{instrument_id} {table}: ids begin anew on {count:,} days, so that they name no trade beyond its day"
        out.print(told, markup=False, soft_wrap=True)
    uncompared = sum(join["ids_shared"] is None for join in report.joins)
    if uncompared:
        out.print(f"ids of {uncompared} neighbouring days not compared (shared by the venue, or many: see --deep)")
    out.print(f"{counted(len(report.days), 'day')} looked at: {verdict}")


def _stray(stray: Mapping[str, str]) -> str:
    said = {"overlaps": "a file that overlaps another", "unknown": "an unknown file"}
    return f"{said.get(stray['trouble'], 'a file with ' + stray['trouble'])}: {stray['path']} ({stray['why']})"


def _between(join: Mapping[str, Any]) -> list[str]:
    """What is to be said of two neighbouring days."""

    missing, shared = join["ids_missing"], 0 if join["ids_begin_again"] else join["ids_shared"] or 0
    lines = [f"{missing:,} ids missing"] if missing and missing > 0 else []
    for each in join["shared"]:
        what = "ERROR one trade is stored on both days" if each["same_trade"] else "WARN two trades have one id"
        rows = [f"{iso(each[f'{side}_ts_init'])}{_row(each[f'{side}_raw_row'])}" for side in ("from", "to")]
        lines.append(f"{what}: id {each['id']} at {rows[0]} and at {rows[1]}")
    if shared > len(join["shared"]):
        told = f", {join['trades_twice']:,} of them one trade stored twice" if join["trades_twice"] else ""
        lines.append(f"{shared:,} ids in all are on both days{told}")
    return lines


def _row(number: int | None) -> str:
    return "" if number is None else f" (raw row {number:,})"


def _by_table(days: "list[DayReport]") -> "list[list[DayReport]]":
    groups: dict[tuple[str, str], list[DayReport]] = {}
    for day in days:
        groups.setdefault((day.instrument_id, day.table), []).append(day)
    return list(groups.values())


def _findings(day: "DayReport") -> list[str]:
    found = [f"error: {day.error}"] if day.error else []
    if day.frame_matches_verdict is False:
        found.append("ERROR the frame is not the one that was judged (its content digest differs)")
    if day.catalog_matches_frame is False:
        found.append(
            "ERROR the Nautilus file does not hold what the frame says"
            if day.in_catalog
            else "ERROR there is no Nautilus file of the day: run again, it is made from the frame"
        )
    for rule in day.rules:
        if rule.failed:
            numbers = ", ".join(
                f"{name} {value}" for name, value in rule.numbers.items() if value not in (None, {}, [])
            )
            failed = f" ({counted(rule.rows_failed, 'row')})" if rule.rows_failed else ""
            found.append(f"{rule.severity} {rule.name}{failed}: {numbers}")
    return found


def instruments_list(
    catalog: Catalog = Path("data/catalog"), as_json: Json = False, verbose: Verbose = False, quiet: Quiet = False
) -> int:
    """List the definitions of a catalog."""
    from rich.table import Table

    from hedgegrid_assets.instruments import read_definitions

    set_logging(verbose=verbose, quiet=quiet)
    found = read_definitions(catalog)
    if as_json:
        print_json([asdict(instrument) for instrument in found.values()])
        return 0
    if not found:
        say(f"no definitions in {catalog}")
        return 0
    table = Table()
    for name in ("instrument", "class", "base", "quote", "tick", "size step", "mark decimals", "fees", "from"):
        table.add_column(name)
    for each in found.values():
        fees = f"{each.maker_fee} / {each.taker_fee}" if each.fees_known else "not known"
        table.add_row(
            cell(each.id),
            cell(each.kind),
            cell(each.base),
            cell(each.quote),
            each.price_increment,
            each.size_increment,
            str(each.mark_precision),
            fees,
            each.origin,
        )
    console().print(table)
    return 0


def instruments_show(
    instrument_id: Annotated[str, typer.Argument(help="Such as BTCUSDT-PERP.BINANCE.")],
    catalog: Annotated[Path, typer.Option("--catalog", help="Root of the catalog.")] = Path("data/catalog"),
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Show one definition in full."""
    from hedgegrid_assets.instruments import read_definitions

    set_logging(verbose=verbose, quiet=quiet)
    found = read_definitions(catalog)
    if instrument_id not in found:
        raise UsageError(
            f"unknown instrument ({catalog}): expected one of {', '.join(found) or 'none yet'}, found {instrument_id!r}"
        )
    definition = asdict(found[instrument_id])
    if as_json:
        print_json(definition)
        return 0
    for name, value in definition.items():
        console().print(f"{name:18} {'' if value is None else value}", markup=False)
    return 0


MOST_PARTITIONS: Final = 100_000
"""Of one asset, as Dagster's documentation advises: above it, pages of the UI take long."""


def feeds_check(
    feeds: Feeds = None, data: Data = None, as_json: Json = False, verbose: Verbose = False, quiet: Quiet = False
) -> int:
    """Check feeds.yaml: every problem with its file, line and key. Exit code 2 if there is one."""
    from hedgegrid_assets.config.feeds import read_feeds
    from hedgegrid_assets.sources import SOURCES

    del data
    set_logging(verbose=verbose, quiet=quiet)
    file = read_feeds(feeds or feeds_path())

    def untested(feed: "Feed") -> str:
        remote = SOURCES[feed.source].remote
        found = [name for name in feed.symbols if remote and remote.untested(feed.settings, name)]
        return f"; untested against the real server: {', '.join(found)}" if found else ""

    if as_json:
        print_json(
            {
                "ok": not file.problems,
                "feeds": [feed.model_dump(mode="json") for feed in file.feeds.values()],
                "problems": [str(problem) for problem in file.problems],
            }
        )
    else:
        for feed in file.feeds.values():
            console().print(
                f"{feed.name}: {feed.source}, {counted(len(feed.symbols), 'symbol')} of {feed.venue}, {', '.join(feed.tables)}, from {feed.start}{f' to {feed.end}' if feed.end else ''}{untested(feed)}",
                markup=False,
            )
    for feed in file.feeds.values():
        _say_if_large(feed)
    if file.problems:
        raise FeedsFileError(file.path, [str(problem) for problem in file.problems])
    return 0


def feeds_schema() -> int:
    """Print JSON Schema of feeds.yaml, by which editors complete and check it."""
    from hedgegrid_assets.config.schema import feeds_schema as schema

    print_json(schema())
    return 0


def _say_if_large(feed: "Feed") -> None:
    days, symbols = len(feed.days(datetime.now(UTC).date() + timedelta(days=1))), len(feed.symbols)
    if days * symbols <= MOST_PARTITIONS:
        return
    at_most = max(1, MOST_PARTITIONS // days)
    say(
        f"warning: feed {feed.name}: {days:,} days x {symbols:,} symbols are {days * symbols:,} partitions an asset, where "
        f"Dagster advises {MOST_PARTITIONS:,} at most; split it into {-(-symbols // at_most)} feeds of up to {at_most} symbols"
    )
