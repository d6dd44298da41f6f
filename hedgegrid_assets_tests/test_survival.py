"""Survival: whatever a command was at when it was killed, the next run gives what an undisturbed one would have given."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

_TORN: Final = """
import sys
from pathlib import Path
from hedgegrid_assets_tests.survival import trials
from hedgegrid_assets_tests.survival_cases import Case

def ready(root):
    return 0

def torn(root):
    half = root / "half"
    if not half.exists():
        for number in range(4):
            with half.open("a") as file:
                file.write("x")
    (root / "beside").open("w").close()
    (root / "beside").replace(root / "final")
    return 0

found = [str(trial) for trial in trials(20, 1, Path(sys.argv[1]), cases=[Case("torn", ready, torn)])]
print("\\n".join(found))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_killed_at_sixty_points_and_run_once_more_leave_the_bytes_of_undisturbed_runs() -> None:
    """In a process of its own, which has begun nothing, so that it may fork; more trials by hand: see ``survival``."""
    command = [sys.executable, "-m", "hedgegrid_assets_tests.survival", "--trials", "60", "--seed", "12", "--steps"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 trials" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_that_run_into_a_full_disk_say_so_and_run_once_more_leave_the_bytes_of_undisturbed_runs(
    tmp_path: Path,
) -> None:
    """On a small disk of its own, which takes root; more trials by hand, with ``--full``."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own cannot be mounted here")
    try:
        command = [
            sys.executable,
            "-m",
            "hedgegrid_assets_tests.survival",
            "--trials",
            "18",
            "--seed",
            "4",
            "--case",
            "c",
        ]
        done = subprocess.run([*command, "--full", str(disk)], capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "full after" in done.stdout


@pytest.mark.slow
def test_a_command_that_takes_its_own_half_written_file_for_a_whole_one_is_found(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _TORN, str(tmp_path)], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 20
    assert any("differs: half" in line for line in said)
    assert any("as if undisturbed" in line for line in said)
