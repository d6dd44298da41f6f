"""What Nautilus' own readers give of a catalog. They take seconds to import, and come with the installed version."""

from importlib import import_module

from hedgegrid_assets.errors import EnvironmentFault, ReaderMissing
from hedgegrid_assets.model import InstrumentDay, NautilusForm, Table
from hedgegrid_assets.stages.catalog.generations import generation_of
from hedgegrid_assets.stages.catalog.installed import installed_generation, installed_version
from hedgegrid_assets.stages.catalog.reached import catalog_config
from hedgegrid_assets.store import Places, folder_on_disk
from hedgegrid_assets.timestamps import day_end, day_start, iso


def rows_by_nautilus(places: Places, day: InstrumentDay, table: Table) -> int | None:
    """Rows that Nautilus' own reader gives for a day; None for a table that it cannot read.

    Raises ReaderMissing if the installed one is of another generation, EnvironmentFault if it is a 64-bit build.
    """
    generation = generation_of(places)
    form = table.form(generation)
    if not form.readable:
        return None
    refuse_without_reader(places, generation)
    if generation == 1:
        return _by_first(places, day, form)
    root = str(folder_on_disk(places.catalog, "reading with NautilusTrader 2").resolve())
    return _by_second(root, day, form)


def refuse_without_reader(places: Places, generation: int) -> None:
    """Raises ReaderMissing where no NautilusTrader of the generation is installed."""
    if installed_generation() != generation:
        raise ReaderMissing(places.catalog, generation, installed_version())


def _by_first(places: Places, day: InstrumentDay, form: NautilusForm) -> int:
    from nautilus_trader.core import nautilus_pyo3
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    if nautilus_pyo3.PRECISION_BYTES != 16:
        raise EnvironmentFault(
            f"this catalog holds 16-byte values: expected a 128-bit nautilus_trader, found {nautilus_pyo3.PRECISION_BYTES} bytes",
            hint="install the high-precision build (the Linux wheel is one)",
        )
    start, end = iso(day_start(day.date)), iso(day_end(day.date) - 1)
    cls = getattr(import_module(form.own or "nautilus_trader.model.data"), form.cls)
    reader = ParquetDataCatalog(**catalog_config(places.catalog))
    return len(reader.query(cls, identifiers=[form.name_of(day.instrument_id)], start=start, end=end))


def _by_second(root: str, day: InstrumentDay, form: NautilusForm) -> int:
    model = import_module("nautilus_trader.model")
    reader = import_module("nautilus_trader.persistence").ParquetDataCatalog(root)
    bounds = day_start(day.date), day_end(day.date) - 1
    names = [form.name_of(day.instrument_id)]
    if form.own:
        model.register_custom_data_class(getattr(import_module(form.own), form.cls))
        return len(reader.query_custom_data(model.NautilusDataType.Custom(form.cls), names, *bounds))
    return len(reader.query(getattr(model.NautilusDataType, form.cls), names, *bounds))
