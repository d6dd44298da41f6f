"""``gaps acknowledge``: what is known of a gap, kept in the catalog beside the verdicts."""

import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hedgegrid_assets.cli.look import Catalog
from hedgegrid_assets.cli.output import Data, Feeds, Json, Quiet, TableName, Verbose, print_json, say, set_logging
from hedgegrid_assets.config.paths import data_path
from hedgegrid_assets.errors import FeedsFileError, NoDataFetched, UsageError
from hedgegrid_assets.names import check_lookup
from hedgegrid_assets.timestamps import day_of, iso, parse_time

if TYPE_CHECKING:
    from hedgegrid_assets.stages.outages import Outage
    from hedgegrid_assets.store import Places


def gaps_acknowledge(
    catalog: Catalog = Path("data/catalog"),
    instrument: Annotated[str | None, typer.Option("--instrument", help="InstrumentId.")] = None,
    table: TableName = None,
    start: Annotated[str | None, typer.Option("--start", help="When it begins: ISO time, UTC, or ns.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="When it is over.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, in plain words.")] = None,
    link: Annotated[str, typer.Option("--link", help="Where it is told, such as the venue's page.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Forget what was said of this time.")] = False,
    from_feeds: Annotated[
        bool, typer.Option("--from-feeds", help="Take over `outages:` of feeds.yaml, for the catalog <data>/catalog.")
    ] = False,
    feeds: Feeds = None,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Say that a gap is a known outage: it stays listed, and its day is no worse for it.

    The time must hold a whole gap (or edge, or missing day) that the data prove. It is kept in the catalog, beside the
    verdicts; `validate` tells of one that no gap lies in any more. Without --table: of all tables.
    """
    set_logging(verbose=verbose, quiet=quiet)
    if from_feeds:
        return _from_feeds(feeds, data, as_json=as_json)
    from hedgegrid_assets.inspect.days import table_named
    from hedgegrid_assets.inspect.outages import holes_in
    from hedgegrid_assets.stages import outages
    from hedgegrid_assets.store import Places

    places = Places.of_catalog(catalog)
    times = [_instant(text, flag) for text, flag in ((start, "--start"), (end, "--end"))]
    if not instrument or (not reason and not withdraw):
        raise UsageError(
            "expected --instrument, --start, --end and --reason, found no "
            + ("--reason" if instrument else "--instrument")
        )
    check_lookup(instrument, "--instrument")
    if times[1] <= times[0]:
        raise UsageError(f"empty time: expected --start before --end, found {start} .. {end}")
    said = outages.Outage(instrument, table_named(table).name if table else "", times[0], times[1], reason or "", link)
    if withdraw:
        return _withdrawn(places, said, as_json=as_json)
    holes = holes_in(places, said)
    outages.acknowledge(places, [said])
    if as_json:
        print_json({"catalog": str(catalog), "gaps": [hole.to_dict() for hole in holes]})
    else:
        for hole in holes:
            say(
                f"known: {hole.instrument_id} {hole.table} {hole.kind} {iso(hole.start)} .. {iso(hole.end)}: {said.told}"
            )
        first, last = day_of(said.start), day_of(said.end - 1)
        say(
            "note: Dagster shows its earlier answers until these days are made again: hedgegrid backfill FEED --force "
            f"--symbol {shlex.quote(instrument)} --start {first} --end {last + timedelta(days=1)}"
        )
    return 0


def _instant(text: str | None, flag: str) -> int:
    found = parse_time(text) if text else None
    if found is None:
        raise UsageError(f"{flag} is not a time: expected one as 2024-01-31T10:00:00Z, found {text or 'nothing'}")
    return found


def _withdrawn(places: "Places", said: "Outage", *, as_json: bool) -> int:
    """Forget what was said of a time; feeds.yaml says its own again at the next run."""
    from hedgegrid_assets.stages.outages import read_outages, withdraw

    same = [
        each
        for each in read_outages(places)
        if (each.instrument_id, each.table, each.start, each.end)
        == (said.instrument_id, said.table, said.start, said.end)
    ]
    if not same:
        raise NoDataFetched(
            f"{said.instrument_id} {iso(said.start)} .. {iso(said.end)}", str(places.outages), "no such outage"
        )
    if feeds := sorted({each.feed for each in same if each.feed}):
        raise UsageError(f"said by {', '.join(feeds)}: remove it under outages: in feeds.yaml, then use --from-feeds")
    withdraw(places, same)
    if as_json:
        print_json({"withdrawn": len(same)})
    else:
        say(f"withdrawn: {same[0].told}")
    return 0


def _from_feeds(feeds: Path | None, data: Path | None, *, as_json: bool) -> int:
    """Take over what feeds.yaml says, and forget what feeds have said that are not there any more."""
    from hedgegrid_assets.config.feeds import read_feeds
    from hedgegrid_assets.config.paths import feeds_path
    from hedgegrid_assets.pipeline.feed_context import FeedContext
    from hedgegrid_assets.pipeline.outages import take_over_outages
    from hedgegrid_assets.stages.outages import read_outages, take_over

    file, root = read_feeds(feeds or feeds_path()), data or data_path()
    if file.problems:
        raise FeedsFileError(file.path, [str(problem) for problem in file.problems])
    places = file.roots.places(root)
    found = {feed.name: len(take_over_outages(FeedContext(feed, places))) for feed in file.feeds.values()}
    for gone in {each.feed for each in read_outages(places) if each.feed} - file.feeds.keys():
        take_over(places, gone, [])
    if as_json:
        print_json({"catalog": str(places.catalog), "outages": found})
    else:
        for name, count in found.items():
            say(f"{name}: {count} known outages")
    return 0
