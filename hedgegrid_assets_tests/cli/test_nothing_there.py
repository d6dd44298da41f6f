"""What is told where nothing is: no folder, no catalog in it, no such day in the catalog."""

from pathlib import Path

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.guide.home import CSV, from_csv


@pytest.mark.parametrize("command", ["validate", "gaps", "rejects", "rejects list", "report"])
def test_a_folder_that_is_none_and_one_without_a_catalog_are_told_as_such(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*command.split(), "nope"]) == 1
    assert "error: no such folder, or an empty one: nope\nhint: name the folder" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("a")
    assert run([*command.split(), "other"]) == 1
    assert "error: no catalog in other: found no " in capsys.readouterr().err


def test_a_day_that_is_not_there_is_told_without_the_names_of_all_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_csv(tmp_path, CSV) == 0
    places = ["--catalog", str(tmp_path / "catalog"), "--data", str(tmp_path / "data")]
    capsys.readouterr()
    wanted = "BTCUSDT-PERP.BINANCE 2030-01-01"
    for more, named in (((), wanted), (("--table", "trades"), f"{wanted} trades")):
        assert run(["reset-day", *wanted.split(), *places, *more]) == 1
        err = capsys.readouterr().err
        assert f"No data fetched ({named}): looked in {tmp_path / 'catalog'}, found nothing of that day" in err
        assert f"hint: `hedgegrid validate {tmp_path / 'catalog'}` lists the days that are there" in err
    assert run(["reset-day", *wanted.split(), "--catalog", str(tmp_path / "nope"), "--data", str(tmp_path / "d")]) == 1
    assert f"no such folder, or an empty one: {tmp_path / 'nope'}" in capsys.readouterr().err
    for command in ("validate", "gaps"):
        assert run([command, str(tmp_path / "catalog"), "--start", "2030-01-01"]) == 1
        assert "No data fetched (2030-01-01..): looked in" in capsys.readouterr().err
