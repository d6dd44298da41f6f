"""``--input`` names files; what the raw days hold of others is told, with the way out."""

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets_tests.landing_cases import HEADER, messages, rows

ID = "BTCUSDT-PERP.BINANCE"


def convert(path: str, output: str, *more: str, source: str = "csv") -> int:
    words = ["--source", source, "--symbol", "BTCUSDT", "--exchange", "BINANCE", "--data-types", "trades"]
    return run(["replay-to-parquet", *words, "--input", path, "--output", output, *more])


def out_of(output: str) -> list[int]:
    """Rows of each day in the frames."""
    return [len(pl.read_parquet(path)) for path in sorted(Path(output).glob(f"{ID}/trade_tick.parquet/*.parquet"))]


def command_in(told: str) -> list[str]:
    """The command that a text names."""
    found = re.search(r"hedgegrid (reset-day .*? --yes)", " ".join(told.split()))
    assert found, told
    return shlex.split(found[1])


@pytest.mark.parametrize(
    ("source", "name", "wrong", "right"),
    [
        ("csv", "csv", HEADER + rows(3), HEADER + rows(2, first=100)),
        ("websocket", "jsonl", messages(3), messages(2, first=100)),
    ],
)
def test_lines_of_a_file_that_is_not_named_are_told_and_can_be_taken_out(
    source: str, name: str, wrong: str, right: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = f"the wrong one.{name}", f"right.{name}"
    (workdir / first).write_text(wrong)
    (workdir / second).write_text(right)
    assert convert(first, "c 1", source=source) == 0
    assert "not named now" not in capsys.readouterr().err
    assert convert(second, "c 2", source=source) == 0
    told = capsys.readouterr().err
    assert f"made of {workdir / first} too, not named now" in " ".join(told.split())
    assert out_of("c 2") == [5]
    assert run(command_in(told)) == 0
    capsys.readouterr()
    assert convert(second, "c 2", source=source) == 0
    assert "not named now" not in capsys.readouterr().err
    assert out_of("c 2") == [2]


def test_another_data_root_keeps_files_apart(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workdir / "wrong.csv").write_text(HEADER + rows(3))
    (workdir / "right.csv").write_text(HEADER + rows(2, first=100))
    assert convert("wrong.csv", "c1") == 0
    assert convert("right.csv", "c2", "--data", "other") == 0
    assert "not named now" not in capsys.readouterr().err
    assert out_of("c2") == [2]


def test_files_of_several_days_are_told_once(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, first in (("wrong.csv", 1), ("right.csv", 100)):
        (workdir / name).write_text(HEADER + "".join(rows(2, first=first, day=day) for day in range(3)))
    assert convert("wrong.csv", "c1") == 0
    capsys.readouterr()
    assert convert("right.csv", "c2") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("not named now") == 1
    assert f"{ID} 2024-01-01 and 2 other days: made of {workdir / 'wrong.csv'} too" in told


def test_ids_that_clash_with_those_of_a_file_that_is_not_named_say_so(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workdir / "wrong.csv").write_text(HEADER + rows(3))
    (workdir / "right.csv").write_text(HEADER + rows(3).replace("42000.50", "43000.50"))
    assert convert("wrong.csv", "c1") == 0
    capsys.readouterr()
    assert convert("right.csv", "c2", "--json") == 1
    (error,) = (day["error"] for day in json.loads(capsys.readouterr().out)["days"])
    assert "trade_ids_unique" in error
    assert f"made of {workdir / 'wrong.csv'} too, not named now" in error
    assert run(command_in(error)) == 0
    assert convert("right.csv", "c2") == 0
    assert out_of("c2") == [3]
