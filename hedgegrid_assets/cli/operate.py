"""Commands that run the feeds' Dagster assets: ``demo`` and ``backfill``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hedgegrid_assets.cli.output import (
    Data,
    Feeds,
    Json,
    Quiet,
    Verbose,
    console,
    print_json,
    progress,
    say,
    set_logging,
)
from hedgegrid_assets.errors import FeedsFileError, UsageError

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
    from hedgegrid_assets.pipeline import told
    from hedgegrid_assets.widening import widen_instrument

    set_logging(verbose=verbose, quiet=quiet)
    with progress(quiet=quiet) as tick:
        done = widen_instrument(catalog, instrument_id, price=price, size=size, mark=mark, progress=tick)
    if as_json:
        print_json({"instrument_id": instrument_id, "frames": done.frames, "files": done.files})
    elif not quiet:
        console().print(f"{told(done.instrument)}: {done.frames} frames and {done.files} Nautilus files written anew", markup=False)
    return 0


def demo(
    data: Data = None, feeds: Feeds = None, as_json: Json = False, verbose: Verbose = False, quiet: Quiet = False
) -> int:
    """Build a catalog of three synthetic days with the Dagster assets of the feed sim, and look at it."""
    raise NotImplementedError


def backfill(
    feed: Annotated[str, typer.Argument(help="A feed of feeds.yaml.")],
    data: Data = None,
    feeds: Feeds = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Run a feed's assets for all days that are missing or changed, in one process."""
    raise NotImplementedError
