"""Sources of captured messages: files of many streams, of which a feed may want some."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from hedgegrid_assets.model import Channel, Source
from hedgegrid_assets.sources.formats.settings import LandingSettings
from hedgegrid_assets.venues.markets import Says


def captures(
    name: str,
    doc: str,
    channels: tuple[Channel, ...],
    open_known: Callable[..., Any],
    says: Callable[[bytes], Says | None],
    settings: type[LandingSettings],
    venue: str = "",
) -> Source:
    """A source of captured messages with all its streams.

    ``open_known``: an ``Opens`` that takes ``known`` as well, the channels whose streams it knows. For the rest, see ``Source``.
    """

    @cache
    def narrowed(names: frozenset[str]) -> Source:
        known = tuple(channel for channel in channels if channel.name in names)
        return Source(
            name=name,
            doc=doc,
            extension="jsonl",
            channels=known,
            has_landing_zone=True,
            open=partial(open_known, known=known),
            says=says,
            code_version=1,
            joins=True,
            settings=settings,
            narrowed=narrowed,
            venue=venue,
        )

    return narrowed(frozenset(channel.name for channel in channels))
