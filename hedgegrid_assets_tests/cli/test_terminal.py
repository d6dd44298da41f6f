"""What a person sees on a terminal of 80 columns: no name, day or number is cut."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Final

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.cli.output import console

EXAMPLES: Final = Path(__file__).parents[2]
CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def seen(*command: str, columns: int = 80) -> str:
    """What a command writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "hedgegrid_assets", *command],
        cwd=EXAMPLES,
        env=dict(os.environ),  # what Python knows of: the readline that pytest imports has put COLUMNS into C's
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    parts = []
    with contextlib.suppress(OSError):  # Linux' word for the end of a terminal
        while data := os.read(ours, 1 << 16):
            parts.append(data)
    os.close(ours)
    assert process.wait() == 0
    return CONTROL.sub("", b"".join(parts).decode())


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalog of the shipped CSV files, and what the conversion wrote to its terminal."""
    folder = tmp_path_factory.mktemp("terminal")
    config = "examples/data_configs/csv_source_config.json"
    command = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--config", config]
    told = seen(*command, "--data", str(folder / "data"), "--output", str(folder / "catalog"))
    (folder / "told.txt").write_text(told)
    return folder


def test_a_summary_that_is_too_wide_for_a_table_has_a_block_a_row(catalog: Path) -> None:
    told = (catalog / "told.txt").read_text()
    assert "…" not in told
    assert re.search(r"BTCUSDT-PERP\.SIM-CSV  table trade_tick  days 2024-01-01  status partial", told)
    assert re.search(r"rows in 40  out 40  quiet 38", " ".join(told.split("\n    ")))
    narrow = seen("validate", str(catalog / "catalog"))
    assert "…" not in narrow
    assert max(len(line) for line in narrow.splitlines() if str(catalog) not in line) <= 80
    wide = seen("gaps", str(catalog / "catalog"), columns=160)
    assert "┏" in wide
    assert "trade_tick" in wide


@pytest.mark.parametrize("command", ["validate", "gaps", "rejects", "rejects list", "rejects summary", "status"])
@pytest.mark.parametrize("more", [[], ["--all"]])
def test_no_line_is_wider_than_a_terminal_and_no_instrument_is_cut(
    catalog: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, more: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    places = ["--catalog" if command == "status" else str(catalog / "catalog"), "--data", str(catalog / "data")]
    places[1:1] = [str(catalog / "catalog")] if command == "status" else []
    places = places if command != "gaps" else places[:1]
    assert run([*command.split(), *places, *(more if command != "rejects list" else [])]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if str(catalog) not in line]
    assert max(map(len, lines), default=0) <= 80
    assert "…" not in "".join(line for line in lines if "characters)" not in line)
    if command in {"validate", "gaps", "status"}:
        assert {line.strip() for line in lines} >= {"BTCUSDT-PERP.SIM-CSV"}


def test_rejects_of_a_catalog_are_counted_as_its_gaps_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"2024-01-01T00:00:{second:02},{second % 7},1,{second}\n" for second in range(6))
    (tmp_path / "trades.csv").write_text(f"time,price,amount,id\n{rows}")
    asked = ["--source", "csv", "--symbol", "BTCUSDT", "--market", "usdm", "--data-types", "trades"]
    asked += ["--input", str(tmp_path / "trades.csv"), "--output", str(tmp_path / "catalog")]
    run(["replay-to-parquet", *asked, "--data", str(tmp_path / "data"), "-q"])
    places = [str(tmp_path / "catalog"), "--data", str(tmp_path / "data")]
    told = []
    capsys.readouterr()
    for more in ((), ("--json",), ("--csv",)):
        for command in (["rejects"], ["rejects", "summary"]):
            assert run([*command, *places, *more]) == 0
            told.append(capsys.readouterr().out)
    assert told[::2] == told[1::2]
    assert all(told)
    hint = next(line for line in told[0].splitlines() if line.startswith("each line: hedgegrid "))
    assert run(hint.removeprefix("each line: hedgegrid ").split()) == 0
    assert "trades.csv:2: zero_price" in capsys.readouterr().out
    run(["validate", str(tmp_path / "catalog")])
    assert "by_reason (zero_price 1)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["rejects", "lst"], ["rejects", "list", "nowhere"], ["rejects", "summary", "nowhere"]]
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_catalog_that_is_not_there_does_not_pass_for_one_without_rejects(
    command: list[str],
    more: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*command, *more]) == 1
    assert f"error: no such folder, or an empty one: {command[-1]}\n" in capsys.readouterr().err
    (tmp_path / command[-1]).mkdir()
    (tmp_path / command[-1] / "a.txt").write_text("no catalog")
    assert run([*command, *more]) == 1
    assert f"error: no catalog in {command[-1]}: found no verdicts" in capsys.readouterr().err


@pytest.mark.parametrize(("columns", "expected"), [("80", 80), ("", 160), ("wide", 160), ("0", 160)])
def test_a_pipe_is_as_wide_as_its_columns_say(monkeypatch: pytest.MonkeyPatch, columns: str, expected: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == expected
