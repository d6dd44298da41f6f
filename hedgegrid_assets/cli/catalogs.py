"""The command that makes a catalog for the other generation of NautilusTrader: ``catalog convert``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hedgegrid_assets.cli.memory import keep_freed_memory
from hedgegrid_assets.cli.output import Json, Quiet, Verbose, console, print_json, progress, say, set_logging
from hedgegrid_assets.errors import NoSuchCatalog

if TYPE_CHECKING:
    from hedgegrid_assets.housekeeping.converting import Converted

_SHOWN: Final = 10


def catalog_convert(
    nautilus: Annotated[
        int, typer.Option("--nautilus", help="Generation of NautilusTrader that it is to be for: 1 or 2.")
    ],
    catalog: Annotated[Path, typer.Option("--catalog", help="Root of the catalog that stands.")] = Path("data/catalog"),
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Root of the new one; default: beside the catalog, as data/catalog-2."),
    ] = None,
    compression: Annotated[str, typer.Option("--compression", help="zstd, snappy or none.")] = "zstd",
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Make a catalog for the other generation of NautilusTrader from stored frames; raw data are not read.

    Day by day, with the same verdicts; frames get a second name, and are not copied where both are on one disk. Run it
    again after new days: what is there already stays. prune and reset-day of either catalog reach both.

    Example: hedgegrid catalog convert --nautilus 2
    """
    from hedgegrid_assets.housekeeping.converting import convert_catalog
    from hedgegrid_assets.stages.catalog import check_compression, check_generation
    from hedgegrid_assets.store import Places, stored

    set_logging(verbose=verbose, quiet=quiet)
    check_generation(nautilus)
    check_compression(compression)
    places = Places.of_catalog(catalog)
    if not places.catalog.is_dir():
        raise NoSuchCatalog(places.catalog.address)
    target = stored(output or f"{str(catalog).rstrip('/')}-{nautilus}")
    keep_freed_memory()
    with progress(quiet=quiet) as tick:
        done = convert_catalog(places, target, nautilus, tick, compression)
    if as_json:
        print_json(done.to_dict())
    elif not quiet:
        _show(done)
    for day, why in done.failed.items():
        say(f"error: {day}: {why}")
    return 1 if done.failed else 0


def _show(done: "Converted") -> None:
    out = console()
    out.print(f"catalog {done.catalog}, for NautilusTrader {done.nautilus}.x", markup=False)
    blocked = f", {done.blocked:,} blocked, without a Nautilus file" if done.blocked else ""
    out.print(f"{done.days:,} days written, {done.rows:,} rows, {done.unchanged:,} unchanged{blocked}", markup=False)
    _list("no frame stands for these days, so they were left", done.left)
    _list("these days are there, and not in the catalog that was converted", done.only_there)


def _list(what: str, days: list[str]) -> None:
    if days:
        more = f" and {len(days) - _SHOWN:,} more" if len(days) > _SHOWN else ""
        say(f"note: {what}: {', '.join(days[:_SHOWN])}{more}")
