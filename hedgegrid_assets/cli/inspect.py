"""Commands that look: ``validate``, ``instruments`` and ``feeds check``; nothing is changed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec.structs import asdict

from hedgegrid_assets.cli.output import (
    All,
    Data,
    Feeds,
    Json,
    Quiet,
    TableName,
    Verbose,
    cell,
    console,
    print_json,
    progress,
    say,
    set_logging,
)
from hedgegrid_assets.cli.validated import show_report
from hedgegrid_assets.config.paths import feeds_path
from hedgegrid_assets.errors import FeedsFileError, UnknownName
from hedgegrid_assets.timestamps import parse_day
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.config.feeds import Feed

Catalog = Annotated[Path, typer.Argument(help="Root of the catalog.")]


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
            "--deep",
            help="Also read every day with NautilusTrader itself, and its raw day byte for byte, and compare the ids of any two days.",
        ),
    ] = False,
    nautilus: Annotated[
        int | None,
        typer.Option(
            "--nautilus", help="Generation of NautilusTrader that is to read it (1, 2), if not the installed."
        ),
    ] = None,
    each_day: All = False,
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
    from hedgegrid_assets.tables import TABLES, TOKENS, WORDS

    set_logging(verbose=verbose, quiet=quiet)
    if table is not None and table not in TABLES and table not in TOKENS:
        raise UnknownName("table", "--table", table, TOKENS, other=WORDS)
    with progress(quiet=quiet or not deep) as tick:
        report = validate_catalog(
            catalog,
            instrument=instrument,
            table=TOKENS[table].name if table in TOKENS else table,
            start=parse_day(start, "--start") if start else None,
            end=parse_day(end, "--end") if end else None,
            deep=deep,
            data=data or data_path(),
            nautilus=nautilus,
            progress=tick,
        )
    if as_json:
        print_json(report.to_dict())
    elif not quiet or not report.ok:
        show_report(report, each_day=each_day)
    return 0 if report.ok else 1


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
        raise UnknownName("instrument", str(catalog), instrument_id, found)
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
