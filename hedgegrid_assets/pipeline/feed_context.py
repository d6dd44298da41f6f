"""A feed put in its places."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from hedgegrid_assets.config.origin import Origin, with_bars
from hedgegrid_assets.config.paths import RESERVED_PREFIX
from hedgegrid_assets.errors import SeriesMixed
from hedgegrid_assets.model import Channel, Source, Table
from hedgegrid_assets.sources import SOURCES
from hedgegrid_assets.sources.formats.identity import identified
from hedgegrid_assets.stages.raw import (
    Ahead,
    RawDay,
    RawKey,
    fetch_day,
    fetched_elsewhere,
    is_as_asked,
    noted_day,
    raw_day,
)
from hedgegrid_assets.store import Places
from hedgegrid_assets.tables import DEFAULT, TABLES

KINDS: Final[Mapping[str, str]] = {name: table.kind_setting for name, table in TABLES.items() if table.kind_setting}
"""Table -> the setting that chooses between its channels."""


class FeedContext(Struct, frozen=True):
    """A feed put in its places: what Dagster's steps and the command line both work with."""

    feed: Origin
    places: Places

    @property
    def source(self) -> Source:
        """The feed's source; of its channels, those that give a usual table or one of the feed's."""
        source = SOURCES[self.feed.source]
        wanted = frozenset({*DEFAULT, *self.feed.tables})
        names = frozenset(channel.name for channel in source.channels if wanted & channel.tables.keys())
        everything = len(names) == len(source.channels)
        return source if everything or source.narrowed is None else source.narrowed(names)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The feed's settings; the environment goes before feeds.yaml, a configuration file before both."""
        remote = self.source.remote
        if remote is None:
            return self.feed.settings
        said = {key: os.environ[name] for key, name in remote.environment.items() if os.environ.get(name)}
        from_config = self.feed.name.startswith(RESERVED_PREFIX)
        return {**said, **self.feed.settings} if from_config else {**self.feed.settings, **said}

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that the source gives with the feed's settings."""
        given = self.source.remote.channels(self.settings) if self.source.remote else self.source.channels
        return tuple(identified(given, self.feed.venue, self.settings))

    def channel(self, table: Table) -> Channel:
        """The channel that a table is made from: as the feed's ``trade_kind`` (or another) says, where there is a choice.

        What a source sends goes before what is made of another table; in files that are yet to come, nobody knows what a
        feed's ``bars`` will be sent as, and they are made of trades.
        """
        giving = [channel for channel in self.channels if table.name in channel.tables]
        not_sent = self.source.has_landing_zone and table.name in with_bars((), self.feed.bars)
        giving.sort(key=lambda channel: bool(channel.tables[table.name].made_of) != not_sent)
        of_table = giving[0].tables[table.name].made_of or table.name
        settings = self.feed.settings
        wanted = settings.get(KINDS.get(table.name, ""), settings.get(KINDS.get(of_table, "")))
        return next((channel for channel in giving if channel.name == wanted), giving[0])

    def channel_in(self, raw: RawDay) -> Channel:
        """The channel of a raw day: the series and its usual gap are the files' own where they say so (candles).

        Raises SeriesMixed if its files are of several series.
        """
        channel = next(channel for channel in self.channels if channel.name == raw.key.channel)
        views = raw.manifest.views(channel.name)
        held, *others = list(dict.fromkeys(view.series or channel.series for view in views)) or [channel.series]
        if others:
            table = next(iter(channel.tables))
            raise SeriesMixed(f"the raw day {raw.key.symbol} {raw.key.day}", table, held, others[0])
        gaps = [view.gap_seconds for view in views if view.gap_seconds is not None]
        return replace(channel, series=held, gap_seconds=max(gaps)) if gaps else channel

    @property
    def tables(self) -> tuple[Table, ...]:
        """The feed's tables."""
        given = {name for channel in self.channels for name in channel.tables}
        return tuple(TABLES[name] for name in self.feed.tables if name in given)

    def by_channel(self) -> dict[str, tuple[Channel, tuple[Table, ...]]]:
        """Channel name -> (channel, the tables made from it)."""
        found: dict[str, tuple[Channel, tuple[Table, ...]]] = {}
        for table in self.tables:
            channel = self.channel(table)
            found[channel.name] = (channel, (*found.get(channel.name, (channel, ()))[1], table))
        return found

    @property
    def names_files(self) -> bool:
        """The user named each file: none of them is passed over."""
        return bool(self.feed.settings.get("inputs") or self.feed.settings.get("files"))

    def raw(
        self,
        key: RawKey,
        tick: Callable[[], None] | None = None,
        *,
        keep: bool = False,
        ahead: Ahead | None = None,
    ) -> RawDay | None:
        """The raw day on disk; a source that makes or fetches its days gets it now (see ``raw.fetch_day``)."""
        if self.source.has_landing_zone:
            return raw_day(self.places, self.feed.name, key)
        return fetch_day(self.places, self.feed.name, self.source, key, self.settings, tick, keep=keep, ahead=ahead)

    def held(self, key: RawKey) -> RawDay | None:
        """The raw day on disk, if ``raw`` would keep it; nothing is imported, made or fetched."""
        raw = raw_day(self.places, self.feed.name, key)
        kept = raw is None or self.source.has_landing_zone or is_as_asked(self.source, key, self.settings, raw.manifest)
        return raw if kept else None

    def elsewhere(self, key: RawKey) -> str:
        """The server that the raw day on disk was fetched from, if it is not the one that would be asked now; else empty."""
        raw = self.noted(key)
        return fetched_elsewhere(self.source, key, self.settings, raw.manifest) if raw is not None else ""

    def noted(self, key: RawKey) -> RawDay | None:
        """The raw day as its manifest tells; its file is not looked for."""
        return noted_day(self.places, self.feed.name, key)
