"""What is told of memory is the process' own."""

import subprocess
import sys

_CHILD = "from hedgegrid_assets.spent import peak_bytes; print(peak_bytes())"
_PARENT = f"""
import subprocess, sys
held = bytearray(300_000_000)
held[::4096] = b"x" * len(held[::4096])
print(subprocess.run([sys.executable, "-c", {_CHILD!r}], capture_output=True, check=True, text=True).stdout)
"""


def test_a_large_parent_is_not_counted() -> None:
    told = subprocess.run([sys.executable, "-c", _PARENT], capture_output=True, check=True, text=True).stdout
    assert 5_000_000 < int(told) < 200_000_000
