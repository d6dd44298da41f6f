"""What we receive: one module a provider, collected here."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Final, override

from hedgegrid_assets.model import Source

_MODULES: Final[Mapping[str, str]] = {
    "websocket": "websocket",
    "csv": "csv",
    "synthetic": "synthetic",
    "tardis": "tardis",
    "archive": "archive",
    "bybit-websocket": "bybit",
    "okx-websocket": "okx",
}
"""Name of a source -> the module that holds it."""


class _Sources(Mapping[str, Source]):
    """Each is imported when it is asked for: a conversion reads of one alone."""

    @override
    def __getitem__(self, name: str) -> Source:
        return _held_by(_MODULES[name])

    @override
    def __contains__(self, name: object) -> bool:
        return name in _MODULES

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    @override
    def __len__(self) -> int:
        return len(_MODULES)


@cache
def _held_by(module: str) -> Source:
    source: Source = import_module(f"{__name__}.{module}").SOURCE
    return source


SOURCES: Final[Mapping[str, Source]] = _Sources()
