"""What a run that was killed, or found no room, leaves behind: nothing that the next run does not take away."""

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hedgegrid_assets.cli import run
from hedgegrid_assets.errors import EnvironmentFault
from hedgegrid_assets.store import (
    abandoned,
    atomic_write,
    disk_fault,
    kept_folders,
    locks,
    temporary_file,
    working_folder,
)

HEDGEGRID = Path(sys.executable).with_name("hedgegrid")
SYMBOLS = ("BTCUSDT", "ETHUSDT")
MIDNIGHT_MS = 1_704_067_200_000


def trade(symbol: str, number: int) -> str:
    ms = MIDNIGHT_MS + number * 1_000
    return (
        f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{ms},"s":"{symbol}","a":{number},'
        f'"p":"{40_000 + number * 7919 % 9973}.{number * 31 % 97:02d}","q":"{1 + number * 101 % 89}.{number % 1000:03d}",'
        f'"f":{number},"l":{number},"T":{ms},"m":true}}}}\n'
    )


def capture(home: Path, trades: int) -> list[str]:
    """A capture of two symbols, and the command that converts it."""
    landing = home / "data/raw/websocket"
    landing.mkdir(parents=True, exist_ok=True)
    lines = (trade(symbol, number) for number in range(1, trades + 1) for symbol in SYMBOLS)
    (landing / "capture.jsonl").write_text("".join(lines))
    where = ("--data", str(home / "data"), "--output", str(home / "catalog"))
    return ["replay-to-parquet", "--source", "websocket", "--symbol", ",".join(SYMBOLS), *where]


def leftovers(home: Path) -> list[Path]:
    """Files in the making, and the folders that processes make them in."""
    return [path for path in home.rglob("*") if path.name.endswith(".part") or path.name.startswith(".hedgegrid-")]


def rows(home: Path) -> dict[str, int]:
    """Rows of the days that are in the catalog, by their verdicts."""
    return {
        path.parts[-3]: json.loads(path.read_bytes())["rows"]["out"]
        for path in (home / "catalog").glob("*/trade_tick.verdict/*.json")
        if list((home / "catalog/data/trade_tick" / path.parts[-3]).glob("*.parquet"))
    }


def started(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen([HEDGEGRID, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


# ---------------------------------------------------------------- folders of living and of dead processes

_HOLD = """
import sys, time
from pathlib import Path
from hedgegrid_assets.store import Spool, temporary_file
with temporary_file("a.parquet", Path(sys.argv[1])) as path:
    path.write_text("half")
    print(path, flush=True)
    time.sleep(600)
"""


def holder(root: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a file in the making."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_has_left_goes_and_what_a_living_one_holds_stays(tmp_path: Path) -> None:
    living, living_file = holder(tmp_path)
    dead, dead_file = holder(tmp_path)
    try:
        with temporary_file("b.parquet", tmp_path) as mine:
            mine.write_text("mine")
            assert living_file.exists()
            assert dead_file.exists()
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        assert dead_file.exists()
        with temporary_file("c.parquet", tmp_path):
            assert living_file.exists()
            assert not dead_file.parent.exists()
    finally:
        for process in (living, dead):
            process.kill()
            process.communicate()
    with working_folder(tmp_path) as folder:
        assert [folder] == list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_goes_with_the_last_who_uses_it(tmp_path: Path) -> None:
    with working_folder(tmp_path) as outer:
        with working_folder(tmp_path) as inner, atomic_write(tmp_path / "done", tmp_path) as temporary:
            assert outer == inner == temporary.parent
            temporary.write_text("whole")
        assert outer.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["done"]


def test_folders_that_are_kept_for_many_files_go_at_the_end_of_the_block(tmp_path: Path) -> None:
    root = tmp_path / "tmp"

    def made(name: str) -> Path:
        with atomic_write(tmp_path / name, root) as temporary:
            temporary.write_text(name)
            return temporary.parent

    with kept_folders():
        first = made("a")
        assert abandoned(root) == []
        assert list(root.iterdir()) == [first]
        assert made("b") == first
    assert list(root.iterdir()) == []
    assert made("c") != first


def test_files_in_the_making_of_a_version_without_folders_go_when_they_are_old(tmp_path: Path) -> None:
    for root in (tmp_path / ".tmp", tmp_path / "Downloads"):
        root.mkdir()
        for name in ("old.parquet.0123456789ab.part", "new.parquet.0123456789ab.part", "film.part"):
            (root / name).touch()
        for name in ("old.parquet.0123456789ab.part", "film.part"):
            os.utime(root / name, (0, 0))
        with working_folder(root):
            pass
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.part"))
    assert left == [
        ".tmp/film.part",
        ".tmp/new.parquet.0123456789ab.part",
        "Downloads/film.part",
        "Downloads/new.parquet.0123456789ab.part",
        "Downloads/old.parquet.0123456789ab.part",
    ]


# ---------------------------------------------------------------- kills


@pytest.mark.slow
def test_runs_killed_at_many_points_leave_nothing_to_the_run_after_them(tmp_path: Path) -> None:
    command = capture(tmp_path, 60_000)
    seen = 0
    for wait in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8):
        process = started(command)
        while process.poll() is None and not leftovers(tmp_path):
            time.sleep(0.002)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        seen += bool(leftovers(tmp_path))
    assert seen
    assert run(command) == 0
    assert leftovers(tmp_path) == []
    assert rows(tmp_path) == {f"{symbol}-PERP.BINANCE": 60_000 for symbol in SYMBOLS}


@pytest.mark.slow
def test_two_runs_at_once_disturb_each_other_in_nothing(tmp_path: Path) -> None:
    command = capture(tmp_path, 20_000)
    for _ in range(3):
        both = [started([*command, "--force"]) for _ in range(2)]
        for process in both:
            out, _ = process.communicate()
            assert process.returncode == 0, out
        assert leftovers(tmp_path) == []
        assert rows(tmp_path) == {f"{symbol}-PERP.BINANCE": 20_000 for symbol in SYMBOLS}


# ---------------------------------------------------------------- no room


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [1, 4, 16, 64, 200, 400])
def test_without_room_a_run_says_so_in_one_sentence_and_leaves_nothing(kilobytes: int, tmp_path: Path) -> None:
    small = capture(tmp_path, 100)
    assert run(small) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "catalog/data/trade_tick").rglob("*.parquet")}
    command = capture(tmp_path, 40_000)
    limit = kilobytes << 10
    done = subprocess.run(
        [HEDGEGRID, *command, "-q"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert errors
    assert all("cannot write" in error and "MB are free" in error for error in errors)
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr
    assert leftovers(tmp_path) == []
    assert {path: path.read_bytes() for path in before} == before
    assert run(command) == 0
    assert rows(tmp_path) == {f"{symbol}-PERP.BINANCE": 40_000 for symbol in SYMBOLS}


def test_a_full_disk_is_told_with_what_is_free(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"cannot write .*a\.json: No space left on device; [\d.,]+ MB are free"):
        raise disk_fault(OSError(28, "No space left on device"), tmp_path / "not/there/yet/a.json")


def test_what_cannot_be_read_is_named_by_itself(tmp_path: Path) -> None:
    error = disk_fault(PermissionError(13, "Permission denied", str(tmp_path / "b.csv")), tmp_path)
    assert str(tmp_path / "b.csv") in error.message


def test_what_an_error_left_open_may_be_collected_while_a_folder_is_made(tmp_path: Path) -> None:
    """By the thread that holds the list of folders: it would wait for itself."""
    left: list[object] = [working_folder(tmp_path)]
    folder = left[0].__enter__()  # type: ignore[attr-defined]
    left.append(left)  # a cycle, as an error and its traceback are one
    del left
    with locks._areas_change:
        gc.collect()
    assert not folder.exists()
    with working_folder(tmp_path) as again:
        assert again.exists()
