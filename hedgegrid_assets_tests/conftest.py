"""What holds for all tests."""

import os

import pytest


def pytest_configure() -> None:
    """Output is as wide as in any pipe: pytest-xdist gives its workers the width of the terminal that it was started in."""
    os.environ.pop("COLUMNS", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that may take longest come first: begun last, they would keep one worker busy alone."""
    items.sort(key=lambda item: -_seconds(item))


def _seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0
