"""Commands that prepare: ``init`` lays out a working folder, ``instruments import`` takes a venue's definitions."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec.structs import replace

from hedgegrid_assets.cli.output import Data, Json, Quiet, Verbose, console, print_json, say, set_logging
from hedgegrid_assets.config.paths import data_path
from hedgegrid_assets.errors import DataError, EnvironmentFault, UnknownName, UsageError
from hedgegrid_assets.names import check_instrument_id, check_venue
from hedgegrid_assets.wording import counted

if TYPE_CHECKING:
    from hedgegrid_assets.instruments import Instrument
    from hedgegrid_assets.instruments.exchange_info import ExchangeInfo

FOLDERS: Final = ("data/raw/csv", "data/raw/websocket", "data/catalog", "data/cache/binance-futures", "configs")
FILES: Final = ("feeds.yaml", "workspace.yaml", "dagster.yaml", "configs", "examples")
"""Files and folders that ``init`` copies, where they are there."""
_SHOWN: Final = 10


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; made if it is not there.")] = Path(),
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Lay out a working folder: data folders, feeds.yaml, Dagster's files, configurations and examples.

    Never overwrites: what is there already is kept as it is.
    """
    set_logging(verbose=verbose, quiet=quiet)
    made: list[str] = []
    kept: list[str] = []
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for source, name in _starter_files():
            target = folder / name
            if target.exists():
                kept.append(name)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            made.append(name)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot lay out {folder}: {error.strerror or error}", hint="check the folder and its permissions"
        ) from error
    if as_json:
        print_json({"folder": str(folder), "folders": list(FOLDERS), "made": made, "kept": kept})
    elif not quiet:
        console().print(
            f"{folder.resolve()}: {counted(len(made), 'file')} made, {len(kept)} kept as they were", markup=False
        )
        console().print(
            "try: hedgegrid demo, hedgegrid dev (the Dagster UI), or\n"
            "hedgegrid replay-to-parquet --source csv --symbol BTCUSDT --start 2024-01-01 --end 2024-01-07 "
            "--config examples/data_configs/csv_source_config.json",
            markup=False,
        )
    return 0


def starter_root() -> Path:
    """Where the files are that ``init`` lays out: in the installed package, else the repository that it is run from."""
    package = Path(__file__).parents[1]
    return package / "starter" if (package / "starter").is_dir() else package.parent


def _starter_files() -> Iterator[tuple[Path, str]]:
    """(file, its name in the folder)."""
    root = starter_root()
    for name in FILES:
        found = root / name
        for path in sorted(found.rglob("*")) if found.is_dir() else [found]:
            if path.is_file() and not path.name.startswith("."):
                yield path, path.relative_to(root).as_posix()


def instruments_import(
    file: Annotated[Path | None, typer.Argument(help="Binance exchangeInfo: USD-M, COIN-M or spot, JSON.")] = None,
    exchange: Annotated[
        str | None,
        typer.Option("--from", help="Fetch it, instead of FILE: binance-futures, binance-delivery or binance."),
    ] = None,
    endpoint: Annotated[str, typer.Option("--endpoint", help="Replaces scheme and host of its address.")] = "",
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="Only these, several times or with commas; all of the file."),
    ] = None,
    venue: Annotated[str | None, typer.Option("--venue", help="Nautilus venue; BINANCE, or that of --from.")] = None,
    catalog: Annotated[Path, typer.Option("--catalog", help="Root of the catalog.")] = Path("data/catalog"),
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Take instrument definitions from the venue's own document; they replace those that were inferred.

    What feeds.yaml says of an instrument goes before. A precision that the catalog has already never shrinks.
    What is fetched is kept under its date in <data>/instruments/.
    """
    from hedgegrid_assets.config.origin import instrument_id
    from hedgegrid_assets.instruments import exchange_info, read_definitions
    from hedgegrid_assets.stages.catalog.definitions import write_definition
    from hedgegrid_assets.store import stored
    from hedgegrid_assets.venues.exchanges import venues_of

    set_logging(verbose=verbose, quiet=quiet)
    if (file is None) == (exchange is None):
        raise UsageError(
            "expected a file or --from, found both" if file else "expected a file or --from, found neither"
        )
    if exchange is not None:
        file = _fetched(exchange, endpoint, data)
        venue = venue or venues_of(exchange)[0]
    assert file is not None
    venue = venue or "BINANCE"
    check_venue(venue, "--venue")
    listed = exchange_info.read(_json(file), str(file))
    chosen = _chosen(listed, symbol, file)
    new = [
        replace(each, id=check_instrument_id(instrument_id(name, listed.market, venue), str(file)))
        for name, each in chosen.items()
    ]
    stored(catalog).prepare()
    pinned = read_definitions(catalog)
    refused = dict(exchange_info.problems_with(new, pinned))
    written = [
        each.id
        for each in (exchange_info.fitted(each, pinned.get(each.id)) for each in new if each.id not in refused)
        if write_definition(catalog, each)
    ]
    unchanged = len(new) - len(refused) - len(written)
    if as_json:
        print_json(
            {
                "catalog": str(catalog),
                "market": listed.market,
                "written": written,
                "unchanged": unchanged,
                "refused": refused,
                "passed_over": dict(listed.passed_over),
            }
        )
    elif not quiet:
        console().print(f"{catalog}: {len(written)} definitions written, {unchanged} unchanged", markup=False)
        for name, why in listed.passed_over.items():
            say(f"note: {name} is passed over: {why}")
    if refused:
        raise DataError(
            f"{len(refused)} definitions are finer than the days that the catalog holds, and were not written: "
            + ", ".join(list(refused)[:_SHOWN]),
            hint="; ".join(list(refused.values())[:_SHOWN]) + "; then import again",
            details={"refused": refused},
        )
    return 0


def _fetched(exchange: str, endpoint: str, data: Path | None) -> Path:
    """The exchange's document, fetched now."""
    from hedgegrid_assets.sources.archive.definitions import fetch_document

    path = fetch_document(exchange, endpoint, (data or data_path()) / "instruments")
    say(f"note: fetched {path}")
    return path


def _json(file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"file not found: {file.resolve()}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is not usable: expected JSON, {error}") from None
    except RecursionError:
        raise UsageError(f"{file} is not usable: expected JSON, found it nested too deep to read") from None


def _chosen(listed: "ExchangeInfo", symbol: list[str] | None, file: Path) -> "dict[str, Instrument]":
    """The definitions asked for. Raises UsageError that names those that are not there."""
    if not symbol:
        return dict(listed.definitions)
    wanted = list(dict.fromkeys(part.strip().upper() for part in ",".join(symbol).split(",") if part.strip()))
    absent = [name for name in wanted if name not in listed.definitions]
    if absent or not wanted:
        raise UnknownName("symbol", f"--symbol, {file}", absent, listed.definitions)
    return {name: listed.definitions[name] for name in wanted}
