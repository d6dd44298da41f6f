"""Notes and log lines beside a progress that is drawn again and again: each is whole on the screen that a person is left with."""

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

EXAMPLES: Final = Path(__file__).parents[2]
COLUMNS: Final = 80
PART: Final = re.compile(r"\x1b\[(?P<number>[0-9;?]*)(?P<does>[A-Za-z])|(?P<plain>.)", re.DOTALL)

WRITES: Final = """
import logging, sys, time
from hedgegrid_assets.cli.output import progress, say, set_logging
set_logging(verbose=False, quiet=False)
with progress(quiet=False) as tick:
    for n in range(8):
        tick(f"fetching a file with quite a long name, so that this line does not fit into eighty columns {n}", 1_000)
        time.sleep(0.11)
        say(f"note: number {n} " + "of words " * 20 + f"with `hedgegrid reset-day --one {n} --two --three --four --five --yes` and ends")
        logging.getLogger("a.b").warning("warned %d %s", n, "at length " * 10)
        sys.stderr.write(f"plain {n}\\n")
    time.sleep(0.2)
say("note: the last")
"""


def screen(written: str, columns: int = COLUMNS) -> list[str]:
    """The lines that are left on a terminal of endless height."""
    rows: list[list[str]] = [[]]
    row = column = 0
    for part in PART.finditer(written):
        match part["does"], part["plain"]:
            case "A", None:
                row = max(row - int(part["number"] or 1), 0)
            case "K", None:
                rows[row].clear()
            case None, "\r":
                column = 0
            case None, "\n":
                row += 1
            case None, plain:
                if column == columns:
                    row, column = row + 1, 0
                rows.extend([] for _ in range(row - len(rows) + 1))
                rows[row].extend(" " * (column + 1 - len(rows[row])))
                rows[row][column] = plain
                column += 1
        rows.extend([] for _ in range(row - len(rows) + 1))
    return "\n".join("".join(line).rstrip() for line in rows).rstrip("\n").split("\n")


def left_on_terminal(*command: str) -> list[str]:
    """The lines that a command of Python leaves on a terminal of its own, by its stderr."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = dict(os.environ) | {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=EXAMPLES, env=environment, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    parts = []
    with contextlib.suppress(OSError):  # Linux' word for the end of a terminal
        while data := os.read(ours, 1 << 16):
            parts.append(data)
    os.close(ours)
    assert process.wait() == 0
    return screen(b"".join(parts).decode())


def test_notes_log_lines_and_plain_lines_stay_whole_above_a_progress() -> None:
    lines = left_on_terminal("-c", WRITES)
    told = " ".join(" ".join(lines).split())
    for n in range(8):
        assert f"note: number {n} {'of words ' * 20}with `hedgegrid" in told
        assert f"`hedgegrid reset-day --one {n} --two --three --four --five --yes`" in "\n".join(lines)
        assert f"a.b - WARNING - warned {n} {'at length ' * 9}at length" in told
        assert f"plain {n}" in lines
    assert sum(line.startswith("note: number") for line in lines) == 8
    assert lines[-1] == "note: the last"
    assert "lines/s" not in told
    assert "fetching" not in told


def test_a_conversion_leaves_all_its_notes_whole_on_the_terminal(tmp_path: Path) -> None:
    config = "examples/data_configs/csv_source_config.json"
    asked = [
        "-m",
        "hedgegrid_assets",
        "replay-to-parquet",
        "--source",
        "csv",
        "--symbol",
        "BTCUSDT",
        "--config",
        config,
    ]

    def places(name: str) -> list[str]:
        return ["--data", str(tmp_path / name / "data"), "--output", str(tmp_path / name / "catalog")]

    piped = subprocess.run(
        [sys.executable, *asked, *places("a")], cwd=EXAMPLES, capture_output=True, text=True, check=True
    )
    notes = [line for line in piped.stderr.splitlines() if line.startswith("note: ")]
    assert any("and a later, finer day with --widen" in note for note in notes)
    lines = left_on_terminal(*asked, *places("b"))
    told = " ".join(" ".join(lines).split())
    for note in notes:
        assert " ".join(note.split()).replace(str(tmp_path / "a"), str(tmp_path / "b")) in told
    assert sum(line.startswith("note: ") for line in lines) == len(notes)
