"""For which generation of NautilusTrader a catalog is: its files have the form of that one, and of no other.

Both cannot stand in one tree: definitions and books have one folder in both, and neither reads the other's files.
A catalog for 1.x says nothing of it; another says it in a document of its own.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.parquet as pq

from hedgegrid_assets.errors import FormsMixed, OtherForm, OtherInstalled, UsageError
from hedgegrid_assets.model import GENERATION, GENERATIONS, NautilusForm
from hedgegrid_assets.stages.catalog.installed import installed_generation, installed_version
from hedgegrid_assets.store import Document, Places, StorePath, exclusive_lock, read_document, write_document
from hedgegrid_assets.tables import TABLES

INSTRUMENT_FOLDERS: Final = (
    *("betting_instrument", "binary_option", "cfd", "commodity", "crypto_future", "crypto_futures_spread"),
    *("crypto_option", "crypto_option_spread", "crypto_perpetual", "currency_pair", "equity", "futures_contract"),
    *(
        "futures_spread",
        "index_instrument",
        "option_contract",
        "option_spread",
        "perpetual_contract",
        "tokenized_asset",
    ),
)
"""Folders of ``data/`` that hold definitions; an instrument is in one of them only."""
_CLASS: Final = b"type_name"
"""Every file of 2.x names its class so."""


class Form(Document, frozen=True, kw_only=True):
    """``nautilus``: the generation of a catalog that is not for 1.x."""

    kind: ClassVar[str] = "form"
    newest: ClassVar[int] = 1
    told: ClassVar[str] = "the form of a catalog"
    remedy: ClassVar[str] = (
        'write {"nautilus": 2} into it for a catalog of NautilusTrader 2.x, remove it for one of 1.x'
    )
    form: int = 0
    nautilus: int


_known: Final[dict[str, int]] = {}
"""Catalog -> its generation. It changes only where nothing is in a catalog yet, and whoever writes asks the disk first."""
_agreed: Final[set[tuple[str, int | None]]] = set()
"""(catalog, what was said of it) that was found to fit."""


def generation_of(places: Places) -> int:
    """The generation that a catalog is for; of an empty one the first. Raises FormsMixed."""
    address = places.published.address
    if address not in _known:
        _known[address] = held_generation(places) or GENERATION
    return _known[address]


def held_generation(places: Places) -> int | None:
    """The generation of what a catalog holds, as the disk says it; None: it holds nothing. Raises FormsMixed."""
    noted = read_document(places.form, Form)
    told = dict(_told_by_folders(places))
    if noted is not None:
        told[noted.nautilus] = places.form
    if len(told) > 1:
        raise FormsMixed(places.published, {generation: str(path) for generation, path in sorted(told.items())})
    return next(iter(told), None) or _told_by_a_file(places)


def _told_by_folders(places: Places) -> Iterator[tuple[int, StorePath]]:
    """Generations that folders of ``data/`` are of: those that only one of them has."""
    data = places.published / "data"
    there = {folder.name for folder in data.folders()}
    if not there:
        return
    forms = {generation: {_top(table.form(generation)) for table in TABLES.values()} for generation in GENERATIONS}
    for generation, own in forms.items():
        others = set[str]().union(*(names for other, names in forms.items() if other != generation))
        for name in sorted(there & (own - others)):
            if any(path.name.endswith(".parquet") for path in (data / name).tree()):
                yield generation, data / name
                break


def _top(form: NautilusForm) -> str:
    return form.folder.partition("/")[0]


def _told_by_a_file(places: Places) -> int | None:
    """Of folders that all generations have, by the first file that can be read."""
    for folder in (places.published / "data").folders():
        for path in folder.tree():
            if path.name.endswith(".parquet"):
                with suppress(pa.ArrowException, OSError):
                    return generation_of_schema(pq.read_schema(path.footer()))
    return None


def generation_of_schema(schema: pa.Schema) -> int:
    """The generation that has written a file, by its schema."""
    return 2 if _CLASS in (schema.metadata or {}) else 1


def claim(places: Places, said: int | None = None, *, fresh: bool = False) -> int:
    """The generation that is written into a catalog: what it holds, else what is ``said``, else what is installed, else 1.

    It binds all who write there later. ``fresh``: the disk is asked, whatever this process has seen before. Raises
    OtherForm where another was said, OtherInstalled where nobody ever said one and the installed NautilusTrader reads
    another, FormsMixed, NautilusUnfit.
    """
    key = (places.published.address, said)
    if key in _agreed and not fresh:
        return _known[key[0]]
    with exclusive_lock(places.catalog_lock):
        held = held_generation(places)
        wanted = held or said or installed_generation() or GENERATION
        refuse_other(places, wanted, said if said or not places.form.exists() else wanted)
        if wanted != GENERATION and not places.form.exists():
            write_document(places.form, places.catalog_temp, Form(nautilus=wanted))
    _known[key[0]] = wanted
    _agreed.add(key)
    return wanted


def check_generation(nautilus: int | None) -> None:
    """Raises UsageError for a generation of NautilusTrader that there is no form for."""
    if nautilus not in {None, *GENERATIONS}:
        told = " or ".join(map(str, GENERATIONS))
        raise UsageError(f"unknown generation of NautilusTrader (--nautilus): expected {told}, found {nautilus}")


def refuse_other(places: Places, held: int, said: int | None) -> None:
    """Raises OtherForm or OtherInstalled where a catalog is not for the generation that is said, or else installed."""
    if said not in {None, held}:
        raise OtherForm(places.published, held, said or 0)
    installed = installed_generation()
    if said is None and installed not in {None, held}:
        raise OtherInstalled(places.published, held, installed_version() or "")


def refuse_unreadable(catalog: StorePath | Path) -> None:
    """Raises OtherInstalled where nobody ever said what the catalog is for, and the installed NautilusTrader reads another."""
    places = Places.of_catalog(catalog)
    held = held_generation(places)
    refuse_other(places, held or GENERATION, None if held and not places.form.exists() else held)
