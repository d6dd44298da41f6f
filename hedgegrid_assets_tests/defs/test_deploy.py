"""The examples of a deployment: units that systemd takes, and commands that know their options."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from dagster._cli.api import grpc_command
from dagster._daemon.cli import run_command
from dagster_webserver.cli import dagster_webserver

DEPLOY: Final = Path(__file__).parents[2] / "examples/deploy"
BIN: Final = "/opt/hedgegrid/.venv/bin"
COMMANDS: Final = {
    "dagster api grpc": grpc_command,
    "dagster-daemon run": run_command,
    "dagster-webserver": dagster_webserver,
}
UNITS: Final = sorted(DEPLOY.glob("*.service"))


def started(unit: Path) -> str:
    """What a unit starts, without its folder."""
    (found,) = re.findall(rf"^ExecStart={BIN}/(.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_with_options_that_it_has(unit: Path) -> None:
    line = started(unit)
    command = next(known for name, known in COMMANDS.items() if line.startswith(name))
    options = {option for parameter in command.params for option in parameter.opts}
    used = {word for word in line.split() if word.startswith("--")}
    assert used <= options


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_nobody_but_this_machine_is_served(unit: Path) -> None:
    assert "--host 127.0.0.1" in started(unit) or "--host" not in started(unit)
    assert "User=hedgegrid" in unit.read_text(encoding="utf-8")


def test_viewers_cannot_change_anything_and_have_no_secrets() -> None:
    viewer = DEPLOY / "hedgegrid-viewer.service"
    assert "--read-only" in started(viewer)
    assert "secrets.env" not in viewer.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path) -> None:
    for each in UNITS:
        text = each.read_text(encoding="utf-8").replace(BIN, str(Path(sys.executable).parent))
        (tmp_path / each.name).write_text(text, encoding="utf-8")
    found = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / unit.name)], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
