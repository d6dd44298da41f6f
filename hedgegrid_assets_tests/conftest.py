"""What holds for all tests."""

import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

OF_A_USER: Final = ("DAGSTER_HOME", "HEDGEGRID_DATA", "HEDGEGRID_FEEDS", "TARDIS_API_KEY")
"""What a user's environment may say of folders and keys."""


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment that names no other folder and no key."""
    monkeypatch.chdir(tmp_path)
    for name in OF_A_USER:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def pytest_configure() -> None:
    """Output is as wide as in any pipe: pytest-xdist gives its workers the width of the terminal that it was started in."""
    os.environ.pop("COLUMNS", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that may take longest come first: begun last, they would keep one worker busy alone."""
    items.sort(key=lambda item: -_seconds(item))


def _seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0
