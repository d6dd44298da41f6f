"""The small documents of a catalog and a data root, and the definitions that Nautilus reads."""

from collections.abc import Iterator

from hedgegrid_assets.errors import HedgegridError
from hedgegrid_assets.housekeeping.doctor.finding import Finding, in_the_way
from hedgegrid_assets.inspect.documents import damaged
from hedgegrid_assets.instruments import Instrument, read_definitions
from hedgegrid_assets.stages.catalog.definitions import check_definition, mend_definition
from hedgegrid_assets.stages.raw.index import read_index_file
from hedgegrid_assets.store import Places, StorePath, names_in

DAMAGED = "damaged document"


def documents(places: Places) -> Iterator[Finding]:
    """Damaged documents of the whole catalog, definitions that Nautilus reads otherwise, damaged indexes of imports."""
    for error in damaged(places):
        if error.details.get("path") != str(places.moves):
            yield Finding(DAMAGED, str(error.details.get("path", places.catalog)), error.message, error.hint)
    yield from _definitions(places)
    for feed in names_in(places.landing):
        folder = places.imports(feed)
        for path in (folder / name for name in names_in(folder) if name.endswith(".json")):
            yield from _index(places, path)


def _definitions(places: Places) -> Iterator[Finding]:
    try:
        known = read_definitions(places.catalog)
    except HedgegridError:  # told above
        return
    for instrument in known.values():
        try:
            check_definition(places, instrument)
        except HedgegridError as error:
            yield Finding(
                "definition that Nautilus reads wrong",
                str(error.details.get("path", instrument.id)),
                error.message,
                "written anew from instruments.parquet",
                lambda instrument=instrument: _mended(places.catalog, instrument),
            )


def _mended(catalog: StorePath, instrument: Instrument) -> str:
    return "written anew" if mend_definition(catalog, instrument) else "another process has done it"


def _index(places: Places, path: StorePath) -> Iterator[Finding]:
    try:
        read_index_file(path)
    except HedgegridError as error:
        why = f"{error.message}; its landing file is imported again, once it is gone"
        yield in_the_way(DAMAGED, path, why, places.data)
