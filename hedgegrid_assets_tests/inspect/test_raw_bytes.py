"""A raw day whose bytes have changed where they lie, in a file of the same size and time: told where all data are read."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.inspect.validation import validate_catalog
from hedgegrid_assets.sources.client import limits
from hedgegrid_assets_tests import archive_cases
from hedgegrid_assets_tests.kept import FIRST, Home, new_home

SECOND = FIRST + timedelta(days=1)
AS_JSON = Callable[..., tuple[int, dict[str, Any]]]


def with_other_byte(path: Path) -> None:
    """A bit turned in the middle of a file; its size and time stay."""
    was, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.fixture
def as_json(capsys: pytest.CaptureFixture[str]) -> AS_JSON:
    """Exit code and answer of a command in the folder of some data."""

    def told(root: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = run([*map(str, words), "--data", str(root / "data"), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return told


@dataclass(frozen=True)
class Made:
    """A catalog, the raw file of one of its days, and the run that makes it."""

    raw: Path
    catalog: Path
    again: Callable[[], bool]


def landed(root: Path) -> Made:
    """Three days of which the raw days are copies."""
    home = new_home(root)

    def again() -> bool:
        home.make(())
        return True

    raw = home.places.raw_folder("tape", "aggTrade", "BTCUSDT").local() / f"{SECOND}.jsonl.zst"
    return Made(raw, home.places.catalog.local(), again)


def fetched(root: Path) -> Made:
    """A day of an archive."""
    root.mkdir()
    server = archive_cases.fresh_standin()

    def again() -> bool:
        return archive_cases.convert(root, server, "--data-types", "trades", "-q") == 0

    assert again()
    return Made(root / f"data/raw/cli_archive/aggTrade/BTCUSDT/{SECOND}.csv.zip", root / "catalog", again)


@pytest.mark.parametrize("made", [landed, fetched])
def test_other_bytes_are_told_and_what_is_said_to_do_brings_the_raw_day_back(
    made: Callable[[Path], Made], tmp_path: Path, as_json: AS_JSON, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", archive_cases.QUICK)
    root = tmp_path / "home"
    place = made(root)
    raw, again = place.raw, place.again
    validate, doctor = ("validate", place.catalog, "--deep"), ("doctor", "--deep", "--catalog", place.catalog)
    assert as_json(root, *validate)[0] == as_json(root, *doctor)[0] == 0
    good, catalog = raw.read_bytes(), files_below(place.catalog)
    with_other_byte(raw)
    assert again(), "what has the size and the time of before is not read again"
    code, found = as_json(root, *validate)
    assert (code, found["ok"], found["documents"]) == (1, False, [])
    (damaged,) = found["raw_days"]
    assert damaged["error"].startswith(f"{raw} cannot be trusted: expected sha256 ")
    assert "hedgegrid doctor --deep --fix" in damaged["hint"]
    code, found = as_json(root, *doctor)
    assert (code, found["counts"]) == (1, {"raw file that has changed": 1})
    assert str(raw) in found["findings"][0]["why"]
    assert as_json(root, *doctor, "--fix")[0] == 0
    assert not raw.exists()
    assert again()
    assert raw.read_bytes() == good
    assert files_below(place.catalog) == catalog
    assert as_json(root, *validate)[0] == as_json(root, *doctor)[0] == 0


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_no_raw_day_is_read_where_it_is_not_asked_for(tmp_path: Path, as_json: AS_JSON) -> None:
    raw = landed(tmp_path).raw
    with_other_byte(raw)
    assert as_json(tmp_path, "validate", tmp_path / "data/catalog")[0] == as_json(tmp_path, "doctor")[0] == 0


def test_a_raw_day_is_read_once_and_only_those_of_the_days_that_are_looked_at(tmp_path: Path) -> None:
    home, feeds = new_home(tmp_path, ()), tmp_path / "feeds.yaml"
    feeds.write_text(feeds.read_text().replace("[trade_tick]", "[trade_tick, bar_1_minute]"))
    home.make()
    read: list[str] = []

    def looked_at(**only: Any) -> list[str]:
        read.clear()
        told = validate_catalog(
            home.places.catalog, data=home.places.data, deep=True, progress=lambda what, _: read.append(what), **only
        )
        assert not told.raw_days
        return [what[-20:] for what in read]

    assert looked_at() == [f"{FIRST + timedelta(days=day)}.jsonl.zst" for day in range(3)]
    assert looked_at(table="trade_tick", start=SECOND, end=SECOND + timedelta(days=1)) == [f"{SECOND}.jsonl.zst"]


def test_the_screen_names_the_file_and_counts_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = landed(tmp_path).raw
    with_other_byte(raw)
    assert run(["validate", str(tmp_path / "data/catalog"), "--data", str(tmp_path / "data"), "--deep"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert f"ERROR {raw} cannot be trusted" in told
    assert "not ok: 0 ERROR rules failed, 1 damaged raw day" in told


def test_a_run_that_reads_such_a_raw_day_makes_nothing_of_it_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "in_force", archive_cases.QUICK)
    raw = fetched(tmp_path / "home").raw
    with_other_byte(raw)
    frame = next((tmp_path / "home/catalog").glob("*/trade_tick.parquet/*.parquet"))
    before = frame.read_bytes()
    assert archive_cases.convert(tmp_path / "home", archive_cases.fresh_standin(), "--force", "-q") == 1
    told = " ".join(capsys.readouterr().err.split())
    assert f"{raw} cannot be trusted" in told
    assert "hint: hedgegrid doctor --deep --fix moves it out of the way" in told
    assert frame.read_bytes() == before


def test_a_landing_file_is_told_and_left_where_it_is(tmp_path: Path, as_json: AS_JSON) -> None:
    """It is the raw day itself: nothing of the user's is moved, and what it holds now is taken only when that is said."""
    home, path = Home(tmp_path), tmp_path / "data/raw/websocket/a.jsonl"
    trades = home.land(FIRST).read_text().split("\n", 1)[1]
    home.land(FIRST).rename(path)
    path.write_text(trades)
    words = ["replay-to-parquet", "--source", "websocket", "--symbol", "BTCUSDT", "-q", "--data-types", "trades"]
    words += ["--data", str(tmp_path / "data"), "--output", str(tmp_path / "data/catalog")]
    assert run(words) == 0
    validate, doctor = ("validate", tmp_path / "data/catalog", "--deep"), ("doctor", "--deep", "--fix")
    was = path.stat()
    path.write_text(trades.replace('"p":"42000.1"', '"p":"42000.2"', 1))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    changed = path.read_bytes()
    code, found = as_json(tmp_path, *validate)
    assert (code, len(found["raw_days"])) == (1, 1)
    code, found = as_json(tmp_path, *doctor)
    (finding,) = found["findings"]
    assert (code, finding["what"], finding["can_be_fixed"]) == (1, str(path), False)
    assert "put back what was imported" in finding["way_out"]
    assert path.read_bytes() == changed
    path.write_text(trades)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert as_json(tmp_path, *validate)[0] == as_json(tmp_path, *doctor)[0] == 0
    path.write_bytes(changed)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert run([*words, "--force"]) == 0
    assert as_json(tmp_path, *validate)[0] == as_json(tmp_path, *doctor)[0] == 0
    path.rename(path.with_suffix(".away"))
    assert as_json(tmp_path, *validate)[0] == as_json(tmp_path, *doctor)[0] == 0, "it may be moved away"
