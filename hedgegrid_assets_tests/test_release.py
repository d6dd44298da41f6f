"""What may stand for something else until a release, and not in one."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
URLS: Final[dict[str, str]] = PROJECT["urls"]
_NOWHERE: Final = re.compile(r"^https://[^/]*\.(invalid|example|test|localhost)(/|$)|^https://example\.")


def is_release() -> bool:
    """The commit is tagged as a version, or somebody says that it will be."""
    if os.environ.get("HEDGEGRID_RELEASE"):
        return True
    done = subprocess.run(["git", "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return any(tag.startswith("v") for tag in done.stdout.split())


def test_the_addresses_of_the_project_are_one_and_what_lies_below() -> None:
    assert set(URLS) == {"Homepage", "Issues", "Changelog"}
    assert all(address.startswith(URLS["Homepage"]) for address in URLS.values())
    elsewhere = [
        path.relative_to(ROOT)
        for folder in ("hedgegrid_assets", "docs", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".html", ".yaml", ".json"} and URLS["Homepage"] in path.read_text()
    ]
    assert elsewhere == [], "say it in pyproject.toml alone"


@pytest.mark.parametrize("address", ["https://repository.invalid/x", "https://example.org/x", "https://a.example"])
def test_a_placeholder_is_known_as_one(address: str) -> None:
    assert _NOWHERE.match(address)


@pytest.mark.skipif(not is_release(), reason="no release: the commit has no tag of a version")
def test_a_release_says_where_it_lives_and_what_it_is() -> None:
    assert not [address for address in URLS.values() if _NOWHERE.match(address)], "give [project.urls] its address"
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[?{re.escape(PROJECT['version'])}\]? ", changes, re.MULTILINE), "date its changes"
