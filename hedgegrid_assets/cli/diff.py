"""``diff`` and ``refresh``: two sources of one day, two catalogs, or two states of a published file, row by row."""

import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hedgegrid_assets.cli.output import (
    Data,
    Feeds,
    Json,
    Quiet,
    Verbose,
    cell,
    console,
    print_fitted,
    print_json,
    progress,
    set_logging,
)
from hedgegrid_assets.config.paths import data_path, feeds_path
from hedgegrid_assets.errors import UnknownName, UsageError
from hedgegrid_assets.timestamps import iso, parse_day

if TYPE_CHECKING:
    from hedgegrid_assets.inspect.diff import Difference

_SHOWN_ROWS: Final = 3
"""Of each kind."""
_SIDES: Final = ("left", "right")
_STATES: Final = ("before", "after")
_DECIMAL: Final = re.compile(r"-?[0-9]+\.[0-9]+")


def diff(
    left: Annotated[str, typer.Argument(help="A catalog's folder, or <source>:<day>, such as archive:2024-01-02.")],
    right: Annotated[str, typer.Argument(help="As the other one.")],
    symbol: Annotated[str, typer.Option("--symbol", help="Exchange symbol, of sources.")] = "BTCUSDT",
    instrument: Annotated[str | None, typer.Option("--instrument", help="InstrumentId; all of both catalogs.")] = None,
    data_types: Annotated[
        str | None, typer.Option("--data-types", help="Some of {types}; without it, {usual}, as far as both have them.")
    ] = None,
    left_config: Annotated[Path | None, typer.Option("--left-config", help="Settings of the left source.")] = None,
    right_config: Annotated[Path | None, typer.Option("--right-config", help="Settings of the right source.")] = None,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Compare two sources of one day, or two states of a catalog; exit code 1 if a row differs.

    Rows are matched by their id, bars by their period, else by time, price and size; single trades and aggregates of them by the aggregates'
    first and last id. The days of sources are fetched if they are not there; no catalog is changed.

    Example: hedgegrid diff archive:2024-01-02 tardis:2024-01-02 --symbol BTCUSDT --data-types trades
    """
    from hedgegrid_assets.inspect.diff import differences
    from hedgegrid_assets.tables import TOKENS

    set_logging(verbose=verbose, quiet=quiet)
    with tempfile.TemporaryDirectory(prefix="hedgegrid-diff-") as folder, progress(quiet=quiet) as tick:
        sides = [
            _side(said, Path(folder) / name, symbol, data_types, config, data, instrument, tick)
            for name, said, config in (("left", left, left_config), ("right", right, right_config))
        ]
        tokens = data_types.split(",") if data_types else None
        tables = [TOKENS[token.strip()].folder for token in tokens] if tokens else None
        found = list(differences(*sides, instrument_id=instrument, tables=tables))
    if as_json:
        print_json(
            {
                "left": left,
                "right": right,
                "same": all(one.is_same for one in found),
                "days": [one.to_dict() for one in found],
            }
        )
    else:
        show_differences(found)
    return 0 if all(one.is_same for one in found) else 1


def refresh(
    feed: Annotated[str, typer.Argument(help="Its name in feeds.yaml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what was replaced.")] = False,
    data: Data = None,
    feeds: Feeds = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Look whether published files were replaced since they were fetched; make their days again, and say what changed.

    Exit code 1 if a row or the status of a day is not what it was.

    Example: hedgegrid refresh binance_usdm
    """
    from hedgegrid_assets.config.feeds import read_feeds
    from hedgegrid_assets.housekeeping.refresh import refresh as look_again

    set_logging(verbose=verbose, quiet=quiet)
    file = read_feeds(feeds or feeds_path())
    wanted = file.feeds.get(feed)
    if wanted is None:
        raise UnknownName("feed", f"FEED, {file.path}", feed, file.feeds)
    root = data or data_path()
    with progress(quiet=quiet) as tick:
        done = look_again(wanted, file.roots.places(root), tick, remake=not dry_run)
    if as_json:
        print_json(done.to_dict())
    else:
        for one in done.replaced:
            what = "is gone; its days stay" if one.now is None else "was replaced"
            days = f"{len(one.days)} day{'s' if len(one.days) > 1 else ''}"
            console().print(f"{one.url} {what}: {days}, from {one.days[0].day}", markup=False)
        console().print(f"{len(done.replaced)} of {done.files} published files are not what they were", markup=False)
        if done.differences:
            show_differences(list(done.differences), _STATES)
        for moved in done.moved:
            console().print(f"{moved}", style="bold", markup=False)
    return 0 if done.ok and done.is_same else 1


def _side(
    said: str,
    folder: Path,
    symbol: str,
    data_types: str | None,
    config: Path | None,
    data: Path | None,
    instrument: str | None,
    tick: Any,
) -> Path:
    """A catalog: the one that is named, or one that is made of a source's day."""
    from hedgegrid_assets.store import is_address

    if is_address(said) or Path(said).is_dir():
        return Path(said)
    source, colon, day = said.rpartition(":")
    if not colon:
        raise UsageError(
            f"no catalog and no day of a source: expected a folder, or <source>:<YYYY-MM-DD>, found {said!r}"
        )
    return _made(source, parse_day(day, said), folder, symbol, data_types, config, data, instrument, tick)


def _made(
    source: str,
    day: date,
    folder: Path,
    symbol: str,
    data_types: str | None,
    config: Path | None,
    data: Path | None,
    instrument: str | None,
    tick: Any,
) -> Path:
    from hedgegrid_assets.config.settings import read_config
    from hedgegrid_assets.pipeline.request import request
    from hedgegrid_assets.pipeline.run import run

    asked = request(
        source,
        symbol,
        str(day),
        str(day + timedelta(days=1)),
        output_path=folder,
        data_types=data_types,
        source_config=read_config(config, source) if config else {},
        data=data,
        instrument=instrument,
    )
    run(asked, progress=tick)
    return folder


def show_differences(found: "list[Difference]", sides: tuple[str, str] = _SIDES) -> None:
    """A row a day, then the first rows of each kind that differ. ``sides``: what is said for left and right."""
    from rich.table import Table

    table = Table()
    for name in (
        "instrument",
        "table",
        "day",
        *sides,
        "by",
        "equal",
        "shifted",
        "changed",
        *(f"only {side}" for side in sides),
    ):
        table.add_column(name, justify="left" if name in ("instrument", "table", "day", "by") else "right")
    for one in found:
        counts = (one.equal, one.shifted, one.changed, one.only_left, one.only_right)
        words = (
            one.instrument_id,
            one.table,
            str(one.date),
            f"{one.rows_left:,}",
            f"{one.rows_right:,}",
            one.matched_by,
        )
        table.add_row(*map(cell, words), *(f"{count:,}" for count in counts))
    console().print(table)
    for one in found:
        if one.note:
            print_fitted(console(), f"note: {one.table} {one.date}: {one.note}")
        shown = Counter[str]()
        for row in one.first:
            shown[row["kind"]] += 1
            if shown[row["kind"]] <= _SHOWN_ROWS:
                kind = row["kind"].replace("left", sides[0]).replace("right", sides[1])
                print_fitted(console(), f"{one.table} {one.date} {kind}: {_values(row, sides)}")


def _values(row: Mapping[str, str], sides: tuple[str, str]) -> str:
    """What a row says; where the sides differ, what each does."""
    told = []
    for name, value in row.items():
        other = row.get(f"{name}_right")
        if name == "kind" or (name.endswith("_right") and name.removesuffix("_right") in row):
            continue
        plain = _plain(name.removesuffix("_right"), value)
        same = other is None or other == value
        told.append(f"{name} {plain}" if same else f"{name} {plain} {sides[0]}, {_plain(name, str(other))} {sides[1]}")
    return ", ".join(told)


def _plain(name: str, value: str) -> str:
    """A time as ISO, a decimal without zeros that say nothing."""
    if name.startswith("ts_") and value.isdigit():
        return iso(int(value))
    return value.rstrip("0").rstrip(".") if _DECIMAL.fullmatch(value) else value
