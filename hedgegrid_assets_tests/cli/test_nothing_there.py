"""What is told where nothing is: no folder, no catalog in it, no such day in the catalog."""

from pathlib import Path

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.guide.home import CSV, from_csv, from_messages


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


MESSAGE = '{"e":"aggTrade","E":1704067200001,"s":"BTCUSDT","a":1,"p":"42000.1","q":"0.5","f":1,"l":1,"T":1704067200001,"m":false}\n'


def test_data_types_that_a_source_does_not_give_are_named_and_refused_where_nothing_else_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_messages(tmp_path, MESSAGE, "--data-types", "trades,depth,open_interest") == 0
    assert "no open_interest, depth: source websocket does not give that" in capsys.readouterr().err
    assert from_messages(tmp_path, MESSAGE, "--data-types", "depth,open_interest") == 2
    assert "source websocket gives none of the data types asked for (--data-types): expected" in capsys.readouterr().err
    assert from_csv(tmp_path, CSV, "--data-types", "deltas") == 2
    assert "source csv gives none of the data types asked for (--data-types): expected" in capsys.readouterr().err


def test_a_symbol_that_other_messages_are_of_is_not_proposed_in_its_own_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert from_messages(tmp_path, MESSAGE, "--data-types", "trades") == 0
    capsys.readouterr()
    assert from_messages(tmp_path, MESSAGE, "--data-types", "mark") == 1
    err = capsys.readouterr().err
    assert "found streams aggTrade 1" in err
    assert "did you mean" not in err


def test_messages_behind_a_receive_time_are_of_their_source_and_no_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "messages.jsonl"
    file.write_text('1704067200000000000 {"stream":"btcusdt@aggTrade","data":' + MESSAGE.strip() + "}\n")
    places = ["--output", str(tmp_path / "catalog"), "--data", str(tmp_path / "data")]
    for source, symbol in (("bybit-websocket", "BTCUSDT"), ("websocket", "ETHUSDT")):
        assert run(["replay-to-parquet", "--source", source, "--symbol", symbol, "--input", str(file), *places]) == 1
        assert "--source csv" not in (err := capsys.readouterr().err)
        assert ("of another source: --source websocket reads it" in err) == (source != "websocket")
