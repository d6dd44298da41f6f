"""The small documents of a catalog and a data root, read through: those that are damaged are named by whoever looks."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog.definitions import check_definition
from hedgegrid_assets.stages.catalog.series import read_series
from hedgegrid_assets.stages.catalog.twins import twins_of
from hedgegrid_assets.stages.outages import read_outages
from hedgegrid_assets.stages.raw import read_manifest
from hedgegrid_assets.stages.raw.index import read_index_file
from hedgegrid_assets.store import Places, list_days


def damaged(places: Places) -> Iterator[HedgegridError]:
    """What is wrong with the documents of a catalog as a whole."""
    reads = (
        partial(read_definitions, places.catalog),
        partial(read_series, places),
        partial(read_outages, places),
        partial(_moves, places),
        partial(twins_of, places),
    )
    for read in reads:
        yield from _wrong(read)


def damaged_for_nautilus(places: Places) -> Iterator[HedgegridError]:
    """What is wrong with the definitions that Nautilus reads."""
    for instrument in _defined(places):
        yield from _wrong(partial(check_definition, places, instrument))


def damaged_raw(places: Places) -> Iterator[HedgegridError]:
    """What is wrong with the manifests of raw days, and the indexes of landing files, of all feeds."""
    for path in (places.data / "raw").glob("*/.imports/*.json"):
        yield from _wrong(partial(read_index_file, path))
    for folder in places.raw_folders():
        for day in list_days(folder, ".json"):
            yield from _wrong(partial(read_manifest, folder / f"{day}.json"))


def refuse_damaged(places: Places) -> None:
    """Raises what is wrong with a document of the catalog as a whole: whatever is shown of it might be wrong as well."""
    for error in damaged(places):
        raise error


def _defined(places: Places) -> list[Instrument]:
    """The definitions, none where their document is damaged itself."""
    with contextlib.suppress(HedgegridError):
        return list(read_definitions(places.catalog).values())
    return []


def _moves(places: Places) -> None:
    catalog_stage.unfinished(places)


def _wrong(read: Callable[[], object]) -> Iterator[HedgegridError]:
    try:
        read()
    except HedgegridError as error:
        yield error
