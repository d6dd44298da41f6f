"""The command that tells how things stand: ``status``. Lines of at most 80 columns, in which no name is cut."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec.structs import replace

from hedgegrid_assets.cli.output import (
    STYLES,
    Data,
    Feeds,
    Json,
    Quiet,
    Verbose,
    console,
    megabytes,
    print_json,
    set_logging,
)
from hedgegrid_assets.config.paths import data_path, feeds_path
from hedgegrid_assets.errors import UnknownName
from hedgegrid_assets.inspect.spans import told
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.config.feeds import Feed
    from hedgegrid_assets.config.roots import Roots
    from hedgegrid_assets.housekeeping.runs import Runs
    from hedgegrid_assets.housekeeping.status import FeedStanding, Standing, TableStanding

WIDTH: Final = 80
_INSTRUMENTS: Final = 20
"""So many of a feed are shown in full; of more, those first of which something has to be done."""
_RANGES: Final = 3
_TOKENS: Final = 8
"""Columns of the shortest names of tables."""
_FILES: Final = 5
_WHOLE: Final = {"complete", "empty"}
_WORK_LEFT: Final = {
    "to_look_at": ("kept out of the catalog", "bold red"),
    "not_made": ("not made yet", "yellow"),
    "stale": ("stale, to be made anew", "yellow"),
    "missing": ("missing", "yellow"),
}
"""Field -> what is said of such days, and how it is shown."""


def status(
    feed: Annotated[str | None, typer.Argument(help="Only this feed of feeds.yaml.")] = None,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", help="Root of the catalog; default <data>/catalog.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no provider what its key allows.")] = False,
    data: Data = None,
    feeds: Feeds = None,
    in_full: Annotated[
        bool, typer.Option("--all", help="All instruments, and all days that are not complete.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Tell how things stand: days by status, what is missing or stale, disk, last runs, plan.

    Quick: small documents and names of files are read, no data (`hedgegrid validate` proves them). Exit code 1 if a
    document is damaged or a change was left unfinished: `hedgegrid doctor` says more. Days that are blocked, stale or
    missing are listed, and are no failure of this command.
    """
    from hedgegrid_assets.housekeeping.status import status as standing_of

    set_logging(verbose=verbose, quiet=quiet)
    known, wrong, roots = _feeds(feeds or feeds_path(), feed, must_be_there=feeds is not None)
    root = data or data_path()
    found = standing_of(roots.places(root, catalog), known, feed, ask=not offline)
    found = replace(found, problems=[*wrong, *found.problems])
    if as_json:
        print_json(found.to_dict())
    elif not quiet or not found.ok:
        _show(found, in_full=in_full)
    return 0 if found.ok else 1


def _feeds(path: Path, wanted: str | None, *, must_be_there: bool) -> "tuple[Mapping[str, Feed], list[str], Roots]":
    """The feeds of the file, what is wrong with others, and where all is; none where there is no file and none is asked for. Raises UsageError."""
    from hedgegrid_assets.config.roots import HERE

    if not path.is_file() and wanted is None and not must_be_there:
        return {}, [], HERE
    from hedgegrid_assets.config.feeds import read_feeds

    file = read_feeds(path)
    if wanted is not None and wanted not in file.feeds:
        raise UnknownName("feed", str(path), wanted, file.feeds)
    return file.feeds, [str(problem) for problem in file.problems if wanted in (None, problem.feed)], file.roots


def _show(found: "Standing", *, in_full: bool) -> None:
    out = console()
    for feed in found.feeds:
        for line, style in _feed(feed, in_full=in_full):
            out.print(line, style=style or None, markup=False)
    if not found.feeds:
        out.print("no feed and no day yet: hedgegrid demo, or hedgegrid replay-to-parquet --help")
    sizes = {name: size for name, size in found.disk.items() if size.files}
    if sizes:
        out.print("disk", style="bold")
    for name, size in sizes.items():
        of = f"  {name:16}{megabytes(size.on_disk):>12} in {counted(size.files, 'file')}"
        out.print(of + (f"  {found.places.catalog}" if name == "catalog" else ""), markup=False)
    if found.nautilus is not None:
        out.print(f"form: NautilusTrader {found.nautilus}.x", markup=False)
    for line in found.beside:
        out.print(f"beside: {line}", markup=False)
    for line, style in _runs(found.runs):
        out.print(line, style=style or None, markup=False)
    for name, lines in found.plans.items():
        out.print(f"plan at {name}", style="bold", markup=False)
        for line in lines:
            out.print("\n".join(_wrapped(line, "  ")), markup=False)
    for problem in found.problems:
        out.print(f"problem: {problem}", style="bold red", markup=False)
    if found.problems:
        out.print("look further: hedgegrid doctor, hedgegrid feeds check")


# ---------------------------------------------------------------- a feed

type Line = tuple[str, str]
"""Text and style."""


def _feed(feed: "FeedStanding", *, in_full: bool) -> Iterator[Line]:
    instruments = list(dict.fromkeys(table.instrument_id for table in feed.tables))
    head = f"feed {feed.name} ({feed.source}, {feed.venue})" if feed.name else "of no feed"
    yield f"{head}: {len(instruments):,} instrument{'s' * (len(instruments) != 1)}", "bold"
    if feed.waiting:
        yield f"  {len(feed.waiting):,} landing files wait for an import", "yellow"
        yield from ((f"    {name}", "yellow") for name in feed.waiting[:_FILES])
    busy = {table.instrument_id for table in feed.tables if _has_todo(table)}
    shown = sorted(instruments, key=lambda name: name not in busy)
    shown = shown if in_full else shown[:_INSTRUMENTS]
    for name in shown:
        its = [table for table in feed.tables if table.instrument_id == name]
        if not any(table.days or _has_todo(table) for table in its):
            yield from ((line, "dim") for line in _joined(f"  {name}", "no data"))
            continue
        yield f"  {name}", ""
        for alike in _alike(its):
            yield from _table(alike, None if in_full else _RANGES)
    if len(instruments) > len(shown):
        left = len(busy - set(shown))
        todo = f", {left:,} of them with something to do" if left else ", with nothing to do"
        yield f"  and {len(instruments) - len(shown):,} more{todo}; all with --json", "dim"


def _has_todo(table: "TableStanding") -> bool:
    return any(getattr(table, name) for name in _WORK_LEFT)


def _alike(tables: "Sequence[TableStanding]") -> "list[list[TableStanding]]":
    """Tables of which the same is to be said, together."""
    groups: dict[object, list[TableStanding]] = {}
    for table in tables:
        said = tuple(tuple(getattr(table, name)) for name in _WORK_LEFT)
        groups.setdefault((said, tuple(table.said.items())), []).append(table)
    return list(groups.values())


def _table(alike: "Sequence[TableStanding]", most: int | None) -> Iterator[Line]:
    table = alike[0]
    counts = ", ".join(f"{count:,} {status}" for status, count in table.statuses.items())
    tokens = ", ".join(each.table.token for each in alike)
    if not table.days and not _has_todo(table):
        counts = "no data"
    elif table.days:
        span = f"{table.days[0]} .. {table.days[-1]}" if len(table.days) > 1 else f"{table.days[0]}"
        counts = f"{len(table.days):,} day{'s' * (len(table.days) != 1)} {span}: {counts}"
    worst = max(table.statuses, key=lambda status: list(STYLES).index(status) if status in STYLES else 99, default="")
    style = STYLES.get(worst, "bold red" if worst else "dim")
    yield from ((line, style) for line in _joined(f"    {tokens:{_TOKENS}}", counts))
    left = [(said, style, getattr(table, name)) for name, (said, style) in _WORK_LEFT.items()]
    for said, style, days in (*left, *_not_whole(table)):
        if days:
            text = f"{len(days):,} {said}: {told(days, most)}"
            yield from ((line, style) for line in _wrapped(text, " " * (6 + _TOKENS)))


def _not_whole(table: "TableStanding") -> Iterator[tuple[str, str, Sequence[date]]]:
    """Statuses of days that are in the catalog, and of which something is missing, worst first."""
    for status in sorted(set(table.statuses) & set(STYLES), key=list(STYLES).index, reverse=True):
        days = sorted(set(table.days_of(status)) - set(table.to_look_at))
        if status not in _WHOLE and len(days) < len(table.days):  # else the line above has said it
            yield status, STYLES[status], days


def _joined(head: str, rest: str) -> Sequence[str]:
    """On one line, if there is room."""
    line = f"{head}  {rest}".rstrip()
    return [line] if len(line) <= WIDTH else [head.rstrip(), *_wrapped(rest, " " * (6 + _TOKENS))]


def _wrapped(text: str, indent: str) -> list[str]:
    """Never inside a word: a name or a date stays whole."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _runs(runs: "Runs | None") -> Iterator[Line]:
    if runs is None:
        return
    counts = ", ".join(f"{count:,} {status.lower()}" for status, count in sorted(runs.counts.items()))
    yield f"Dagster runs: {counts or 'none'}", "bold"
    yield f"  in {runs.home}", ""
    if runs.unknown:
        yield f"  {runs.unknown}", "yellow"
    for run in runs.last:
        when = f"{run.started:%Y-%m-%d %H:%M}" if run.started else "not begun yet"
        took = "" if run.seconds is None else f"  {run.seconds:,.1f} s"
        head = f"  {when:16}  {run.status.lower():8}  {run.job}{took}"
        yield head, "bold red" if run.status == "FAILURE" else ""
        if run.partition:
            yield f"    {run.partition}", ""
