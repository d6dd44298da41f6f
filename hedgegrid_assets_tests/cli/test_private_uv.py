"""The uv that ``make`` fetches where there is none is one version, and each of its files is known by its hash."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_uv_that_make_fetches_is_pinned_with_its_hashes() -> None:
    said = [line for line in (REPOSITORY / "scripts/uv.txt").read_text().splitlines() if not line.startswith("#")]
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+ \\", said[0])
    assert len(said) > 15  # the wheels of all platforms
    assert all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in said[1:])


def test_make_installs_nothing_without_a_hash() -> None:
    recipes = [line for line in (REPOSITORY / "Makefile").read_text().splitlines() if "-m pip install" in line]
    assert recipes
    assert all("--require-hashes" in line and "--only-binary :all:" in line for line in recipes)
