"""A catalog for the other generation of NautilusTrader, made of stored frames: the bytes that a conversion of raw gives."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Final, cast

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.housekeeping.converting import behind, convert_catalog
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.instruments import read_definitions
from hedgegrid_assets.stages import frames
from hedgegrid_assets.store import Places
from hedgegrid_assets_tests.both_forms import converted, stored
from hedgegrid_assets_tests.buckets import Bucket
from hedgegrid_assets_tests.stages.catalog.test_files import csv_of
from hedgegrid_assets_tests.yard import of_before

ID: Final = "BTCUSDT-PERP.BINANCE"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalogs of the same raw days for both generations, and what each becomes for the other."""
    folder = tmp_path_factory.mktemp("made")
    stored(folder)
    for generation, output in (("1", "first"), ("2", "second")):
        assert converted(folder, output, "--nautilus", generation) == 0
        (folder / "of").mkdir(exist_ok=True)
        assert _convert(folder / output, folder / "of" / output, 3 - int(generation)) == 0
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three days of trades in ``c``, and the same for 2.x in ``c-2``."""
    monkeypatch.chdir(tmp_path)
    _days(tmp_path, range(72))
    assert _convert("c") == 0
    return tmp_path


def _convert(catalog: Path | str, output: Path | None = None, nautilus: int = 2, *more: str) -> int:
    place = [] if output is None else ["--output", str(output)]
    return run(["catalog", "convert", "--nautilus", str(nautilus), "--catalog", str(catalog), *place, "-q", *more])


def _days(folder: Path, hours: range, *more: str) -> None:
    file = csv_of(folder / "x.csv", hours)
    command = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--input", str(file)]
    places = ["--output", str(folder / "c"), "--data", str(folder / "d")]
    assert run([*command, "--data-types", "trades", *places, "-q", *more]) == 0


def _bytes(root: Path, below: str = "") -> dict[str, bytes]:
    """All files but those of our own book-keeping."""
    found = {str(path.relative_to(root)): path for path in (root / below).rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".hedgegrid")}


def _told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_it_is_byte_for_byte_what_the_raw_days_give(made: Path) -> None:
    assert _bytes(made / "of/first") == _bytes(made / "second")
    assert _bytes(made / "of/second") == _bytes(made / "first")


def test_frames_get_a_second_name_and_are_not_copied(made: Path) -> None:
    frames = list((made / "of/first" / ID).rglob("*.parquet/*.parquet"))
    assert len(frames) == 8
    assert all(path.stat().st_nlink == 2 for path in frames)


def test_a_bucket_gets_the_bytes_of_a_disk(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "first", tmp_path / "first", ignore=shutil.ignore_patterns("twins.json"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    target = Bucket(scratch).at("second")
    done = convert_catalog(Places.of_catalog(tmp_path / "first"), target, 2, lambda _what, _rows: None)
    assert (done.failed, done.unchanged) == ({}, 0)
    there = {path.below(target): path.read_bytes() for path in target.tree()}
    assert {name: each for name, each in there.items() if not name.startswith(".hedgegrid")} == _bytes(
        made / "of" / "first"
    )


def test_both_are_found_whole_and_say_what_they_are_for(made: Path) -> None:
    assert validate_catalog(made / "first", nautilus=1).ok
    assert validate_catalog(made / "of/first", nautilus=2).ok


def test_a_second_run_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home / "c-2").rglob("*") if path.is_file()}
    assert _convert("c", None, 2, "--json") == 0
    assert _told(capsys)["unchanged"] == 3
    assert before == {path: path.stat().st_mtime_ns for path in (home / "c-2").rglob("*") if path.is_file()}


def test_what_a_killed_run_has_left_out_is_made_and_nothing_else(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = _bytes(home / "c-2")
    (home / "c-2" / ID / "trade_tick.verdict/2024-01-02.json").unlink()
    next((home / "c-2/data/trades" / ID).glob("2024-01-03*")).unlink()
    assert len(list(behind(Places.of_catalog(home / "c"), Places.of_catalog(home / "c-2")))) == 2
    assert _convert("c", None, 2, "--json") == 0
    told = _told(capsys)
    assert (told["days"], told["unchanged"]) == (2, 1)
    assert _bytes(home / "c-2") == whole


def test_a_day_that_was_corrected_comes_over_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _days(home, range(2, 72), "--force")
    assert run(["status", "--catalog", "c", "--data", "d", "--offline"]) == 0
    assert "c-2, for NautilusTrader 2.x: 3 days behind" in capsys.readouterr().out.replace("\n", " ")
    assert run(["doctor", "--catalog", "c", "--data", "d", "--json"]) == 1
    (finding,) = _told(capsys)["findings"]  # type: ignore[misc, attr-defined]
    assert finding["kind"] == "catalog beside that is behind"
    command = finding["way_out"].removeprefix("run: hedgegrid ").split()
    assert run([*command, "-q"]) == 0
    assert list(behind(Places.of_catalog(home / "c"), Places.of_catalog(home / "c-2"))) == []
    assert run(["doctor", "--catalog", "c", "--data", "d", "-q"]) == 0


@pytest.mark.parametrize("which", ["c", "c-2"])
def test_prune_and_reset_day_of_either_reach_both(home: Path, which: str) -> None:
    assert run(["prune", "--before", "2024-01-02", "--catalog", which, "--data", "d", "-q"]) == 0
    assert run(["reset-day", ID, "2024-01-03", "--yes", "--catalog", which, "--data", "d", "-q"]) == 0
    for output in ("c", "c-2"):
        places = Places.of_catalog(home / output)
        assert places.judged_days(ID, "trade_tick") == places.frame_days(ID, "trade_tick") == [date(2024, 1, 2)]
        assert len(list((home / output / "data").rglob("2024*.parquet"))) == 1


def test_a_dry_run_of_prune_tells_both_and_removes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _bytes(home)
    assert run(["prune", "--before", "2024-01-02", "--dry-run", "--catalog", "c", "--data", "d", "--json"]) == 0
    assert list(_told(capsys)["beside"]) == [str(home / "c-2")]  # type: ignore[call-overload]
    assert _bytes(home) == before


def test_one_that_was_moved_away_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move(home / "c-2", home / "elsewhere")
    assert run(["prune", "--before", "2024-01-02", "--catalog", "c", "--data", "d"]) == 0
    assert f"the catalog {home / 'c-2'} was made of the same frames, and is not there" in capsys.readouterr().err


def test_precisions_that_were_widened_come_over_to_all_days(home: Path) -> None:
    assert run(["instruments", "widen", ID, "--price-precision", "5", "--catalog", "c", "-q"]) == 0
    assert _convert("c") == 0
    assert read_definitions(home / "c-2")[ID].price_precision == 5
    shutil.rmtree(home / "c-2")
    whole = _bytes(home / "c")
    assert _convert("c") == 0
    fresh = _bytes(home / "c-2")
    assert _bytes(home / "c") == whole
    assert validate_catalog(home / "c-2", nautilus=2).ok
    assert {name.split("/", 1)[0] for name in fresh} == {ID, "data", "instruments.parquet"}


def test_a_blocked_day_comes_over_with_its_verdict_and_without_a_file(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = home / "c" / ID / "trade_tick.verdict/2024-01-02.json"
    changed = json.loads(verdict.read_text()) | {"status": "blocked", "verdict": 1}
    changed.pop("checksum")
    verdict.write_text(json.dumps(changed))
    shutil.rmtree(home / "c-2")
    assert _convert("c", None, 2, "--json") == 0
    assert _told(capsys)["blocked"] == 1
    assert not list((home / "c-2/data/trades" / ID).glob("2024-01-02*"))


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--nautilus", "1"], "is for NautilusTrader 1.x already"),
        (["--nautilus", "2", "--output", "c"], "is the catalog itself, or in it"),
        (["--nautilus", "2", "--output", "c/two"], "is the catalog itself, or in it"),
        (["--nautilus", "4"], "expected 1 or 2, found 4"),
        (["--nautilus", "2", "--compression", "lzma"], "unknown compression"),
    ],
)
def test_what_cannot_be_is_a_mistake_of_the_user(
    home: Path, flags: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _bytes(home)
    assert run(["catalog", "convert", "--catalog", "c", *flags]) == 2
    assert why in capsys.readouterr().err
    assert _bytes(home) == before


def test_a_catalog_of_the_other_generation_is_no_place_for_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(home / "c", home / "other")
    assert _convert("c", home / "other") == 1
    assert f"{home / 'other'} is for NautilusTrader 1.x" in capsys.readouterr().err


def test_days_of_another_writer_are_told_and_left(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("parquet", "verdict"):
        for path in (home / "c" / ID / f"trade_tick.{kind}").glob("2024-01-02*"):
            path.unlink()
    shutil.rmtree(home / "c-2")
    assert _convert("c", None, 2, "--json") == 0
    told = _told(capsys)
    assert (told["days"], told["left"]) == (2, [f"{ID} 2024-01-02 trade_tick"])


def test_a_folder_that_is_no_catalog_is_refused_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/mine.yaml").write_text("mine")
    assert _convert(tmp_path / "configs", tmp_path / "new") == 2
    told = capsys.readouterr().err.replace("\n", " ")
    assert "it is no catalog" in told
    assert "hint: name the folder of a catalog with --catalog" in told
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "configs").rglob("*")] == ["mine.yaml"]


def test_a_folder_of_other_files_is_no_place_for_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "configs").mkdir()
    (home / "configs/mine.yaml").write_text("mine")
    assert _convert(home / "c", home / "configs") == 2
    assert "holds other files, such as mine.yaml" in capsys.readouterr().err.replace("\n", " ")
    assert [path.name for path in (home / "configs").rglob("*")] == ["mine.yaml"]


def test_rejects_that_a_power_cut_has_taken_come_over_again(home: Path) -> None:
    here, there = (Places.of_catalog(home / name).rejects(ID, "trade_tick", date(2024, 1, 2)) for name in ("c", "c-2"))
    here.local().parent.mkdir(exist_ok=True)
    here.local().write_bytes(b"rejects")
    assert _convert("c") == 0
    assert there.read_bytes() == b"rejects"


def test_a_frame_that_is_not_the_one_that_was_judged_is_told_and_days_beside_it_are_made(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = _bytes(home / "c-2", "data")
    shutil.rmtree(home / "c-2")
    frame = home / "c" / ID / "trade_tick.parquet/2024-01-02.parquet"
    frame.write_bytes((frame.parent / "2024-01-03.parquet").read_bytes())
    assert _convert("c", None, 2, "--json") == 1
    told = _told(capsys)
    assert (told["days"], list(told["failed"])) == (2, [f"{ID} 2024-01-02 trade_tick"])  # type: ignore[call-overload]
    made = _bytes(home / "c-2", "data")
    assert made == {name: content for name, content in whole.items() if "2024-01-02" not in name}


def test_a_damaged_frame_that_decodes_to_what_no_frame_holds_is_told_and_days_beside_it_are_made(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = _bytes(home / "c-2", "data")
    shutil.rmtree(home / "c-2")
    frame = home / "c" / ID / "trade_tick.parquet/2024-01-02.parquet"
    frame.write_bytes(frame.read_bytes().replace(b"price", b"qrice", 1))  # one bit of the name of a column
    assert _convert("c", None, 2, "--json") == 1
    told = _told(capsys)
    assert told["days"] == 2
    ((name, why),) = cast("dict[str, str]", told["failed"]).items()
    assert name == f"{ID} 2024-01-02 trade_tick"
    assert "price" in why
    assert "run again with --force: it is made anew" in why
    made = _bytes(home / "c-2", "data")
    assert made == {name: content for name, content in whole.items() if "2024-01-02" not in name}
    assert run(["validate", "c"]) == 1
    assert "unforeseen" not in capsys.readouterr().out


def test_a_file_of_another_among_them_is_told_and_nothing_is_written_beside_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = next((home / "c-2/data/trades" / ID).glob("2024-01-02*"))
    for path in [*(home / "c-2" / ID).rglob("2024*"), *(home / "c-2/data/trades").rglob("2024*")]:
        if path != ours:
            path.unlink()
    ours.rename(ours.with_name("mine.parquet"))
    assert _convert("c", None, 2, "--json") == 1
    assert len(_told(capsys)["failed"]) == 3  # type: ignore[arg-type]
    assert [path.name for path in (home / "c-2/data/trades" / ID).iterdir()] == ["mine.parquet"]


def test_a_large_day_is_refused_whose_verdict_names_a_digest_that_no_file_of_its_frame_does(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "ROW_GROUP", 0)
    places, output = Places.of_catalog(home / "c"), Places.of_catalog(home / "other").catalog
    path = places.verdict(ID, "trade_tick", date(2024, 1, 2)).local()
    path.write_text(json.dumps(of_before(json.loads(path.read_text())) | {"content_digest": "0" * 64}))
    done = convert_catalog(places, output, 2, lambda _what, _rows: None)
    assert done.days == 2
    assert next(iter(done.failed.values())).endswith("(its content digest differs)")
