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

from hedgegrid_assets.cli.output import console

EXAMPLES: Final = Path(__file__).parents[2]
CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def seen(*command: str, columns: int = 80) -> str:
    """What a command writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "hedgegrid_assets", *command], cwd=EXAMPLES, stdout=theirs, stderr=subprocess.DEVNULL
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
    return tmp_path_factory.mktemp("terminal")


def test_a_summary_that_is_too_wide_for_a_table_has_a_block_a_row(catalog: Path) -> None:
    config = "examples/data_configs/csv_source_config.json"
    command = ["replay-to-parquet", "--source", "csv", "--symbol", "BTCUSDT", "--config", config]
    told = seen(*command, "--data", str(catalog / "data"), "--output", str(catalog / "catalog"))
    assert "…" not in told
    assert re.search(r"BTCUSDT-PERP\.SIM-CSV  table trade_tick  days 2024-01-01  status partial", told)
    assert re.search(r"rows in 40  out 40  gaps 38", " ".join(told.split("\n    ")))
    assert "…" not in seen("validate", str(catalog / "catalog"))
    wide = seen("validate", str(catalog / "catalog"), columns=160)
    assert "┏" in wide
    assert "trade_tick" in wide


@pytest.mark.parametrize(("columns", "expected"), [("80", 80), ("", 160), ("wide", 160), ("0", 160)])
def test_a_pipe_is_as_wide_as_its_columns_say(monkeypatch: pytest.MonkeyPatch, columns: str, expected: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == expected
