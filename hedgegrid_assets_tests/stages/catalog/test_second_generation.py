"""Catalogs for NautilusTrader 2.x: file by file what its own migration makes of our catalogs for 1.x."""

import json
import sys
from collections.abc import Iterator
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from hedgegrid_assets.backtest.engines import interpreter_for
from hedgegrid_assets.cli import run
from hedgegrid_assets.errors import EngineOfOther, FormsMixed
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.model import GENERATIONS, InstrumentDay
from hedgegrid_assets.stages.catalog import generation_of, nautilus
from hedgegrid_assets.stages.catalog.definitions import NAUTILUS_FILE, nautilus_row, write_definition
from hedgegrid_assets.stages.catalog.files import file_of, named_folder
from hedgegrid_assets.stages.catalog.generations import claim
from hedgegrid_assets.stages.frames import Precisions
from hedgegrid_assets.stages.verdict import read_verdict
from hedgegrid_assets.store import Places, plain
from hedgegrid_assets.tables import TABLES
from hedgegrid_assets_tests.both_forms import TOKENS, converted, stored
from hedgegrid_assets_tests.instruments.test_instruments import NAMED
from hedgegrid_assets_tests.nautilus2 import WITH_NAUTILUS_2, asked

ID: Final = "BTCUSDT-PERP.BINANCE"
DAY: Final = date(2024, 1, 1)
OF_OURS: Final = ("liquidation", "open_interest")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same days in both forms: ``first`` and ``second``."""
    folder = tmp_path_factory.mktemp("both")
    stored(folder)
    assert converted(folder, "first") == 0
    assert converted(folder, "second", "--nautilus", "2", tokens=f"{TOKENS},liquidations,open_interest") == 0
    return folder


def _days(root: Path) -> Iterator[tuple[str, Path]]:
    """(table, Nautilus' file) of all that a catalog holds."""
    places = Places.of_catalog(root)
    for name, table in TABLES.items():
        for day in places.frame_days(ID, table.folder):
            yield name, file_of(places, InstrumentDay(ID, day), table).local()


def _plain(table: pa.Table) -> pa.Table:
    """Words as texts: which number a word has in the dictionary of a file is nobody's business."""
    columns = [table[name].combine_chunks() for name in table.column_names]
    return pa.table(
        [column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in columns],
        names=table.column_names,
    )


def _bytes(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


# ---------------------------------------------------------------- as 2.x itself


@WITH_NAUTILUS_2
def test_our_files_equal_those_of_its_own_migration_row_by_row_and_are_read_alike(both: Path, tmp_path: Path) -> None:
    case = {"legacy": str(both / "first"), "migrated": str(tmp_path / "migrated"), "ours": str(both / "second")}
    compared: dict[str, int] = {}
    answer = asked("migrate", case, tmp_path / "answer.json")
    for name, path in _days(both / "second"):
        if name in OF_OURS:
            continue
        ours, theirs = pq.read_table(path), pq.read_table(tmp_path / "migrated" / path.relative_to(both / "second"))
        assert ours.schema.equals(theirs.schema, check_metadata=True), name
        assert _plain(ours).equals(_plain(theirs)), name
        compared[name] = len(ours)
    assert compared == {
        "trade_tick": 4,
        "mark_price_update": 5,
        "index_price_update": 5,
        "funding_rate_update": 5,
        "quote_tick": 4,
        "bar_1_minute": 1,
        "order_book_deltas": 5,
        "order_book_depths": 5,
    }
    assert answer["ours"] == answer["migrated"]
    assert {kind: len(rows) for kind, rows in answer["ours"].items()} == {
        "TradeTick": 4,
        "QuoteTick": 4,
        "MarkPriceUpdate": 5,
        "IndexPriceUpdate": 5,
        "FundingRateUpdate": 5,
        "Bar": 1,
        "OrderBookDelta": 5,
        "OrderBookDepth": 5,
        "instruments": 1,
    }
    assert [row[:4] for row in answer["ours"]["TradeTick"]][:2] == [
        ["42000.50", "0.100", "BUY", "1"],
        ["42000.51", "1.000", "SELL", "~4afa2b73054c8f3af5e94c6c7215068e"],
    ]


@WITH_NAUTILUS_2
def test_definitions_equal_those_of_its_own_migration(tmp_path: Path) -> None:
    chosen = {replace(each, id=f"{name.upper()}-{each.id}") for name, each in NAMED.items()}
    for generation, output in zip(GENERATIONS, ("first", "second"), strict=True):
        claim(Places.of_catalog(tmp_path / output), generation)
        for each in chosen:
            write_definition(tmp_path / output, each)
    case = {"legacy": str(tmp_path / "first"), "migrated": str(tmp_path / "m"), "ours": str(tmp_path / "second")}
    answer = asked("migrate", case, tmp_path / "answer.json")
    for each in chosen:
        place = Path("data", each.kind, named_folder(each.id.replace("/", ""), 2), NAUTILUS_FILE)
        ours, theirs = pq.read_table(tmp_path / "second" / place), pq.read_table(tmp_path / "m" / place)
        assert ours.schema.equals(theirs.schema, check_metadata=True), each.id
        assert ours.equals(theirs), each.id
    assert answer["ours"]["instruments"] == answer["migrated"]["instruments"]
    assert len(answer["ours"]["instruments"]) == len(chosen)


# ---------------------------------------------------------------- one catalog, one form


def test_frames_and_verdicts_are_the_same_for_both(both: Path) -> None:
    for name, _ in _days(both / "first"):
        table = TABLES[name]
        first, second = (Places.of_catalog(both / output) for output in ("first", "second"))
        verdicts = [read_verdict(each, table, InstrumentDay(ID, DAY)) for each in (first, second)]
        assert verdicts[0] is not None
        assert plain(verdicts[0]) == plain(verdicts[1])
        frames = [each.frame(ID, table.folder, DAY).read_bytes() for each in (first, second)]
        assert frames[0] == frames[1]


def test_a_catalog_says_which_generation_it_is_for(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [generation_of(Places.of_catalog(both / output)) for output in ("first", "second")] == [1, 2]
    assert not (both / "first/.hedgegrid/form.json").exists()
    assert json.loads((both / "second/.hedgegrid/form.json").read_text())["nautilus"] == 2
    assert run(["validate", str(both / "second"), "--nautilus", "2"]) == 0
    assert "for NautilusTrader 2.x" in capsys.readouterr().out.replace("\n", " ")
    assert validate_catalog(both / "second", nautilus=2).to_dict()["nautilus"] == 2


def test_what_the_installed_nautilus_cannot_read_is_never_ok(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in ("", "--nautilus 1", "--nautilus 2 --deep"):
        assert run(["validate", str(both / "second"), *flags.split()]) == 1
        shown = capsys.readouterr()
        assert not shown.out
        assert "for NautilusTrader 2.x" in shown.err or "itself (--deep): expected >=2.0.0rc7,<3" in shown.err


def test_the_other_generation_is_refused_by_name_and_leaves_all_as_it_was(
    both: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output, said in (("first", "2"), ("second", "1")):
        before = _bytes(both / output)
        assert converted(both, output, "--nautilus", said) == 1
        told = capsys.readouterr().err
        assert (
            f"{both / output} is for NautilusTrader {3 - int(said)}.x: expected the same, found --nautilus {said}"
            in told
        )
        assert f"hedgegrid catalog convert --nautilus {said} --catalog {both / output}" in told
        assert before == _bytes(both / output)


def test_a_catalog_for_2_is_written_on_without_saying_it_again(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert converted(both, "second") == 0
    assert not (both / "second/data/trade_tick").exists()
    capsys.readouterr()


@pytest.mark.parametrize("said", ["0", "3"])
def test_an_unknown_generation_is_a_mistake_of_the_user(
    said: str, both: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converted(both, "third", "--nautilus", said) == 2
    assert f"expected 1 or 2, found {said}" in capsys.readouterr().err


def test_a_mixture_is_named_by_both_of_its_folders(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output, kind in (("first", "trade_tick"), ("second", "trades")):
        source = next((both / output / "data" / kind).rglob("*.parquet"))
        target = tmp_path / "c/data" / kind / ID / source.name
        target.parent.mkdir(parents=True)
        target.write_bytes(source.read_bytes())
    with pytest.raises(FormsMixed, match=r"1\.x by .*trade_tick, 2\.x by .*trades"):
        validate_catalog(tmp_path / "c")
    assert converted(both, "c", "--output", str(tmp_path / "c")) == 1
    assert "is for two generations of NautilusTrader" in capsys.readouterr().err


def test_a_definition_of_1_is_damaged_in_a_catalog_for_2(tmp_path: Path) -> None:
    """Definitions have one place for both, so that both forms cannot stand in one tree."""
    places = Places.of_catalog(tmp_path)
    claim(places, 2)
    write_definition(tmp_path, NAMED["perpetual"])
    (path,) = (tmp_path / "data").rglob("*.parquet")
    pq.write_table(nautilus_row(NAMED["perpetual"]), path)
    assert write_definition(tmp_path, NAMED["perpetual"])
    assert pq.read_schema(path).metadata[b"type_name"] == b"CryptoPerpetual"


def test_a_catalog_of_nautilus_2_itself_is_told_by_its_files(both: Path, tmp_path: Path) -> None:
    source = next((both / "second/data/order_book_deltas").rglob("*.parquet"))
    target = tmp_path / "data/order_book_deltas" / ID / source.name
    target.parent.mkdir(parents=True)
    target.write_bytes(source.read_bytes())
    assert generation_of(Places.of_catalog(tmp_path)) == 2
    (day,) = validate_catalog(tmp_path, nautilus=2).days
    assert (day.table, day.rows, day.frame_matches_verdict) == ("order_book_deltas", 5, None)


# ---------------------------------------------------------------- who looks at it


def test_a_backtest_needs_a_python_that_reads_it_or_a_catalog_for_the_one_at_hand(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NAUTILUS2_PYTHON", raising=False)
    with pytest.raises(
        EngineOfOther, match=r"second is for NautilusTrader 2\.x: expected .* to run the backtest"
    ) as told:
        interpreter_for(both / "second")
    assert f"hedgegrid catalog convert --nautilus 1 --catalog {both / 'second'}" in told.value.hint
    assert "let NAUTILUS2_PYTHON name the Python" in told.value.hint
    monkeypatch.setenv("NAUTILUS2_PYTHON", sys.executable)
    assert interpreter_for(both / "second").path == Path(sys.executable)
    assert interpreter_for(both / "first").variable == ""


def test_a_schema_that_has_moved_is_named_by_table_and_column() -> None:
    spec = spec_from_file_location("nautilus_schemas", Path(__file__).parents[3] / "scripts" / "nautilus_schemas.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    table = TABLES["trade_tick"]
    ours = nautilus.schema(table, ID, Precisions(1, 2, 3), 2)
    assert list(script._differences(table, 2, ours)) == []
    size = ours.get_field_index("size")
    theirs = ours.set(size, pa.field("size", pa.decimal256(76, 18))).append(pa.field("venue", pa.string()))
    assert list(script._differences(table, 2, theirs.with_metadata({"instrument_id": ID}))) == [
        "trade_tick (2.x) size: declared pyarrow.Field<size: decimal128(38, 16) not null>, "
        "found pyarrow.Field<size: decimal256(76, 18)>",
        "trade_tick (2.x) venue: declared no such column, found pyarrow.Field<venue: string>",
        "trade_tick (2.x): the footer differs in price_precision, size_precision, type_name",
    ]
