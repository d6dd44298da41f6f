"""The commands that keep a copy: ``backup`` and ``restore``."""

from pathlib import Path
from typing import Annotated

import typer

from hedgegrid_assets.cli.output import (
    Data,
    Json,
    Quiet,
    Verbose,
    console,
    megabytes,
    print_json,
    progress,
    set_logging,
)
from hedgegrid_assets.config.paths import data_path
from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.wording import counted

Archive = Annotated[Path, typer.Argument(metavar="FILE", help="A tar file: .tar, or .tar.zst.")]
Catalog = Annotated[Path | None, typer.Option("--catalog", help="Root of the catalog; default <data>/catalog.")]


def backup(
    archive: Archive,
    raw: Annotated[
        bool, typer.Option("--raw", help="With landing files, raw days and rejected lines; caches never are.")
    ] = False,
    catalog: Catalog = None,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Write a catalog into one archive, with the sha256 of every file; runs may go on meanwhile.

    A catalog carries its own evidence: frames, verdicts, rejects, definitions. `tar xf FILE` unpacks it as well, and
    `sha256sum -c SHA256SUMS` proves it. An archive that is there is never replaced.
    """
    from hedgegrid_assets.housekeeping.backup import back_up
    from hedgegrid_assets.store import Places

    set_logging(verbose=verbose, quiet=quiet)
    root = data or data_path()
    with progress(quiet=quiet) as tick:
        made = back_up(Places(root, catalog or root / "catalog"), archive, lambda what: tick(what, 0), raw=raw)
    size = archive.stat().st_size
    if as_json:
        print_json({"archive": str(archive), "archive_bytes": size, "files": made.files, "bytes": made.bytes})
    elif not quiet:
        out = console()
        out.print(f"{archive}", markup=False)
        out.print(f"  {counted(made.files, 'file')}, {megabytes(made.bytes)}, in an archive of {megabytes(size)}")
    return 0


def restore(
    archive: Archive,
    to: Annotated[Path | None, typer.Option("--to", help="A new root of data instead: DIR/catalog, DIR/raw.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read the archive and prove every file.")] = False,
    catalog: Catalog = None,
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Bring a backup back: unpacked beside, every file proved, then put in place at once.

    What stood there is kept beside it, as <name>.replaced. An archive that is damaged, cut, or holds names that lead out
    of its place is refused, and a run that is interrupted leaves what stood there as it was.
    """
    from hedgegrid_assets.housekeeping.backup import restore as bring_back
    from hedgegrid_assets.store import Places, names_in

    set_logging(verbose=verbose, quiet=quiet)
    root = data or data_path()
    if to is not None and (catalog is not None or names_in(to)):
        raise UsageError(f"--to names a new place: expected an empty or no folder, and no --catalog, found {to}")
    root = to or root
    places = Places(root, catalog or root / "catalog")
    with progress(quiet=quiet) as tick:
        done = bring_back(places, archive, lambda what: tick(what, 0), check_only=check)
    if as_json:
        print_json({"archive": str(archive), "checked_only": check} | done.to_dict())
    elif not quiet:
        out = console()
        told = f"{counted(done.manifest.files, 'file')}, {megabytes(done.manifest.bytes)}, of {done.manifest.made_at}"
        out.print(f"{archive}: {told}: every file is what was written", markup=False)
        for path in done.places:
            out.print(f"restored: {path}", markup=False)
        for path in done.replaced:
            out.print(f"what stood there is kept: {path}", markup=False)
    return 0
