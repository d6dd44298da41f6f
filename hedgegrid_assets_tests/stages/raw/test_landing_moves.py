"""Landing files that are renamed, packed, moved, replaced or deleted after their import; symbols that are not there."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from hedgegrid_assets_tests.dagster_feeds import (
    BTC_DAY,
    CAPTURES,
    catalog_files,
    day_of,
    drop,
    failures,
    feed_context_of,
    metadata,
    partition,
    run,
    run_import,
)
from hedgegrid_assets_tests.landing_cases import HEADER, Home, messages, rows

type Step = Callable[[Path], object]

DAY_1, DAY_2 = "BTCUSDT 2024-01-01", "BTCUSDT 2024-01-02"


@pytest.fixture
def home(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Home:
    return Home(workdir, capsys)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def rename(zone: Path, old: str = "a.csv", new: str = "b.csv") -> None:
    (zone / new).parent.mkdir(exist_ok=True)
    (zone / old).rename(zone / new)


def pack(zone: Path) -> None:
    (zone / "a.csv.gz").write_bytes(gzip.compress((zone / "a.csv").read_bytes()))
    (zone / "a.csv").unlink()


def next_day(zone: Path, name: str = "n.csv") -> None:
    (zone / name).write_text(HEADER + rows(10, first=100, day=1))


def larger(zone: Path) -> None:
    (zone / "a.csv").unlink()
    (zone / "c.csv").write_text(HEADER + rows(30))


MOVES: dict[str, tuple[tuple[Step, ...], dict[str, int]]] = {
    "renamed": ((rename,), {DAY_1: 20}),
    "renamed twice": ((rename, lambda zone: rename(zone, "b.csv", "c.csv")), {DAY_1: 20}),
    "renamed and back": ((rename, lambda zone: rename(zone, "b.csv", "a.csv")), {DAY_1: 20}),
    "packed": ((pack,), {DAY_1: 20}),
    "packed, then a day more": ((pack, next_day), {DAY_1: 20, DAY_2: 10}),
    "renamed with a day more": ((lambda zone: (rename(zone), next_day(zone)),), {DAY_1: 20, DAY_2: 10}),
    "moved to a folder": ((lambda zone: rename(zone, new="old/a.csv"),), {DAY_1: 20}),
    "moved, and its name taken by the next day": (
        (lambda zone: (rename(zone, new="a.1.csv"), next_day(zone, "a.csv")),),
        {DAY_1: 20, DAY_2: 10},
    ),
    "replaced by a larger one of another name": ((larger,), {DAY_1: 30}),
    "grown": ((lambda zone: (zone / "a.csv").write_text(HEADER + rows(40)),), {DAY_1: 40}),
    "deleted with a day more": ((lambda zone: ((zone / "a.csv").unlink(), next_day(zone)),), {DAY_2: 10}),
    "renamed beside a second file of the day": (
        (lambda zone: (rename(zone), (zone / "m.csv").write_text(HEADER + rows(5, first=21))),),
        {DAY_1: 25},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("move", MOVES)
def test_a_file_that_was_read_in_place_may_be_moved(home: Home, move: str) -> None:
    steps, expected = MOVES[move]
    zone = home.land("a.csv", HEADER + rows(20)).parent
    assert home.convert().code == 0
    for step in steps:
        step(zone)
        done = home.convert()
        assert done.code == 0, done.err
    again = home.convert()
    assert (again.code, again.rows) == (0, expected)
    assert all(day["skipped"] for day in again.out["days"])
    assert (home.root / "data/catalog/BTCUSDT-PERP.BINANCE/trade_tick.parquet/2024-01-01.parquet").exists()
    assert home.run("validate", "data/catalog").code == 0


def test_a_renamed_file_is_told_and_the_day_is_not_made_again(home: Home) -> None:
    zone = home.land("a.csv", HEADER + rows(20) + "nonsense,BTCUSDT,1,1,buy,9\n").parent
    home.convert()
    rename(zone)
    done = home.convert()
    assert "raw/csv/a.csv is raw/csv/b.csv now" in done.err
    assert [day["skipped"] for day in done.out["days"]] == [True]
    found = home.run("rejects", "list", "data/catalog", "--data", "data", "--json").out["rejects"]
    assert [row["file"] for row in found] == ["raw/csv/b.csv"]


def test_a_deleted_file_is_told_once_and_its_day_stays(home: Home) -> None:
    first = home.land("a.csv", HEADER + rows(20))
    home.land("n.csv", HEADER + rows(10, first=100, day=1))
    home.convert()
    first.unlink()
    words = "raw/csv/a.csv is gone, and was not copied: what the catalog holds of BTCUSDT 2024-01-01 stays"
    told = [words in home.convert().err for _ in range(3)]
    assert told == [True, False, False]
    home.land("a.csv", HEADER + rows(20))
    done = home.convert()
    assert (done.code, done.rows) == (0, {DAY_1: 20, DAY_2: 10})


def test_a_deleted_file_leaves_other_symbols_and_a_new_definition_alone(home: Home) -> None:
    """Where no definition is pinned, decimals come from what is known of all raw days, at hand or not."""
    landed = home.land("a.csv", HEADER + rows(20))
    home.convert()
    landed.unlink()
    home.land("n.csv", HEADER + rows(10, first=100, day=1))
    done = home.convert("--output", "data/other")
    assert (done.code, done.rows) == (0, {DAY_2: 10})


@pytest.mark.slow
def test_in_dagster_a_renamed_or_deleted_file_keeps_its_days_and_doubles_no_line(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    feed_context = feed_context_of(tmp_path)
    dropped = drop(feed_context, day_of(0))
    assert run(feed_context, instance, BTC_DAY).success
    before = catalog_files(feed_context, "trade_tick")
    for name in ("b.jsonl", "deep/b.jsonl"):
        (dropped.parent / name).parent.mkdir(exist_ok=True)
        dropped = dropped.rename(dropped.parent / name)
        assert run(feed_context, instance, BTC_DAY).success
        raw = json.loads(
            (feed_context.places.raw_folder("captures", "aggTrade", "BTCUSDT") / "2024-01-01.json").read_bytes()
        )
        assert raw["lines"] == 3
        assert catalog_files(feed_context, "trade_tick") == before
    dropped.unlink()
    drop(feed_context, day_of(1), "next.jsonl")
    assert run(feed_context, instance, BTC_DAY).success
    assert run(feed_context, instance, partition(1)).success
    assert catalog_files(feed_context, "trade_tick").items() > before.items()


def test_in_dagster_a_file_that_the_settings_name_may_be_deleted_once_it_is_imported(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    named = tmp_path / "trades.jsonl"
    named.write_bytes(day_of(0))
    settings = f"    settings: {{files: {{trades: {{file_path: {named}}}}}}}\n    tables: [trade_tick]\n"
    feed_context = feed_context_of(tmp_path, CAPTURES.replace('    landing: ["websocket/**/*.jsonl*"]\n', settings))
    assert run(feed_context, instance, BTC_DAY).success
    named.unlink()
    assert run(feed_context, instance, BTC_DAY).success
    assert not run_import(feed_context, instance).success


def test_in_dagster_one_symbol_that_cannot_be_defined_leaves_the_others_defined(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    feed_context = feed_context_of(tmp_path)
    drop(feed_context, day_of(0) + day_of(0, symbol="ETHUSDT"))
    assert run_import(feed_context, instance).success
    other = feed_context_of(tmp_path, CAPTURES.replace("BTCUSDT: {price_precision: 2", "BTCUSDT: {price_precision: 5"))
    done = run_import(other, instance)
    assert "BTCUSDT-PERP.BINANCE is pinned with decimals" in failures(done)["captures__instruments"]
    assert [row.data["id"] for row in metadata(done, "captures/instruments")["instruments"]] == ["ETHUSDT-PERP.BINANCE"]


# ---------------------------------------------------------------- one symbol of several is not there


@pytest.mark.parametrize("source", ["csv", "websocket"])
def test_a_symbol_that_is_not_there_is_named_and_stops_no_other(home: Home, source: str) -> None:
    home.land("a.csv", HEADER + rows(20) + rows(9, first=100, symbol="ETHUSDT"))
    home.land("/websocket/a.jsonl", messages(20) + messages(9, first=100, symbol="ETHUSDT"))
    for _ in range(2):
        done = home.convert(symbol="SUSHIUSDT,BTCUSDT,XRPUSDT", source=source)
        assert (done.code, done.rows) == (1, {DAY_1: 20})
        assert done.codes == ["no_data", "no_data"]
        assert "No data fetched (SUSHIUSDT trades" in done.err
        assert "No data fetched (XRPUSDT trades" in done.err


def test_a_symbol_that_is_there_on_other_days_is_named_with_them(home: Home) -> None:
    home.land("a.csv", HEADER + rows(20) + rows(9, day=3, symbol="ETHUSDT"))
    done = home.convert("--start", "2024-01-01", "--end", "2024-01-02", symbol="ETHUSDT,BTCUSDT")
    assert (done.code, done.rows) == (1, {DAY_1: 20})
    assert "found ETHUSDT 2024-01-04 .. 2024-01-04" in done.err


@pytest.mark.parametrize("source", ["csv", "websocket", "synthetic"])
def test_a_symbol_that_cannot_be_defined_stops_no_other(home: Home, source: str) -> None:
    home.land("a.csv", HEADER + rows(20) + rows(9, first=100, symbol="FOOBAR"))
    home.land("/websocket/a.jsonl", messages(20) + messages(9, first=100, symbol="FOOBAR"))
    range_ = ["--start", "2024-01-01", "--end", "2024-01-02"]
    done = home.convert(*range_, symbol="FOOBAR,BTCUSDT", source=source)
    assert (done.code, set(done.rows)) == (1, {DAY_1})
    assert "no definition of FOOBAR" in done.err
    alone = home.convert(*range_, symbol="FOOBAR", source=source)
    assert (alone.code, alone.out["error"]["code"]) == (1, "instrument")


def test_none_of_the_symbols_is_one_error_that_names_them(home: Home) -> None:
    home.land("a.csv", HEADER + rows(20))
    done = home.convert(symbol="SUSHIUSDT,XRPUSDT")
    assert (done.code, done.out["error"]["code"]) == (1, "no_data")
    assert "SUSHIUSDT,XRPUSDT" in done.err
