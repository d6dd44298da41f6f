"""Commands that show what the verdicts know: ``gaps``, ``rejects``, ``trace`` and ``report``; nothing is changed."""

import csv
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hedgegrid_assets.cli.output import (
    All,
    Data,
    Json,
    Quiet,
    TableName,
    Verbose,
    console,
    megabytes,
    print_fitted,
    print_json,
    progress,
    say,
    set_logging,
    show_error,
)
from hedgegrid_assets.config.paths import data_path
from hedgegrid_assets.errors import NoDataFetched, UsageError
from hedgegrid_assets.inspect.visible import visible
from hedgegrid_assets.names import check_lookup
from hedgegrid_assets.timestamps import parse_day
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hedgegrid_assets.inspect.days import DayFilter
    from hedgegrid_assets.inspect.trace import Trace
    from hedgegrid_assets.store import Places

Catalog = Annotated[Path, typer.Argument(help="Root of the catalog.")]
CatalogFlag = Annotated[Path, typer.Option("--catalog", help="Root of the catalog.")]
Instrument = Annotated[str | None, typer.Option("--instrument", help="Only this InstrumentId.")]
Start = Annotated[str | None, typer.Option("--start", help="First day, YYYY-MM-DD.")]
End = Annotated[str | None, typer.Option("--end", help="First day that is not looked at any more (exclusive).")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header to stdout.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Only this reason.")]

_SHOWN_RAW: Final = 100
_SHOWN_RANGES: Final = 6


def gaps(
    catalog: Catalog = Path("data/catalog"),
    instrument: Instrument = None,
    table: TableName = None,
    start: Start = None,
    end: End = None,
    each_gap: All = False,
    as_json: Json = False,
    as_csv: Csv = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """List every gap with start, end, length, ids missing and cause: inside days, at their edges, between them.

    A silence across contiguous trade ids is quiet, and no loss. Joins between days and missing days are worked out now,
    over the range asked for.
    """
    from hedgegrid_assets.cli.gapped import show_gaps
    from hedgegrid_assets.inspect.days import judged_days, some
    from hedgegrid_assets.inspect.gaps import COLUMNS, gap_report

    set_logging(verbose=verbose, quiet=quiet)
    places, wanted = _places(catalog, None), _wanted(instrument, table, start, end)
    report = gap_report(some(list(judged_days(places, wanted)), places, wanted))
    if as_json:
        print_json({"catalog": str(catalog)} | report.to_dict())
    elif as_csv:
        _print_csv(COLUMNS, (hole.to_dict() for hole in report.holes))
    else:
        show_gaps(report, catalog, each_gap=each_gap)
    return 0


def rejects_list(
    catalog: Catalog = Path("data/catalog"),
    instrument: Instrument = None,
    table: TableName = None,
    start: Start = None,
    end: End = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most that are shown.")] = 50,
    data: Data = None,
    as_json: Json = False,
    as_csv: Csv = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """List rejected rows with file, line, reason and raw text.

    Without a filter, lines that belong to no table or day are there as well, from <data>/rejects.
    """
    from hedgegrid_assets.inspect.rejects import COLUMNS, read_rejects, with_iso_times

    set_logging(verbose=verbose, quiet=quiet)
    places, wanted = _places(catalog, data), _wanted(instrument, table, start, end)
    rows, count = read_rejects(places, wanted, reason, limit)
    if not count:
        _refuse_no_days(places, wanted)
    rows = with_iso_times(rows)
    if as_json:
        print_json({"catalog": str(catalog), "count": count, "rejects": rows.to_dicts()})
        return 0
    if as_csv:
        _print_csv(COLUMNS, rows.iter_rows(named=True))
        return 0
    if not count:
        say(f"no rejects in {catalog}" + ("" if reason is None else f" for {reason}"))
        return 0
    out = console()
    for row in rows.iter_rows(named=True):
        belongs = (
            f"{row['instrument_id']} {row['table']} {row['date']}"
            if row["instrument_id"]
            else f"feed {row['feed']}, no table or day"
        )
        at = "" if row["field"] is None else f" field {row['field']}"
        value = "" if row["value"] is None else f" = {row['value']}"
        print_fitted(out, f"{row['file']}:{row['line']}: {row['reason']}{at}{value} ({belongs})", later="  ")
        out.print(f"    {_cut(row['raw'], out)}", markup=False)
    if count > len(rows):
        out.print(f"{count - len(rows):,} more of {count:,}: use --limit, or see `hedgegrid rejects summary`")
    return 0


def rejects_show(
    where: Annotated[
        str,
        typer.Argument(metavar="FILE:LINE", help="As `rejects list` prints it; the end of the file's name is enough."),
    ],
    catalog: CatalogFlag = Path("data/catalog"),
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Show one rejected line in full, with every table that refused it."""
    from hedgegrid_assets.inspect.rejects import MEANINGS, show

    set_logging(verbose=verbose, quiet=quiet)
    file, _, line = where.rpartition(":")
    if not file or not line.isdigit():
        raise UsageError(f"which reject? expected FILE:LINE, as `hedgegrid rejects list` prints it, found {where!r}")
    found = show(_places(catalog, data), file, int(line))
    if not found:
        raise NoDataFetched(
            f"reject {where}",
            f"{catalog} and {_places(catalog, data).data / 'rejects'}",
            "no such reject",
            hint=f"`hedgegrid rejects list {shlex.quote(str(catalog))}` prints FILE:LINE of each",
        )
    if as_json:
        print_json(found)
        return 0
    out = console()
    for row in found:
        belongs = (
            f"{row['instrument_id']} {row['table']} {row['date']}"
            if row["instrument_id"]
            else f"feed {row['feed']}, no table or day"
        )
        shown = {
            "file": row["file"],
            "line": row["line"],
            "belongs to": belongs,
            "stage": row["stage"],
            "raw row": row["raw_row"],
        }
        shown |= {
            "reason": f"{row['reason']}: {MEANINGS.get(row['reason'], '')}",
            "field": row["field"],
            "value": row["value"],
            "arrived": row["ts_init"],
            "raw": row["raw"],
        }
        for name, value in shown.items():
            if value is not None:
                out.print(visible(f"{name:12} {value}"), markup=False)
        out.print("")
    return 0


def rejects_summary(
    catalog: Catalog = Path("data/catalog"),
    instrument: Instrument = None,
    table: TableName = None,
    start: Start = None,
    end: End = None,
    data: Data = None,
    each_day: All = False,
    as_json: Json = False,
    as_csv: Csv = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Count rejects by instrument, table, day and reason, and lines that belong to none by landing file."""
    from hedgegrid_assets.inspect.rejects import summary

    set_logging(verbose=verbose, quiet=quiet)
    places, wanted = _places(catalog, data), _wanted(instrument, table, start, end)
    found = summary(places, wanted)
    if not found:
        _refuse_no_days(places, wanted)
    by_reason = Counter[str]()
    for row in found:
        by_reason[row["reason"]] += row["count"]
    if as_json:
        print_json(
            {
                "catalog": str(catalog),
                "count": by_reason.total(),
                "by_reason": dict(by_reason.most_common()),
                "groups": found,
            }
        )
        return 0
    if as_csv:
        _print_csv(
            ("instrument_id", "table", "date", "feed", "file", "reason", "count", "first_line", "meaning"), found
        )
        return 0
    if not found:
        say(f"no rejects in {catalog}")
        return 0
    out = console()
    out.print(f"rejects of {catalog}", style="italic", markup=False)
    _show_summary(out, found, each_day=each_day)
    told_reasons = ", ".join(f"{reason} {count:,}" for reason, count in by_reason.most_common())
    print_fitted(out, f"{by_reason.total():,} in all: {told_reasons}")
    flags = "" if data is None else f" --data {shlex.quote(str(data))}"
    print_fitted(out, f"each line: hedgegrid rejects list {shlex.quote(str(catalog))}{flags}")
    return 0


def _show_summary(out: "Console", found: Sequence[Mapping[str, Any]], *, each_day: bool) -> None:
    """What each belongs to, that with the most rejects first; of a reason its days together, or each by itself."""
    from hedgegrid_assets.inspect.spans import alike

    groups = alike(found, lambda row: (row["instrument_id"], row["table"], row["feed"], row["file"]))
    for rows in sorted(groups, key=lambda rows: -sum(row["count"] for row in rows)):
        head = rows[0]
        belongs = (
            f"{head['instrument_id']} {head['table']}" if head["instrument_id"] else f"{head['feed']}: {head['file']}"
        )
        print_fitted(out, belongs, style="bold")
        reasons = alike(rows, lambda row: (row["reason"], row["date"] if each_day else None))
        for same in sorted(reasons, key=lambda each: -sum(row["count"] for row in each)):
            print_fitted(out, f"  {_of_reason(same)}", later=" " * 6)


def _of_reason(rows: Sequence[Mapping[str, Any]]) -> str:
    """``zero_price: 3 rows on 2024-01-06..07, the first in line 14,415: a price of zero is no price``."""
    from hedgegrid_assets.inspect.spans import told

    days = [date.fromisoformat(row["date"]) for row in rows if row["date"]]
    on = f" on {told(days, _SHOWN_RANGES)}" if days else ""
    first = f", the first in line {rows[0]['first_line']}" if rows[0]["first_line"] is not None else ""
    return f"{rows[0]['reason']}: {counted(sum(row['count'] for row in rows), 'row')}{on}{first}: {rows[0]['meaning']}"


def trace(
    instrument_id: Annotated[str, typer.Argument(help="Such as BTCUSDT-PERP.BINANCE.")],
    table: Annotated[str, typer.Argument(help="{tables}, or Nautilus' name.")],
    which: Annotated[
        str,
        typer.Argument(metavar="TRADE_ID|TIME", help="A trade id, or a time: 2024-01-01T12:00:00Z or ns since 1970."),
    ],
    catalog: CatalogFlag = Path("data/catalog"),
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Follow one row back: catalog, normalized frame, raw file, landing file and line, and where that came from.

    Exit code 1 if a station is missing or holds something else than the one before.
    """
    from hedgegrid_assets.inspect.days import table_named
    from hedgegrid_assets.inspect.trace import trace as follow

    set_logging(verbose=verbose, quiet=quiet)
    check_lookup(instrument_id, "INSTRUMENT_ID")
    found = follow(_places(catalog, data), instrument_id, table_named(table), which)
    if as_json:
        print_json(found.to_dict())
    else:
        _show_trace(found)
    return 0 if found.whole else 1


_STATIONS: Final[Mapping[str, str]] = {
    "catalog": "catalog row",
    "normalized": "normalized row",
    "raw": "raw row",
    "landing": "landing file, line",
    "origin": "where it came from",
}


def _show_trace(found: "Trace") -> None:
    out = console()
    out.print(visible(f"{found.instrument_id} {found.table}: {found.found_by}"), markup=False)
    for name, step in found.steps.items():
        style, mark = {True: ("green", "ok"), False: ("bold red", "not ok"), None: ("dim", "")}[step.get("ok")]
        out.print(f"\n[bold]{_STATIONS[name]}[/]  [{style}]{mark}[/]")
        for key, value in step.items():
            if key in {"ok", "origin"} or value in (None, "", {}):
                continue
            told = ", ".join(f"{inner} {shown}" for inner, shown in _told(value)) if isinstance(value, dict) else value
            out.print(visible(f"  {key:10} {told}"), markup=False)
        for origin in step.get("origin", []):
            about = ", ".join(f"{key} {value}" for key, value in origin.items() if key not in {"by_stream"})
            out.print(visible(f"  from       {about}"), markup=False)


def _told(values: Mapping[str, Any]) -> "Iterable[tuple[str, Any]]":
    for name, value in values.items():
        yield name, " or ".join(value) if isinstance(value, list) else "–" if value is None else value


def report(
    catalog: Catalog = Path("data/catalog"),
    output: Annotated[Path, typer.Option("--output", help="The HTML file.")] = Path("report.html"),
    instrument: Instrument = None,
    table: TableName = None,
    start: Start = None,
    end: End = None,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Write one HTML page, usable offline: every instrument-day by its verdict; click a day for what is behind it."""
    from hedgegrid_assets.inspect.report import write_report

    set_logging(verbose=verbose, quiet=quiet)
    with progress(quiet=quiet) as tick:
        done = write_report(
            _places(catalog, data), output, wanted=_wanted(instrument, table, start, end), progress=tick
        )
    if as_json:
        print_json(
            {
                "output": str(output),
                "bytes": done.bytes,
                "days": done.days,
                "detailed": done.detailed,
                "left_out": done.left_out,
                "damaged": [error.to_dict() for error in done.damaged],
            }
        )
    elif not quiet:
        left_out = f"; no room for the details of {done.left_out:,} more" if done.left_out else ""
        console().print(
            f"{output}: {megabytes(done.bytes)}, {done.days:,} verdicts, {done.detailed:,} in detail{left_out}",
            markup=False,
        )
    for error in done.damaged:
        show_error(error, as_json=False)
    return 1 if done.damaged else 0


# ---------------------------------------------------------------- shared


def _places(catalog: Path, data: Path | None) -> "Places":
    from hedgegrid_assets.store import Places

    return Places(data or data_path(), catalog)


def _wanted(instrument: str | None, table: str | None, start: str | None, end: str | None) -> "DayFilter":
    from hedgegrid_assets.inspect.days import DayFilter, table_named

    return DayFilter(
        check_lookup(instrument, "--instrument") if instrument is not None else None,
        table_named(table).name if table else None,
        parse_day(start, "--start") if start else None,
        parse_day(end, "--end") if end else None,
    )


def _refuse_no_days(places: "Places", wanted: "DayFilter") -> None:
    """A name that is no catalog's has no rejects either: that must not be told as a good answer. Raises NoDataFetched."""
    from hedgegrid_assets.inspect.days import judged_days, nothing_found

    if next(iter(judged_days(places, wanted)), None) is None:
        raise nothing_found(places, wanted)


def _print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if value is None else value for name, value in row.items()})


def _cut(text: str | None, out: "Console") -> str:
    """A line that fits on a screen; control characters are told, not sent to the terminal."""
    shown = visible(text or "")
    told = f"… ({len(shown):,} characters)"
    most = min(_SHOWN_RAW, out.width - len(told) - 4) if out.is_terminal else _SHOWN_RAW
    return shown if len(shown) <= most else f"{shown[: max(most, 20)]}{told}"
