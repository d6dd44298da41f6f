"""Counts and findings are told in words: nothing that a person reads is written as Python writes it."""

import json
from pathlib import Path

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.cli.output import Progress
from hedgegrid_assets_tests.guide.home import from_messages

TRADE = '{"e":"aggTrade","E":%d,"s":"BTCUSDT","a":%d,"p":"42000.1","q":"0.5","f":1,"l":1,"T":%d,"m":false}'
START = 1_704_067_200_000


def messages(count: int, broken: int = 0) -> str:
    whole = [TRADE % (START + number, number, START + number) for number in range(1, count + 1)]
    return "\n".join([*(['{"e": broken'] * broken), *whole, ""])


def python_in(told: str) -> list[str]:
    return [part for part in ("{'", "['", "None", "((", "Counter(") if part in told]


def test_lines_without_a_place_and_their_files_are_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from_messages(tmp_path, messages(40, broken=20))
    told = capsys.readouterr()
    assert "20 lines belong to no table or day (broken_json 20): kept in" in told.err
    assert python_in(told.out + told.err) == []
    run(["validate", str(tmp_path / "catalog")])
    out = " ".join(capsys.readouterr().out.split())
    assert f"files (file {tmp_path / 'messages.jsonl'}, line 1, lines 60, reason broken_json, unplaced 20, value" in out
    assert python_in(out) == []


def test_streams_that_are_there_instead_are_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert from_messages(tmp_path, messages(1), "--data-types", "mark") == 1
    err = capsys.readouterr().err
    assert "found streams aggTrade 1" in err
    assert python_in(err) == []


def test_one_line_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[str] = []
    monkeypatch.setattr("hedgegrid_assets.cli.output._REDRAWN", 0.0)
    shown = Progress(pictures.append)
    shown("a", 1)
    shown("a", 1)
    assert "1 line  " in pictures[0]
    assert "2 lines  " in pictures[1]


def test_files_of_a_config_are_told_without_detours_unless_a_link_makes_them_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("configs", "csv", "far/configs", "far/csv"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "far/configs")
    config = json.dumps({"base_path": "../csv", "files": {"trades": {"file_path": "t.csv"}}})
    for name, config_of, told_as in (("csv", "configs", "csv/t.csv"), ("far/csv", "linked", "linked/../csv/t.csv")):
        (tmp_path / config_of / "c.json").write_text(config)
        (tmp_path / name / "t.csv").write_text("a,b\n1,2\n")
        words = ["--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm", "--config", f"{config_of}/c.json"]
        assert run(["replay-to-parquet", *words, "--data", f"data_{config_of}"]) == 1
        assert f"Missing required columns ({told_as}): " in capsys.readouterr().err
        (tmp_path / name / "t.csv").unlink()


def test_of_a_universe_what_is_alike_is_told_once_and_all_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols = [f"C{number:02d}USDT" for number in range(45)]
    mark = '{"e":"markPriceUpdate","E":%d,"s":"%s","p":"100.5","i":"100.4","P":"1","r":"0.0001","T":1704096000000}'
    lines = ("[" + ",".join(mark % (START + 1000 * second, symbol) for symbol in symbols) + "]" for second in range(5))
    (tmp_path / "marks.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    file = ["--input", "marks.jsonl", "--data-types", "mark"]
    assert run(["replay-to-parquet", "--source", "websocket", "--symbol", ",".join(symbols), *file]) == 0
    made = capsys.readouterr()
    assert "and 35 instruments more with inferred decimals: hedgegrid instruments list" in made.err
    assert made.err.count("is taken as USD-M (linear)") == 10
    assert "and 35 symbols more likewise: hedgegrid instruments list" in made.err
    assert "45 instruments" in made.out
    assert run(["validate", "data/catalog"]) == 0
    told = capsys.readouterr().out
    first = "C00USDT-PERP.BINANCE, C01USDT-PERP.BINANCE and 43 instruments more"
    assert f"{first} mark_price_update: 225 rows 2024-01-01 1 day partial C00" in " ".join(told.split())
    assert "WARN day_covered: 35 more such lines: --all" in told
    assert told.count("\n") < 60
    assert run(["validate", "data/catalog", "--all"]) == 0
    told = capsys.readouterr().out
    assert all(f"{symbol}-PERP.BINANCE mark_price_update 2024-01-01: WARN day_covered" in told for symbol in symbols)
