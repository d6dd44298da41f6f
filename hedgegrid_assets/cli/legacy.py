"""The command for users of the earlier pipeline: ``import-legacy``."""

import textwrap
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hedgegrid_assets.cli.output import Data, Json, Quiet, Verbose, console, print_json, progress, say, set_logging
from hedgegrid_assets.config.paths import data_path
from hedgegrid_assets.errors import HedgegridError, UsageError

if TYPE_CHECKING:
    from hedgegrid_assets.housekeeping.legacy import Legacy, LegacyDay

_WIDTH: Final = 80
_SHOWN: Final = 40
_STYLES: Final = {"switch": "green", "rebuild": "yellow", "look": "bold red", "keep": ""}


def import_legacy(
    tree: Annotated[Path, typer.Argument(metavar="DIR", help="A catalog of the earlier pipeline (naut_hedgegrid).")],
    catalog: Annotated[
        Path | None, typer.Option("--catalog", help="The rebuilt catalog to compare with; default <data>/catalog.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="First rebuild the days of the tree into --catalog from this source, as tardis."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings of --source, JSON or YAML.")] = None,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Tell of each day of an old tree what cannot be trusted and why, and compare it row by row with the same day rebuilt.

    Nothing in DIR is changed, and nothing is taken from it. Without --source, days are compared that the catalog holds
    already; for the others the command that rebuilds them is printed. Exit code 1 if a day could not be read or rebuilt.
    """
    from hedgegrid_assets.housekeeping.legacy import look

    set_logging(verbose=verbose, quiet=quiet)
    root = data or data_path()
    rebuilt = catalog or root / "catalog"
    if not tree.is_dir():
        raise UsageError(f"no such tree (DIR): expected a catalog of the earlier pipeline, found no folder at {tree}")
    if rebuilt.resolve() == tree.resolve():
        raise UsageError(f"the rebuilt catalog is the old tree itself: expected another --catalog, found {rebuilt}")
    with progress(quiet=quiet) as tick:
        failed = _rebuild(tree, rebuilt, root, source, config, tick) if source else []
        found = look(tree, rebuilt, lambda what: tick(what, 0))
    if as_json:
        print_json(found.to_dict() | {"rebuild_failed": failed})
    elif not quiet:
        _show(found)
    for problem in failed:
        say(f"error: {problem}")
    return 1 if failed or any(day.unreadable for day in found.days) else 0


def _rebuild(tree: Path, rebuilt: Path, data: Path, source: str, config: Path | None, tick: Any) -> list[str]:
    """Rebuild all that the tree has days of; what failed."""
    from hedgegrid_assets.config.settings import read_config
    from hedgegrid_assets.housekeeping.legacy.tree import read_tree
    from hedgegrid_assets.pipeline.request import request
    from hedgegrid_assets.pipeline.run import run
    from hedgegrid_assets.tables import TABLES

    found = read_tree(tree)
    failed: list[str] = []
    for instrument_id in dict.fromkeys(name for name, _ in sorted(found.files)):
        its = [(table, day) for name, table, day in found.days() if name == instrument_id]
        if not its:
            continue
        tokens = [table.token for table in TABLES.values() if table.name in {name for name, _ in its}]
        try:
            asked = request(
                source,
                found.symbol(instrument_id),
                str(min(day for _, day in its)),
                str(max(day for _, day in its) + timedelta(days=1)),
                output_path=rebuilt,
                data_types=",".join(tokens),
                source_config=read_config(config, source) if config else {},
                data=data,
                instrument=instrument_id,
            )
            failed += [
                f"{day.instrument_id} {day.date}: {day.error}" for day in run(asked, progress=tick).days if day.error
            ]
        except HedgegridError as error:
            failed.append(f"{instrument_id}: {error.message}")
    return failed


# ---------------------------------------------------------------- for people


def _show(found: "Legacy") -> None:
    from hedgegrid_assets.housekeeping.legacy import ACTS

    out = console()
    shown = 0
    before = ""
    for day in found.days:
        if day.instrument_id != before:
            out.print(day.instrument_id, style="bold", markup=False)
            before = day.instrument_id
        shown += 1
        if shown <= _SHOWN:
            _show_day(day)
    if shown > _SHOWN:
        out.print(f"  and {shown - _SHOWN:,} more days; all with --json")
    out.print("why", style="bold")
    for doubt in found.doubts:
        _tell(f"{doubt.code}: {doubt.why}", "  ")
    for note in found.notes:
        _tell(note, "  ")
    out.print("act", style="bold")
    acts = Counter(day.act for day in found.days)
    for act, meaning in ACTS.items():
        if acts[act]:
            _tell(f"{act} {acts[act]:,}: {meaning}", "  ")
    for command in found.rebuild:
        out.print(f"  {command}", markup=False, style="green")


def _show_day(day: "LegacyDay") -> None:
    from hedgegrid_assets.tables import TABLES

    head = f"  {day.date} {TABLES[day.table].token:8} {day.rows:>11,} rows  {day.act}"
    console().print(head, style=_STYLES[day.act] or None, markup=False)
    if day.unreadable:
        _tell(f"cannot be read: {day.unreadable}", " " * 13)
    if day.difference is not None:
        _tell(_compared(day), " " * 13)
    if day.doubts:
        every = (
            f"{code} {'' if rows is None or rows == day.rows else f'{rows:,}'}".strip()
            for code, rows in day.doubts.items()
        )
        _tell(f"not to be trusted: {', '.join(every)}", " " * 13)


def _compared(day: "LegacyDay") -> str:
    found = day.difference
    assert found is not None
    counts = {
        "same": found.equal,
        "at another time": found.shifted,
        "changed": found.changed,
        "only here": found.only_left,
        "only rebuilt": found.only_right,
        "arrived on another day": day.moved,
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return f"rebuilt {found.rows_right:,} rows, by {found.matched_by or 'nothing'}: {told or 'none'}"


def _tell(text: str, indent: str) -> None:
    for line in textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    ):
        console().print(line, markup=False)
