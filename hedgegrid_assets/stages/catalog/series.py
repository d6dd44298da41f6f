"""Which series each (instrument, table) of a catalog holds: one document for the whole catalog."""

import contextlib
from collections.abc import Callable
from typing import ClassVar

import msgspec

from hedgegrid_assets.store import Document, Places, change_document, read_document


class Series(Document, frozen=True, kw_only=True):
    """``held``: instrument -> table -> series."""

    kind: ClassVar[str] = "series"
    newest: ClassVar[int] = 2
    told: ClassVar[str] = "which series each table holds"
    series: int = 1
    held: dict[str, dict[str, str]]


def read_series(places: Places) -> dict[str, dict[str, str]]:
    """Instrument -> table -> the series that the catalog holds. Raises DocumentDamaged."""
    found = read_document(places.series, Series, before=_of_before)
    return found.held if found else {}


type Held = dict[str, dict[str, str]]
"""Instrument -> table -> series."""


def change_series(places: Places, change: Callable[[Held], Held | None]) -> None:
    """Publish what ``change`` makes of it, or nothing for None. The caller holds the lock of the catalog."""

    def changed(found: Series | None) -> Series | None:
        held = change(found.held if found else {})
        return None if held is None else Series(held=held)

    change_document(places.series, places.catalog_temp, Series, changed, before=_of_before)


def _of_before(data: bytes) -> Series | None:
    """The first version was ``held`` alone."""
    with contextlib.suppress(ValueError):
        return Series(held=msgspec.json.decode(data, type=dict[str, dict[str, str]]))
    return None
