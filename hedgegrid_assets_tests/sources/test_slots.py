"""How many ask a provider at once holds over all processes, request by request, and whoever is killed leaves nothing held."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from hedgegrid_assets.sources.client.loop import call, each
from hedgegrid_assets.sources.client.slots import slot
from hedgegrid_assets_tests.standins.tardis import KEY
from hedgegrid_assets_tests.tardis_cases import fresh_standin

LIMITED = """
import sys
from msgspec.structs import replace
from hedgegrid_assets.cli import run
from hedgegrid_assets.sources.client import limits
limits.in_force = replace(limits.in_force, files_at_once=2)
sys.exit(run(sys.argv[1:]))
"""
HOLDING = """
import sys, time
from pathlib import Path
from hedgegrid_assets.store import try_file
held = try_file(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_two_processes_together_ask_no_more_than_one_may(tmp_path: Path) -> None:
    server = fresh_standin()
    server.delay_seconds = 0.1
    places = {"TARDIS_ENDPOINT": server.endpoint, "TARDIS_DATASETS_ENDPOINT": server.datasets_endpoint}
    days = ("--start", "2024-01-01", "--end", "2024-01-06", "--data-types", "trades", "--jobs", "5", "--quiet")
    places |= {"TARDIS_API_KEY": KEY, "HEDGEGRID_DATA": str(tmp_path / "data")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LIMITED, "replay-to-parquet", "--source", "tardis", "--symbol", symbol, *days],
            env={**os.environ, **places},
            cwd=tmp_path,
        )
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    assert [process.wait(90) for process in processes] == [0, 0]
    server.delay_seconds = 0.0
    assert len(server.requests("/trades/")) == 10
    assert server.most_at_once("/trades/") == 2
    assert sorted(path.name for path in (tmp_path / "data/cache/.slots").iterdir()) == ["files-0", "files-1"]


def test_a_slot_that_a_killed_process_held_is_free(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path / "files-0")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    waited: list[str] = []

    async def ask() -> None:
        async with slot(tmp_path, 1, "files"):
            waited.append("asked")

    async def impatient() -> None:
        with pytest.raises(TimeoutError), anyio.fail_after(0.3):
            await ask()

    call(impatient)
    assert not waited
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    call(ask)
    assert waited


def test_whoever_gives_up_or_fails_leaves_no_slot_held(tmp_path: Path) -> None:
    async def work(number: int) -> None:
        async with slot(tmp_path, 2, "files"):
            await anyio.sleep(0)
            if number == 3:
                raise ValueError("a transfer failed")

    async def all_of_them() -> None:
        await each(range(6), work, 4)

    for _ in range(2):
        with pytest.raises(ValueError, match="a transfer failed"):
            call(all_of_them)
    call(lambda: work(0))
