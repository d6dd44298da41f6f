"""Control characters from data reach no terminal: they are shown as what they are, wherever they turn up."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgegrid_assets.cli import run
from hedgegrid_assets.cli.output import cell, console, say, show_error
from hedgegrid_assets.errors import DataError
from hedgegrid_assets.inspect.visible import visible
from hedgegrid_assets_tests.cli.test_cli import replay, trade

NASTY = "\x1b]0;owned\x07\x1b[31mred\r\x9b2J\x08\u202eright\u2066\ufeff"
EVIL_FILE = "trades\x1b[2J[red]\r\u202e.jsonl"


def is_plain(text: str) -> bool:
    """Nothing in it but what can be seen, and line ends."""
    return all(one.isprintable() or one == "\n" for one in text)


@given(st.text())
def test_what_is_shown_is_printable_and_of_its_own_text(text: str) -> None:
    assert visible(text).isprintable()
    if text.isprintable():
        assert visible(text) == text


def test_control_characters_are_told_by_their_codes() -> None:
    assert visible("a\x1b[0m\r\n\tb\x07\u202e\x9b\U000e0001币") == r"a\x1b[0m\r\n\tb\x07\u202e\x9b\U000e0001币"
    assert visible("a\nb", keep="\n") == "a\nb"


def test_errors_notes_tables_and_lines_are_all_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    show_error(DataError(f"bad {NASTY}\nerror: forged", hint=NASTY), as_json=False)
    say(f"note: {NASTY}\nnote: forged")
    table = Table(title=cell(f"catalog {NASTY} [red]"))
    table.add_column("x")
    table.add_row(cell(f"{NASTY}\n[/nothing]"))
    console().print(table)
    console().print(f"line {NASTY}", markup=False)
    out, err = capsys.readouterr()
    assert is_plain(out)
    assert is_plain(err)
    assert len(err.splitlines()) == 3
    assert "[/nothing]" in out
    assert r"\x1b]0;owned\x07" in out


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A capture whose name, streams, symbols and rejected lines are all nasty."""
    monkeypatch.chdir(tmp_path)
    landing = tmp_path / "data/raw/websocket"
    landing.mkdir(parents=True)
    nasty = json.dumps(NASTY)[1:-1]
    lines = [trade(number) for number in range(1, 101)]
    lines += [trade(101).replace('"42000.10"', f'"{nasty}"'), f"{NASTY.replace(chr(13), '')} no json\n"]
    lines += [f'{{"stream":"x{nasty}@kline_1m","data":{{"e":"kline{nasty}"}}}}\n']
    lines += [trade(102).replace("BTCUSDT", f"X{nasty}").replace("btcusdt", f"x{nasty}")]
    (landing / EVIL_FILE).write_text("".join(lines))
    return tmp_path


COMMANDS = {
    "replay": replay("-v"),
    "validate": ["validate", "data/catalog"],
    "gaps": ["gaps", "data/catalog"],
    "rejects list": ["rejects", "list", "data/catalog"],
    "rejects summary": ["rejects", "summary", "data/catalog"],
    "rejects show": ["rejects", "show", f"{EVIL_FILE}:101", "--catalog", "data/catalog"],
    "trace": ["trace", "BTCUSDT-PERP.BINANCE", "trades", "50"],
    "no such symbol": ["replay-to-parquet", "--source", "websocket", "--symbol", "NONE"],
    "no such file": ["replay-to-parquet", "--source", "websocket", "--symbol", "X", "--input", EVIL_FILE],
}


@pytest.mark.usefixtures("home")
def test_no_command_sends_what_data_holds_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run(replay())
    capsys.readouterr()
    for name, command in COMMANDS.items():
        run(command)
        out, err = capsys.readouterr()
        assert is_plain(out), (name, out)
        assert is_plain(err), (name, err)
        assert "Traceback" not in err, (name, err)
        assert out or err


def test_the_report_shows_them_as_text(home: Path) -> None:
    run(replay())
    assert run(["report", "data/catalog", "--output", "report.html"]) == 0
    page = (home / "report.html").read_text()
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0].replace("\\u003c", "<"))
    assert is_plain(json.dumps(data, ensure_ascii=False))
    assert r"\x1b]0;owned" in json.dumps(data).replace("\\\\", "\\")


@pytest.mark.usefixtures("home")
def test_json_holds_them_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    run(replay())
    capsys.readouterr()
    assert run(["rejects", "list", "data/catalog", "--json"]) == 0
    files = {row["file"] for row in json.loads(capsys.readouterr().out)["rejects"]}
    assert any(EVIL_FILE in name for name in files)


def test_the_progress_line_is_plain_too(home: Path) -> None:
    leader, follower = pty.openpty()
    code = (
        "from hedgegrid_assets.cli.output import progress\n"
        f"with progress(quiet=False) as tick:\n    tick({NASTY + '[/red]'!r}, 5)\n    import time; time.sleep(0.3)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=follower, cwd=home)
    process.wait(60)
    os.close(follower)
    seen = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while chunk := os.read(leader, 65_536):
            seen += chunk
    os.close(leader)
    assert process.returncode == 0
    assert b"]0;owned\x07" not in seen
    assert rb"\x1b]0;owned\x07" in seen
