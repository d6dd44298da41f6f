"""Look again at a whole catalog: rules over the stored rows, verdicts, files against frames, Nautilus' own reader."""

from datetime import date
from pathlib import Path

from hedgegrid_assets.errors import HedgegridError, NoDataFetched
from hedgegrid_assets.inspect.days import OTHERS_THERE, DayFilter, no_catalog
from hedgegrid_assets.inspect.documents import damaged, damaged_for_nautilus, damaged_raw
from hedgegrid_assets.inspect.outages import unmatched
from hedgegrid_assets.inspect.validation.days import look_at
from hedgegrid_assets.inspect.validation.held import (
    NOTHING,
    days_held,
    instruments_there,
    missing_days,
    strays,
)
from hedgegrid_assets.inspect.validation.joins import joins_of
from hedgegrid_assets.inspect.validation.large_gaps import LargeGaps
from hedgegrid_assets.inspect.validation.raw_days import damaged_raw_days
from hedgegrid_assets.inspect.validation.reports import DayReport, ValidationReport
from hedgegrid_assets.model import GENERATION, InstrumentDay
from hedgegrid_assets.names import check_lookup
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.outages import read_outages
from hedgegrid_assets.stages.raw import Progress
from hedgegrid_assets.store import Places, StorePath
from hedgegrid_assets.tables import TABLES


def validate_catalog(
    catalog: str | Path | StorePath,
    *,
    instrument: str | None = None,
    table: str | None = None,
    start: date | None = None,
    end: date | None = None,
    deep: bool = False,
    data: str | Path | StorePath | None = None,
    nautilus: int | None = None,
    progress: Progress | None = None,
) -> ValidationReport:
    """Check a catalog, ours or another's, day by day; nothing is written.

    Args:
        catalog: Root of the catalog.
        instrument: Only this InstrumentId.
        table: Only this table (Nautilus' name).
        start: First day (inclusive).
        end: Last day (exclusive).
        deep: Also read every day with ``ParquetDataCatalog`` and compare row counts, and compare the ids of neighbouring
            days also where that takes long (very many ids that are no integers). With ``data``, also read the raw day of
            every day, and compare it with its manifest byte for byte.
        data: Also read the manifests and indexes of this data root.
        nautilus: Generation of NautilusTrader that is to read it; None: the installed one.
        progress: Told which raw day is read.

    Raises:
        UsageError: ``instrument`` is no name of one.
        NoDataFetched: No table of the catalog fits.
        NautilusUnfit: The installed NautilusTrader reads none of our catalogs.
        OtherInstalled: It cannot read this one.
        OtherForm: The catalog is not for the generation that was said.
        FormsMixed: It is for two.
    """
    if instrument is not None:
        check_lookup(instrument, "--instrument")
    places = Places.of_catalog(catalog) if data is None else Places(data, catalog)
    generation = catalog_stage.held_generation(places)
    catalog_stage.refuse_unfit_nautilus()
    if generation is not None:
        catalog_stage.refuse_other(places, generation, nautilus)
        if deep:
            catalog_stage.refuse_without_reader(places, generation)
    found = [
        (instrument_id, TABLES[name], day)
        for instrument_id, name, day in sorted(days_held(places))
        if instrument in (None, instrument_id)
        and table in (None, name)
        and (start is None or day >= start)
        and (end is None or day < end)
    ]
    if not found:
        if (there := instruments_there(places)) == NOTHING:
            raise no_catalog(places, there)
        raise NoDataFetched(
            str(DayFilter(instrument, table, start, end)), str(places.catalog), there, hint=OTHERS_THERE
        )
    documents = [_damaged(error) for look in (damaged, damaged_for_nautilus) for error in look(places)]
    documents += [_damaged(error) for error in damaged_raw(places)] if data is not None else []
    steps = LargeGaps()
    outages = () if documents else read_outages(places)
    days = [
        look_at(places, InstrumentDay(instrument_id, day), wanted, steps, outages, deep=deep)
        for instrument_id, wanted, day in found
    ]
    raw = damaged_raw_days(places, found, progress) if deep and data is not None and not documents else ()
    return ValidationReport(
        places.catalog,
        days,
        list(joins_of(places, days, deep=deep)),
        list(missing_days(found)),
        steps.count,
        list(strays(places, found, start, end)),
        None if documents else catalog_stage.unfinished(places),
        documents,
        list(unmatched(places, outages, found)),
        generation or GENERATION,
        list(map(_damaged, raw)),
    )


def _damaged(error: HedgegridError) -> dict[str, str]:
    return {"error": error.message, "hint": error.hint or ""}


__all__ = ["DayReport", "ValidationReport", "validate_catalog"]
