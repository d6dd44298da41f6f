"""Commands that run the feeds' Dagster assets, or change a catalog: ``demo``, ``backfill``, ``instruments widen``."""

import shutil
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hedgegrid_assets.cli.backtest import show_run
from hedgegrid_assets.cli.output import (
    Data,
    Feeds,
    Json,
    Quiet,
    TableName,
    Verbose,
    console,
    print_json,
    progress,
    say,
    set_logging,
)
from hedgegrid_assets.cli.setup import starter_root
from hedgegrid_assets.cli.snippet import SNIPPET
from hedgegrid_assets.cli.validated import show_report
from hedgegrid_assets.config.paths import data_path, feeds_path
from hedgegrid_assets.errors import FeedsFileMissing, UnknownName, UsageError
from hedgegrid_assets.names import check_lookup
from hedgegrid_assets.timestamps import day_end, day_start, parse_day
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.backtest.run import Ran
    from hedgegrid_assets.defs.backfill import BackfillSummary, DayDone

DEMO_FEED: Final = "sim"


def instruments_widen(
    instrument_id: Annotated[str, typer.Argument(help="Such as BTCUSDT-PERP.BINANCE.")],
    price: Annotated[int | None, typer.Option("--price-precision", help="Decimals of trade prices.")] = None,
    size: Annotated[int | None, typer.Option("--size-precision", help="Decimals of sizes.")] = None,
    mark: Annotated[int | None, typer.Option("--mark-precision", help="Decimals of mark and index prices.")] = None,
    catalog: Annotated[Path, typer.Option("--catalog", help="Root of the catalog.")] = Path("data/catalog"),
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Give an instrument finer precisions, with all its days; no digit of the data changes.

    For data that became finer than the definition. Run it again if it was interrupted; then run the refused days again.
    """
    from hedgegrid_assets.housekeeping.widening import widen_instrument
    from hedgegrid_assets.pipeline.definitions import described

    set_logging(verbose=verbose, quiet=quiet)
    with progress(quiet=quiet) as tick:
        done = widen_instrument(catalog, instrument_id, price=price, size=size, mark=mark, progress=tick)
    if as_json:
        print_json({"instrument_id": instrument_id, "frames": done.frames, "files": done.files})
    elif not quiet:
        console().print(
            f"{described(done.instrument)}: {counted(done.frames, 'frame')} and {counted(done.files, 'Nautilus file')} written anew",
            markup=False,
        )
    return 0


def reset_day(
    instrument_id: Annotated[str, typer.Argument(help="Such as BTCUSDT-PERP.BINANCE.")],
    on: Annotated[str, typer.Argument(metavar="DATE", help="The day, YYYY-MM-DD.")],
    table: TableName = None,
    catalog: Annotated[Path, typer.Option("--catalog", help="Root of the catalog.")] = Path("data/catalog"),
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would go.")] = False,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Take a day of an instrument out of a catalog: frame, verdict, rejects, Nautilus file and raw day.

    Says what goes; removes it with --yes. Landing files stay: the next run makes the day anew if they still hold it.
    """
    from hedgegrid_assets.housekeeping.converting import lost
    from hedgegrid_assets.housekeeping.reset_day import holds, reset
    from hedgegrid_assets.inspect.days import table_named
    from hedgegrid_assets.model import InstrumentDay
    from hedgegrid_assets.stages.catalog.twins import twins_of
    from hedgegrid_assets.store import Places
    from hedgegrid_assets.tables import TABLES

    set_logging(verbose=verbose, quiet=quiet)
    check_lookup(instrument_id, "INSTRUMENT_ID")
    day = InstrumentDay(instrument_id, parse_day(on, "DATE"))
    tables = [table_named(table)] if table else list(TABLES.values())
    places = Places(data or data_path(), catalog)
    done = reset(places, day, tables, remove=yes)
    beside = {
        str(twin.catalog): reset(twin, day, tables, remove=yes) for twin in twins_of(places) if holds(twin, day, tables)
    }
    notes = lost(places)
    if as_json:
        told = {path: each.to_dict() for path, each in beside.items()}
        print_json(
            {"removed": yes} | done.to_dict() | ({"beside": told} if told else {}) | ({"notes": notes} if notes else {})
        )
    elif not quiet:
        out = console()
        for each in (done, *beside.values()):
            for what, path in each.removals:
                out.print(f"{'removed' if yes else 'would remove'}: {what}: {path}", markup=False)
            for why, path in each.kept:
                out.print(f"stays ({why}): {path}", markup=False)
        for note in notes:
            say(f"note: {note}")
        if not yes:
            say("nothing was removed; add --yes to do it")
    return 0


def demo(
    data: Data = None, feeds: Feeds = None, as_json: Json = False, verbose: Verbose = False, quiet: Quiet = False
) -> int:
    """Build a catalog of three synthetic days with the Dagster assets of the feed sim, look at it, and run a backtest on it.

    Trades, mark prices, index prices and funding rates of the venue SIM; no key and no network. Days that are there
    already are left as they are.
    """
    from hedgegrid_assets.config.feeds import read_feeds
    from hedgegrid_assets.inspect.validation import validate_catalog
    from hedgegrid_assets.store import folder_on_disk

    if feeds is None and not feeds_path().exists():
        feeds = starter_root() / "feeds.yaml"
        say("note: no feeds.yaml here: this is the one that `hedgegrid init` lays out")
    summary = _backfill(DEMO_FEED, data, feeds, None, None, "", verbose=verbose, quiet=quiet or as_json)
    places = read_feeds(feeds or feeds_path()).roots.places(data or data_path())
    catalog = _near(folder_on_disk(places.catalog, "the demo"))
    instrument = summary.days[0].day.instrument_id
    report = validate_catalog(catalog, instrument=instrument)
    days = [done.day.date for done in summary.days]
    if as_json:
        ran = _run_backtest(catalog, min(days), max(days)) if summary.ok else None
        backtest = {"folder": str(ran.folder), **ran.result} if ran else None
        print_json({"backfill": summary.to_dict(), "validation": report.to_dict(), "backtest": backtest})
        return 0 if summary.ok and report.ok and ran and ran.ok else 1
    _show(summary)
    show_report(report)
    if not summary.ok:
        return 1
    _run_snippet(catalog, instrument, min(days), max(days))
    console().print("\nThe guide's last step, a backtest whose funding is paid:\n", style="bold")
    ran = _run_backtest(catalog, min(days), max(days))
    show_run(ran)
    _say_next(catalog, instrument)
    return 0 if report.ok and ran.ok else 1


def backfill(
    feed: Annotated[
        str, typer.Argument(help="A feed of feeds.yaml; without, they are listed.", show_default=False)
    ] = "",
    start: Annotated[str | None, typer.Option("--start", help="First day, YYYY-MM-DD; the feed's own start.")] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="First day that is not wanted any more (exclusive); today.")
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="Symbols or instrument ids, several times or with commas; all of the feed."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Days that are unchanged as well.")] = False,
    block: Annotated[int, typer.Option("--block", min=1, help="Days of one instrument that a run covers.")] = 30,
    data: Data = None,
    feeds: Feeds = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Run a feed's Dagster assets for all days that are missing or changed, in one process.

    The runs and their checks are shown by the UI (hedgegrid dev) of the same DAGSTER_HOME. A day that fails stops no other.
    """
    _refuse_no_feed(feed, feeds)
    summary = _backfill(
        feed,
        data,
        feeds,
        start,
        end,
        ",".join(symbol or ()),
        force=force,
        block=block,
        verbose=verbose,
        quiet=quiet or as_json,
    )
    if as_json:
        print_json(summary.to_dict())
    elif not quiet or not summary.ok:
        _show(summary)
    return 0 if summary.ok else 1


def _refuse_no_feed(feed: str, feeds: Path | None) -> None:
    """Before Dagster is started, which takes seconds."""
    file = feeds or feeds_path()
    if not file.exists():
        raise FeedsFileMissing(file)
    from hedgegrid_assets.config.feeds import read_feeds

    found = read_feeds(file)
    if feed and feed not in found.feeds and not any(problem.feed == feed for problem in found.problems):
        raise UnknownName("feed", str(file), feed, found.feeds)
    if not feed:
        known = ", ".join(found.feeds) or "none"
        raise UsageError(
            f"which feed: expected one of {known} ({file}), found none named", hint="hedgegrid backfill FEED"
        )


def _backfill(
    feed: str,
    data: Path | None,
    feeds: Path | None,
    start: str | None,
    end: str | None,
    symbols: str,
    *,
    force: bool = False,
    block: int = 30,
    verbose: bool,
    quiet: bool,
) -> "BackfillSummary":

    set_logging(verbose=verbose, quiet=quiet)
    first, last = parse_day(start, "--start") if start else None, parse_day(end, "--end") if end else None
    if not quiet:
        say(f"starting Dagster for the feed {feed}")
    from hedgegrid_assets.defs.backfill import backfill, instance_for

    def tell(done: "DayDone", number: int, of: int) -> None:
        if not quiet:
            took = f", {done.seconds:.1f} s" if done.seconds else ""
            again = f"; it was there ({done.because})" if done.because else ""
            say(f"[{number}/{of}] {done.day}: {done.outcome}{took}{again}")

    with instance_for(data or data_path()) as instance:
        return backfill(
            feed,
            first,
            last,
            [part.strip() for part in symbols.split(",")] if symbols else None,
            instance=instance,
            force=force,
            block=block,
            progress=tell,
            feeds=feeds,
            data=data,
        )


def _show(summary: "BackfillSummary") -> None:
    from hedgegrid_assets.defs.backfill import Outcome

    counts = {outcome: len(summary.of(outcome)) for outcome in Outcome}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    missing = f"; {counted(summary.missing, 'instrument-day')} without data" if summary.missing else ""
    console().print(f"feed {summary.feed}: {told or 'nothing to do'}{missing}, {summary.seconds:.1f} s", markup=False)
    for done in (*summary.of(Outcome.FAILED), *summary.of(Outcome.REFUSED)):
        for error in done.errors:
            what, _, hint = error.partition("\nhint: ")
            say(f"error: {done.day}: {what}")
            if hint:
                say(f"hint: {hint}")


def _run_snippet(catalog: Path, instrument: str, first: date, last: date) -> None:
    """Show the guide's check, and run the same text."""

    text = SNIPPET.format(catalog=catalog, instrument=instrument, start=first, end=last + timedelta(days=1))
    out = console()
    out.print("\nThe guide's check of a catalog, run just now:\n", style="bold")
    out.print(text, markup=False, style="dim")
    scope: dict[str, Any] = {}
    exec(compile(text, "<the guide's check>", "exec"), scope)


def _run_backtest(catalog: Path, first: date, last: date) -> "Ran":
    """The shipped backtest on the days of the demo, beside the data; the run of an earlier demo is replaced."""
    from hedgegrid_assets.backtest.run import run_backtest
    from hedgegrid_assets.backtest.setup import read_setup

    configs = starter_root() / "configs"
    setup = read_setup(
        configs / "backtest" / "btcusdt_mark_trades_funding.yaml",
        configs / "strategies" / "hedge_grid_v1.yaml",
        catalog=catalog,
        start_ns=day_start(first),
        end_ns=day_end(last),
    )
    return run_backtest(setup, _near(catalog.parent.parent / "artifacts"), "demo", overwrite=True)


def _say_next(catalog: Path, instrument: str) -> None:
    command, python = (_as_typed(name) for name in ("hedgegrid", "python"))
    out = console()
    out.print("\nNext:", style="bold")
    for what, why in (
        *(
            []
            if feeds_path().exists()
            else [(f"{command} init", "feeds.yaml, configurations and examples, which these use")]
        ),
        (f"{command} dev", "the Dagster UI on http://127.0.0.1:3000: lineage, partitions, checks"),
        (
            f"{command} run-backtest -b configs/backtest/btcusdt_mark_trades_funding.yaml "
            "-s configs/strategies/hedge_grid_v1.yaml --stress",
            "the backtest again, under less kind assumptions too",
        ),
        (f"{command} report {catalog} --output report.html", "every day, its gaps, rejects and origin, in one page"),
        (f"{command} validate {catalog} --deep", "look again, with Nautilus' own reader"),
        (
            f"{python} -c \"import hedgegrid_assets as h; print(h.read_frame('{instrument}', 'trades', catalog='{catalog}'))\"",
            "as a pandas frame",
        ),
        (f"{command} replay-to-parquet --help", "your own data"),
    ):
        out.print(f"  {what}", markup=False, style="green")
        out.print(f"      {why}", markup=False)


def _as_typed(program: str) -> str:
    """How the user reaches a program of our environment: by its name if that is on the PATH, else by its path."""
    ours = Path(sys.executable).with_name(program)
    found = shutil.which(program)
    return program if found and Path(found).resolve() == ours.resolve() else str(_near(ours))


def _near(path: Path) -> Path:
    """Relative where it lies below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
