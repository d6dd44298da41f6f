"""Commands that make a catalog: ``replay-to-parquet`` and ``generate-sample-data``."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hedgegrid_assets.cli.memory import keep_freed_memory
from hedgegrid_assets.cli.output import (
    STYLES,
    Data,
    Json,
    Quiet,
    Verbose,
    cell,
    console,
    megabytes,
    print_json,
    progress,
    say,
    set_logging,
)
from hedgegrid_assets.errors import HedgegridError, PrecisionTooFine, UsageError
from hedgegrid_assets.spent import cpu_seconds, peak_bytes
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.model import Source
    from hedgegrid_assets.pipeline.request import Request
    from hedgegrid_assets.pipeline.summary import DaySummary, RunSummary
    from hedgegrid_assets.store import StorePath

Output = Annotated[
    Path, typer.Option("--output", help="Root of the catalog, a folder or s3://bucket/prefix; made if it is not there.")
]

Nautilus = Annotated[
    int | None,
    typer.Option(
        "--nautilus",
        help="Generation of NautilusTrader that a new catalog is for (1, 2); not said: the installed, else 1.",
    ),
]

SAMPLE_START: Final = "2024-01-01"
_SHOWN_DAYS: Final = 40
_SHOWN_RANGES: Final = 8
_DAY: Final = "\0"
"""Stands for the day in what is said of several."""
_COUNTED: Final = (
    ("rows in", "in"),
    ("out", "out"),
    ("rejected", "rejected"),
    ("duplicates", "exact_duplicates"),
    ("not applicable", "not_applicable"),
)


def replay_to_parquet(
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="{sources}.",
        ),
    ],
    symbol: Annotated[
        list[str],
        typer.Option("--symbol", help="Exchange symbol, such as BTCUSDT; several times, or several with commas."),
    ],
    start: Annotated[
        str | None, typer.Option("--start", help="First day, YYYY-MM-DD, UTC; files: all that they hold.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", help="First day that is not wanted any more (exclusive).")] = None,
    output: Output = Path("data/catalog"),
    data_types: Annotated[
        str | None,
        typer.Option("--data-types", help="Some of {types}; without it, {usual}, as far as the source has them."),
    ] = None,
    exchange: Annotated[
        str | None, typer.Option("--exchange", help="Nautilus venue of the instrument ids; BINANCE if not said.")
    ] = None,
    market: Annotated[
        str | None,
        typer.Option("--market", help="usdm, coinm or spot; else as symbol and files say it, and usdm of several."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The source's settings, JSON or YAML.")] = None,
    input_files: Annotated[
        list[Path] | None,
        typer.Option("--input", metavar="<path>", help="A file to read; several times; instead of the landing zone."),
    ] = None,
    instrument: Annotated[
        str | None, typer.Option("--instrument", help="InstrumentId, in place of the one made from the symbol.")
    ] = None,
    accept_checksum: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-checksum",
            metavar="<sha256>",
            help="sha256 of an archive's file to take though its .CHECKSUM differs.",
        ),
    ] = None,
    compression: Annotated[str, typer.Option("--compression", help="zstd, snappy or none.")] = "zstd",
    nautilus: Nautilus = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Days at a time.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Make days again that are unchanged.")] = False,
    widen: Annotated[
        bool, typer.Option("--widen", help="Give an instrument finer precisions where a day needs them, in this run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be fetched: requests, cached, free or paid.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Turn raw market data into a NautilusTrader catalog, exact, day by day.

    Without --config or --input, the files in <data>/raw/<source>/ are read. Unchanged days are skipped.

    Example: hedgegrid replay-to-parquet --source websocket --symbol BTCUSDT --start 2024-01-01 --end 2024-01-07
    """
    from hedgegrid_assets.pipeline.request import request

    set_logging(verbose=verbose, quiet=quiet)
    symbols = ",".join(symbol)
    if symbols != symbols.upper() and not quiet:
        say(f"note: symbol {symbols} is read as {symbols.upper()}")
    _refuse_other_venue(source, exchange, instrument)
    asked = request(
        source,
        symbols,
        start,
        end,
        output_path=output,
        data_types=data_types,
        source_config=_settings(source, config, input_files or [], accept_checksum or []),
        exchange=exchange,
        market=market,
        data=data,
        instrument=instrument,
        compression=compression,
        jobs=jobs,
        force=force,
        nautilus=nautilus,
    )
    return _show_plan(asked, as_json=as_json) if dry_run else _run(asked, as_json=as_json, quiet=quiet, widen=widen)


def generate_sample_data(
    offline: Annotated[
        bool, typer.Option("--offline", help="Synthetic data of the venue SIM; needs no key and no network.")
    ] = False,
    output: Output = Path("data/catalog"),
    symbol: Annotated[str, typer.Option("--symbol", help="Exchange symbol.")] = "BTCUSDT",
    days: Annotated[int, typer.Option("--days", min=1, help=f"Days from {SAMPLE_START} on.")] = 3,
    nautilus: Nautilus = None,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Make three days of sample data: trades, mark prices, index prices and funding rates.

    Real days from Tardis with a key in TARDIS_API_KEY; without one, those of them that are free (the first day of a
    month); where Tardis cannot be reached, synthetic ones. Synthetic data lies under the venue SIM, never under a real
    venue's name.
    """

    from hedgegrid_assets.pipeline.plan import reachable
    from hedgegrid_assets.pipeline.request import request

    set_logging(verbose=verbose, quiet=quiet)
    start = date.fromisoformat(SAMPLE_START)
    whole = (start, start + timedelta(days=days))
    has_key = bool(os.environ.get("TARDIS_API_KEY"))
    ranges = [whole]
    if not offline and not has_key:
        ranges = [(day, day + timedelta(days=1)) for n in range(days) if (day := start + timedelta(days=n)).day == 1]
    asked: list[Request] = []
    if not offline:
        asked = [
            request("tardis", symbol, str(a), str(b), output_path=output, data=data, nautilus=nautilus)
            for a, b in ranges
        ]
    if offline:
        why = "the synthetic sample of the venue SIM (--offline)"
    elif has_key:
        why = "real days from Tardis, with the key in TARDIS_API_KEY"
    elif asked and reachable(asked[0]):
        why = (
            f"the {len(asked)} of {days} days that Tardis gives without a key; with one in TARDIS_API_KEY: all of them"
        )
    else:
        why = "no key in TARDIS_API_KEY, and Tardis does not answer: the synthetic sample of the venue SIM, as with --offline"
        asked.clear()
    if not quiet:
        say(f"sample: {why}")
    if not asked:
        asked = [request("synthetic", symbol, *map(str, whole), output_path=output, data=data, nautilus=nautilus)]
    return max(_run(each, as_json=as_json, quiet=quiet) for each in asked)


def _settings(
    source: str, config: Path | None, files: list[Path], accept_checksum: list[str]
) -> dict[str, Any] | UsageError:
    """The settings, or why they cannot be read: that is told together with what else is wrong."""
    try:
        if files:
            _refuse_unheard("--input", source, lambda other: other.has_landing_zone)
        if accept_checksum:
            _refuse_unheard("--accept-checksum", source, lambda other: "accept_checksum" in other.settings.model_fields)
        read = _settings_read(source, config, files)
    except UsageError as error:
        return error
    return read | ({"accept_checksum": accept_checksum} if accept_checksum else {})


def _refuse_other_venue(source: str, exchange: str | None, instrument: str | None) -> None:
    """Where --exchange would say nothing. Raises UsageError."""
    if source == "synthetic" and exchange not in {None, "", "SIM"}:
        raise UsageError(
            f"synthetic data is of the venue SIM alone (--exchange): expected SIM, found {exchange}",
            hint="leave --exchange out",
        )
    venue = instrument.rpartition(".")[2] if instrument else ""
    if exchange and venue and venue != exchange:
        raise UsageError(
            f"--exchange and --instrument name different venues: expected {venue}, as in {instrument}, found {exchange}",
            hint="leave --exchange out: --instrument names the venue",
        )


def _refuse_unheard(option: str, source: str, hears: "Callable[[Source], bool]") -> None:
    """An option that says nothing to a source, which does without it then. Raises UsageError."""
    from hedgegrid_assets.sources import SOURCES

    if source in SOURCES and not hears(SOURCES[source]):
        raise UsageError(
            f"{option} says nothing to the source {source}: expected one of {', '.join(filter(lambda name: hears(SOURCES[name]), SOURCES))}",
            hint=f"leave {option} out, or name the source that it is for (--source)",
        )


def _settings_read(source: str, config: Path | None, files: list[Path]) -> dict[str, Any]:
    from hedgegrid_assets.config.paths import placed
    from hedgegrid_assets.config.settings import read_config

    settings = read_config(config, source) if config else {}
    if files and "files" in settings:
        raise UsageError("--config and --input name files both: expected one of them")
    if config:
        settings = {**placed(settings, config.parent)}
    return settings | ({"inputs": [str(path) for path in files]} if files else {})


def _show_plan(asked: "Request", *, as_json: bool) -> int:
    """What a run would fetch, a row a stream, and what the key allows."""
    from rich.table import Table

    from hedgegrid_assets.pipeline.plan import account, plan

    days = plan(asked)
    try:
        allowed = account(asked)
    except HedgegridError as error:
        allowed = [f"not known what the key allows: {error.message}"]
    if as_json:
        print_json(
            {"requests": sum(day.requests for day in days), "account": allowed, "days": [day.to_dict() for day in days]}
        )
        return 0
    table = Table(title="would fetch", title_justify="left")
    for name in ("symbol", "stream", "days"):
        table.add_column(name)
    for name in ("stored", "cached", "requests", "free", "paid", "expected"):
        table.add_column(name, justify="right")
    for symbol, channel in dict.fromkeys((day.symbol, day.channel) for day in days):
        mine = [day for day in days if (day.symbol, day.channel) == (symbol, channel)]
        missing = [day for day in mine if day.requests]
        sizes = [day.bytes for day in mine if day.bytes]
        expected = megabytes(sum(sizes) // len(sizes) * len(missing)) if sizes else "unknown"
        table.add_row(
            cell(symbol),
            cell(channel),
            f"{len(mine)}: {mine[0].date} .. {mine[-1].date}",
            str(sum(day.stored for day in mine)),
            str(sum(day.cached for day in mine if not day.stored)),
            f"{sum(day.requests for day in mine):,}",
            str(sum(day.free for day in missing)),
            str(sum(not day.free for day in missing)),
            expected if missing else "0",
        )
    out = console()
    out.print(table)
    for line in allowed:
        out.print(line, markup=False)
    return 0


def _run(asked: "Request", *, as_json: bool, quiet: bool, widen: bool = False) -> int:
    from hedgegrid_assets.pipeline.run import run

    keep_freed_memory()

    if asked.start and asked.end and not quiet:
        say(f"{counted((asked.end - asked.start).days, 'day')}: {asked.start} .. {asked.end - timedelta(days=1)}")
    told: set[str] = set()

    def note(text: str) -> None:
        if not quiet and text not in told:
            say(f"note: {text}")
        told.add(text)

    with progress(quiet=quiet) as tick:
        summary = run(asked, progress=tick, say=note, watch=tick)
        if widen and (done := _widened(asked, summary)):
            for text in done:
                note(text)
            summary = run(asked, progress=tick, say=note, watch=tick)
    if as_json:
        spent = {"cpu_seconds": round(cpu_seconds(), 3), "peak_rss_mb": round(peak_bytes() / 1e6, 1)}
        print_json(summary.to_dict() | spent)
    elif not quiet:
        _show(summary, asked.catalog)
    _show_failures(summary)
    return 0 if summary.ok else 1


def _needed(summary: "RunSummary") -> dict[str, dict[str, int]]:
    """InstrumentId -> the decimals that all of its days together need, where its definition is too coarse."""
    needed: dict[str, dict[str, int]] = {}
    for day in summary.days:
        mine = needed.setdefault(day.instrument_id, {}) if day.finer else {}
        for name, decimals in day.finer.items():
            mine[name] = max(decimals, mine.get(name, 0))
    return needed


def _widened(asked: "Request", summary: "RunSummary") -> list[str]:
    """What was done for days that are finer than their instrument."""
    needed = [(day.instrument_id, day.finer) for day in summary.days if day.finer]
    if not needed:
        return []
    from hedgegrid_assets.housekeeping.widening import widen_inferred

    return widen_inferred(asked.catalog, asked.origin, needed)


def _show(summary: "RunSummary", catalog: "Path | StorePath") -> None:
    """The closing summary: a row a day while they can be read, else a row an (instrument, table)."""
    from rich.table import Table

    shown = [
        (name, key) for name, key in _COUNTED if key in {"in", "out"} or any(day.rows.get(key) for day in summary.days)
    ]
    groups = _grouped(summary.days)
    found = {name: [told(days) for days in groups] for name, told in _FOUND.items()}
    found = {name: column for name, column in found.items() if any(text != "0" for text in column)}
    table = Table(title=cell(f"catalog {catalog}"), title_justify="left")
    for name in ("instrument", "table", "days", "status"):
        table.add_column(name)
    for name in (*(name for name, _ in shown), *found, "size"):
        table.add_column(name, justify="right")
    for number, days in enumerate(groups):
        statuses = Counter(f"{day.status} (unchanged)" if day.skipped else day.status for day in days)
        style = STYLES[max((day.status for day in days), key=list(STYLES).index)]
        table.add_row(
            cell(_instruments(days)),
            days[0].table,
            _days_of(days),
            f"[{style}]"
            + ", ".join(f"{count} {status}" if len(days) > 1 else status for status, count in statuses.items())
            + "[/]",
            *(f"{sum(day.rows.get(key, 0) for day in days):,}" for _, key in shown),
            *(column[number] for column in found.values()),
            megabytes(sum(day.bytes for day in days)),
        )
    out = console()
    out.print(table)
    reasons = sum((Counter(day.rejects_by_reason) for day in summary.days), Counter[str]())
    if reasons:
        out.print(
            "rejected: " + ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common()), markup=False
        )
    for line in _reshaped(summary.days):
        out.print(line, markup=False)
    warned = Counter(name for day in summary.days for name in day.warned)
    if warned:
        told = ", ".join(f"{name} on {counted(count, 'day')}" for name, count in warned.most_common())
        out.print(f"seen: {told}; where and how many: hedgegrid validate {catalog}", markup=False)
    streams = ", ".join(f"{stream} {count:,}" for stream, count in Counter(summary.by_stream).most_common(8))
    if summary.lines:
        counts = " + ".join(f"{name} {count:,}" for name, count in summary.counts.items() if name != "lines")
        out.print(f"lines {summary.lines:,} = {counts} ({streams})", markup=False)
    rate = (
        f", {summary.rows / summary.seconds:,.0f} rows/s"
        if summary.seconds and not all(day.skipped for day in summary.days)
        else ""
    )
    out.print(
        f"{counted(summary.rows, 'row')} in {counted(sum(day.error is None for day in summary.days), 'file')}, "
        f"{summary.seconds:.1f} s{rate}; {cpu_seconds():.1f} s of processors, {megabytes(peak_bytes())} of memory at most"
    )


def _reshaped(days: "list[DaySummary]") -> Iterator[str]:
    """Why there are other rows out than in, where a table's rows are made of others."""
    from hedgegrid_assets.tables import TABLES

    for table in dict.fromkeys(day.table for day in days):
        counts = Counter[str]()
        for day in days:
            counts.update(day.reshaped if day.table == table else {})
        told = [f"{count:+,} {TABLES[table].reshapes[name]}" for name, count in counts.items()]
        if told:
            yield f"rows of {table}: {', '.join(told)}"


def _unless_off(count: int, days: "list[DaySummary]", *kinds: str) -> str:
    """A number of such gaps; ``off`` where no rule looked for any of them on any of the days."""
    from hedgegrid_assets.tables import RULES

    rules = [name for name, rule in RULES.items() if rule.looks_for in kinds]
    return "off" if not count and all(set(rules) <= set(day.off) for day in days) else f"{count:,}"


_FOUND: Final["Mapping[str, Callable[[list[DaySummary]], str]]"] = {
    "gaps": lambda days: _unless_off(sum(day.gaps - day.quiet for day in days), days, "silences", "holes"),
    "quiet": lambda days: f"{sum(day.quiet for day in days):,}",
    "ids missing": lambda days: _unless_off(sum(day.ids_missing for day in days), days, "holes"),
}
"""Column -> what it says of some days; one of zeros is left out. In quiet silences nothing is lost."""


def _grouped(days: "list[DaySummary]") -> "list[list[DaySummary]]":
    """A row each; of many days one of an instrument's table, of many instruments one of those that fared alike."""
    from hedgegrid_assets.inspect.spans import alike

    if len(days) <= _SHOWN_DAYS:
        return [[day] for day in days]
    by_instrument = alike(days, lambda day: (day.instrument_id, day.table))
    if len(by_instrument) <= _SHOWN_DAYS:
        return by_instrument
    together = alike(by_instrument, lambda its: (its[0].table, frozenset((day.status, day.skipped) for day in its)))
    return [[day for its in same for day in its] for same in together]


def _instruments(days: "list[DaySummary]") -> str:
    names = {day.instrument_id for day in days}
    return names.pop() if len(names) == 1 else counted(len(names), "instrument")


def _days_of(days: "list[DaySummary]") -> str:
    dates = sorted({day.date for day in days})
    if len(days) == 1:
        return str(dates[0])
    return f"{len(days)}: {dates[0]} .. {dates[-1]}" if len(dates) > 1 else f"{len(days)}: {dates[0]}"


def _show_failures(summary: "RunSummary") -> None:
    """Each error once, with all days that have it, and after all that have it in common, the way out."""
    from hedgegrid_assets.inspect.spans import told

    by_hint: dict[str, dict[str, list[date]]] = {}
    for error in map(str, summary.errors):
        what, _, hint = error.partition("\nhint: ")
        by_hint.setdefault(hint, {})[what] = []
    finer = _needed(summary)
    for day in summary.days:
        what, _, hint = (day.error or "").partition("\nhint: ")
        if what:
            hint = PrecisionTooFine.way_out(day.instrument_id, finer[day.instrument_id]) if day.finer else hint
            of_any_day = re.sub(rf"(?<![\w/.-]){day.date}(?![\w/.-])", _DAY, what)
            by_hint.setdefault(hint, {}).setdefault(of_any_day, []).append(day.date)
    for hint, errors in by_hint.items():
        for what, days in errors.items():
            say(f"error: {what.replace(_DAY, told(days, _SHOWN_RANGES))}")
        if hint:
            say(f"hint: {hint}")
