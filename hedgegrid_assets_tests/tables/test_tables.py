"""What each table declares of itself fits together, and nothing is taken for granted that it does not say."""

from importlib import import_module
from typing import Final

import polars as pl
import pyarrow as pa
import pytest

from hedgegrid_assets.errors import NoNautilusForm
from hedgegrid_assets.model import GENERATIONS, Encoding, Period, Table
from hedgegrid_assets.stages.catalog import nautilus
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.tables import DEFAULT, TABLES, TOKENS

EVERY: Final = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
BOTH: Final = pytest.mark.parametrize("generation", GENERATIONS)


def test_names_tokens_and_folders_are_each_given_once() -> None:
    for names in (TABLES, TOKENS, {table.folder for table in TABLES.values()}):
        assert len(names) == len(TABLES)
    for generation in GENERATIONS:
        forms = [table.form(generation) for table in TABLES.values()]
        assert len({(form.folder, form.named) for form in forms}) == len(TABLES)


def test_what_is_made_by_default_is_what_the_guide_asks_for() -> None:
    assert [TABLES[name].token for name in DEFAULT] == ["trades", "mark", "index", "funding"]


@EVERY
def test_a_table_is_refused_for_a_generation_that_it_does_not_declare(table: Table) -> None:
    with pytest.raises(NoNautilusForm, match=rf"{table.name} has no form for NautilusTrader 9.x.*\(1"):
        table.form(9)


@EVERY
@BOTH
def test_nautilus_columns_are_made_from_columns_of_the_frame(table: Table, generation: int) -> None:
    form, own = table.form(generation), {column.name: column for column in table.columns}
    for column in form.columns:
        assert set(column.sources) <= own.keys()
        assert column.nullable >= own[column.made_from].nullable
    needed = set(form.kept.deciding) if form.kept else set()
    assert needed <= own.keys() - {name for column in form.columns for name in column.sources}


@EVERY
def test_both_generations_hold_the_same_of_a_frame(table: Table) -> None:
    first, second = (table.form(generation) for generation in GENERATIONS)
    assert first.kept is second.kept
    assert (first.precisions, first.named, first.period) == (second.precisions, second.named, second.period)
    sources = [{name for column in form.columns for name in column.sources} for form in (first, second)]
    assert sources[0] == sources[1]


@EVERY
def test_nautilus_words_of_an_enum_are_as_many_as_ours(table: Table) -> None:
    kinds = {column.name: column.dtype for column in table.columns}
    for column in table.form(2).columns:
        if column.encoding is Encoding.WORD and column.words:
            ours = kinds[column.made_from]
            assert isinstance(ours, pl.Enum)
            assert len(column.words) == len(ours.categories)


@EVERY
@BOTH
def test_a_footer_names_the_precisions_of_the_columns_and_no_others(table: Table, generation: int) -> None:
    form = table.form(generation)
    metadata = nautilus.schema(table, "A.B", Precisions(price=1, size=2, mark=3), generation).metadata or {}
    assert not form.class_in or metadata.pop(form.class_in.encode()).decode() == form.cls
    assert bool(form.class_in) == (generation > 1)
    if form.own:
        assert not form.precisions
        assert not metadata
        return
    held = {name for column in form.columns for name in column.sources}
    used = {column.precision for column in table.columns if column.name in held and column.precision is not None}
    assert set(form.precisions.values()) == used
    assert metadata[b"instrument_id"] == b"A.B"
    assert len(metadata) == 1 + len(used) + bool(form.named_in)
    assert not form.named_in or metadata[form.named_in.encode()].decode() == form.name_of("A.B") != "A.B"


@EVERY
def test_nautilus_own_schema_is_the_one_declared(table: Table) -> None:
    from nautilus_trader.serialization.arrow.schema import NAUTILUS_ARROW_SCHEMA
    from nautilus_trader.serialization.arrow.serializer import _SCHEMAS

    declared = nautilus.schema(table, "A.B", Precisions(1, 2, 3)).remove_metadata()
    cls = _class_of(table)
    theirs: pa.Schema = (NAUTILUS_ARROW_SCHEMA | _SCHEMAS)[cls].remove_metadata()
    assert declared.equals(theirs)


@EVERY
def test_files_lie_where_nautilus_looks_for_its_class(table: Table) -> None:
    from nautilus_trader.persistence.funcs import class_to_filename

    assert table.form().folder == class_to_filename(_class_of(table))


def _class_of(table: Table) -> type:
    found = getattr(import_module(table.form().own or "nautilus_trader.model.data"), table.form().cls)
    assert isinstance(found, type)
    return found


@EVERY
def test_a_file_holds_a_day(table: Table) -> None:
    """The writer names files by days; a table of hours needs a writer of hours first."""
    assert table.form().period is Period.DAY
