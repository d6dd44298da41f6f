"""``hedgegrid doctor``: each thing that may be wrong is found, explained, and mended without losing what we did not make."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.cli.doctor import _show_online
from hedgegrid_assets.sources.archive.checking import Checked, check, usual_day
from hedgegrid_assets.sources.client import limits, transfers
from hedgegrid_assets.stages.catalog import files, moves
from hedgegrid_assets.store import set_aside, stored, write_document
from hedgegrid_assets.timestamps import day_start, nautilus_file_name
from hedgegrid_assets_tests import archive_cases, tardis_cases
from hedgegrid_assets_tests.kept import FIRST, ID, Home, new_home, trades

SECOND, LAST = FIRST + timedelta(days=1), FIRST + timedelta(days=2)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    """A place of three days, and a copy of all of it."""
    made = new_home(tmp_path_factory.mktemp("place") / "home")
    copy = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(made.root, copy)
    return made, copy


@pytest.fixture
def home(pristine: tuple[Home, Path]) -> Home:
    made, copy = pristine
    made.put_back(copy)
    return made


def told(home: Home, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    capsys.readouterr()
    code = home.run("doctor", "--json", *more)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == (0 if found["ok"] else 1)
    return found


def foreign(path: Path, like: Path, **metadata: str) -> None:
    """Another's file with the rows of one of ours: written as Nautilus itself does, maybe saying something else."""
    table = pq.read_table(like)
    kept = {key: value for key, value in (table.schema.metadata or {}).items() if not key.startswith(b"hedgegrid")}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(kept | {k.encode(): v.encode() for k, v in metadata.items()}), path)


def span(first: date, last: date) -> str:
    return f"{first}T00-00-00-000000000Z_{last}T23-59-59-999999999Z.parquet"


# ---------------------------------------------------------------- what may be wrong


def no_nautilus_file(home: Home) -> None:
    home.nautilus(SECOND).unlink()


def older_nautilus_file(home: Home) -> None:
    """The file of the day was made from another frame."""
    table = pq.read_table(home.nautilus(SECOND))
    with pq.ParquetWriter(home.nautilus(SECOND), table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(files.stamp_of(SECOND, "0" * 64))


def cut_nautilus_file(home: Home) -> None:
    home.nautilus(SECOND).write_bytes(home.nautilus(SECOND).read_bytes()[:-100])


def ours_at_another_precision(home: Home) -> None:
    table = pq.read_table(home.nautilus(SECOND))
    coarse = table.replace_schema_metadata(table.schema.metadata | {b"price_precision": b"0"})
    pq.write_table(coarse, home.nautilus(SECOND), use_dictionary=False)


def ours_under_another_name(home: Home) -> None:
    home.nautilus(SECOND).rename(home.nautilus(SECOND).with_name("trades.parquet"))


def ours_twice(home: Home) -> None:
    shutil.copy(home.nautilus(SECOND), home.nautilus(SECOND).with_name("copy.parquet"))


def a_file_without_a_time(home: Home) -> None:
    foreign(home.nautilus().with_name("range.parquet"), home.nautilus())


def a_file_over_all_days(home: Home) -> None:
    """As ``consolidate_data`` of Nautilus makes it."""
    foreign(home.nautilus().with_name(span(FIRST, LAST)), home.nautilus())


def a_file_that_begins_earlier(home: Home) -> None:
    foreign(home.nautilus().with_name(span(FIRST - timedelta(days=5), SECOND)), home.nautilus())


def another_precision(home: Home) -> None:
    early = FIRST - timedelta(days=9)
    foreign(home.nautilus().with_name(nautilus_file_name(early)), home.nautilus(), price_precision="9")
    home.verdict(early).write_bytes(home.verdict().read_bytes())  # so that it is no unknown file


def a_table_at_the_wrong_depth(home: Home) -> None:
    foreign(home.places.catalog.local() / "data/trades.parquet", home.nautilus())


def a_stray_frame(home: Home) -> None:
    shutil.copy(home.frame(), home.frame().with_name("old copy.parquet"))


def a_frame_under_another_name(home: Home) -> None:
    home.frame(SECOND).rename(home.frame(SECOND).with_name("2024-01-02 (1).parquet"))


def a_verdict_of_another_day(home: Home) -> None:
    shutil.copy(home.verdict(), home.verdict(LAST + timedelta(days=1)))


def a_damaged_verdict(home: Home) -> None:
    home.verdict(SECOND).write_text("{}")


def a_damaged_definition(home: Home) -> None:
    (path,) = (home.places.catalog.local() / "data/crypto_perpetual" / ID).glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-9])


def no_definition_file(home: Home) -> None:
    shutil.rmtree(home.places.catalog / "data/crypto_perpetual")


def a_damaged_index(home: Home) -> None:
    sorted(home.places.imports("tape").glob("*.json"))[0].local().write_text("nothing")


def no_series(home: Home) -> None:
    home.places.series.unlink()


def raw_of(home: Home, ending: str) -> Path:
    return home.places.raw_folder("tape", "aggTrade", "BTCUSDT").local() / f"{SECOND}.{ending}"


def no_raw_file(home: Home) -> None:
    raw_of(home, "jsonl.zst").unlink()


def a_cut_raw_file(home: Home) -> None:
    raw_of(home, "jsonl.zst").write_bytes(b"short")


def no_manifest(home: Home) -> None:
    raw_of(home, "json").unlink()
    raw_of(home, "lines.parquet").unlink()


def a_damaged_manifest(home: Home) -> None:
    raw_of(home, "json").write_text("{}")


def a_change_half_done(home: Home) -> None:
    """Two files were to go; the process was killed after it wrote that down."""
    stray = home.places.catalog / "old.parquet"
    stray.local().touch()
    noted = moves.Noted(
        what="taking a day out; finish it",
        definition=None,
        renames=[],
        removals=[stray.name],
        unclaimed=[],
        folder=None,
    )
    write_document(home.places.moves, home.places.catalog_temp, noted)


def a_widening_that_was_killed(home: Home) -> None:
    (home.places.staging.catalog / "x").local().mkdir(parents=True)


def files_in_the_making(home: Home) -> None:
    for root in (home.places.catalog_temp, home.places.raw_temp("tape")):
        (root / ".hedgegrid-1-0a1b2c3d").mkdir(parents=True, exist_ok=True)
        (root / ".hedgegrid-1-0a1b2c3d/x.part").write_text("half")


def a_restore_that_was_killed(home: Home) -> None:
    (home.root / "data/.catalog.restoring").mkdir()
    (home.root / "data/.catalog.restoring/instruments.parquet").touch()


@dataclass(frozen=True)
class Case:
    """``kinds``: what is found; ``same``: afterwards every file but those set aside is as it was before."""

    damage: Callable[[Home], None]
    kinds: dict[str, int]
    same: bool = True


CASES = (
    Case(no_nautilus_file, {"frame without a Nautilus file": 1}),
    Case(older_nautilus_file, {"Nautilus file of another frame": 1}),
    Case(cut_nautilus_file, {"file that cannot be read": 1}),
    Case(ours_at_another_precision, {"foreign precision": 1}),
    Case(ours_under_another_name, {"wrong name": 1, "frame without a Nautilus file": 1}),
    Case(ours_twice, {"wrong name": 1}),
    Case(a_file_without_a_time, {"wrong name": 1}),
    Case(a_file_over_all_days, {"overlapping interval": 1}),
    Case(a_file_that_begins_earlier, {"overlapping interval": 1}),
    Case(another_precision, {"foreign precision": 1, "wrong name": 1}),
    Case(a_table_at_the_wrong_depth, {"stray file": 1}),
    Case(a_stray_frame, {"stray file": 1}),
    Case(a_frame_under_another_name, {"wrong name": 1, "verdict without its frame": 1}),
    Case(a_verdict_of_another_day, {"wrong name": 1}),
    Case(a_damaged_verdict, {"damaged document": 1}, same=False),
    Case(a_damaged_definition, {"definition that Nautilus reads wrong": 1}),
    Case(no_definition_file, {"definition that Nautilus reads wrong": 1}),
    Case(a_damaged_index, {"damaged document": 1}, same=False),
    Case(no_series, {"series that is not noted": 1}),
    Case(no_raw_file, {"manifest without its raw file": 1}, same=False),
    Case(a_cut_raw_file, {"raw file that has changed": 1}, same=False),
    Case(no_manifest, {"raw file without a manifest": 1}, same=False),
    Case(a_damaged_manifest, {"damaged document": 1}, same=False),
    Case(a_change_half_done, {"unfinished change": 1}),
    Case(a_widening_that_was_killed, {"catalog in the making": 1}),
    Case(files_in_the_making, {"left by a killed run": 2}),
    Case(a_restore_that_was_killed, {"left by a killed run": 1}),
)


def kept(home: Home) -> dict[str, bytes]:
    return {name: data for name, data in home.files().items() if "set-aside" not in name}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.damage.__name__)
def test_it_is_found_and_mended_and_gives_the_catalog_of_before(
    case: Case, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    before = home.files()
    case.damage(home)
    damaged = home.files()
    found = told(home, capsys)
    assert found["counts"] == case.kinds
    assert all(each["why"] and each["way_out"] for each in found["findings"])
    assert home.files() == damaged, "looking changes nothing"
    told(home, capsys, "--fix")
    after = told(home, capsys)
    if case.same:
        assert after["findings"] == []
        assert kept(home) == before
    else:  # what was set aside is made anew by the next run
        home.make(())
        assert told(home, capsys)["findings"] == []
        assert {name for name in kept(home) if ".imports" not in name} == {n for n in before if ".imports" not in n}
        assert {name: data for name, data in kept(home).items() if "/catalog/" in name} == {
            name: data for name, data in before.items() if "/catalog/" in name
        }


def test_a_good_place_has_nothing_to_find(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(home, capsys) == {"ok": True, "findings": [], "counts": {}}


def test_bars_and_classes_of_our_own_lie_where_their_forms_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nautilus names the folder of bars after their type; the footer of our own classes says nothing."""
    ms = day_start(FIRST) // 1_000_000
    candle = {"t": ms, "T": ms + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 9, "o": "42000.1", "c": "42000.3"}
    candle |= {"h": "42000.5", "l": "41999.9", "v": "1.250", "n": 9, "x": True, "q": "52500.4"}
    order = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.020", "p": "42000.1", "ap": "42001.1"}
    order |= {"X": "FILLED", "l": "0.014", "z": "0.014", "T": ms}
    messages = [
        {"e": "kline", "E": ms + 60_000, "s": "BTCUSDT", "k": candle},
        {"e": "forceOrder", "E": ms + 5, "o": order},
    ]
    home = new_home(tmp_path, ())
    text = (tmp_path / "feeds.yaml").read_text()
    (tmp_path / "feeds.yaml").write_text(text.replace("[trade_tick]", "[trade_tick, bar_1_minute, liquidation]"))
    home.land(FIRST, trades(FIRST) + "".join(f"{ms + 60_010}000000 {json.dumps(each)}\n" for each in messages))
    home.make(())
    assert told(home, capsys)["findings"] == []
    assert home.run("status", "--json") == 0
    tables = json.loads(capsys.readouterr().out)["feeds"][0]["tables"]
    assert [(table["days"], table["stale"]) for table in tables] == [(1, [])] * 3
    (bars,) = (tmp_path / "data/catalog/data/bar").glob("*/*.parquet")
    bars.unlink()
    assert told(home, capsys)["counts"] == {"frame without a Nautilus file": 1}
    told(home, capsys, "--fix")
    assert told(home, capsys)["findings"] == []
    shutil.copy(bars, bars.with_name("copy.parquet"))
    assert told(home, capsys, "--fix")["counts"] == {"wrong name": 1}
    assert home.run("prune", "--before", "2024-01-02", "-q") == 0
    assert list((tmp_path / "data/catalog/data").glob("[!c]*/*/*.parquet")) == []


def test_what_may_be_wanted_stays_and_says_how_it_could_go(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    later = home.nautilus().with_name(nautilus_file_name(date(2024, 6, 1)))
    foreign(later, home.nautilus())
    (finding,) = told(home, capsys, "--fix")["findings"]
    assert (finding["kind"], finding["fixed"]) == ("file that was never judged", False)
    assert later.exists()
    assert "mv " in finding["way_out"]


def test_a_verdict_without_its_frame_says_whether_its_raw_day_is_there(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.frame(SECOND).unlink()
    (finding,) = told(home, capsys)["findings"]
    assert "its raw day is there" in finding["way_out"]
    for ending in ("json", "jsonl.zst", "lines.parquet"):
        raw_of(home, ending).unlink()
    (finding,) = told(home, capsys)["findings"]
    assert f"hedgegrid reset-day {ID} 2024-01-02 --table trades" in finding["way_out"]


def test_a_definition_of_before_is_widened_by_hand(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict judged other decimals than the definition has: the file cannot be made from its frame."""
    assert run(["instruments", "widen", ID, "--price-precision", "4", "--catalog", str(home.places.catalog), "-q"]) == 0
    old = new_home(home.root / "old")
    shutil.copy(old.nautilus(), home.nautilus())
    shutil.copy(old.frame(), home.frame())
    shutil.copy(old.verdict(), home.verdict())
    found = told(home, capsys, "--fix")
    assert found["counts"] == {"foreign precision": 1}
    assert f"hedgegrid instruments widen {ID}" in found["findings"][0]["way_out"]


def test_the_screen_names_each_thing_whole_and_says_what_was_done(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    a_file_over_all_days(home)
    assert home.run("doctor") == 1
    out = capsys.readouterr().out
    assert f"overlapping interval: {home.nautilus().with_name(span(FIRST, LAST))}" in out
    assert "1 found, 0 fixed, 1 left; hedgegrid doctor --fix mends 1 of them" in out
    assert home.run("doctor", "--fix") == 0
    assert "fixed: moved to /" in " ".join(capsys.readouterr().out.split())


def test_without_a_catalog_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--data", str(tmp_path)]) == 1
    assert "no catalog" in capsys.readouterr().err


def test_nothing_that_was_set_aside_is_replaced(tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        (tmp_path / "a.json").write_text(text)
        set_aside(stored(tmp_path) / "a.json", stored(tmp_path))
    assert sorted(path.read_text() for path in (tmp_path / "set-aside").iterdir()) == ["one", "three", "two"]


@pytest.mark.parametrize("other", [False, True], ids=["gone", "of another raw file"])
def test_a_raw_day_without_its_line_numbers_is_found_by_reading_and_imported_again(
    other: bool, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = raw_of(home, "lines.parquet")
    whole = lines.read_bytes()
    if other:
        shutil.copy(lines.with_name(f"{FIRST}.lines.parquet"), lines)
    else:
        lines.unlink()
    assert told(home, capsys)["findings"] == []
    landing = home.places.landing / f"websocket/{SECOND}.jsonl"
    landing.rename(landing.with_suffix(".away"))
    (finding,) = told(home, capsys, "--deep", "--fix")["findings"]
    assert (finding["kind"], finding["fixed"]) == ("raw day without its line numbers", False)
    assert f"put raw/websocket/{SECOND}.jsonl back" in finding["way_out"]
    landing.with_suffix(".away").rename(landing)
    assert told(home, capsys, "--deep", "--fix")["counts"] == {"raw day without its line numbers": 1}
    home.make(())
    assert told(home, capsys, "--deep")["findings"] == []
    assert lines.read_bytes() == whole


# ---------------------------------------------------------------- online


@pytest.mark.slow
def test_each_archive_and_a_free_day_are_asked_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "in_force", archive_cases.QUICK)
    monkeypatch.delenv("TARDIS_API_KEY", raising=False)
    archives, tardis = archive_cases.fresh_standin(), tardis_cases.fresh_standin()
    monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", tardis.datasets_endpoint)
    monkeypatch.setenv("TARDIS_ENDPOINT", tardis.endpoint)
    assert run(["doctor", "--online", "--endpoint", archives.endpoint, "--data", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["exchange"] for row in found["checked"]} >= {"binance-futures", "okex", "tardis binance-futures"}
    assert not any(row["why"] for row in found["checked"])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_a_network_each_host_is_asked_once_and_told_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TARDIS_DATASETS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("TARDIS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(transfers, "_answered", set())
    monkeypatch.setattr(transfers, "_unreachable", {})
    words = ["doctor", "--online", "--endpoint", "http://127.0.0.1:9", "--data", str(tmp_path)]
    started = time.monotonic()
    assert run(words) == 1
    assert time.monotonic() - started < limits.in_force.longest_wait, "nothing is waited for"
    told = capsys.readouterr().out
    assert "silent   okex-swap        4 files" in told
    assert "silent   tardis binance-futures 1 file" in told
    assert "no connection to 127.0.0.1:9 (Connection refused)" in told
    assert "differs" not in told
    assert run([*words, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert all(row["why"] and not row["answered"] for row in found["checked"])


def test_what_does_not_answer_as_expected_is_told_beside_what_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "in_force", archive_cases.QUICK)
    server = archive_cases.fresh_standin()
    day = usual_day(datetime.now(UTC).date())
    server.library.gone.add(f"/trading/BTCUSDT/BTCUSDT{day}.csv.gz")
    found = [*check(["bybit"], day, server.endpoint, tmp_path), Checked("okex", "trade", "", "silence", answered=False)]
    _show_online(found, [each for each in found if each.why])
    told = capsys.readouterr().out
    assert "differs  bybit            trade\n" in told
    assert "the file is not there" in told
    assert "2 answers looked at: 1 differ" in told
    assert "1 file not asked for" in told


@pytest.mark.network
def test_the_real_servers_answer_as_expected(tmp_path: Path) -> None:
    assert run(["doctor", "--online", "--data", str(tmp_path)]) == 0
