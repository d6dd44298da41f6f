"""The command that takes old days out: ``prune``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hedgegrid_assets.cli.output import (
    Data,
    Feeds,
    Json,
    Quiet,
    TableName,
    Verbose,
    console,
    megabytes,
    print_json,
    progress,
    say,
    set_logging,
)
from hedgegrid_assets.config.paths import data_path, feeds_path
from hedgegrid_assets.errors import UnknownName
from hedgegrid_assets.names import check_lookup
from hedgegrid_assets.timestamps import parse_day
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.config.feeds import Feed
    from hedgegrid_assets.config.roots import Roots
    from hedgegrid_assets.housekeeping.prune import Plan
    from hedgegrid_assets.store import StorePath

_SHOWN: Final = 40
"""So many instruments and raw folders are listed; all with --json."""


def prune(
    before: Annotated[str, typer.Option("--before", help="The first day that stays, YYYY-MM-DD.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go, and how much that is.")] = False,
    instrument: Annotated[str | None, typer.Option("--instrument", help="Only this InstrumentId.")] = None,
    table: TableName = None,
    feed: Annotated[str | None, typer.Option("--feed", help="Only what this feed of feeds.yaml makes.")] = None,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", help="Root of the catalog; default <data>/catalog.")
    ] = None,
    data: Data = None,
    feeds: Feeds = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Take the days before a date out: frames, verdicts, rejects, Nautilus files, and the raw days they were made from.

    Definitions, series, caches and landing files stay; landing files do not give pruned days again, unless --force of
    replay-to-parquet or backfill takes them again. Files of others stay, and are told. Each day goes whole; a run that was
    interrupted is finished by the next one. It is done at once: --dry-run first says what would go. Raw days are of the
    data root: any other catalog made with it rests on them as well.
    """
    from hedgegrid_assets.housekeeping.converting import lost
    from hedgegrid_assets.housekeeping.prune import Asked, carry_out, plan
    from hedgegrid_assets.inspect.days import table_named
    from hedgegrid_assets.stages.catalog.twins import twins_of

    set_logging(verbose=verbose, quiet=quiet)
    first = parse_day(before, "--before")
    if instrument is not None:
        check_lookup(instrument, "--instrument")
    root = data or data_path()
    known, roots = _feeds(feeds or feeds_path(), feed)
    places = roots.places(root, catalog)
    asked = Asked(first, instrument, table_named(table) if table else None, known[feed] if feed else None)
    found = plan(places, asked)
    beside = {twin.catalog: (twin, plan(twin, asked)) for twin in twins_of(places)}
    if not dry_run:
        with progress(quiet=quiet) as tick:
            for each, wanted in ((places, found), *beside.values()):
                carry_out(each, wanted, lambda what: tick(what, 0))
    notes = [*_left(found, known), *_shared(found, places.data), *lost(places)]
    if as_json:
        told = {str(path): wanted.to_dict() for path, (_, wanted) in beside.items()}
        print_json({"done": not dry_run} | found.to_dict() | {"notes": notes} | ({"beside": told} if told else {}))
        return 0
    if not quiet:
        _show(found, dry_run=dry_run)
        for path, (_, wanted) in beside.items():
            console().print(f"and of {path}, which is beside it:", markup=False)
            _show(wanted, dry_run=dry_run)
    for note in notes if not quiet else ():
        say(f"note: {note}")
    return 0


def _feeds(path: Path, wanted: str | None) -> "tuple[Mapping[str, Feed], Roots]":
    """The feeds of the file, if there is one, and where all is. Raises UsageError."""
    from hedgegrid_assets.config.roots import HERE

    if not path.is_file() and wanted is None:
        return {}, HERE
    from hedgegrid_assets.config.feeds import read_feeds

    file = read_feeds(path)
    if wanted is not None and wanted not in file.feeds:
        raise UnknownName("feed", str(path), wanted, file.feeds)
    return file.feeds, file.roots


def _left(found: "Plan", known: "Mapping[str, Feed]") -> list[str]:
    """Feeds that would fetch the pruned days again, and whose partitions Dagster shows: its storages forget no single one."""
    from hedgegrid_assets.sources import SOURCES

    before = found.asked.before
    told = {
        False: "a backfill would fetch these days again, and Dagster shows them as materialized",
        True: "Dagster shows these days as materialized",
    }
    return [
        f"the feed {name} starts on {feed.start}, so that {told[SOURCES[feed.source].has_landing_zone]}: "
        f"set start: {before} in feeds.yaml"
        for name, feed in known.items()
        if name in found.marks and feed.start < before
    ]


def _shared(found: "Plan", data: "StorePath") -> list[str]:
    """Raw days are of the data root, not of one catalog."""
    count = sum(what.startswith("raw day") for each in found.gone for what, _ in each.removals)
    told = (
        f"{counted(count, 'raw day is', 'raw days are')} among these files: any other catalog made with --data {data} rests on "
        "them as well; --dry-run says what would go, and removes nothing"
    )
    return [told] if count else []


def _show(found: "Plan", *, dry_run: bool) -> None:
    out = console()
    will = "would go" if dry_run else "gone"
    groups: dict[str, list[tuple[str, int]]] = {}
    for each in found.gone:
        groups.setdefault(each.what, []).append((str(each.day), len(each.removals)))
    for what, days in list(groups.items())[:_SHOWN]:
        out.print(what, markup=False, style="bold")
        files = sum(count for _, count in days)
        span = days[0][0] if len(days) == 1 else f"{days[0][0]} .. {days[-1][0]}"
        out.print(f"    {will}: {counted(len(days), 'day')} {span}, {counted(files, 'file')}", markup=False)
    if len(groups) > _SHOWN:
        out.print(f"and {len(groups) - _SHOWN:,} more; all with --json")
    for kind, size in found.bytes.items():
        out.print(f"  {kind:16}{megabytes(size):>12}", markup=False)
    for why, path in found.kept:
        out.print(f"stays ({why}): {path}", markup=False)
    total = megabytes(sum(found.bytes.values()))
    days = counted(len({each.day for each in found.gone}), "day")
    if not found.gone:
        out.print(f"nothing is there of the days before {found.asked.before}", markup=False)
    elif dry_run:
        out.print(f"{days}, {counted(found.files, 'file')}, {total}, would go; nothing was removed", markup=False)
    else:
        out.print(f"{days}, {counted(found.files, 'file')}, {total}, removed", markup=False)
