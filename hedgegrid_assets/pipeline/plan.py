"""What a run would fetch, and what the provider says to that."""

from datetime import date
from typing import Any

from msgspec import Struct

from hedgegrid_assets.errors import UsageError
from hedgegrid_assets.pipeline.feed_context import FeedContext
from hedgegrid_assets.pipeline.fetch import by_month
from hedgegrid_assets.pipeline.request import Request, context_of
from hedgegrid_assets.stages.raw import RawKey
from hedgegrid_assets.timestamps import days_between


class PlannedDay(Struct, frozen=True):
    """What a run would do about one raw day.

    ``stored``: its raw file is there (of ``bytes``), and nothing has to be fetched. ``free``: no key is needed.
    """

    symbol: str
    channel: str
    date: date
    stored: bool
    requests: int
    cached: int
    free: bool
    bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            name: str(value) if isinstance(value, date) else value
            for name in self.__struct_fields__
            for value in [getattr(self, name)]
        }


def plan(asked: Request) -> list[PlannedDay]:
    """What ``run`` would fetch; nothing is asked or written. Raises UsageError for a source that fetches nothing."""
    context = context_of(asked)
    remote = context.source.remote
    if remote is None:
        raise UsageError(
            f"--dry-run says what would be fetched: expected a source that fetches, found {asked.origin.source}"
        )
    by_name = {channel.name: channel for channel in context.channels}
    planned: list[PlannedDay] = []
    keys = made_keys(context, asked)
    context_for = by_month(context, keys)
    for key in keys:
        held = context.held(key)
        would = remote.plan(context_for(key).settings, key.symbol, by_name[key.channel], key.day, context.places.cache)
        planned.append(
            PlannedDay(
                symbol=key.symbol,
                channel=key.channel,
                date=key.day,
                stored=held is not None,
                requests=0 if held else would.requests,
                cached=would.cached,
                free=would.free,
                bytes=held.manifest.bytes if held else None,
            )
        )
    return planned


def account(asked: Request) -> list[str]:
    """What the provider allows, in lines for people; asks the provider. Raises RemoteFault."""
    context = context_of(asked)
    return context.source.remote.account(context.settings) if context.source.remote else []


def reachable(asked: Request) -> bool:
    """Whether the provider of a request's source answers, soon; sources that ask nobody are always there."""
    context = context_of(asked)
    return context.source.remote is None or context.source.remote.reachable(context.settings)


def made_keys(context: FeedContext, asked: Request) -> list[RawKey]:
    """The raw days that a source makes or fetches for a request. Raises UsageError where the range is not said."""
    if asked.start is None or asked.end is None:
        raise UsageError(
            f"--start and --end are needed for --source {asked.origin.source}: expected YYYY-MM-DD, found none"
        )
    return [
        RawKey(channel, symbol, day)
        for symbol in asked.origin.symbols
        for day in days_between(asked.start, asked.end)
        for channel in context.by_channel()
    ]
