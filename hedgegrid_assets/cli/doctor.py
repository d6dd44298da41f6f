"""The command that finds what is not as it should be, and mends it: ``doctor``."""

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import to_builtins

from hedgegrid_assets.cli.output import (
    Data,
    Json,
    Quiet,
    Verbose,
    console,
    print_json,
    progress,
    said_width,
    set_logging,
)
from hedgegrid_assets.config.paths import data_path
from hedgegrid_assets.errors import NoSuchCatalog
from hedgegrid_assets.timestamps import parse_day
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.housekeeping.doctor import Examined
    from hedgegrid_assets.sources.archive.checking import Checked

_SHOWN: Final = 20
"""So many of a kind are shown; all with --json."""


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without losing anything.")] = False,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also read every raw day, and hold it and its line numbers against its manifest."),
    ] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Instead: fetch a small file of every archive and a free day of Tardis.")
    ] = False,
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="With --online: ask here instead of the archives (a mirror).")
    ] = "",
    day: Annotated[
        str | None,
        typer.Option(
            "--day", help="With --online: files of this day, YYYY-MM-DD; default: of the month before the last."
        ),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", help="Root of the catalog; default <data>/catalog.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Find what is not as it should be in a catalog and its raw days, explain it, and mend it with --fix.

    Stray files, overlapping intervals, wrong names, frames, verdicts and Nautilus files that do not go together, foreign
    precisions, damaged documents, what killed runs have left. Nothing but such leftovers is removed: what is in the way is
    moved into set-aside/. Exit code 1 if something remains. Rows are not read: hedgegrid validate does that; raw days with
    --deep.
    """
    set_logging(verbose=verbose, quiet=quiet)
    root = data or data_path()
    if online:
        return _online(root, endpoint, parse_day(day, "--day") if day else None, as_json=as_json, quiet=quiet)
    from hedgegrid_assets.housekeeping.doctor import examine
    from hedgegrid_assets.store import Places

    places = Places(root, catalog or root / "catalog")
    if not places.catalog.is_dir():
        raise NoSuchCatalog(places.catalog.address)
    with progress(quiet=quiet) as tick:
        found = list(examine(places, lambda what: tick(what, 0), fix=fix, deep=deep))
    remain = [each for each in found if not each.done]
    if as_json:
        counts = dict(Counter(each.finding.kind for each in found))
        print_json({"ok": not remain, "findings": [each.to_dict() for each in found], "counts": counts})
    elif not quiet or remain:
        _show(found, remain, fix=fix)
    return 1 if remain else 0


def _show(found: "Sequence[Examined]", remain: "Sequence[Examined]", *, fix: bool) -> None:
    out = console()
    shown: Counter[str] = Counter()
    for each in found:
        shown[each.finding.kind] += 1
        if shown[each.finding.kind] > _SHOWN:
            continue
        out.print(f"{each.finding.kind}: {each.finding.what}", style="green" if each.done else "bold red", markup=False)
        _tell(each.finding.why)
        if each.done:
            _tell(f"fixed: {each.done}")
        elif each.failed:
            _tell(f"not fixed: {each.failed}")
        else:
            _tell(f"{'with --fix' if each.finding.repair else 'way out'}: {each.finding.way_out}")
    for kind, count in shown.items():
        if count > _SHOWN:
            out.print(f"{kind}: {count - _SHOWN:,} more; all with --json", markup=False)
    fixable = sum(each.finding.repair is not None for each in remain)
    if not found:
        out.print("nothing found: all is as it should be", style="green")
        return
    told = f"{len(found):,} found, {len(found) - len(remain):,} fixed, {len(remain):,} left"
    out.print(told + (f"; hedgegrid doctor --fix mends {fixable:,} of them" if fixable and not fix else ""))


def _tell(text: str) -> None:
    """In lines of the terminal's width, of ``COLUMNS`` or 80 in a file; no path is cut, so that it can be copied."""
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else said_width() or 80
    for line in textwrap.wrap(
        " ".join(text.split()),
        max(width, 40),
        initial_indent="    ",
        subsequent_indent="      ",
        break_long_words=False,
        break_on_hyphens=False,
    ):
        console().print(line, markup=False)


# ---------------------------------------------------------------- online


def _online(root: Path, endpoint: str, day: date | None, *, as_json: bool, quiet: bool) -> int:
    from hedgegrid_assets.housekeeping.online import check_online

    found: list[Checked] = []
    with progress(quiet=quiet) as tick:
        for each in check_online(root / "cache" / ".tmp", endpoint.rstrip("/"), day):
            tick(f"{each.exchange} {each.files}", 0)
            found.append(each)
    found.sort(key=lambda each: each.exchange)  # they come as they are found; those of one in order
    bad = [each for each in found if each.why]
    if as_json:
        print_json({"ok": not bad, "checked": [to_builtins(each) for each in found]})
    elif not quiet or bad:
        _show_online(found, bad)
    return 1 if bad else 0


def _show_online(found: "Sequence[Checked]", bad: "Sequence[Checked]") -> None:
    out = console()
    for each in found:
        if not each.answered:
            continue
        style = "bold red" if each.why else "green"
        out.print(f"{'differs' if each.why else 'ok':8} {each.exchange:16} {each.files}", style=style, markup=False)
        if each.why:
            out.print(f"    {each.url}", markup=False)
            _tell(each.why)
    silent = Counter((each.exchange, each.why) for each in found if not each.answered)
    for (exchange, why), count in silent.items():
        out.print(f"{'silent':8} {exchange:16} {counted(count, 'file')}", style="bold red", markup=False)
        _tell(why)
    looked, differ = len(found) - silent.total(), len(bad) - silent.total()
    if looked:
        out.print(f"{looked:,} answers looked at: {f'{differ:,} differ' if differ else 'all as expected'}")
    if silent:
        out.print(f"{counted(silent.total(), 'file')} not asked for, as nobody answers there")
        _tell("hint: check the network (and a proxy, if there is one), then run again")
