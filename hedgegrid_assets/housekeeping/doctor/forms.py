"""For which generation of NautilusTrader a catalog is, and whether the one beside it is up to date."""

from collections.abc import Iterator
from contextlib import suppress

from hedgegrid_assets.errors import FormsMixed, HedgegridError, OtherInstalled
from hedgegrid_assets.housekeeping.converting import behind, way_to
from hedgegrid_assets.housekeeping.doctor.finding import Finding
from hedgegrid_assets.stages import catalog as catalog_stage
from hedgegrid_assets.stages.catalog.generations import refuse_unreadable
from hedgegrid_assets.stages.catalog.twins import twins_of
from hedgegrid_assets.store import Places


def is_one(places: Places) -> bool:
    """A catalog is for one generation alone; of a mixture nothing else can be said."""
    with suppress(FormsMixed):
        catalog_stage.held_generation(places)
        return True
    return False


def forms(places: Places) -> Iterator[Finding]:
    """A mixture of both, a catalog that the installed NautilusTrader reads as empty, one beside that lacks days."""
    try:
        catalog_stage.held_generation(places)
        refuse_unreadable(places.catalog)
    except (FormsMixed, OtherInstalled) as error:
        yield Finding("form of NautilusTrader", str(places.catalog), error.message, error.hint)
        return
    except HedgegridError as error:  # another version, or the document of the form is damaged
        yield Finding("form of NautilusTrader", str(places.form), error.message, error.hint)
        return
    for twin in twins_of(places):
        lacking = [f"{day} {table.name}" for day, table in behind(places, twin)]
        if lacking:
            generation = catalog_stage.generation_of(twin)
            if generation == catalog_stage.generation_of(places):
                continue
            why = f"{len(lacking):,} days of this catalog are not there, or not as they were judged: {lacking[0]} .. {lacking[-1]}"
            way = f"run: {way_to(places, twin, generation)}"
            yield Finding("catalog beside that is behind", str(twin.catalog), why, way)
