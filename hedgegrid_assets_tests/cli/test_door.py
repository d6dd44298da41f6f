"""The front door: a version, a folder that is still empty, and the UI with its daemon, as a newcomer meets them."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from hedgegrid_assets.cli import dev, run

WORDS = {
    "backfill": ("backfill", "sim"),
    "the UI": ("dev",),
    "a check of feeds": ("feeds", "check"),
}


def test_the_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"hedgegrid-assets {version('hedgegrid-assets')}\n"


def test_the_package_and_its_command_can_be_called_by_either_name() -> None:
    ours = {entry.name: entry.value for entry in entry_points(group="console_scripts") if "hedgegrid" in entry.name}
    assert ours == dict.fromkeys(("hedgegrid", "hedgegrid-assets"), "hedgegrid_assets.__main__:main")


def test_completion_for_a_shell_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "--install-completion" in capsys.readouterr().out


@pytest.mark.parametrize("what", WORDS)
def test_a_folder_without_feeds_is_told_of_init_before_dagster_is_imported(what: str, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom hedgegrid_assets.cli import run\n"
        f"code = run({WORDS[what]!r})\nassert 'dagster' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=_free(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert f"expected a file, found none at {tmp_path / 'feeds.yaml'}" in done.stderr
    assert "hint: hedgegrid init lays one out" in done.stderr


@pytest.mark.usefixtures("workdir")
def test_the_hint_of_a_folder_without_feeds_helps() -> None:
    assert run(["feeds", "check"]) == 2
    assert run(["init"]) == 0
    assert run(["feeds", "check"]) == 0


@pytest.mark.usefixtures("workdir")
def test_a_backfill_of_no_feed_lists_the_feeds(capsys: pytest.CaptureFixture[str]) -> None:
    run(["init"])
    assert run(["backfill"]) == 2
    assert "which feed: expected one of sim, captures" in capsys.readouterr().err


@pytest.mark.usefixtures("workdir")
def test_a_port_that_is_taken_is_told_with_another(capsys: pytest.CaptureFixture[str]) -> None:
    run(["init"])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["dev", "--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert f"port {port} is not to be had" in told
    assert f"--port {port + 1}" in told


@pytest.mark.slow
def test_the_ui_and_its_daemon_start_in_a_new_folder_and_end_together(tmp_path: Path) -> None:
    run(["init", str(tmp_path), "-q"])
    port = _free_port()
    ours, terminal = pty.openpty()
    served = subprocess.Popen(
        [sys.executable, "-m", "hedgegrid_assets", "dev", "--port", str(port)],
        cwd=tmp_path,
        env=_free(),
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=_in_the_background,
    )
    try:
        assert _answers(f"http://127.0.0.1:{port}/server_info", served)
        assert (tmp_path / ".dagster_home" / "dagster.yaml").is_file()
    finally:
        os.killpg(served.pid, signal.SIGINT)  # as a terminal does
        code = served.wait(120)
    assert code == 0, "a server that is ended in order has done what it was asked for"
    assert _all_gone(served.pid)
    os.close(terminal)
    told = _written(ours)
    assert f"the UI: http://127.0.0.1:{port}" in told
    assert "Traceback" not in told
    assert "No cursor for event type" not in told


def test_what_dagsters_processes_write_is_copied_until_ctrl_c() -> None:
    program = Path(dev.__file__).with_name("quieted.py")
    copier = subprocess.Popen([sys.executable, "-I", "-S", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert copier.stdin is not None
    assert copier.stderr is not None
    copier.stdin.write(b"WARNING - No cursor for event type 3\na warning\n")
    copier.stdin.flush()
    assert copier.stderr.readline() == b"a warning\n"
    copier.send_signal(signal.SIGINT)
    assert _handled(copier.pid)
    copier.stdin.write(b"Traceback (most recent call last):\nKeyboardInterrupt\n")
    copier.stdin.close()
    assert copier.stderr.read() == b""
    assert copier.wait(60) == 0
    copier.stderr.close()


def _handled(process: int) -> bool:
    """No signal waits for a process any more."""
    for _ in range(600):
        status = Path(f"/proc/{process}/status").read_text()
        waits = [line.split()[1] for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
        if all(int(mask, 16) == 0 for mask in waits):
            return True
        time.sleep(0.05)
    return False


def _written(terminal: int) -> str:
    """All that was written to a terminal; it is closed then."""
    parts = []
    with contextlib.suppress(OSError):  # Linux' word for the end of a terminal
        while data := os.read(terminal, 1 << 16):
            parts.append(data)
    os.close(terminal)
    return b"".join(parts).decode()


def _in_the_background() -> None:
    """As a script starts what it does not wait for; that must end all the same."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _free() -> dict[str, str]:
    """The environment of somebody who has set nothing."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("HEDGEGRID_", "DAGSTER_"))}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _answers(url: str, served: subprocess.Popen[bytes]) -> bool:
    for _ in range(1_500):
        if served.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            time.sleep(0.2)
    return False


def _all_gone(session: int) -> bool:
    """No process of a session is left, a while after it was ended."""
    for _ in range(600):
        if not any(_is_of(session, folder) for folder in Path("/proc").glob("[0-9]*")):
            return True
        time.sleep(0.2)
    return False


def _is_of(session: int, folder: Path) -> bool:
    try:
        fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return False
    return int(fields[3]) == session and fields[0] != "Z"
